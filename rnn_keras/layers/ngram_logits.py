"""A linear model of n-grams, whose logits are added to those of a network.

On few texts a linear model of n-grams is hard to beat, and it makes other errors than
a network that reads in order. A weighted sum of their logits is often better than
either. Such a sum is a logarithmic opinion pool (G. E. Hinton, "Products of experts",
ICANN 1999); H.-T. Cheng et al. train both parts jointly ("Wide & deep learning for
recommender systems", 2016). That an n-gram occurs counts here, not how often (S. Wang,
C. D. Manning, "Baselines and bigrams", ACL 2012).

Here the two models are trained separately. The two weights of the sum are those that
make held-out texts most probable.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Self

import keras
import numpy as np
from keras import ops
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import log_softmax
from sklearn.feature_extraction.text import TfidfTransformer

from rnn_keras.exported.ngrams import KEY_MULTIPLIER
from rnn_keras.layers.text_vectorizer import concatenate_ids
from rnn_keras.scoring import fit_binary
from rnn_keras.utils.errors import check_sizes
from rnn_keras.utils.progress import progress_bar
from rnn_keras.utils.threads import in_threads

# Scales assumed before any text is seen: the network's logits as they are, plus half
# of the linear ones.
_PRIOR_SCALES = np.array([1.0, 0.5])
_TEXTS_AT_A_TIME = 256


@keras.saving.register_keras_serializable(package="rnn_keras")
class LinearPath(keras.layers.Layer):
    """Adds the logits of a linear model of n-grams to those of another model.

    The model takes a text as the set of its n-grams of 1 to `max_ngram` tokens. An
    n-gram at the beginning or end of a text differs from the same tokens inside it.
    Every known n-gram has a row in a table. The logits of a text are the sum of the
    rows of its n-grams, weighted by inverse document frequency and divided by the
    Euclidean norm of these weights.

    Gradient descent changes nothing here. `from_texts` returns a fitted layer, and
    `fit_scales` sets the weights of the sum; before that the layer adds nothing.

    Args:
        num_classes: number of logits.
        rows: number of known n-grams.
        max_ngram: tokens in the longest n-gram.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        ids: token ids `(batch, timesteps)`, padded on the right with 0.
        logits: logits of the other model, `(batch, num_classes)`.

    Returns:
        `(batch, num_classes)`: `scales[0] * logits + scales[1] * linear`.

    Raises:
        ValueError: for a size below 1.
    """

    def __init__(self, num_classes: int, rows: int, max_ngram: int = 2, **kwargs: Any):
        check_sizes(num_classes=num_classes, rows=rows, max_ngram=max_ngram)
        # Half precision is enough for the logits, but not for a sum of squares.
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.num_classes = num_classes
        self.rows = rows
        self.max_ngram = max_ngram
        self.keys = self.add_weight(
            shape=(rows,), initializer="zeros", dtype="int32", name="keys"
        )
        # The last column holds the squared weight of the n-gram, for the norm.
        self.table = self.add_weight(
            shape=(rows, num_classes + 1), initializer="zeros", name="table"
        )
        self.bias = self.add_weight(
            shape=(num_classes,), initializer="zeros", name="bias"
        )
        self.scales = self.add_weight(
            shape=(2,), initializer=lambda *_, **__: np.array([1.0, 0.0]), name="scales"
        )
        self.built = True

    @classmethod
    def from_texts(
        cls,
        ids: np.ndarray,
        labels: np.ndarray,
        num_classes: int,
        *,
        max_ngram: int = 2,
        max_rows: int = 2**18,
        strength: float = 10.0,
        start: "LinearPath | None" = None,
        progress: bool = False,
        **kwargs: Any,
    ) -> Self:
        """Return a layer fitted by TF-IDF and one logistic regression for each class.

        Each regression separates a class from the rest. Before it is fitted, every
        n-gram is scaled by how much it tells about the class, which is measured by
        the log-ratio of its frequencies inside and outside the class. (S. Wang and
        C. D. Manning, 2012, scale by the log-ratio itself.)

        Args:
            ids: token ids `(texts, timesteps)`, with at least one token.
            labels: class indices `(texts,)` of at least two classes. A class without
                a text gets zeros and the lowest bias of the other classes.
            num_classes: number of logits.
            max_ngram: tokens in the longest n-gram.
            max_rows: largest number of known n-grams; those in most texts are kept.
            strength: inverse strength of the L2 penalty, scikit-learn's `C`.
            start: layer whose weights the regressions begin with, fitted to most of
                the same texts.
            progress: show a bar if standard error is a terminal.
            **kwargs: arguments of `keras.layers.Layer`.
        """
        keys, present = presence(ids, max_ngram, max_rows)
        tfidf = TfidfTransformer().fit(present)
        features = tfidf.transform(present).astype(np.float32)
        classes = np.unique(labels)
        pairs = len(classes) == 2  # one regression then serves both classes
        fitted = classes[-1:] if pairs else classes
        begin = np.zeros((len(keys) + 1, num_classes), np.float32)
        if start is not None:
            begin = start._weights_of(keys, tfidf.idf_)
            if pairs:
                begin[:, fitted] -= begin[:, classes[:1]]

        def fit_class(label: int) -> tuple[np.ndarray, float]:
            """Return the weights of the n-grams' presence, and the intercept."""
            inside = labels == label
            scale = informativeness(present, inside).astype(np.float32)
            scaled = features.copy()
            scaled.data *= scale[scaled.indices]
            first = (begin[:-1, label] / scale, begin[-1, label])
            weights, intercept = fit_binary(scaled, inside, strength, first)
            return weights * scale, intercept

        table = np.zeros((len(keys), num_classes + 1), np.float32)
        table[:, -1] = tfidf.idf_**2
        bias = np.full(num_classes, np.nan, np.float32)
        with progress_bar(shown=progress) as bar:
            solutions = in_threads(fit_class, fitted)
            shown = bar.track(solutions, len(fitted), description="n-grams")
            for label, (weights, intercept) in zip(fitted, shown, strict=True):
                table[:, label] = weights * tfidf.idf_
                bias[label] = intercept
        if pairs:
            table[:, classes] = np.outer(table[:, classes[1]], [-0.5, 0.5])
            bias[classes] = bias[classes[1]] * np.array([-0.5, 0.5])
        bias[np.isnan(bias)] = np.nanmin(bias)
        path = cls(num_classes, len(keys), max_ngram, **kwargs)
        path.keys.assign(keys)
        path.table.assign(table)
        path.bias.assign(bias)
        return path

    def _weights_of(self, keys: np.ndarray, idf: np.ndarray) -> np.ndarray:
        """Return the weights of n-grams as TF-IDF features, and below them the bias.

        Args:
            keys: keys of n-grams; one that is unknown here gets zeros.
            idf: the inverse document frequency of each.

        Returns:
            float32 `(keys + 1, classes)`.
        """
        own = ops.convert_to_numpy(self.keys)
        row = np.minimum(np.searchsorted(own, keys), len(own) - 1)
        known = (own[row] == keys)[:, np.newaxis]
        table = ops.convert_to_numpy(self.table)[row, :-1]
        weights = np.where(known, table, 0) / idf[:, np.newaxis]
        bias = ops.convert_to_numpy(self.bias)
        return np.vstack([weights, bias]).astype(np.float32)

    def call(self, ids: Any, logits: Any) -> Any:
        logits = ops.cast(logits, self.compute_dtype)
        return self.scales[0] * logits + self.scales[1] * self.linear_logits(ids)

    def linear_logits(self, ids: Any) -> Any:
        """Return the logits of the n-grams alone, `(batch, num_classes)`."""
        keys, real = ngram_keys(ids, self.max_ngram)
        rows = ops.sort(ops.where(real, self.find_rows(keys), -1), axis=1)
        repeated = ops.pad(rows[:, 1:] == rows[:, :-1], ((0, 0), (1, 0)))
        counts = ops.cast((rows >= 0) & ~repeated, self.compute_dtype)
        found = ops.take(self.table, ops.maximum(rows, 0), axis=0)
        sums = ops.sum(found * ops.expand_dims(counts, 2), axis=1)
        # For a text without a known n-gram the norm is 0, and the bias remains.
        return sums[:, :-1] / ops.sqrt(ops.maximum(sums[:, -1:], 1e-12)) + self.bias

    def find_rows(self, keys: Any) -> Any:
        """Return the row of each key in the table, or -1 for an unknown key.

        The table is sorted. The search is binary and made of plain gathers, which
        every export format supports.
        """
        row = ops.zeros_like(keys)
        for step in (1 << i for i in reversed(range((self.rows - 1).bit_length()))):
            next_row = ops.minimum(row + step, self.rows - 1)
            row = ops.where(ops.take(self.keys, next_row) <= keys, next_row, row)
        return ops.where(ops.take(self.keys, row) == keys, row, -1)

    def fit_scales(
        self, ids: np.ndarray, logits: np.ndarray, labels: np.ndarray
    ) -> None:
        """Set the scales that make held-out texts most probable.

        Args:
            ids: token ids of texts that neither model was trained on.
            logits: logits of the other model on these texts, `(texts, num_classes)`.
            labels: class indices `(texts,)`.
        """
        both = np.stack([logits, self.predict(ids)]).astype(float)

        def negative_log_posterior(scales: np.ndarray) -> float:
            log_probabilities = log_softmax(np.tensordot(scales, both, 1), axis=1)
            log_likelihood = log_probabilities[np.arange(len(labels)), labels].sum()
            # Few texts may fit best with arbitrarily large scales. The prior is normal
            # around `_PRIOR_SCALES`, with a standard deviation of 0.5.
            return 2 * ((scales - _PRIOR_SCALES) ** 2).sum() - log_likelihood

        best = minimize(
            negative_log_posterior, _PRIOR_SCALES, bounds=[(0, None), (0, None)]
        )
        self.scales.assign(best.x)

    def predict(self, ids: np.ndarray) -> np.ndarray:
        """Return `linear_logits` of many texts, `(texts, num_classes)`."""
        logits = _as_one_program(self.linear_logits)
        parts = [ops.convert_to_numpy(logits(part)) for part in _chunks(ids)]
        return np.concatenate(parts)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "rows": self.rows,
            "max_ngram": self.max_ngram,
        }


