"""What holds for the repository as a whole."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import rnn_keras

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_environment_yml_equals_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    conda = [d for d in environment["dependencies"] if isinstance(d, str)]
    (pip,) = (d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    # The peers that benchmarks are run beside take gigabytes, and nothing needs them.
    extras = [
        r for name, r in PROJECT["optional-dependencies"].items() if name != "bench"
    ]
    wanted = PROJECT["dependencies"] + [r for extra in extras for r in extra]
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    assert sorted(pip) == sorted({*wanted, "--editable ."})


def test_constraints_are_exact_pins_without_addresses_and_cover_the_project():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[\w.+!]+", pin) for pin in pins)
    pinned = {pin.split("==")[0].lower().replace("_", "-") for pin in pins}
    extras = PROJECT["optional-dependencies"].values()
    wanted = PROJECT["dependencies"] + [r for extra in extras for r in extra]
    assert {re.split("[<>=]", r)[0].lower().replace("_", "-") for r in wanted} <= pinned


def test_every_public_name_is_there():
    for name in rnn_keras.__all__:
        assert getattr(rnn_keras, name).__doc__
    assert set(rnn_keras.__all__) <= set(dir(rnn_keras))


def run_python(code):
    """Run code in a process of its own, and return the process, which succeeded."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )


def test_importing_the_package_alone_is_quick_and_a_wrong_name_is_an_error():
    code = (
        "import sys, rnn_keras\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
        "try: rnn_keras.nosuch\n"
        "except AttributeError as error: print(error)"
    )
    shown = run_python(code)
    assert "nosuch" in shown.stdout


@pytest.mark.parametrize(
    "code",
    [
        "from rnn_keras import build_classifier; build_classifier(9, 2)",
        "from rnn_keras.layers import GRU",
        "from rnn_keras.doctor import examine_network",
    ],
)
def test_the_first_use_of_tensorflow_is_quiet(code):
    shown = run_python(code)
    assert shown.stderr == shown.stdout == ""


def test_what_a_command_reads_before_its_work_needs_no_tensorflow():
    """Otherwise a mistake is reported late, below TensorFlow's start-up lines."""
    code = (
        "import sys\n"
        "import rnn_keras.cli.app, rnn_keras.classification.settings\n"
        "import rnn_keras.experiments.run_files, rnn_keras.experiments.run_folder\n"
        "import rnn_keras.export.files, rnn_keras.training.distributed\n"
        "print({'tensorflow', 'keras'} & set(sys.modules))"
    )
    shown = run_python(code)
    assert (shown.stdout, shown.stderr) == ("set()\n", "")


def test_what_was_held_back_is_shown_when_tensorflow_cannot_be_imported(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'the cause\\n')\nraise ImportError('broken')\n"
    )
    code = "from rnn_keras.utils.quiet import import_quietly; import_quietly()"
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": ""},
    )
    assert shown.returncode == 1
    assert "the cause" in shown.stderr
    assert "ImportError: broken" in shown.stderr


def test_pytest_with_nbval_checks_the_notebooks_and_alone_the_unit_tests():
    def collected(*options):
        shown = subprocess.run(
            [sys.executable, "-m", "pytest", "--collect-only", "-q", *options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        return {line.split("::")[0] for line in shown.stdout.splitlines()}

    with_nbval = collected("--nbval")
    assert {"notebooks/01_quickstart.ipynb", "notebooks/12_speech.ipynb"} <= with_nbval
    assert not any(name.startswith(("tests/", "rnn_keras/")) for name in with_nbval)


@pytest.mark.parametrize("required", [False, True])
def test_a_notebook_is_skipped_or_fails_where_its_data_are_missing(required, tmp_path):
    environment = {**os.environ, "RNN_KERAS_CACHE": str(tmp_path)}
    environment.pop("RNN_KERAS_REQUIRE_DATA", None)
    command = [sys.executable, "-m", "pytest", "--nbval", "-q"]
    if required:
        environment["RNN_KERAS_REQUIRE_DATA"] = "1"
    shown = subprocess.run(
        [*command, "-rs", "-x", "notebooks/12_speech.ipynb"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert "spoken_digits not found" in shown.stdout
    assert shown.returncode == required


def test_a_relative_cache_is_found_from_the_folder_of_the_notebooks(tmp_path):
    # A notebook runs in its own folder: a relative path was looked for there.
    (tmp_path / "the cache").mkdir()
    (tmp_path / "notebooks").mkdir()
    conftest = Path("notebooks", "conftest.py")
    (tmp_path / conftest).write_text((ROOT / conftest).read_text())
    cell = {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "source": 'import os\nprint(os.path.isdir(os.environ["RNN_KERAS_CACHE"]))',
        "outputs": [{"name": "stdout", "output_type": "stream", "text": "True\n"}],
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    (tmp_path / "notebooks" / "cell.ipynb").write_text(
        json.dumps(
            {
                "cells": [cell],
                "metadata": {"kernelspec": kernel},
                "nbformat": 4,
                "nbformat_minor": 4,
            }
        )
    )
    (tmp_path / "nbval.cfg").write_text("")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\naddopts = --nbval-sanitize-with=nbval.cfg\ntestpaths = notebooks\n"
    )
    subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "-q"],
        cwd=tmp_path,
        env={**os.environ, "RNN_KERAS_CACHE": "the cache"},
        check=True,
        capture_output=True,
    )
