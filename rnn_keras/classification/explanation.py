"""What each token of a text adds to a classifier's decision.

The decision is a difference of logits: that of the class which is explained, less that
of the class it is weighed against.

Of the network the contributions are integrated gradients (M. Sundararajan, A. Taly,
Q. Yan, "Axiomatic attribution for deep networks", ICML 2017, equation 1): the gradient
by each embedded token, averaged on the straight line from vectors of zeros to those of
the text, times the vector. They sum to the difference at the text less that at the
zeros. Of the linear path they are exact: what each n-gram adds, in equal shares to its
tokens.

What they do not say: a contribution is one token's share in the company of the others,
not what would happen without it, and zeros, from which the line starts, are no text
that the network was trained on.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.layers.ngram_logits import LinearPath, ngram_keys
from rnn_keras.utils.errors import InputError

# The line is cut finer until the sum is right to so much of a logit.
_TOLERANCE = 0.01
_FEWEST, _MOST = 32, 2048  # steps
_VALUES_AT_ONCE = 2**22


class Explanation(NamedTuple):
    """Why a text was given its class.

    Attributes:
        text: as it was given.
        tokens: as the classifier reads them, up to its `max_length`.
        label: the class that is explained.
        against: the class that it is weighed against.
        difference: the logit of `label` less that of `against`, in nats; above 0
            where `label` is the more probable of the two.
        contributions: `(tokens,)`, what each token adds to that.
        rest: what is there without any token. It and the contributions sum to
            `difference`, to 0.01 where 2,048 steps on the line suffice for that.
        probabilities: `(tokens, classes)`, the answer to the text that ends after
            each token.
        class_names: names of the columns.
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
        """The same in what JSON has; the probabilities by class name."""
        columns = zip(self.class_names, self.probabilities.T.tolist(), strict=True)
        return {
            **self._asdict(),
            "contributions": self.contributions.tolist(),
            "probabilities": dict(columns),
        }


def explain_logits(
    network: keras.Model, path: LinearPath | None, ids: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Contributions to a weighted sum of a classifier's logits.

    Args:
        network: from token ids to logits, as of `build_classifier`.
        path: that is added to them, or `None`.
        ids: of one text, `(timesteps,)`, without padding; there may be none.
        weights: of the logits, `(classes,)`.

    Returns:
        `(timesteps,)`, and what is there without any token.
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
    """Contributions of a network's tokens to a weighted sum of its logits.

    Args:
        network: a chain of layers from an embedding to logits, as of
            `build_classifier`.
        ids: of one text, `(timesteps,)`, without padding.
        weights: of the logits, `(classes,)`.

    Returns:
        `(timesteps,)`, and the sum where all embedded tokens are zeros.

    Raises:
        InputError: if the network is no such chain, or Keras's backend is not
            TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "explaining needs the TensorFlow backend. "
            f"Received: {keras.backend.backend()!r}"
        )
    # Not by a model from the embedding on: to make one, Keras would call the layers
    # anew, and could not save the network afterwards.
    first, *layers = network.layers[1:]
    vectors = tf.identity(first(ids[None]))  # no token is padding: without a mask

    def value(inputs: tf.Tensor) -> tf.Tensor:
        for layer in layers:
            inputs = layer(inputs)
        return tf.linalg.matvec(tf.cast(inputs, tf.float32), chosen)

    chosen = tf.constant(weights, tf.float32)
    expected = network(ids[None]).numpy()[0] @ weights
    if abs(float(value(vectors)[0]) - expected) > _TOLERANCE * (1 + abs(expected)):
        raise InputError(
            f"{network.name!r} must be a chain of layers, an embedding first. "
            "Run one after the other they give another result."
        )
    start = float(value(tf.zeros_like(vectors))[0])
    end = float(value(vectors)[0])
    at_once = max(1, _VALUES_AT_ONCE // int(tf.size(vectors)))
    steps = _FEWEST
    while True:
        middles = (np.arange(steps, dtype=np.float32) + 0.5) / steps
        total = np.zeros(len(ids))
        for part in np.split(middles, range(at_once, steps, at_once)):
            inputs = tf.cast(part[:, None, None], vectors.dtype) * vectors
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                values = value(inputs)
            gradient = tf.cast(tape.gradient(values, inputs) * vectors, tf.float64)
            total += tf.reduce_sum(gradient, axis=(0, 2)).numpy()
        contributions = total / steps
        if abs(contributions.sum() - (end - start)) < _TOLERANCE or steps >= _MOST:
            return contributions, start
        steps *= 4


def ngram_contributions(
    path: LinearPath, ids: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """What each token adds to a weighted sum of a path's linear logits, exactly.

    Args:
        path: of n-grams.
        ids: of one text, `(timesteps,)`, without padding.
        weights: of the logits, `(classes,)`.

    Returns:
        `(timesteps,)`, and what the bias adds.
    """
    length = len(ids)
    keys, real = (np.asarray(a)[0] for a in ngram_keys(ids[None], path.max_ngram))
    rows = np.where(real, np.asarray(path.find_rows(keys[None]))[0], -1)
    known, at, times = np.unique(rows, return_inverse=True, return_counts=True)
    table = path.table.numpy()[known] * (known >= 0)[:, None]
    norm = np.sqrt(max(table[:, -1].sum(), 1e-12))
    # An n-gram counts once; where it stands several times, these share it.
    shares = (table[:, :-1] @ weights / norm / times)[at]
    contributions, position = np.zeros(length), 0
    for n in range(1, path.max_ngram + 1):
        for start in range(length + 3 - n):  # with a mark at each end
            tokens = [t - 1 for t in range(start, start + n) if 1 <= t <= length]
            if rows[position] >= 0 and tokens:
                contributions[tokens] += shares[position] / len(tokens)
            position += 1
    return contributions, float(path.bias.numpy() @ weights)