def fit_linear_path(
    logits: np.ndarray,
    data: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray],
    *,
    max_ngram: int,
    progress: bool = False,
) -> LinearPath | None:
    """Fit a linear path to all texts, and its scales to those that were held out.

    Args:
        logits: logits of the network on the validation texts, `(texts, num_classes)`.
        data: token ids and class indices that the network was trained on.
        validation: token ids and class indices that were held out.
        max_ngram: tokens in the longest n-gram.
        progress: show a bar if standard error is a terminal.

    Returns:
        The layer; or `None` if the training texts are of one class or hold no token.
    """
    ids, labels = data
    if len(np.unique(labels)) < 2 or not np.any(ids):
        return None
    fit = partial(
        LinearPath.from_texts,
        num_classes=logits.shape[1],
        max_ngram=max_ngram,
        progress=progress,
    )
    first = fit(ids, labels)
    first.fit_scales(validation[0], logits, validation[1])
    path = fit(
        concatenate_ids([ids, validation[0]]),
        np.concatenate([labels, validation[1]]),
        start=first,
        name="linear",
    )
    path.scales.assign(first.scales)
    return path


def ngram_keys(ids: Any, max_ngram: int) -> tuple[Any, Any]:
    """Return a key for every n-gram of each text.

    Args:
        ids: token ids `(batch, timesteps)`, padded on the right with 0.
        max_ngram: tokens in the longest n-gram.

    Returns:
        Keys, int32, and booleans that say which keys stand for an n-gram; both
        `(batch, positions)`.
    """
    ids = ops.cast(ids, "int32")
    length = ops.sum(ops.cast(ids != 0, "int32"), axis=1, keepdims=True)
    # A 0 at each end becomes part of the n-grams that begin or end a text.
    ids = ops.pad(ids, ((0, 0), (1, 1)))
    position = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    key, keys, real = ops.ones_like(ids), [], []
    for n in range(1, max_ngram + 1):
        end = position[:, n - 1 :]
        key = (key if n == 1 else key[:, :-1]) * KEY_MULTIPLIER + ids[:, n - 1 :]
        keys.append(key)
        inside = (end >= 1) & (end <= length) if n == 1 else end <= length + 1
        real.append(inside & (length > 0))
    return ops.concatenate(keys, axis=1), ops.concatenate(real, axis=1)


