"""Exports, run as those who deploy them would, beside the classifier."""

import itertools
import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.export import onnx as export_onnx
from rnn_keras.export import tensorflow as export_tensorflow
from rnn_keras.export.files import written_aside
from rnn_keras.export.verification import ExportError
from rnn_keras.export.writer import FORMATS, export
from rnn_keras.exported import ExportedClassifier
from rnn_keras.layers.ngram_logits import LinearPath
from rnn_keras.layers.recurrent import GRU
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.models.builders import CELLS, build_classifier
from rnn_keras.utils.errors import InputError

TEXTS = ["I love it so", "So good: so fine", "I hate it", "so bad and so poor", "ΣΑΣ"]
CLASSES = ("bad", "good", "Größe, 大")
LENGTH = 6
NEW = [
    "I hate it so",
    "",
    "so",
    "fine fine fine fine fine fine fine fine",  # cut
    "zzz, ΣΑΣ\ud800",
    "so bad",
]
NAMES = {"saved_model": "model", "onnx": "model.onnx", "litert": "model.tflite"}


def classifier_of(
    max_length=LENGTH, max_ngram=None, classes=CLASSES, unit="word", **of
):
    """One with weights so large that every layer shows in the answer."""
    vectorizer = TextVectorizer(unit, max_length=max_length)
    vectorizer.adapt(TEXTS)
    size = vectorizer.vocabulary_size()
    network = build_classifier(size, len(classes), units=3, embedding_dim=4, **of)
    random = np.random.default_rng(0)
    for variable in network.weights:
        variable.assign(random.normal(size=variable.shape))
    linear = None
    if max_ngram is not None:
        labels = np.arange(len(TEXTS)) % len(classes)
        linear = LinearPath.from_texts(
            vectorizer.encode(TEXTS).ids, labels, len(classes), max_ngram=max_ngram
        )
        linear.scales.assign([0.4, 1.5])
    return TextClassifier(network, vectorizer, classes, linear)


def runner(path, format):
    """From texts to probabilities, with as many columns of padding as asked for."""
    if format == "saved_model":
        serve = tf.saved_model.load(str(path)).signatures["serving_default"]

        def run(texts):
            utf8 = [text.encode("utf-8", "replace") for text in texts]
            return serve(texts=tf.constant(utf8, tf.string))["probabilities"].numpy()

        return run
    return ExportedClassifier(path).predict_proba


# All networks, in every format; those of one network one after the other.
MATRIX = list(
    itertools.product(
        CELLS, (False, True), (1, 2), ("last", "max", "mean", "max_mean"), FORMATS
    )
)


@lru_cache(maxsize=1)
def in_the_matrix(cell, bidirectional, num_layers, pooling):
    classifier = classifier_of(
        cell=cell,
        bidirectional=bidirectional,
        num_layers=num_layers,
        pooling=pooling,
    )
    return classifier, classifier.predict_proba(NEW)


@pytest.mark.parametrize(
    ("cell", "bidirectional", "num_layers", "pooling", "format"), MATRIX
)
def test_an_export_answers_as_the_classifier_alone_and_in_any_company(
    cell, bidirectional, num_layers, pooling, format, tmp_path
):
    classifier, expected = in_the_matrix(cell, bidirectional, num_layers, pooling)
    assert np.ptp(expected, axis=0).min() > 0.01  # texts differ
    path = tmp_path / NAMES[format]
    assert export(classifier, path, format).largest_difference < 1e-5
    run = runner(path, format)
    alone = np.concatenate([run([text]) for text in NEW])
    np.testing.assert_allclose(alone, expected, atol=1e-5)
    np.testing.assert_allclose(run(NEW), expected, atol=1e-5)
    np.testing.assert_allclose(run(NEW[::-1]), expected[::-1], atol=1e-5)
    if format != "saved_model":
        exported = ExportedClassifier(path)
        ids = exported.vectorizer.encode(NEW[:3])
        longer = LENGTH if format == "litert" else LENGTH + 5
        padded = np.pad(ids, ((0, 0), (0, longer - ids.shape[1])))
        np.testing.assert_allclose(exported.run(padded), expected[:3], atol=1e-5)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("max_ngram", "classes", "unit"),
    [
        (1, CLASSES, "word"),
        (2, CLASSES[:2], "word"),
        (5, CLASSES, "character"),  # more than a text of one token has
    ],
)
def test_the_linear_path_is_exported_too(max_ngram, classes, unit, format, tmp_path):
    classifier = classifier_of(
        max_ngram=max_ngram, classes=classes, unit=unit, num_layers=0, pooling="mean"
    )
    texts = [*NEW, *TEXTS]
    expected = classifier.predict_proba(texts)
    path = tmp_path / NAMES[format]
    export(classifier, path, format)
    run = runner(path, format)
    np.testing.assert_allclose(run(texts), expected, atol=1e-5)
    alone = np.concatenate([run([text]) for text in texts])
    np.testing.assert_allclose(alone, expected, atol=1e-5)
    without = TextClassifier(classifier.network, classifier.preprocessor, classes)
    assert np.abs(without.predict_proba(texts) - expected).max() > 0.05


