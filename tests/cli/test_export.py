"""`rnn-keras export` as a person meets it."""

import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.cli.app import app
from rnn_keras.exported import ExportedClassifier

TEXTS = ["so good", "very good", "so bad", "very bad"]


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    classifier = TextClassifier.from_texts(
        TEXTS, ["good", "good", "bad", "bad"], units=4, embedding_dim=4, max_length=5
    )
    classifier.save(folder / "model.keras")
    return folder


def test_export_says_what_it_wrote_and_nothing_else(run, tmp_path):
    path = tmp_path / "small.tflite"
    arguments = ["export", run, "--format", "litert", "--out", path, "--length", 4]
    finished = subprocess.run(
        [sys.executable, "-m", "rnn_keras.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    model, description, difference = finished.stdout.splitlines()
    assert model == (
        f"{path}: {path.stat().st_size:,} bytes; token ids (batch, 4) to "
        "probabilities, longer texts cut at their end, built-in operations only"
    )
    beside = tmp_path / "small.tflite.json"
    size = beside.stat().st_size
    assert description.startswith(f"{beside}: {size:,} bytes; voc")
    assert difference.startswith("largest difference from the classifier: ")
    assert finished.stderr == "converting to litert\ncomparing with the classifier\n"
    expected = TextClassifier.load(run / "model.keras").predict_proba(TEXTS)
    found = ExportedClassifier(path).predict_proba(TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("format", "name", "what"),
    [
        ("saved_model", "m", "strings to class names and probabilities"),
        ("onnx", "m.onnx", "token ids (batch, timesteps) to probabilities"),
    ],
)
def test_an_older_export_is_replaced_with_force_only(run, format, name, what, tmp_path):
    arguments = ["export", run, "--format", format, "--out", tmp_path / name]
    first = invoke(*arguments)
    assert first.exit_code == 0, first.stderr
    assert f"bytes; {what}\n" in first.stdout
    again = invoke(*arguments)
    assert again.exit_code == 2
    assert again.stderr == (
        f"rnn-keras: {tmp_path / name}: exists, and is an older export of this name; "
        "choose another name, or give --force to replace it\n"
    )
    assert invoke(*arguments, "--force").exit_code == 0


def test_bad_input_gets_one_line(run, tmp_path):
    out = tmp_path / "m.onnx"
    missing = invoke("export", tmp_path, "--format", "onnx", "--out", out)
    assert missing.exit_code == 2
    assert "model.keras: no such file; expected what rnn-keras train" in missing.stderr
    suffix = invoke("export", run, "--format", "litert", "--out", out)
    assert suffix.exit_code == 2
    assert suffix.stderr == f"rnn-keras: {out}: expected a name that ends in .tflite\n"
    length = invoke("export", run, "--format", "onnx", "--out", out, "--length", 3)
    assert length.exit_code == 2
    assert "length 3: onnx takes texts of any length" in length.stderr
    format = invoke("export", run, "--format", "torch", "--out", out)
    assert format.exit_code == 2
    assert "'torch' is not one of 'saved_model', 'onnx', 'litert'" in format.stderr
    assert not list(tmp_path.iterdir())
