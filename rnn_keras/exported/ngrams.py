"""The linear model of n-grams in NumPy: from token ids to logits.

`rnn_keras.layers.ngram_logits` fits the model and describes it. Here the rows of the
n-grams are found by `np.searchsorted`, and only those that a text has are added.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# 2**32 divided by the golden ratio, as an int32. Its multiples lie as far apart as
# possible (D. E. Knuth, "The art of computer programming", volume 3, section 6.4): no
# two pairs of ids below 52,000 have the same key, and hardly any two longer n-grams.
KEY_MULTIPLIER = 0x9E3779B9 - 2**32


class LinearModel(NamedTuple):
    """The weights of a fitted `rnn_keras.layers.LinearPath`.

    Attributes:
        max_ngram: tokens in the longest n-gram.
        keys: the key of each known n-gram, ascending, int32 `(rows,)`.
        table: for each n-gram its logits and the square of its weight, float32
            `(rows, classes + 1)`.
        bias: float32 `(classes,)`.
        scales: how much the logits of the network and those of the n-grams count.
    """

    max_ngram: int
    keys: np.ndarray
    table: np.ndarray
    bias: np.ndarray
    scales: np.ndarray

    def add_to(self, logits: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Return the sum of both models' logits, each with its scale.

        Args:
            logits: those of the network, `(texts, classes)`.
            ids: token ids `(texts, timesteps)`, padded on the right with 0.
        """
        return self.scales[0] * logits + self.scales[1] * self.logits(ids)

    def logits(self, ids: np.ndarray) -> np.ndarray:
        """Return the logits of the n-grams alone, float32 `(texts, classes)`."""
        texts, rows = self._occurrences(ids)
        sums = np.zeros((len(ids), self.table.shape[1]), np.float32)
        if len(texts):
            starts = np.flatnonzero(np.diff(texts, prepend=-1))
            sums[texts[starts]] = np.add.reduceat(self.table[rows], starts, axis=0)
        # For a text without a known n-gram the norm is 0, and the bias remains.
        return sums[:, :-1] / np.sqrt(np.maximum(sums[:, -1:], 1e-12)) + self.bias

    def _occurrences(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return which text has which known n-gram, each pair once, in order."""
        found = np.concatenate([self._find(*each) for each in self._keys_of(ids)])
        found.sort()
        # However often a text has an n-gram, it counts once.
        found = found[np.diff(found, prepend=-1) != 0]
        return np.divmod(found, len(self.keys))

    def _find(self, texts: np.ndarray, keys: np.ndarray) -> np.ndarray:
        """Return one number, text * rows + row, for each key that is known."""
        rows = np.searchsorted(self.keys, keys)
        rows = np.minimum(rows, len(self.keys) - 1, out=rows)
        known = self.keys[rows] == keys
        return texts[known] * len(self.keys) + rows[known]

    def _keys_of(self, ids: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the text and the key of every n-gram, for each of their lengths.

        The arithmetic is that of `rnn_keras.layers.ngram_logits.ngram_keys`: int32,
        which wraps round.
        """
        lengths = np.count_nonzero(ids, axis=1)[:, None]
        # A 0 at each end becomes part of the n-grams that begin or end a text.
        ids = np.pad(ids.astype(np.int32, copy=False), ((0, 0), (1, 1)))
        key = np.ones_like(ids)
        for n in range(1, min(self.max_ngram, ids.shape[1]) + 1):
            end = np.arange(n - 1, ids.shape[1])
            key = (key if n == 1 else key[:, :-1]) * np.int32(KEY_MULTIPLIER)
            key += ids[:, n - 1 :]
            real = (end <= lengths + (n > 1)) & (lengths > 0)
            if n == 1:
                real[:, 0] = False
            texts, _ = np.nonzero(real)
            yield texts, key[real]