@pytest.mark.parametrize("format", FORMATS)
def test_a_classifier_that_cuts_no_text(format, tmp_path):
    classifier = classifier_of(max_length=None)
    path = tmp_path / NAMES[format]
    length = 5 if format == "litert" else None
    report = export(classifier, path, format, length=length)
    assert report.length == length
    long = ["so good so bad so fine I love it", "", "so good so bad so"]
    read = long if length is None else ["so good so bad so", *long[1:]]
    expected = classifier.predict_proba(read)
    np.testing.assert_allclose(runner(path, format)(long), expected, atol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"reset_after": False},
        {"activation": "relu", "recurrent_activation": "sigmoid", "use_bias": False},
    ],
    ids=str,
)
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_options_that_no_builder_sets(options, format, tmp_path):
    classifier = with_layers(GRU(3, **options), keras.layers.Dense(4, "tanh"))
    export(classifier, tmp_path / NAMES[format], format)


def with_layers(*layers, mask_zero=True):
    vectorizer = TextVectorizer(max_length=LENGTH)
    vectorizer.adapt(TEXTS)
    network = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(
                vectorizer.vocabulary_size(), 4, mask_zero=mask_zero
            ),
            *layers,
            keras.layers.Dense(3),
        ],
        name="mine",
    )
    random = np.random.default_rng(0)
    for variable in network.trainable_weights:
        variable.assign(random.normal(size=variable.shape))
    return TextClassifier(network, vectorizer, CLASSES)


# -- what is written ------------------------------------------------------------


def test_a_saved_model_is_served_from_strings_without_this_package(tmp_path):
    classifier = classifier_of(max_ngram=2)
    report = export(classifier, tmp_path / "model", "saved_model")
    assert list(report.files) == [tmp_path / "model"]
    code = (
        "import json, sys\n"
        "import tensorflow as tf\n"
        "loaded = tf.saved_model.load(sys.argv[1])\n"
        "texts = tf.constant([t.encode() for t in json.loads(sys.argv[2])])\n"
        "answer = loaded.signatures['serving_default'](texts=texts)\n"
        "assert 'rnn_keras' not in sys.modules\n"
        "as_list = lambda v: [x.decode() if isinstance(x, bytes) else x for x in v]\n"
        "print(json.dumps({k: [as_list(r) if isinstance(r, list) else as_list([r])[0]\n"
        "    for r in v.numpy().tolist()] for k, v in answer.items()}))"
    )
    texts = ["so good", "", "I hate it", "大"]
    shown = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model"), json.dumps(texts)],
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(shown.stdout)
    predictions = classifier.predict(texts)
    assert answer["label"] == [p.label for p in predictions]
    assert answer["class_names"] == [list(CLASSES)] * 4
    expected = [list(p.probabilities.values()) for p in predictions]
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    best = [p.probability for p in predictions]
    np.testing.assert_allclose(answer["probability"], best, atol=1e-5)


