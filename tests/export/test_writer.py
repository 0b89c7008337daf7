"""Exports, run as those who deploy them would run them, beside the classifier."""

import itertools
import sys
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.export.writer import FORMATS, export
from rnn_keras.exported import ExportedClassifier
from rnn_keras.layers.recurrent import GRU
from rnn_keras.models.builders import CELLS
from rnn_keras.utils.errors import InputError


def load(path, format):
    """A function from texts to probabilities."""
    if format == "saved_model":
        serve = tf.saved_model.load(str(path)).signatures["serving_default"]

        def run(texts):
            utf8 = [text.encode("utf-8", "replace") for text in texts]
            return serve(texts=tf.constant(utf8, tf.string))["probabilities"].numpy()

        return run
    return ExportedClassifier(path).predict_proba


def assert_answers_are_equal(path, format, texts, expected):
    """Every text has its answer alone, in a batch, and padded further."""
    run = load(path, format)
    alone = np.concatenate([run([text]) for text in texts])
    np.testing.assert_allclose(alone, expected, atol=1e-5)
    np.testing.assert_allclose(run(texts), expected, atol=1e-5)
    np.testing.assert_allclose(run(texts[::-1]), expected[::-1], atol=1e-5)
    if format != "saved_model":
        exported = ExportedClassifier(path)
        ids = exported.vectorizer.encode(texts)
        more = (exported.length or ids.shape[1] + 5) - ids.shape[1]
        padded = np.pad(ids, ((0, 0), (0, more)))
        np.testing.assert_allclose(exported.run(padded), expected, atol=1e-5)


# -- answers ----------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_answers_as_the_classifier(exports, expected, new_texts, format):
    report = exports[format]
    assert np.ptp(expected, axis=0).min() > 0.01  # the texts differ
    assert report.largest_difference < 1e-5
    assert report.num_texts >= 10
    assert_answers_are_equal(report.path, format, new_texts, expected)


@pytest.mark.parametrize(
    ("format", "cell", "bidirectional", "num_layers", "pooling"),
    [
        ("onnx", "lstm", True, 2, "max"),
        ("onnx", "simple_rnn", False, 1, "mean"),
        ("litert", "lstm", False, 2, "last"),
        # The rest of the matrix, where networks follow each other. What "max" and
        # "mean" compute, "max_mean" computes too.
        *(
            pytest.param(format, *network, marks=pytest.mark.exhaustive)
            for *network, format in itertools.product(
                CELLS, (False, True), (1, 2), ("last", "max_mean"), FORMATS
            )
        ),
    ],
)
def test_every_network_of_this_package_can_be_exported(
    format,
    cell,
    bidirectional,
    num_layers,
    pooling,
    tmp_path,
    new_texts,
    file_names,
    make_classifier,
):
    classifier, expected = in_the_matrix(
        make_classifier, tuple(new_texts), cell, bidirectional, num_layers, pooling
    )
    assert np.ptp(expected, axis=0).min() > 0.01  # the texts differ
    path = tmp_path / file_names[format]
    assert export(classifier, path, format).largest_difference < 1e-5
    assert_answers_are_equal(path, format, new_texts, expected)


@lru_cache(maxsize=1)
def in_the_matrix(make_classifier, texts, cell, bidirectional, num_layers, pooling):
    """One network of the matrix, which is exported in all formats in turn."""
    classifier = make_classifier(
        cell=cell,
        bidirectional=bidirectional,
        num_layers=num_layers,
        pooling=pooling,
    )
    return classifier, classifier.predict_proba(list(texts))


@pytest.mark.parametrize(
    ("format", "max_ngram", "classes", "unit"),
    [
        ("onnx", 5, 3, "character"),  # more tokens than some texts have
        *(
            pytest.param(format, *path, marks=pytest.mark.exhaustive)
            for format in FORMATS
            for path in [(1, 3, "word"), (2, 2, "word"), (5, 3, "character")]
        ),
    ],
)
def test_the_linear_path_is_exported_too(
    format, max_ngram, classes, unit, tmp_path, new_texts, file_names, make_classifier
):
    names = ("bad", "good", "大")[:classes]
    classifier = make_classifier(
        max_ngram=max_ngram, classes=names, unit=unit, num_layers=0, pooling="mean"
    )
    expected = classifier.predict_proba(new_texts)
    path = tmp_path / file_names[format]
    export(classifier, path, format)
    assert_answers_are_equal(path, format, new_texts, expected)
    without = TextClassifier(classifier.network, classifier.preprocessor, names)
    assert np.abs(without.predict_proba(new_texts) - expected).max() > 0.05


@pytest.mark.parametrize(
    "format",
    [
        "onnx",
        "litert",
        pytest.param("saved_model", marks=pytest.mark.exhaustive),
    ],
)
def test_a_classifier_that_cuts_no_text(format, tmp_path, file_names, make_classifier):
    classifier = make_classifier(max_length=None)
    path = tmp_path / file_names[format]
    length = 5 if format == "litert" else None
    report = export(classifier, path, format, length=length)
    assert report.length == length
    long = ["so good so bad so fine I love it", "", "so good so bad so"]
    read = long if length is None else ["so good so bad so", *long[1:]]
    expected = classifier.predict_proba(read)
    np.testing.assert_allclose(load(path, format)(long), expected, atol=1e-5)


# -- what is written --------------------------------------------------------------


