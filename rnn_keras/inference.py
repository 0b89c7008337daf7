"""From a file to a model, and from token ids to probabilities."""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.errors import InputError


def load_model(path: str | Path, kind: type[keras.Model]) -> keras.Model:
    """The model of class `kind` in the file `path`. Nothing there is run as code.

    Raises:
        InputError: if there is no such file, or it holds something else.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a saved classifier")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: not a .keras file, or a damaged one")
    try:
        model = keras.saving.load_model(path, safe_mode=True)
    except Exception as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise InputError(f"{path}: cannot be loaded ({reason})") from error
    if not isinstance(model, kind):
        found = type(model).__name__
        raise InputError(f"{path}: holds a Keras {found}, not a {kind.__name__}")
    return model


class Prediction(NamedTuple):
    """The answer to one text.

    Attributes:
        text: as it was given.
        label: name of the most probable class.
        probability: of that class.
        probabilities: of every class, by name; they sum to 1.
    """

    text: str
    label: str
    probability: float
    probabilities: dict[str, float]


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
    # Short texts together, so that one long text does not pad them all.
    lengths = (ids != 0).sum(axis=1)
    order = np.argsort(lengths, kind="stable")
    probabilities = np.empty((len(ids), num_classes), np.float32)
    for start in range(0, len(ids), batch_size):
        rows = order[start : start + batch_size]
        longest = max(1, lengths[rows].max())
        probabilities[rows] = _softmax(forward(ids[rows, :longest]))
    return probabilities


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def name_predictions(
    texts: Sequence[str], probabilities: np.ndarray, class_names: Sequence[str]
) -> list[Prediction]:
    """The most probable class of each text; of equals the first.

    Args:
        texts: as they were given.
        probabilities: `(texts, classes)`.
        class_names: names of the columns.
    """
    predictions = []
    for text, row in zip(texts, probabilities, strict=True):
        named = dict(zip(class_names, row.tolist(), strict=True))
        label = max(named, key=named.__getitem__)
        predictions.append(Prediction(text, label, named[label], named))
    return predictions