@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_texts_are_classified_without_tensorflow(format, tmp_path):
    classifier = classifier_of(max_ngram=2)
    path = tmp_path / NAMES[format]
    report = export(classifier, path, format)
    assert list(report.files) == [path, tmp_path / f"{path.name}.json"]
    assert report.files[path] == path.stat().st_size
    code = (
        "import json, sys\n"
        "from rnn_keras.exported import ExportedClassifier\n"
        "exported = ExportedClassifier(sys.argv[1])\n"
        "print(json.dumps(exported.predict(json.loads(sys.argv[2]))))\n"
        "assert not {'tensorflow', 'keras', 'scipy', 'pandas'} & set(sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, str(path), json.dumps(NEW)],
        capture_output=True,
        text=True,
        check=True,
    )
    answers = json.loads(shown.stdout)
    for found, expected in zip(answers, classifier.predict(NEW), strict=True):
        assert found[:2] == [expected.text, expected.label]
        assert found[3] == pytest.approx(expected.probabilities, abs=1e-5)
    one = ExportedClassifier(path).predict("so good")
    assert one.label == classifier.predict("so good").label
    assert ExportedClassifier(path).predict([]) == []


def test_litert_has_built_in_operations_only_and_no_step_twice(tmp_path):
    from ai_edge_litert.interpreter import Interpreter

    sizes, operations = [], []
    for length in (8, 64):
        classifier = classifier_of(max_length=length, bidirectional=True, max_ngram=2)
        report = export(classifier, tmp_path / f"{length}.tflite", "litert")
        interpreter = Interpreter(str(report.path))
        operations.append([op["op_name"] for op in interpreter._get_ops_details()])
        sizes.append(report.files[report.path])
    assert operations[0] == operations[1]
    assert "WHILE" in operations[0]
    assert not [name for name in operations[0] if name.startswith(("Flex", "CUSTOM"))]
    assert sizes[1] - sizes[0] < 1000


def test_nothing_of_the_conversion_shows(tmp_path, capfd):
    lines = []
    for name, format in [
        ("m", "saved_model"),
        ("a.onnx", "onnx"),
        ("b.tflite", "litert"),
    ]:
        export(unused(), tmp_path / name, format, report=lines.append)
    assert capfd.readouterr() == ("", "")
    assert lines[:2] == ["converting to saved_model", "comparing with the classifier"]


def test_the_classifier_is_left_as_it_was(tmp_path):
    classifier = classifier_of(max_ngram=2)
    before = classifier.predict_proba(NEW)
    for format, name in NAMES.items():
        (tmp_path / format).mkdir()
        export(classifier, tmp_path / format / name, format)
    classifier.save(tmp_path / "classifier.keras")
    again = TextClassifier.load(tmp_path / "classifier.keras")
    np.testing.assert_allclose(again.predict_proba(NEW), before, atol=1e-6)


# -- what is refused ------------------------------------------------------------


def wrong_order(monkeypatch):
    monkeypatch.setattr(export_onnx, "_LSTM_ORDER", [0, 1, 2, 3])


def wrong_probabilities(monkeypatch):
    monkeypatch.setattr(export_tensorflow, "_probabilities", tf.nn.sigmoid)