def presence(
    ids: np.ndarray, max_ngram: int, max_rows: int
) -> tuple[np.ndarray, csr_matrix]:
    """Return the sorted keys of n-grams, and which text has which.

    Args:
        ids: token ids `(texts, timesteps)`.
        max_ngram: tokens in the longest n-gram.
        max_rows: largest number of keys; those in most texts are kept.

    Returns:
        The keys, and a matrix `(texts, keys)` of 0 and 1.
    """
    texts, keys = [], []
    keys_of = _as_one_program(lambda part: ngram_keys(part, max_ngram))
    for start, part in enumerate(_chunks(ids)):
        found, real = map(ops.convert_to_numpy, keys_of(part))
        texts.append(np.nonzero(real)[0] + start * _TEXTS_AT_A_TIME)
        keys.append(found[real])
    text, key = np.concatenate(texts), np.concatenate(keys)
    known, column = np.unique(key, return_inverse=True)
    present = csr_matrix((np.ones(len(text)), (text, column)), (len(ids), len(known)))
    present.data[:] = 1  # however often the text has the n-gram
    if len(known) > max_rows:
        in_texts = np.bincount(present.indices, minlength=len(known))
        kept = np.sort(np.argsort(-in_texts, kind="stable")[:max_rows])
        known, present = known[kept], present[:, kept]
    return known, present


