"""Batches by length: texts of like length together, padded to a few lengths."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.distributed import whole


def fixed_lengths(lengths: np.ndarray, count: int, multiple: int = 1) -> np.ndarray:
    """At most `count` lengths to pad to, such that the least padding is needed.

    The sum over texts of the next fixed length is made as small as it can be, by
    dynamic programming over the different lengths there are: best[j], the least sum
    for the texts no longer than the j-th of these, ends in a stretch that is padded
    to the j-th, after the best[i] of one fixed length fewer.

    Args:
        lengths: of the texts; one that is empty counts as 1.
        count: how many fixed lengths at most.
        multiple: every fixed length is a multiple of this.

    Returns:
        Increasing lengths; the last is enough for every text.
    """
    lengths = -(-np.maximum(1, lengths) // multiple) * multiple
    values, texts = np.unique(lengths, return_counts=True)
    below = np.concatenate([[0], np.cumsum(texts)])
    best = np.full(len(below), np.inf)
    best[0] = 0
    starts = []
    for _ in range(min(count, len(values))):
        start = np.zeros(len(below), int)
        new = np.full(len(below), np.inf)
        for j in range(1, len(below)):
            sums = best[:j] + (below[j] - below[:j]) * values[j - 1]
            start[j] = sums.argmin()
            new[j] = sums[start[j]]
        starts.append(start)
        best = new
    chosen, j = [], len(values)
    for start in reversed(starts):
        chosen.append(values[j - 1])
        j = start[j]
    return np.array(chosen[::-1])


class Batches(keras.utils.PyDataset):
    """Batches of token ids, each padded to the least of a few lengths.

    All batches have the same number of texts, so that a compiled training step
    serves every epoch. Texts of like length come together. What is left over of one
    length is padded to the next, and the last batch is filled up with texts drawn at
    random, of which there are fewer than batches. Every epoch has another order,
    fixed by `seed`.

    Args:
        ids: `(texts, timesteps)`, padded on the right with 0.
        labels: class indices `(texts,)`.
        batch_size: texts in a batch at most; the texts are spread evenly.
        num_lengths: how many different lengths at most.
        multiple: of which every length is one; so many steps of the recurrence may
            then stand in one body of its compiled loop.
        seed: of the order; `None` keeps one order for all epochs, and fills nothing
            up: the last batch may then have fewer texts.
        fixed: the lengths to pad to, increasing, where others have chosen them.
        shares: the number of texts in a batch is rounded up to a multiple of this.
    """

    def __init__(
        self,
        ids: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int,
        num_lengths: int = 16,
        multiple: int = 1,
        seed: int | Sequence[int] | None = None,
        fixed: np.ndarray | None = None,
        shares: int = 1,
    ):
        super().__init__()
        self.ids, self.labels = ids, labels
        self.count = -(-len(ids) // batch_size)
        even = -(-len(ids) // max(1, self.count))
        self.batch_size = -(-even // shares) * shares
        lengths = (ids != 0).sum(axis=1)
        if fixed is None:
            fixed = fixed_lengths(lengths, num_lengths, multiple)
        self.fixed = fixed
        self.group = np.searchsorted(self.fixed, lengths)
        self.random = None if seed is None else np.random.default_rng(seed)
        self._arrange()

    def on_epoch_end(self) -> None:
        if self.random is not None:
            self._arrange()

    def get_state(self) -> dict[str, Any] | None:
        """Of the generator, from which the order of this epoch was drawn; for JSON."""
        return self._drawn_from

    def set_state(self, state: dict[str, Any] | None) -> None:
        """Back to the order of the epoch in which `get_state` gave `state`."""
        if self.random is not None:
            self.random.bit_generator.state = state
            self._arrange()

    def _arrange(self) -> None:
        self._drawn_from = self.random and self.random.bit_generator.state
        order = np.arange(len(self.ids))
        if self.random is not None:
            order = self.random.permutation(order)
        # Stable: by group, and within it in the order drawn.
        order = order[np.argsort(self.group[order], kind="stable")]
        if self.random is not None:
            missing = self.count * self.batch_size - len(order)
            order = np.concatenate(
                [order, self.random.choice(order, missing, missing > len(order))]
            )
        size = self.batch_size
        self.batches = [order[i : i + size] for i in range(0, len(order), size)]
        if self.random is not None:
            self.random.shuffle(self.batches)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.batches[index]
        length = self.fixed[self.group[rows].max()]
        ids = self.ids[rows, :length]
        # The ids may be narrower than the multiple.
        ids = np.pad(ids, ((0, 0), (0, length - ids.shape[1])))
        return ids, self.labels[rows]


def of_any_length(batches: keras.utils.PyDataset) -> tf.data.Dataset:
    """The same batches for `fit` or `evaluate`, whatever their lengths.

    Of the batches themselves Keras would expect the length of the first two.
    """

    def epoch() -> Iterator[Any]:
        yield from map(whole, map(batches.__getitem__, range(len(batches))))
        batches.on_epoch_end()

    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec((None,) * array.ndim, array.dtype), batches[0]
    )
    return tf.data.Dataset.from_generator(epoch, output_signature=signature).apply(
        tf.data.experimental.assert_cardinality(len(batches))
    )
