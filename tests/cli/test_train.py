"""The command `train`."""

import inspect
import json
import os
import re
import signal
import threading
import time
from dataclasses import asdict

import pytest

from rnn_keras.classification.settings import Settings
from rnn_keras.cli.train import train

FILES = ("model.keras", "metrics.json", "history.csv", "curves.png", "confusion.png")


def test_train_prints_a_table_and_writes_the_run(trained):
    result, out = trained
    for word in ("accuracy", "macro F1", "F1 of neg", "F1 of pos"):
        assert word in result.stdout
    assert {path.name for path in out.iterdir()} == set(FILES)
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["class_names"] == ["neg", "pos"]
    assert f"saved in {out}" in result.stdout.replace("\n", " ")
    lines = result.stderr.splitlines()
    assert lines[0].endswith("mine.csv: 400 texts")
    assert [line.split(" ")[0] for line in lines[1:]] == ["train", "vocabulary"]


def test_the_network_alone_stands_beside_the_classifier(trained):
    result, out = trained
    head = result.stdout.splitlines()[1]
    assert [cell.strip() for cell in head.split("┃")[2:5]] == [
        "gru + n-grams",
        "gru",
        "TF-IDF + LR",
    ]
    metrics = json.loads((out / "metrics.json").read_text())
    ngrams, epochs = metrics["ngrams"], metrics["epochs"]
    assert f"parameters and {ngrams:,} n-grams, {epochs} epochs" in result.stdout


def test_without_a_linear_model_the_network_is_the_classifier(unlearned):
    result, out = unlearned
    assert "gru + n-grams" not in result.stdout
    assert "parameters, 1 epochs" in result.stdout
    assert json.loads((out / "metrics.json").read_text())["ngrams"] == 0


def test_columns_by_position_a_test_file_and_labels_that_look_like_markup(unlearned):
    result, out = unlearned
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["test"]["n"] == 100
    assert metrics["class_names"] == ["[/b]", "[spam]"]
    assert "F1 of [spam]" in result.stdout
    assert "F1 of [/b]" in result.stdout


def test_an_older_run_is_left_alone(run, table, invoke):
    before = {path: path.read_bytes() for path in run.iterdir()}
    shown = invoke("train", table, "--out", run)
    assert shown.exit_code == 2
    assert shown.stdout == ""
    assert shown.stderr.splitlines()[-1] == (
        f"rnn-keras: {run}: holds an older run ({', '.join(FILES)}); choose another "
        "folder, or give --force to replace it"
    )
    assert {path: path.read_bytes() for path in run.iterdir()} == before


@pytest.fixture
def endless(tmp_path):
    """The arguments of a run that takes minutes, with a checkpoint at every step.

    Its texts are too short for XLA's compiler to be worth its time.
    """
    rows = [f"{label},{a}{b}\n" for label in "xy" for a in "abcd" for b in "efgh"]
    (tmp_path / "short.csv").write_text("label,text\n" + "".join(rows))
    size = ("--cell", "simple_rnn", "--no-bidirectional", "--unit", "word")
    size += ("--units", 4, "--embedding-dim", 4, "--no-linear")
    length = ("--epochs", 4000, "--patience", 4000, "--checkpoint-every", 0)
    out = ("--out", tmp_path / "run")
    return ["train", tmp_path / "short.csv", *size, *length, *out]


def checkpoints_of(out):
    return {path.name for path in out.glob(".unfinished/checkpoints/*.npz")}


def place_of(stderr):
    """Where the last two lines say that training was stopped."""
    *_, finishing, last = stderr.splitlines()
    assert finishing == "finishing this step; once more to stop at once"
    said = re.fullmatch(
        r"rnn-keras: stopped before (epoch \d+, batch \d+); the same command goes on "
        "there",
        last,
    )
    assert said, last
    return said[1]


def wait_for_checkpoint(out, goes_on=lambda: True):
    """Wait until there is a checkpoint that is not there yet."""
    before = checkpoints_of(out)
    while not checkpoints_of(out) - before:
        assert goes_on()
        time.sleep(0.02)


def test_a_run_that_is_stopped_says_how_it_goes_on(endless, invoke):
    def train_and_stop(number):
        def stop():
            wait_for_checkpoint(endless[-1])
            os.kill(os.getpid(), number)

        threading.Thread(target=stop, daemon=True).start()
        return invoke(*endless)

    first = train_and_stop(signal.SIGTERM)
    assert (first.exit_code, first.stdout) == (143, "")
    place = place_of(first.stderr)
    second = train_and_stop(signal.SIGINT)
    assert (second.exit_code, second.stdout) == (130, "")
    assert second.stderr.splitlines()[2] == f"goes on with {place}"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_process_that_is_stopped_has_the_status_of_its_signal(
    number, status, endless, start
):
    process = start(*endless, text=True)
    wait_for_checkpoint(endless[-1], lambda: process.poll() is None)
    process.send_signal(number)
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (status, "")
    place_of(stderr)
    # Nothing that TensorFlow writes as it starts is between these lines.
    words = [line.split(" ")[0] for line in stderr.splitlines()]
    assert words == [f"{endless[1]}:", "train", "finishing", "rnn-keras:"]


def test_a_fault_in_a_process_of_its_own_has_no_traceback(tmp_path, start):
    process = start("train", "nosuch", "--out", tmp_path / "run", text=True)
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (2, "")
    assert stderr.startswith("rnn-keras: nosuch: neither a file")
    assert stderr.count("\n") == 1


def test_options_have_the_defaults_of_the_python_way():
    options = inspect.signature(train).parameters
    settings = asdict(Settings())
    assert set(settings) <= set(options)
    for name, default in settings.items():
        assert options[name].default == default, name