@pytest.mark.parametrize(
    ("format", "spoil"),
    [
        ("saved_model", wrong_probabilities),
        ("onnx", wrong_order),
        ("litert", wrong_probabilities),
    ],
)
def test_an_export_that_answers_otherwise_is_not_kept(
    format, spoil, tmp_path, monkeypatch
):
    classifier = classifier_of(cell="lstm")
    path = tmp_path / NAMES[format]
    export(classifier, path, format)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    spoil(monkeypatch)
    message = f"^{format} differs from the classifier by 0.* for a text of . tokens in"
    with pytest.raises(ExportError, match=message):
        export(classifier, path, format, force=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    monkeypatch.undo()
    classifier.network.weights[-1].assign([3.0, 0.0, 0.0])
    export(classifier, path, format, force=True)
    np.testing.assert_allclose(
        runner(path, format)(NEW), classifier.predict_proba(NEW), atol=1e-5
    )
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("layers", "format", "message"),
    [
        ([keras.layers.UnitNormalization(), GRU(3)], "onnx", "a UnitNorm.* has no"),
        ([GRU(3, activation="gelu")], "onnx", "with activation 'gelu'. has no"),
        ([GRU(3, stateful=False, return_state=True)], "litert", "returns its state"),
    ],
    ids=["layer", "activation", "state"],
)
def test_networks_that_cannot_be_written_are_named(layers, format, message, tmp_path):
    if format == "litert":
        vectorizer = TextVectorizer(max_length=LENGTH)
        vectorizer.adapt(TEXTS)
        ids = keras.Input((None,), dtype="int32")
        x = keras.layers.Embedding(vectorizer.vocabulary_size(), 4, mask_zero=True)(ids)
        network = keras.Model(ids, keras.layers.Dense(3)(layers[0](x)[0]))
        classifier = TextClassifier(network, vectorizer, CLASSES)
    else:
        classifier = with_layers(*layers)
    with pytest.raises(InputError, match=message) as error:
        export(classifier, tmp_path / NAMES[format], format)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_network_that_reads_padding_is_refused(tmp_path):
    classifier = with_layers(GRU(3), mask_zero=False)
    with pytest.raises(ExportError, match=r"onnx differs from the classifier by"):
        export(classifier, tmp_path / "model.onnx", "onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "format", "options", "message"),
    [
        ("m", "onnx", {}, r"m: expected a name that ends in \.onnx$"),
        ("m.onnx", "litert", {}, r"m\.onnx: expected a name that ends in \.tflite$"),
        ("m.onnx", "saved_model", {}, "is a folder; expected a name without .onnx"),
        ("no/m.onnx", "onnx", {}, "expected a name in a folder that exists"),
        ("m.h5", "hdf5", {}, "format 'hdf5' is none of saved_model, onnx, litert"),
        ("m.onnx", "onnx", {"length": 4}, "length 4: onnx takes texts of any length"),
        ("m.tflite", "litert", {"length": 7}, r"expected 1 to 6 \(the classifier cuts"),
        ("m.tflite", "litert", {"length": 0}, r"length 0: expected 1 to 6"),
        ("taken.onnx", "onnx", {}, "taken.onnx: exists, .* or give --force"),
        ("taken", "saved_model", {"force": True}, "taken: exists, and is no older"),
        ("theirs.onnx", "onnx", {"force": True}, "theirs.onnx: exists, and is no"),
        ("theirs", "saved_model", {"force": True}, "theirs: exists, and is no older"),
        ("folder.onnx", "onnx", {"force": True}, "folder.onnx: exists, and is no"),
        ("other.onnx", "onnx", {"force": True}, "other.onnx.json: exists, and is no"),
    ],
)
def test_bad_arguments_get_one_line_and_nothing_is_written(
    name, format, options, message, tmp_path
):
    (tmp_path / "taken.onnx").write_text("")
    (tmp_path / "taken.onnx.json").write_text('{"model": "taken.onnx"}')
    (tmp_path / "theirs.onnx").write_text("of another program")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "saved_model.pb").write_text("of another program")
    (tmp_path / "taken").mkdir()
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "other.onnx.json").write_text('{"model": "other.tflite"}')
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=message) as error:
        export(unused(), tmp_path / name, format, **options)
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


@lru_cache
def unused():
    return classifier_of()


def test_litert_needs_a_length(tmp_path):
    classifier = classifier_of(max_length=None)
    with pytest.raises(InputError, match=r"takes a fixed length: choose one .--length"):
        export(classifier, tmp_path / "m.tflite", "litert")
    long = classifier_of(max_length=5000)
    message = r"cuts texts after 5000 tokens, and litert takes 4096 at most: choose"
    with pytest.raises(InputError, match=message):
        export(long, tmp_path / "m.tflite", "litert")
    with pytest.raises(InputError, match=r"length 5000: expected 1 to 4096 .the limit"):
        export(classifier, tmp_path / "m.tflite", "litert", length=5000)


def test_only_a_classifier_of_tensorflow_is_exported(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="TextClassifier can be exported, not a Func"):
        export(unused().network, tmp_path / "m.onnx", "onnx")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(InputError, match=r"the TensorFlow backend\. Received: 'jax'"):
        export(unused(), tmp_path / "m.onnx", "onnx")


