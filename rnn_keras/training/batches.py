"""Batches by length: texts of like length together, padded to a few lengths.

Batches of texts that are read while they are trained on.

As many texts as may be in memory, a window, are batched like any others: by length,
in an order of their own. While one window is trained on, `tf.data` reads the next.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.layers.text_vectorizer import concatenate_ids
from rnn_keras.training.distributed import num_shares, whole
from rnn_keras.utils.errors import InputError


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


Pair = tuple[np.ndarray, np.ndarray]


class StreamedIds:
    """Token ids and class indices that are made as they are read.

    Args:
        read: gives texts and labels, some at a time, anew each time it is called.
        encode: from some texts and labels to ids `(texts, timesteps)` and class
            indices `(texts,)`.
        count: of all the texts.
        sample: ids of some, `(texts, timesteps)`.
        max_length: tokens in the longest.
        window: texts in memory at a time.
    """

    def __init__(
        self,
        read: Callable[[], Iterator[tuple[list[str], list[str]]]],
        encode: Callable[[list[str], list[str]], Pair],
        *,
        count: int,
        sample: np.ndarray,
        max_length: int,
        window: int,
    ):
        self.read, self.encode, self.count = read, encode, count
        self.sample, self.max_length = sample, max_length
        self.num_windows = -(-count // window)
        self.window = -(-count // self.num_windows)

    def batches(
        self, *, batch_size: int, seed: int, num_lengths: int = 16, multiple: int = 1
    ) -> "StreamedBatches":
        """Like `Batches`, of all the texts."""
        lengths = np.append((self.sample != 0).sum(axis=1), self.max_length)
        fixed = fixed_lengths(lengths, num_lengths, multiple)
        return StreamedBatches(self, batch_size, seed, fixed)

    def windows(self, first: int = 0) -> Iterator[Pair]:
        """Ids and class indices of `window` texts each, from the `first` window on."""
        parts: list[Pair] = []
        self._error: InputError | None = None
        for part in self._encoded(first * self.window):
            parts.append(part)
            while sum(len(ids) for ids, _ in parts) >= self.window:
                ids, labels = _join(parts)
                yield ids[: self.window], labels[: self.window]
                parts = [(ids[self.window :], labels[self.window :])]
        ids, labels = _join(parts)
        if len(ids):
            # All windows alike, for steps that are compiled for one number of texts.
            rows = np.arange(self.window) % len(ids)
            yield ids[rows], labels[rows]

    def _encoded(self, skipped: int) -> Iterator[Pair]:
        def make() -> Iterator[Pair]:
            left = skipped
            try:
                for texts, labels in self.read():
                    here, left = left, max(0, left - len(texts))
                    if here < len(texts):
                        yield self.encode(texts[here:], labels[here:])
            except InputError as error:
                self._error = error
                raise

        signature = (
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.int32),
        )
        parts = tf.data.Dataset.from_generator(make, output_signature=signature)
        try:
            yield from parts.prefetch(16).as_numpy_iterator()
        except tf.errors.OpError as error:
            # TensorFlow makes one of its own of whatever is raised there.
            raise self._error or error from error


class StreamedBatches:
    """What `Batches` are to a training loop, one window after the other.

    They are asked for in their order; to begin in the middle takes a pass over the
    texts before.
    """

    def __init__(
        self, source: StreamedIds, batch_size: int, seed: int, fixed: np.ndarray
    ):
        self.source, self.batch_size = source, batch_size
        self.seed, self.fixed, self.epoch = seed, fixed, 0
        self.each = -(-source.window // batch_size)
        self._place: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.source.num_windows * self.each

    def __getitem__(self, index: int) -> Pair:
        window, batch = divmod(index, self.each)
        if self._place != (self.epoch, window):
            if self._place is None or self._place != (self.epoch, window - 1):
                self._windows = self.source.windows(window)
            self._batches = Batches(
                *next(self._windows),
                batch_size=self.batch_size,
                seed=[self.seed, self.epoch, window],
                fixed=self.fixed,
                shares=num_shares(),
            )
            self._place = (self.epoch, window)
        return self._batches[batch]

    def on_epoch_end(self) -> None:
        self.epoch += 1

    def get_state(self) -> int:
        """The number of the epoch, from which its order follows."""
        return self.epoch

    def set_state(self, state: int) -> None:
        """To the epoch in which `get_state` gave `state`."""
        self.epoch = state


def _join(parts: list[Pair]) -> Pair:
    if not parts:
        return np.zeros((0, 1), np.int32), np.zeros(0, np.int32)
    ids, labels = zip(*parts, strict=True)
    return concatenate_ids(ids), np.concatenate(labels)