def test_the_report_names_the_files_and_their_sizes(exports):
    path = exports["saved_model"].path
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert exports["saved_model"].files == {path: size}
    for format, length in [("onnx", None), ("litert", 6)]:
        path = exports[format].path
        beside = path.with_name(f"{path.name}.json")
        sizes = {file: file.stat().st_size for file in (path, beside)}
        assert exports[format].files == sizes
        assert list(exports[format].files) == [path, beside]
        assert exports[format].length == length


def test_the_conversion_is_silent_and_reports_its_stages(
    tmp_path, capfd, file_names, make_classifier
):
    classifier, lines = make_classifier(), []
    for format, name in file_names.items():
        export(classifier, tmp_path / name, format, report=lines.append)
    assert capfd.readouterr() == ("", "")
    assert lines[:2] == ["converting to saved_model", "comparing with the classifier"]
    assert len(lines) == 6


def test_the_classifier_is_left_as_it_was(
    exports, classifier, expected, new_texts, tmp_path
):
    classifier.save(tmp_path / "classifier.keras")
    again = TextClassifier.load(tmp_path / "classifier.keras")
    np.testing.assert_allclose(again.predict_proba(new_texts), expected, atol=1e-6)


# -- what is refused --------------------------------------------------------------


def test_litert_needs_a_length(tmp_path, make_classifier):
    classifier = make_classifier(max_length=None)
    with pytest.raises(InputError, match=r"takes a fixed length: choose one .--length"):
        export(classifier, tmp_path / "m.tflite", "litert")
    with pytest.raises(InputError, match=r"length 5000: expected 1 to 4096 .the limit"):
        export(classifier, tmp_path / "m.tflite", "litert", length=5000)
    long = make_classifier(max_length=5000)
    message = r"cuts texts after 5000 tokens, and litert takes at most 4096: choose"
    with pytest.raises(InputError, match=message):
        export(long, tmp_path / "m.tflite", "litert")


@pytest.mark.parametrize(
    ("name", "format", "options", "message"),
    [
        ("m.h5", "hdf5", {}, "format 'hdf5' is none of saved_model, onnx, litert"),
        ("m.onnx", "onnx", {"length": 4}, "length 4: onnx takes texts of any length"),
        ("m.tflite", "litert", {"length": 7}, r"expected 1 to 6 \(the classifier cuts"),
        ("m.tflite", "litert", {"length": 0}, r"length 0: expected 1 to 6"),
        ("m", "onnx", {}, r"m: expected a name that ends in \.onnx$"),
    ],
)
def test_bad_arguments_get_one_line_and_nothing_is_written(
    name, format, options, message, tmp_path, classifier
):
    with pytest.raises(InputError, match=message) as error:
        export(classifier, tmp_path / name, format, **options)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_only_a_text_classifier_and_tensorflow_are_supported(
    tmp_path, monkeypatch, classifier
):
    with pytest.raises(InputError, match="TextClassifier can be exported, not a Func"):
        export(classifier.network, tmp_path / "m.onnx", "onnx")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match=r"the TensorFlow backend\. Received: 'jax'"):
        export(classifier, tmp_path / "m.onnx", "onnx")


@pytest.mark.parametrize(
    ("format", "package"),
    [("onnx", "onnx"), ("onnx", "onnxruntime"), ("litert", "ai_edge_litert")],
)
def test_a_missing_package_is_named(
    format, package, tmp_path, monkeypatch, classifier, file_names
):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf'^{format} needs {package}: pip install "rnn_keras\[export\]"$'
    with pytest.raises(InputError, match=message):
        export(classifier, tmp_path / file_names[format], format)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_older_export(tmp_path, monkeypatch, classifier):
    path = tmp_path / "m.onnx"
    path.write_text("old")
    path.with_name("m.onnx.json").write_text('{"model": "m.onnx"}')
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(InputError, match=r"m.onnx: cannot be written .No space left"):
        export(classifier, path, "onnx", force=True)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


# -- exports that answer otherwise ------------------------------------------------


@keras.saving.register_keras_serializable(package="rnn_keras_tests")
class Drifting(keras.layers.Layer):
    """Multiplies by another number in each graph it is part of, while `drift` is 1."""

    drift, factor = 0, 1

    def call(self, x):
        Drifting.factor += Drifting.drift
        return Drifting.factor * x


def write_older_export(folder, name, format):
    """Files that `export` takes for its own."""
    path = folder / name
    if format == "saved_model":
        (path / "assets.extra").mkdir(parents=True)
        (path / "saved_model.pb").write_text("old")
        mark = path / "assets.extra" / "rnn_keras.json"
        mark.write_text('{"format": "saved_model"}')
    else:
        path.write_text("old")
        path.with_name(f"{name}.json").write_text(f'{{"model": "{name}"}}')
    return path


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("format", FORMATS)
def test_an_export_that_answers_otherwise_is_not_kept(
    format, tmp_path, monkeypatch, file_names, new_texts, make_chain
):
    if format == "onnx":  # which has no counterpart of a layer of one's own
        good, bad = make_chain(GRU(3)), make_chain(GRU(3), mask_zero=False)
    else:
        good = bad = make_chain(GRU(3), Drifting())
    path = write_older_export(tmp_path, file_names[format], format)
    before = contents(tmp_path)
    monkeypatch.setattr(Drifting, "drift", 1)
    message = f"^{format} differs from the classifier by .* for a text of . tokens in"
    with pytest.raises(InputError, match=message):
        export(bad, path, format, force=True)
    assert contents(tmp_path) == before
    monkeypatch.setattr(Drifting, "drift", 0)
    export(good, path, format, force=True)
    assert_answers_are_equal(path, format, new_texts, good.predict_proba(new_texts))
    assert not list(tmp_path.glob(".*"))