@pytest.mark.parametrize(
    ("format", "package"),
    [("onnx", "onnx"), ("onnx", "onnxruntime"), ("litert", "ai_edge_litert")],
)
def test_a_missing_package_is_named(format, package, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf'^{format} needs {package}: pip install "rnn_keras\[export\]"$'
    with pytest.raises(InputError, match=message):
        export(unused(), tmp_path / NAMES[format], format)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    export(unused(), path, "onnx")
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export_onnx, "write_onnx", fail)
    with pytest.raises(InputError, match=r"m.onnx: cannot be written .No space left"):
        export(unused(), path, "onnx", force=True)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before


def write_new(targets):
    with written_aside(targets) as aside:
        for target in targets:
            (aside / target.name).write_text("new")


def interrupt(monkeypatch, at, error):
    """Ctrl-C after so many renamings, `at`; at 0 before the first."""
    real, done = os.replace, []

    def replace(old, new):
        if len(done) == at:
            done.append(None)
            raise error
        real(old, new)
        done.append(None)

    monkeypatch.setattr(os, "replace", replace)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "Input/output")])
@pytest.mark.parametrize("at", range(4))
def test_an_exchange_cut_short_leaves_the_older_export(
    at, error, tmp_path, monkeypatch
):
    targets = [tmp_path / "m.onnx", tmp_path / "m.onnx.json"]
    for target in targets:
        target.write_text("old")
    interrupt(monkeypatch, at, error)
    with pytest.raises((KeyboardInterrupt, InputError)):
        write_new(targets)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "m.onnx": "old",
        "m.onnx.json": "old",
    }


def test_what_cannot_be_put_back_is_kept_and_named(tmp_path, monkeypatch):
    target = tmp_path / "m.onnx"
    target.write_text("old")
    real = os.replace

    def replace(old, new):
        if new == target:
            raise OSError(5, "Input/output error")
        real(old, new)

    monkeypatch.setattr(os, "replace", replace)
    message = "older: what was there before lies here; it cannot be put back"
    with pytest.raises(InputError, match=message) as caught:
        write_new([target])
    kept = Path(str(caught.value).split(": ")[0])
    assert (kept / "m.onnx").read_text() == "old"


def test_both_kinds_of_files_lie_side_by_side(tmp_path):
    for name, format in [("m.onnx", "onnx"), ("m.tflite", "litert")]:
        export(unused(), tmp_path / name, format)
    expected = unused().predict_proba(NEW)
    for name in ("m.onnx", "m.tflite"):
        found = ExportedClassifier(tmp_path / name).predict_proba(NEW)
        np.testing.assert_allclose(found, expected, atol=1e-5)


# -- what the reader refuses ----------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    for name, format in [("a.onnx", "onnx"), ("b.tflite", "litert")]:
        export(unused(), folder / name, format)
    return folder


@pytest.mark.parametrize("name", ["a.onnx", "b.tflite"])
def test_ids_of_another_shape_are_refused(name, written):
    exported = ExportedClassifier(written / name)
    for ids in (np.zeros(3, int), np.zeros((1, 0), int), np.zeros((0, 3), int)):
        with pytest.raises(InputError, match=r"must be \(batch, timesteps\) with one"):
            exported.run(ids)
    longer = np.full((2, LENGTH + 1), 2)
    if name == "a.onnx":
        assert exported.run(longer).shape == (2, 3)
    else:
        with pytest.raises(InputError, match="ids have 7 steps; this export takes 6"):
            exported.run(longer)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"a\.onnx\.json: no such file; expected what export wrote"),
        ("{", r"a\.onnx\.json: not written by export, or damaged"),
        ("[]", r"a\.onnx\.json: not written by export, or damaged"),
        ('{"format_version": 2, "model": "a.onnx"}', "format version 2; expected 1"),
        ('{"format_version": 1, "model": "b"}', r"belongs to b, not to a\.onnx"),
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_is_refused(content, message, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"")
    if content is not None:
        (tmp_path / "a.onnx.json").write_text(content)
    with pytest.raises(InputError, match=message):
        ExportedClassifier(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("name", "package"), [("a.onnx", "onnxruntime"), ("b.tflite", "ai_edge_litert")]
)
def test_the_reader_names_a_missing_package(name, package, written, monkeypatch):
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        InputError, match=r'needs .*: pip install "rnn_keras\[export\]"'
    ):
        ExportedClassifier(written / name)


