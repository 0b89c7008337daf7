"""What is special about SavedModels and LiteRT models."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.export.tensorflow import write_litert
from rnn_keras.export.writer import export
from rnn_keras.layers.recurrent import GRU
from rnn_keras.utils.errors import InputError


def assert_served(answer, predictions, class_names):
    """The answer of a SavedModel, as lists, has the labels and probabilities."""
    assert answer["label"] == [p.label for p in predictions]
    assert answer["class_names"] == [list(class_names)] * len(predictions)
    expected = [list(p.probabilities.values()) for p in predictions]
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)
    best = [p.probability for p in predictions]
    np.testing.assert_allclose(answer["probability"], best, atol=1e-5)


def as_lists(value):
    """Nested lists with strings instead of bytes."""
    if isinstance(value, list):
        return [as_lists(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value


TEXTS = ["so good", "", "I hate it", "大"]


def test_a_saved_model_serves_strings_to_labels_and_names(exports, classifier):
    loaded = tf.saved_model.load(str(exports["saved_model"].path))
    answer = loaded.signatures["serving_default"](texts=tf.constant(TEXTS))
    lists = {key: as_lists(value.numpy().tolist()) for key, value in answer.items()}
    assert_served(lists, classifier.predict(TEXTS), classifier.class_names)


@pytest.mark.exhaustive  # starts a second process with TensorFlow
def test_a_saved_model_is_served_without_this_package(exports, classifier):
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
    path = str(exports["saved_model"].path)
    shown = subprocess.run(
        [sys.executable, "-c", code, path, json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(shown.stdout)
    assert_served(answer, classifier.predict(TEXTS), classifier.class_names)


def test_litert_has_only_built_in_operations_and_one_loop_for_all_steps(
    tmp_path, classifier
):
    from ai_edge_litert.interpreter import Interpreter

    sizes, operations = [], []
    for length in (8, 64):
        path = tmp_path / f"{length}.tflite"
        write_litert(classifier, path, length)
        interpreter = Interpreter(str(path))
        operations.append([op["op_name"] for op in interpreter._get_ops_details()])
        sizes.append(path.stat().st_size)
    assert operations[0] == operations[1]
    assert "WHILE" in operations[0]
    assert not [name for name in operations[0] if name.startswith(("Flex", "CUSTOM"))]
    assert sizes[1] - sizes[0] < 1000


@pytest.mark.parametrize(
    "options",
    [
        {"reset_after": False},
        {"activation": "relu", "recurrent_activation": "sigmoid", "use_bias": False},
    ],
    ids=str,
)
@pytest.mark.exhaustive
def test_options_that_no_builder_sets_are_kept(options, tmp_path, make_chain):
    classifier = make_chain(GRU(3, **options), keras.layers.Dense(4, "tanh"))
    export(classifier, tmp_path / "model.tflite", "litert")


def test_a_layer_that_returns_its_state_is_refused_for_litert(tmp_path, make_chain):
    vectorizer = make_chain().preprocessor
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(vectorizer.vocabulary_size(), 4, mask_zero=True)(ids)
    output, _ = GRU(3, return_state=True)(x)
    network = keras.Model(ids, keras.layers.Dense(3)(output))
    classifier = TextClassifier(network, vectorizer, ("a", "b", "c"))
    with pytest.raises(InputError, match="returns its state") as error:
        export(classifier, tmp_path / "model.tflite", "litert")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
