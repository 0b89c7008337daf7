"""Batches of texts that are read while they are trained on.

As many texts as may be in memory, a window, are batched like any others: by length,
in an order of their own. While one window is trained on, `tf.data` reads the next.
"""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from rnn_keras.batches import Batches, fixed_lengths
from rnn_keras.distributed import num_shares
from rnn_keras.errors import InputError
from rnn_keras.vectorization import concatenate_ids

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