@pytest.mark.parametrize("name", ["a.onnx", "b.tflite"])
def test_a_damaged_model_is_refused(name, written, tmp_path):
    path = tmp_path / name
    path.write_bytes((written / name).read_bytes()[:100])
    beside = f"{name}.json"
    (tmp_path / beside).write_bytes((written / beside).read_bytes())
    with pytest.raises(InputError, match=rf"{name}: cannot be loaded \(") as error:
        ExportedClassifier(path)
    assert "\n" not in str(error.value)


def changed(written, tmp_path, change, name="a.onnx"):
    """A copy of the export whose description is another."""
    description = json.loads((written / f"{name}.json").read_text("utf-8"))
    change(description)
    (tmp_path / name).write_bytes((written / name).read_bytes())
    (tmp_path / f"{name}.json").write_text(json.dumps(description))
    return tmp_path / name


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", "torch", "format: expected one of onnx, litert"),
        ("format", None, "format: expected one of"),
        ("format", "litert", "length: expected 1 to 4096, of litert alone"),
        ("class_names", None, "class_names: expected a list of strings"),
        ("class_names", [], "class_names: expected a list of strings"),
        ("class_names", [1, 2, 3], "class_names: expected a list of strings"),
        ("class_names", ["a", "b"], r"shape .1, 3. for one text; .* has 2 class names"),
        ("vocabulary", {"a": 1}, "vocabulary: expected a list of strings"),
        ("vocabulary", [["a"]], "vocabulary: expected a list of strings"),
        ("max_length", "6", "max_length: expected a number of tokens, or null"),
        ("max_length", -1, "max_length: expected a number of tokens, or null"),
        ("length", 10**9, "length: expected 1 to 4096"),
        ("tokenizer", [], "tokenizer: expected its rules"),
        ("unit", "letter", "unit: expected word or character"),
        ("unit", ["word"], "unit: expected word or character"),
        ("lowercase", "no", "lowercase: expected true or false"),
        ("unknown_id", 10**6, "unknown_id: expected a position in the vocabulary"),
        ("unknown_id", True, "unknown_id: expected a position in the vocabulary"),
        ("alone", [1], "alone: expected ranges of code points"),
        ("alone", [], "alone: expected ranges of code points"),
        ("spaces", [9, 3], "spaces: expected ranges of code points"),
        ("cased", [0, 0x110000], "cased: expected ranges of code points"),
        ("ignorable", ["a", "b"], "ignorable: expected ranges of code points"),
        ("lower", [0, 10**12, 1, 0], "lower: expected runs of code points"),
        ("lower", [65, 90, 1, 10**12], "lower: expected runs of code points"),
        ("lower", [0, 10**6, 1, 0] * 2, "lower: expected runs of code points"),
        ("lower", [65, 90, 1], "lower: expected runs of code points"),
        ("special", {"ab": "c"}, "special: expected the text that each character"),
        ("special", {"a": 1}, "special: expected the text that each character"),
    ],
)
def test_a_description_is_looked_through(key, value, message, written, tmp_path):
    def change(description):
        rules = description["tokenizer"]
        (rules if key in rules else description)[key] = value

    def without(description):
        rules = description["tokenizer"]
        del (rules if key in rules else description)[key]

    with pytest.raises(InputError, match=message) as error:
        ExportedClassifier(changed(written, tmp_path, change))
    assert "\n" not in str(error.value)
    if key not in ("max_length", "length"):
        with pytest.raises(InputError, match="damaged"):
            ExportedClassifier(changed(written, tmp_path, without))


@pytest.mark.parametrize("name", ["a.onnx", "b.tflite"])
def test_texts_are_any_that_can_be_gone_through_in_batches_of_one_or_more(
    name, written
):
    exported = ExportedClassifier(written / name)
    assert exported.predict(iter(NEW)) == exported.predict(NEW)
    np.testing.assert_array_equal(
        exported.predict_proba(iter(NEW)), exported.predict_proba(NEW)
    )
    for size in (0, -1):
        with pytest.raises(InputError, match=f"batch_size {size}: expected 1 or more"):
            exported.predict(NEW, batch_size=size)
        with pytest.raises(InputError, match=f"batch_size {size}: expected 1 or more"):
            unused().predict_proba(NEW, batch_size=size)
