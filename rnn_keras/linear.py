"""The linear path: logits from which n-grams a text holds, beside the recurrent ones.

On few texts a linear model of n-grams is hard to beat, and it errs elsewhere than a
network that reads in order. Their weighted sum is often better than either (a
logarithmic opinion pool: G. E. Hinton, "Products of experts", ICANN 1999; a linear
path beside a deep one, trained jointly: H.-T. Cheng et al., "Wide & deep learning for
recommender systems", 2016; presence of n-grams rather than their counts: S. Wang,
C. D. Manning, "Baselines and bigrams", ACL 2012). Here the two are trained apart, and
the two weights are those that make held-out texts most probable.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import log_softmax
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from rnn_keras.vectorization import concatenate_ids

# The next token is added to what was before times all of these, modulo the number of
# buckets, which is at most `_MOST_BUCKETS`, so that no product leaves an int32. One of
# them alone is so small that the n-grams of frequent tokens, with small ids, would lie
# side by side and one pair of tokens upon another.
_MULTIPLIERS = (2039, 1987, 1789)
_MOST_BUCKETS = 2**20
_CHUNK = 1024


@keras.saving.register_keras_serializable(package="rnn_keras")
class LinearPath(keras.layers.Layer):
    """Adds the logits of a linear model of n-grams to those of another model.

    A text is the set of its n-grams, of one token to `max_ngram`; those at its ends
    count as others than those inside. Each is a row of a table, found by hashing (K.
    Weinberger et al., "Feature hashing for large scale multitask learning", ICML
    2009); the text's logits are the sum of its rows, weighted by their inverse
    document frequency and divided by the norm of these weights.

    Nothing here is trained by gradient descent: `fit` and `weigh` find the weights.
    Until then the path adds nothing.

    Args:
        num_classes: number of logits.
        max_ngram: tokens in the longest n-gram.
        buckets: rows of the table, 2 to 2**20. An odd number spreads n-grams best.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        ids: token ids `(batch, timesteps)`, padded on the right with 0.
        logits: of the other model, `(batch, num_classes)`.

    Returns:
        `(batch, num_classes)`: `scales[0] * logits + scales[1] * linear`.

    Raises:
        ValueError: for a size out of its range.
    """

    def __init__(
        self,
        num_classes: int,
        max_ngram: int = 2,
        buckets: int = 2**17 - 1,
        **kwargs: Any,
    ):
        sizes = {"num_classes": num_classes, "max_ngram": max_ngram}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"`{name}` must be at least 1. Received: {value}")
        if not 2 <= buckets <= _MOST_BUCKETS:
            raise ValueError(
                f"`buckets` must be 2 to {_MOST_BUCKETS}. Received: {buckets}"
            )
        super().__init__(**{"trainable": False, **kwargs})
        self.num_classes = num_classes
        self.max_ngram = max_ngram
        self.buckets = buckets
        # The last column: the squared weight of the n-gram, for the norm.
        self.table = self.add_weight(
            shape=(buckets, num_classes + 1), initializer="zeros", name="table"
        )
        self.bias = self.add_weight(
            shape=(num_classes,), initializer="zeros", name="bias"
        )
        self.scales = self.add_weight(
            shape=(2,), initializer=lambda *_, **__: np.array([1.0, 0.0]), name="scales"
        )
        self.built = True

    def call(self, ids: Any, logits: Any) -> Any:
        return self.scales[0] * logits + self.scales[1] * self.linear_logits(ids)

    def linear_logits(self, ids: Any) -> Any:
        """Of the n-grams alone: `(batch, num_classes)`."""
        keys = ngrams(ids, self.max_ngram, self.buckets)
        present = ops.cast(keys >= 0, self.compute_dtype)
        rows = ops.take(self.table, ops.maximum(keys, 0), axis=0)
        sums = ops.sum(rows * ops.expand_dims(present, 2), axis=1)
        # A text without a known n-gram has no norm, and only the bias speaks.
        return sums[:, :-1] / ops.sqrt(ops.maximum(sums[:, -1:], 1e-12)) + self.bias

    def fit(self, ids: np.ndarray, labels: np.ndarray, strength: float = 10.0) -> None:
        """TF-IDF and logistic regression, put into the table.

        Args:
            ids: `(texts, timesteps)`.
            labels: class indices `(texts,)`, of two classes or more. One that is
                not among them gets the logit of the least probable one.
            strength: inverse of that of the L2 penalty, scikit-learn's `C`.
        """
        keys = _ngrams_of_all(ids, self.max_ngram, self.buckets)
        used, column = np.unique(keys[keys >= 0], return_inverse=True)
        starts = np.concatenate([[0], np.cumsum((keys >= 0).sum(axis=1))])
        present = csr_matrix(
            (np.ones(len(column)), column, starts), (len(ids), len(used))
        )
        idf = TfidfTransformer().fit(present)
        model = LogisticRegression(C=strength, max_iter=1000)
        model.fit(idf.transform(present), labels)
        rows, bias = model.coef_, model.intercept_
        if len(rows) == 1:
            rows, bias = (np.concatenate([-x, x]) / 2 for x in (rows, bias))
        table = np.zeros(self.table.shape, np.float32)
        table[np.ix_(used, model.classes_)] = rows.T * idf.idf_[:, np.newaxis]
        table[used, -1] = idf.idf_**2
        every = np.full(self.num_classes, bias.min(), np.float32)
        every[model.classes_] = bias
        self.table.assign(table)
        self.bias.assign(every)

    def weigh(self, ids: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> None:
        """Set the scales that make held-out texts most probable.

        Args:
            ids: of texts that neither model has been trained on.
            logits: of the other model on them, `(texts, num_classes)`.
            labels: class indices `(texts,)`.
        """
        both = np.stack([logits, self.predict(ids)]).astype(float)

        def surprise(scales: np.ndarray) -> float:
            log_probabilities = log_softmax(np.tensordot(scales, both, 1), axis=1)
            told = log_probabilities[np.arange(len(labels)), labels].sum()
            # Few texts, that any large scales might get right, say little: about
            # 0.5 each, with a standard deviation of 0.5, is believed beforehand.
            return 2 * ((scales - 0.5) ** 2).sum() - told

        best = minimize(surprise, [0.5, 0.5], bounds=[(0, None), (0, None)])
        self.scales.assign(best.x)

    def predict(self, ids: np.ndarray) -> np.ndarray:
        """`linear_logits` of many texts: `(texts, num_classes)`."""
        parts = [
            ops.convert_to_numpy(self.linear_logits(part)) for part in _chunks(ids)
        ]
        return np.concatenate(parts)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "max_ngram": self.max_ngram,
            "buckets": self.buckets,
        }


def linear_path(
    logits: np.ndarray,
    data: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    max_ngram: int,
) -> LinearPath | None:
    """A path fitted to all texts, weighed by those that were held out.

    Args:
        logits: of the network on the validation texts, `(texts, num_classes)`.
        data: token ids and class indices that the network was trained on.
        validation: those that it was not.
        max_ngram: tokens in the longest n-gram.

    Returns:
        `None` where the training texts are of one class.
    """
    ids, labels = data
    if len(np.unique(labels)) < 2:
        return None
    # At least twice as many buckets as n-grams, as far as that goes.
    found = len(np.unique(_ngrams_of_all(ids, max_ngram, _MOST_BUCKETS - 1)))
    buckets = min(_MOST_BUCKETS, 2 ** int(np.ceil(np.log2(2 * found)))) - 1
    path = LinearPath(logits.shape[1], max_ngram, buckets, name="linear")
    path.fit(ids, labels)
    path.weigh(validation[0], logits, validation[1])
    every = concatenate_ids([ids, validation[0]])
    path.fit(every, np.concatenate([labels, validation[1]]))
    return path


def ngrams(ids: Any, max_ngram: int, buckets: int) -> Any:
    """The different n-grams of each text, as numbers of their buckets.

    Args:
        ids: token ids `(batch, timesteps)`, padded on the right with 0.
        max_ngram: tokens in the longest.
        buckets: how many.

    Returns:
        int32 `(batch, positions)`, -1 where there is none.
    """
    ids = ops.cast(ids, "int32")
    length = ops.sum(ops.cast(ids != 0, "int32"), axis=1, keepdims=True)
    # A 0 at each end is part of the n-grams that begin or end a text.
    ids = ops.pad(ids, ((0, 0), (1, 1)))
    position = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    hashed, found = ops.ones_like(ids), []
    for n in range(1, max_ngram + 1):
        end = position[:, n - 1 :]
        if n > 1:
            hashed = hashed[:, :-1]
        for multiplier in _MULTIPLIERS:
            hashed = (hashed * multiplier) % buckets
        hashed = (hashed + ids[:, n - 1 :]) % buckets
        real = (end >= 1) & (end <= length) if n == 1 else end <= length + 1
        found.append(ops.where(real & (length > 0), hashed, -1))
    keys = ops.sort(ops.concatenate(found, axis=1), axis=1)
    repeated = ops.pad(keys[:, 1:] == keys[:, :-1], ((0, 0), (1, 0)))
    return ops.where(repeated, -1, keys)


def _ngrams_of_all(ids: np.ndarray, max_ngram: int, buckets: int) -> np.ndarray:
    parts = [ngrams(part, max_ngram, buckets) for part in _chunks(ids)]
    return np.concatenate([ops.convert_to_numpy(part) for part in parts])


def _chunks(ids: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
