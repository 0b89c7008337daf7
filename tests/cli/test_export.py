"""The command `export`."""

import numpy as np
import pytest

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.exported import ExportedClassifier

TEXTS = ["so good", "very good", "so bad", "very bad"]


@pytest.fixture(scope="module")
def classifier():
    return TextClassifier.from_texts(
        TEXTS, ["good", "good", "bad", "bad"], units=4, embedding_dim=4, max_length=5
    )


@pytest.fixture(scope="module")
def small_run(classifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    classifier.save(folder / "model.keras")
    return folder


def test_export_says_what_it_wrote_and_nothing_else(
    small_run, classifier, tmp_path, invoke, capfd
):
    path = tmp_path / "small.tflite"
    options = ("--format", "litert", "--out", path, "--length", 4)
    shown = invoke("export", small_run, *options)
    assert shown.exit_code == 0, shown.output
    model, description, difference = shown.stdout.splitlines()
    assert model == (
        f"{path}: {path.stat().st_size:,} bytes; token ids (batch, 4) to "
        "probabilities, longer texts cut at their end, built-in operations only"
    )
    beside = tmp_path / "small.tflite.json"
    assert description == (
        f"{beside}: {beside.stat().st_size:,} bytes; vocabulary, class names and "
        "tokenizer rules"
    )
    assert difference.startswith("largest difference from the classifier: ")
    assert shown.stderr == "converting to litert\ncomparing with the classifier\n"
    assert capfd.readouterr() == ("", "")  # the converter's C++ writes past Python
    np.testing.assert_allclose(
        ExportedClassifier(path).predict_proba(TEXTS),
        classifier.predict_proba(TEXTS),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("format", "name", "content"),
    [
        pytest.param(
            *("saved_model", "m", "strings to class names and probabilities"),
            marks=pytest.mark.exhaustive,
        ),
        ("onnx", "m.onnx", "token ids (batch, timesteps) to probabilities"),
    ],
)
def test_an_older_export_is_replaced_with_force_only(
    small_run, format, name, content, tmp_path, invoke
):
    arguments = ("export", small_run, "--format", format, "--out", tmp_path / name)
    first = invoke(*arguments)
    assert first.exit_code == 0, first.stderr
    assert f"bytes; {content}\n" in first.stdout
    again = invoke(*arguments)
    assert again.exit_code == 2
    assert again.stderr == (
        f"rnn-keras: {tmp_path / name}: exists, and is an older export of this name; "
        "choose another name, or give --force to replace it\n"
    )
    assert invoke(*arguments, "--force").exit_code == 0


def test_bad_input_gets_one_line(small_run, tmp_path, invoke):
    out = tmp_path / "m.onnx"
    missing = invoke("export", tmp_path, "--format", "onnx", "--out", out)
    assert missing.exit_code == 2
    assert "model.keras: no such file; expected what rnn-keras train" in missing.stderr
    suffix = invoke("export", small_run, "--format", "litert", "--out", out)
    assert suffix.exit_code == 2
    assert suffix.stderr == f"rnn-keras: {out}: expected a name that ends in .tflite\n"
    length = invoke(
        "export", small_run, "--format", "onnx", "--out", out, "--length", 3
    )
    assert length.exit_code == 2
    assert "length 3: onnx takes texts of any length" in length.stderr
    format = invoke("export", small_run, "--format", "torch", "--out", out)
    assert format.exit_code == 2
    assert "'torch' is not one of 'saved_model', 'onnx', 'litert'" in format.stderr
    assert not list(tmp_path.iterdir())
