"""What each token of a text adds to the decision of a classifier.

The decision is a difference of two logits: that of the class to explain minus that of
the class it is compared with.

The contributions of the network are integrated gradients (M. Sundararajan, A. Taly,
Q. Yan, "Axiomatic attribution for deep networks", ICML 2017, equation 1): the gradient
with respect to the vector of each token, averaged over the straight line from vectors
of zeros to those of the text, times the vector. They sum to the difference at the text
minus the difference at the zeros. The contributions of the linear path are exact: what
each n-gram adds, in equal shares for its tokens.

What they do not say: a contribution is the share of one token in the presence of the
others, not what would happen without it. And the zeros, from which the line starts, are
not a text that the network was trained on.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.layers.ngram_logits import LinearPath, ngram_keys
from rnn_keras.utils.errors import InputError

# The line is divided more finely until the sum is right to this part of a logit.
_TOLERANCE = 0.01
_FEWEST, _MOST = 32, 2048  # steps on the line
_VALUES_AT_ONCE = 2**22


class Explanation(NamedTuple):
    """Why a text was given its class.

    Attributes:
        text: the text as it was given.
        tokens: its tokens as the classifier reads them, up to its `max_length`.
        label: the class that is explained.
        against: the class that it is compared with.
        difference: the logit of `label` minus that of `against`, in nats; above 0 if
            `label` is the more probable of the two.
        contributions: `(tokens,)`, what each token adds to the difference.
        rest: the difference without any token. `rest` and the contributions sum to
            `difference`, with an error below 0.01 if 2,048 steps on the line are
            enough for that.
        probabilities: `(tokens, classes)`, the answers to the texts that end after
            each token.
        class_names: names of the columns of `probabilities`.
    """

    text: str
    tokens: tuple[str, ...]
    label: str
    against: str
    difference: float
    contributions: np.ndarray
    rest: float
    probabilities: np.ndarray
    class_names: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it, with the probabilities by class name."""
        columns = zip(self.class_names, self.probabilities.T.tolist(), strict=True)
        return {
            **self._asdict(),
            "contributions": self.contributions.tolist(),
            "probabilities": dict(columns),
        }


def explain_logits(
    network: keras.Model, path: LinearPath | None, ids: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return what tokens add to a weighted sum of the logits of a classifier.

    Args:
        network: from token ids to logits, as `build_classifier` makes it.
        path: linear path that is added to the logits, or `None`.
        ids: token ids of one text, `(timesteps,)`, without padding; there may be none.
        weights: weights of the logits, `(classes,)`.

    Returns:
        The contributions `(timesteps,)`, and the sum without any token.
    """
    scales = (1.0, 0.0) if path is None else path.scales.numpy().astype(float)
    if not len(ids):
        model = network if path is None else lambda ids: path(ids, network(ids))
        logits = np.asarray(model(np.zeros((1, 1), np.int32)), np.float64)[0]
        return np.zeros(0), float(logits @ weights)
    parts, rest = integrated_gradients(network, ids, scales[0] * weights)
    if path is not None:
        of_path, bias = ngram_contributions(path, ids, scales[1] * weights)
        parts, rest = parts + of_path, rest + bias
    return parts, rest


def integrated_gradients(
    network: keras.Model, ids: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return what tokens add to a weighted sum of the logits of a network.

    Args:
        network: a chain of layers from an embedding to logits, as `build_classifier`
            makes it.
        ids: token ids of one text, `(timesteps,)`, without padding.
        weights: weights of the logits, `(classes,)`.

    Returns:
        The contributions `(timesteps,)`, and the sum if all vectors are zeros.

    Raises:
        InputError: if the network is not such a chain, or Keras's backend is not
            TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "explaining needs the TensorFlow backend. "
            f"Received: {keras.backend.backend()!r}"
        )
    # The layers are called one by one. To make a model of them, Keras would connect
    # them anew, and could not save the network afterwards.
    first, *layers = network.layers[1:]
    vectors = tf.identity(first(ids[None]))  # without a mask: no token is padding
    chosen = tf.constant(weights, tf.float32)

    def value(inputs: tf.Tensor) -> tf.Tensor:
        for layer in layers:
            inputs = layer(inputs)
        return tf.linalg.matvec(tf.cast(inputs, tf.float32), chosen)

    start, end = (float(value(x)[0]) for x in (tf.zeros_like(vectors), vectors))
    expected = network(ids[None]).numpy()[0] @ weights
    if abs(end - expected) > _TOLERANCE * (1 + abs(expected)):
        raise InputError(
            f"{network.name!r} must be a chain of layers, an embedding first. "
            "Run one after the other they give another result."
        )
    steps = _FEWEST
    while True:
        contributions = _average_gradient(value, vectors, steps)
        if abs(contributions.sum() - (end - start)) < _TOLERANCE or steps >= _MOST:
            return contributions, start
        steps *= 4


def _average_gradient(
    value: Callable[[tf.Tensor], tf.Tensor], vectors: tf.Tensor, steps: int
) -> np.ndarray:
    """Return the gradients on the line from zeros to `vectors`, times `vectors`.

    Args:
        value: from vectors `(batch, timesteps, features)` to numbers `(batch,)`.
        vectors: `(1, timesteps, features)`.
        steps: number of steps on the line; the gradient is taken in their middles.

    Returns:
        float64 `(timesteps,)`: the mean over the steps, summed over the features.
    """
    at_once = max(1, _VALUES_AT_ONCE // int(tf.size(vectors)))
    middles = (np.arange(steps, dtype=np.float32) + 0.5) / steps
    total = np.zeros(vectors.shape[1])
    for part in np.split(middles, range(at_once, steps, at_once)):
        inputs = tf.cast(part[:, None, None], vectors.dtype) * vectors
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            values = value(inputs)
        gradient = tf.cast(tape.gradient(values, inputs) * vectors, tf.float64)
        total += tf.reduce_sum(gradient, axis=(0, 2)).numpy()
    return total / steps


def ngram_contributions(
    path: LinearPath, ids: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return exactly what tokens add to a weighted sum of the logits of n-grams.

    Args:
        path: linear path of n-grams.
        ids: token ids of one text, `(timesteps,)`, without padding.
        weights: weights of the logits, `(classes,)`.

    Returns:
        The contributions `(timesteps,)`, and what the bias adds.
    """
    length = len(ids)
    keys, real = (np.asarray(a)[0] for a in ngram_keys(ids[None], path.max_ngram))
    rows = np.where(real, np.asarray(path.find_rows(keys[None]))[0], -1)
    known, at, times = np.unique(rows, return_inverse=True, return_counts=True)
    table = path.table.numpy()[known] * (known >= 0)[:, None]
    norm = np.sqrt(max(table[:, -1].sum(), 1e-12))
    # An n-gram counts once. If it occurs several times, the occurrences share it.
    shares = (table[:, :-1] @ weights / norm / times)[at]
    contributions, position = np.zeros(length), 0
    for n in range(1, path.max_ngram + 1):
        for start in range(length + 3 - n):  # with a mark at each end
            tokens = [t - 1 for t in range(start, start + n) if 1 <= t <= length]
            if rows[position] >= 0 and tokens:
                contributions[tokens] += shares[position] / len(tokens)
            position += 1
    return contributions, float(path.bias.numpy() @ weights)
