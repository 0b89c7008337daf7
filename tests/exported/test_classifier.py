"""Exports are answered without TensorFlow, and their descriptions are checked."""

import json
import subprocess
import sys

import numpy as np
import pytest

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.export.writer import export
from rnn_keras.exported import ExportedClassifier
from rnn_keras.utils.errors import InputError

TRAINING = ["so good", "very good", "so bad", "very bad"]
NEW = ["very good ΣΑΣ", "", "so", "bad bad bad bad bad bad bad"]
LENGTH = 4
FILES = {"onnx": "a.onnx", "litert": "b.tflite"}


@pytest.fixture(scope="module")
def classifier():
    labels = ["good", "good", "bad", "bad"]
    return TextClassifier.from_texts(
        TRAINING, labels, units=4, embedding_dim=4, max_length=LENGTH, seed=0
    )


@pytest.fixture(scope="module")
def written(classifier, tmp_path_factory):
    """A folder with an ONNX and a LiteRT export of one classifier."""
    folder = tmp_path_factory.mktemp("written")
    for format, name in FILES.items():
        export(classifier, folder / name, format)
    return folder


def test_texts_are_classified_without_tensorflow(classifier, written):
    code = (
        "import json, sys\n"
        "from rnn_keras.exported import ExportedClassifier\n"
        "texts, *paths = sys.argv[1:]\n"
        "answers = [ExportedClassifier(p).predict(json.loads(texts)) for p in paths]\n"
        "print(json.dumps(answers))\n"
        "others = {'tensorflow', 'keras', 'scipy', 'pandas', 'sklearn'}\n"
        "assert not others & set(sys.modules)"
    )
    paths = [str(written / name) for name in FILES.values()]
    shown = subprocess.run(
        [sys.executable, "-c", code, json.dumps(NEW), *paths],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = classifier.predict(NEW)
    for answers in json.loads(shown.stdout):
        for (text, label, _, probabilities), answer in zip(
            answers, expected, strict=True
        ):
            assert (text, label) == (answer.text, answer.label)
            assert probabilities == pytest.approx(answer.probabilities, abs=1e-5)


@pytest.mark.parametrize("name", FILES.values())
def test_one_text_no_text_and_any_iterable_are_answered(name, classifier, written):
    exported = ExportedClassifier(written / name)
    assert exported.predict("so good").label == classifier.predict("so good").label
    assert exported.predict([]) == []
    assert exported.predict(iter(NEW)) == exported.predict(NEW)
    np.testing.assert_array_equal(
        exported.predict_proba(iter(NEW)), exported.predict_proba(NEW)
    )
    for size in (0, -1):
        with pytest.raises(InputError, match=f"batch_size {size}: expected 1 or more"):
            exported.predict(NEW, batch_size=size)
        with pytest.raises(InputError, match=f"batch_size {size}: expected 1 or more"):
            classifier.predict_proba(NEW, batch_size=size)


@pytest.mark.parametrize("name", FILES.values())
def test_ids_of_another_shape_are_refused(name, written):
    exported = ExportedClassifier(written / name)
    for ids in (np.zeros(3, int), np.zeros((1, 0), int), np.zeros((0, 3), int)):
        with pytest.raises(InputError, match=r"expected \(batch, timesteps\), both at"):
            exported.run(ids)
    longer = np.full((2, LENGTH + 1), 2)
    if name == "a.onnx":
        assert exported.run(longer).shape == (2, 2)
    else:
        with pytest.raises(InputError, match="ids have 5 steps; this export takes 4"):
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
def test_a_description_of_something_else_is_refused(content, message, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"")
    if content is not None:
        (tmp_path / "a.onnx.json").write_text(content)
    with pytest.raises(InputError, match=message):
        ExportedClassifier(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("name", "package"), [("a.onnx", "onnxruntime"), ("b.tflite", "ai_edge_litert")]
)
def test_a_missing_runtime_is_named(name, package, written, monkeypatch):
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        InputError, match=r'needs .*: pip install "rnn_keras\[export\]"'
    ):
        ExportedClassifier(written / name)


@pytest.mark.parametrize("name", FILES.values())
def test_a_damaged_model_is_refused(name, written, tmp_path):
    path = tmp_path / name
    path.write_bytes((written / name).read_bytes()[:100])
    beside = f"{name}.json"
    (tmp_path / beside).write_bytes((written / beside).read_bytes())
    with pytest.raises(InputError, match=rf"{name}: cannot be loaded \(") as error:
        ExportedClassifier(path)
    assert "\n" not in str(error.value)


def changed(written, tmp_path, change, name="a.onnx"):
    """A copy of an export with a changed description."""
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
        ("format", "litert", "length: expected 1 to 4096 for litert, null for"),
        ("class_names", None, "class_names: expected a list of strings"),
        ("class_names", [], "class_names: expected a list of strings"),
        ("class_names", [1, 2, 3], "class_names: expected a list of strings"),
        ("class_names", ["a"], r"shape .1, 2. for one text, .* has 1 class names"),
        ("vocabulary", {"a": 1}, "vocabulary: expected a list of strings"),
        ("vocabulary", [["a"]], "vocabulary: expected a list of strings"),
        ("max_length", "6", "max_length: expected a number of tokens, or null"),
        ("max_length", -1, "max_length: expected a number of tokens, or null"),
        ("length", 10**9, "length: expected 1 to 4096"),
        ("tokenizer", [], "tokenizer: expected an object with the tokenizer's rules"),
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
        ("special", {"a": "four"}, "special: expected the text that each character"),
    ],
)
def test_every_entry_of_a_description_is_checked(
    key, value, message, written, tmp_path
):
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
