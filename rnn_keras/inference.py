"""From token ids to probabilities, without `keras.Model.predict`'s fixed cost."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf


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


def make_forward(network: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function from ids `(batch, timesteps)` to logits `(batch, classes)`.

    With TensorFlow one graph serves every shape: Keras's own functions are traced
    anew for each, which takes far longer than the answer. The graph reads the
    network's weights when it is called, so training goes on to count.
    """
    if keras.backend.backend() != "tensorflow":
        return network.predict_on_batch
    graph = tf.function(lambda ids: network(ids, training=False))
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