def informativeness(present: csr_matrix, inside: np.ndarray) -> np.ndarray:
    """Return how much each n-gram tells about a class: sqrt(1/2 + |log(p / q)|).

    p and q are the shares of texts that have the n-gram, inside and outside the
    class. They are smoothed with two further texts, divided between the classes as
    all texts are, which keeps a rare n-gram near p = q.

    Args:
        present: `(texts, keys)`, 1 where a text has the n-gram.
        inside: booleans `(texts,)`, `True` for the texts of the class.
    """
    logs = []
    for texts in (inside, ~inside):
        shares = (texts @ present) / texts.sum()
        logs.append(np.log(shares + 2 / len(texts)))
    return np.sqrt(0.5 + np.abs(logs[0] - logs[1]))


def _as_one_program(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """With JAX, have a function compiled as a whole, not each of its operations."""
    if keras.backend.backend() != "jax":
        return function
    import jax

    return jax.jit(function)


def _chunks(ids: np.ndarray) -> Iterator[np.ndarray]:
    is_jax = keras.backend.backend() == "jax"
    for start in range(0, max(1, len(ids)), _TEXTS_AT_A_TIME):
        part = ids[start : start + _TEXTS_AT_A_TIME]
        # JAX compiles for every width, which takes longer than padding.
        width = np.count_nonzero(part, axis=1).max(initial=1)
        yield part if is_jax else part[:, : max(1, width)]
