"""From a file to a model, and from token ids to probabilities."""

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.archives import check_keras_file
from rnn_keras.errors import InputError
from rnn_keras.opening import kind_of_path, reason_within
from rnn_keras.predictions import run_by_length


def load_model(path: str | Path, kind: type[keras.Model]) -> keras.Model:
    """The model of class `kind` in the file `path`. Nothing there is run as code.

    The file is looked through first (`rnn_keras.archives`): that does not rest on
    Keras's safe mode, which `keras.config.enable_unsafe_deserialization` turns off for
    the whole process, whatever `safe_mode` says here.

    Raises:
        InputError: if there is no such file, or it holds something else.
    """
    path = Path(path)
    if kind_of_path(path) != "file":
        raise InputError(f"{path}: no such file; expected a saved classifier")
    # By its name Keras takes a file for one of another, older format.
    if path.suffix != ".keras":
        raise InputError(f"{path}: expected a file whose name ends with .keras")
    check_keras_file(path, keras.saving.get_custom_objects())
    try:
        with warnings.catch_warnings():
            # Of what was said when it was built, and of an optimizer that begins anew;
            # but layers whose weights are not in the file would be wrong in silence.
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message="Skipping nested container")
            model = keras.saving.load_model(path, safe_mode=True)
            if isinstance(model, kind):
                # Someone may have made up a network that gives no logits. What is
                # built for the answer is kept for those that follow.
                model.predict_proba(["a"])
    except Exception as error:
        raise InputError(
            f"{path}: cannot be loaded ({reason_within(error)})"
        ) from error
    if not isinstance(model, kind):
        found = type(model).__name__
        raise InputError(f"{path}: holds a Keras {found}, not a {kind.__name__}")
    return model


def make_forward(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function from ids `(batch, timesteps)` to logits `(batch, classes)`.

    Without the fixed cost of `keras.Model.predict`. With TensorFlow one graph serves
    every shape: Keras's own functions are traced anew for each, which takes far
    longer than the answer. The graph reads the model's weights when it is called,
    so training goes on to count.
    """
    if keras.backend.backend() != "tensorflow":
        return model.predict_on_batch
    graph = tf.function(lambda ids: model(ids, training=False))
    concrete = graph.get_concrete_function(tf.TensorSpec((None, None), tf.int32))
    return lambda ids: concrete(tf.constant(ids)).numpy()


def predict_probabilities(
    forward: Callable[[np.ndarray], np.ndarray],
    ids: np.ndarray,
    num_classes: int,
    batch_size: int,
) -> np.ndarray:
    """Class probabilities, float32 `(texts, classes)`.

    Args:
        forward: of `make_forward`.
        ids: `(texts, timesteps)`, padded on the right with 0.
        num_classes: for the shape of the answer to no texts.
        batch_size: texts at a time.
    """
    return run_by_length(
        lambda batch: _softmax(forward(batch)), ids, num_classes, batch_size
    )


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
