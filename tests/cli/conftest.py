"""One table and one run, trained once, that the tests of all commands share."""

import shutil
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from rnn_keras.cli.app import app

# Small enough to train in a second or two, large enough to learn the healthy texts.
SMALL = ("--units", 4, "--embedding-dim", 8, "--no-bidirectional")


@pytest.fixture(scope="session")
def invoke():
    """Run a command in this process, which has imported TensorFlow already."""

    def call(*arguments, **options):
        return CliRunner().invoke(app, [str(a) for a in arguments], **options)

    return call


@pytest.fixture(scope="session")
def start():
    """Start a command in a process of its own."""

    def call(*arguments, **options):
        # A byte string stands for an argument that is not UTF-8.
        given = [a if isinstance(a, bytes) else str(a) for a in arguments]
        return subprocess.Popen(
            [sys.executable, "-m", "rnn_keras.cli", *given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    return call


@pytest.fixture(scope="session")
def write_table():
    """Write the texts of a corpus, changed one by one, as a table."""

    def write(path, corpus, change=lambda text, label: text):
        pairs = zip(corpus.texts, corpus.labels, strict=True)
        rows = [f"{label},{change(text, label)}\n" for text, label in pairs]
        path.write_text("label,text\n" + "".join(rows))
        return path

    return write


@pytest.fixture(scope="session")
def table(healthy, write_table, tmp_path_factory):
    """A table with nothing wrong in it: 400 texts of two classes, neg and pos."""
    return write_table(tmp_path_factory.mktemp("data") / "mine.csv", healthy)


@pytest.fixture(scope="session")
def trained(table, invoke, tmp_path_factory):
    """What `train` printed for that table, and the folder of the run."""
    out = tmp_path_factory.mktemp("runs") / "mine"
    result = invoke("train", table, *SMALL, "--learning-rate", 0.02, "--out", out)
    assert result.exit_code == 0, result.output
    return result, out


@pytest.fixture(scope="session")
def run(trained):
    """The folder of the run. Tests read it and leave it as it is."""
    return trained[1]


@pytest.fixture
def copy_of_run(run, tmp_path):
    """A copy of the folder, which a test may damage."""
    return shutil.copytree(run, tmp_path / "copy")


@pytest.fixture(scope="session")
def unlearned(healthy, invoke, tmp_path_factory):
    """A run that learned nothing, of tables without a header and with odd labels."""
    folder = tmp_path_factory.mktemp("unlearned")
    names = {"pos": "[spam]", "neg": "[/b]"}
    pairs = list(zip(healthy.labels, healthy.texts, strict=True))
    parts = {"rows.tsv": pairs[:300], "test.tsv": pairs[300:]}
    for name, part in parts.items():
        rows = [f"{names[label]}\t{text}\n" for label, text in part]
        (folder / name).write_text("".join(rows))
    options = ("--no-header", "--text-column", 1, "--label-column", 0)
    options += ("--test", folder / "test.tsv", "--no-linear", "--epochs", 1)
    options += ("--learning-rate", 0, "--out", folder / "run")
    result = invoke("train", folder / "rows.tsv", *SMALL, *options)
    assert result.exit_code == 0, result.output
    return result, folder / "run"
