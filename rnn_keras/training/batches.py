"""Batches of token ids for training: texts of similar length together.

A recurrence takes as many steps as the longest text of a batch, so a batch should hold
texts of similar length; and XLA compiles the training step once for each length, so the
lengths should be few. `choose_lengths` picks the few that need the least padding, and
`Batches` pads each batch to one of them.

The training loop asks for no more than the protocol `LabelledIds`. Two sources of
labelled token ids keep it: `IdsInMemory` holds arrays; `StreamedIds` encodes texts as
it reads them, and holds one block of texts at a time. What the ids stand for is decided
elsewhere.
"""

import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.layers.text_vectorizer import concatenate_ids
from rnn_keras.training.distributed import num_shares, replicate_rows
from rnn_keras.utils.errors import InputError, check_pairs

# Token ids `(batch, timesteps)` and class indices `(batch,)`.
Batch = tuple[np.ndarray, np.ndarray]


class ResumableBatches(Protocol):
    """The batches of an epoch, whose order can be stored and restored."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Batch: ...

    def on_epoch_end(self) -> None:
        """Draw the order of the next epoch."""

    def get_state(self) -> Any:
        """A value for JSON from which `set_state` restores this epoch's order."""

    def set_state(self, state: Any) -> None:
        """Restore the order of the epoch in which `get_state` returned `state`."""


class LabelledIds(Protocol):
    """Token ids with a class index for each text, given out in batches."""

    @property
    def count(self) -> int:
        """The number of texts."""

    @property
    def sample(self) -> np.ndarray:
        """Token ids `(texts, timesteps)` of all texts or of a random sample."""

    def batches(
        self, *, batch_size: int, seed: int, num_lengths: int = 16, multiple: int = 1
    ) -> ResumableBatches:
        """Batches for training.

        Args:
            batch_size: texts in a batch at most.
            seed: fixes the order of the texts.
            num_lengths: how many different lengths the batches have at most.
            multiple: every length is a multiple of this.
        """


@dataclass(frozen=True, eq=False)
class IdsInMemory:
    """Labelled token ids as arrays: see `LabelledIds`.

    Args:
        ids: token ids `(texts, timesteps)`, padded on the right with 0.
        labels: class indices `(texts,)`.

    Raises:
        InputError: if there are not as many labels as texts.
    """

    ids: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        check_pairs(self.ids, self.labels)

    @property
    def count(self) -> int:
        return len(self.ids)

    @property
    def sample(self) -> np.ndarray:
        return self.ids

    def select(self, rows: np.ndarray | slice) -> "IdsInMemory":
        """Some of the texts, by their indices or a boolean mask `(texts,)`."""
        return IdsInMemory(self.ids[rows], self.labels[rows])

    def batches(
        self, *, batch_size: int, seed: int, num_lengths: int = 16, multiple: int = 1
    ) -> "Batches":
        return Batches(
            self.ids,
            self.labels,
            batch_size=batch_size,
            num_lengths=num_lengths,
            multiple=multiple,
            seed=seed,
            shares=num_shares(),
        )

    def batches_in_order(self, *, batch_size: int, num_lengths: int = 16) -> "Batches":
        """Batches for scoring: each text once, in the same order every time."""
        return Batches(
            self.ids, self.labels, batch_size=batch_size, num_lengths=num_lengths
        )


def choose_lengths(lengths: np.ndarray, count: int, multiple: int = 1) -> np.ndarray:
    """Choose at most `count` lengths to pad to, so that the least padding is needed.

    Every text is padded to the smallest chosen length that it fits in. The sum of these
    lengths over all texts is minimised by dynamic programming over the distinct lengths
    of texts: the least sum for the texts up to the j-th distinct length, with n chosen
    lengths, is the least over i < j of the sum for those up to the i-th with n - 1
    chosen lengths, plus that of the rest when all are padded to the j-th.

    Args:
        lengths: number of tokens of each text; an empty text counts as 1 token.
        count: how many lengths to choose at most.
        multiple: every chosen length is a multiple of this.

    Returns:
        Increasing lengths; every text fits in the last.
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
    """Batches of token ids, each padded to one of a few lengths.

    Texts of similar length come together. With a seed, all batches hold the same number
    of texts, so that one compiled training step serves every batch of a length: texts
    left over at one length are padded to the next, and the last batch is filled up with
    texts drawn at random, fewer than there are batches. Every epoch has another order.

    Args:
        ids: token ids `(texts, timesteps)`, padded on the right with 0.
        labels: class indices `(texts,)`, or any other array with a row for each text.
        batch_size: texts in a batch at most; texts are spread evenly over the batches.
        num_lengths: how many different lengths the batches have at most.
        multiple: every length is a multiple of this; the compiled loop of a recurrence
            can then take so many steps at once.
        seed: fixes the order of every epoch. `None` keeps one order for all epochs and
            repeats no text, so that the last batch may be smaller.
        lengths: the lengths to pad to, increasing; by default `choose_lengths` picks
            them.
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
        lengths: np.ndarray | None = None,
        shares: int = 1,
    ):
        super().__init__()
        self.ids, self.labels = ids, labels
        self.count = -(-len(ids) // batch_size)
        texts_each = -(-len(ids) // max(1, self.count))
        self.batch_size = -(-texts_each // shares) * shares
        num_tokens = (ids != 0).sum(axis=1)
        if lengths is None:
            lengths = choose_lengths(num_tokens, num_lengths, multiple)
        self.lengths = lengths
        # For each text the index of the smallest length that it fits in.
        self.group = np.searchsorted(lengths, num_tokens)
        self.random = None if seed is None else np.random.default_rng(seed)
        self._draw_order()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Batch:
        rows = self.rows[index]
        length = self.lengths[self.group[rows].max()]
        ids = self.ids[rows, :length]
        # `self.ids` may have fewer columns than the length, a multiple, asks for.
        ids = np.pad(ids, ((0, 0), (0, length - ids.shape[1])))
        return ids, self.labels[rows]

    def on_epoch_end(self) -> None:
        if self.random is not None:
            self._draw_order()

    def get_state(self) -> Any:
        """The state of the generator from which this epoch's order was drawn."""
        return self._drawn_from

    def set_state(self, state: Any) -> None:
        if self.random is not None:
            self.random.bit_generator.state = state
            self._draw_order()

    def _draw_order(self) -> None:
        """Set `rows`, the indices of the texts of each batch."""
        order = np.arange(len(self.ids))
        self._drawn_from: Any = None
        if self.random is not None:
            self._drawn_from = self.random.bit_generator.state
            order = self.random.permutation(order)
        # A stable sort keeps the drawn order among texts of one group.
        order = order[np.argsort(self.group[order], kind="stable")]
        if self.random is not None:
            missing = self.count * self.batch_size - len(order)
            repeated = self.random.choice(order, missing, missing > len(order))
            order = np.concatenate([order, repeated])
        size = self.batch_size
        self.rows = [order[i : i + size] for i in range(0, len(order), size)]
        if self.random is not None:
            self.random.shuffle(self.rows)


def as_dataset(batches: keras.utils.PyDataset) -> tf.data.Dataset:
    """The batches as a dataset for `fit` or `evaluate`, with any length allowed.

    Given the batches themselves, Keras would allow only the length of the first two.
    """

    def one_epoch() -> Iterator[Any]:
        for i in range(len(batches)):
            yield replicate_rows(batches[i])
        batches.on_epoch_end()

    signature = keras.tree.map_structure(
        lambda array: tf.TensorSpec((None,) * array.ndim, array.dtype), batches[0]
    )
    dataset = generated_dataset(one_epoch, signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))


def generated_dataset(
    generate: Callable[[], Iterator[Any]], signature: Any
) -> tf.data.Dataset:
    """Do what `tf.data.Dataset.from_generator` does, and free the data afterwards.

    TensorFlow keeps the function that it is given, and all data that the function
    refers to, until `keras.utils.clear_session()`. Here the dataset keeps the function.

    Args:
        generate: returns an iterator over the elements, once for each pass.
        signature: `tf.TensorSpec` of an element's tensors.
    """
    alive = weakref.ref(generate)

    def elements() -> Iterator[Any]:
        kept = alive()
        if kept is None:
            raise ReferenceError("the dataset of these elements is gone")
        return kept()

    dataset = tf.data.Dataset.from_generator(elements, output_signature=signature)
    dataset.generate = generate
    return dataset


class StreamedIds:
    """Labelled token ids that are made while texts are read: see `LabelledIds`.

    Texts are read in blocks, and shuffled and batched within a block. While one block
    is trained on, a thread of `tf.data` reads and encodes the next.

    Args:
        read: returns an iterator over all texts and labels, some at a time; called
            anew for every epoch.
        encode: from some texts and labels to token ids and class indices.
        count: the number of all texts.
        sample: token ids `(texts, timesteps)` of a random sample of the texts.
        max_length: tokens in the longest text.
        block_size: texts in memory at a time, at most.
    """

    def __init__(
        self,
        read: Callable[[], Iterator[tuple[list[str], list[str]]]],
        encode: Callable[[list[str], list[str]], IdsInMemory],
        *,
        count: int,
        sample: np.ndarray,
        max_length: int,
        block_size: int,
    ):
        self.read, self.encode, self.count = read, encode, count
        self.sample, self.max_length = sample, max_length
        self.num_blocks = max(1, -(-count // block_size))
        self.block_size = -(-count // self.num_blocks)

    def batches(
        self, *, batch_size: int, seed: int, num_lengths: int = 16, multiple: int = 1
    ) -> "StreamedBatches":
        num_tokens = np.append((self.sample != 0).sum(axis=1), self.max_length)
        lengths = choose_lengths(num_tokens, num_lengths, multiple)
        return StreamedBatches(self, batch_size, seed, lengths)

    def blocks(self, first: int = 0) -> Iterator[IdsInMemory]:
        """The blocks of an epoch in order, each of `block_size` texts.

        The last block is filled up with its own texts, so that steps compiled for one
        number of texts serve all blocks.

        Args:
            first: the block to begin with; the texts before it are read and dropped.
        """
        size = self.block_size
        parts: list[IdsInMemory] = []
        for part in self._encoded(first * size):
            parts.append(part)
            while sum(part.count for part in parts) >= size:
                joined = _concatenate(parts)
                yield joined.select(slice(size))
                parts = [joined.select(slice(size, None))]
        if any(part.count for part in parts):
            joined = _concatenate(parts)
            yield joined.select(np.arange(size) % joined.count)

    def _encoded(self, skipped: int) -> Iterator[IdsInMemory]:
        """All texts but the first `skipped`, encoded ahead in another thread."""
        refused: list[InputError] = []

        def encode_parts() -> Iterator[Batch]:
            left = skipped
            try:
                for texts, labels in self.read():
                    start, left = left, max(0, left - len(texts))
                    if start < len(texts):
                        encoded = self.encode(texts[start:], labels[start:])
                        yield encoded.ids, encoded.labels
            except InputError as error:
                refused.append(error)
                raise

        signature = (
            tf.TensorSpec((None, None), tf.int32),
            tf.TensorSpec((None,), tf.int32),
        )
        parts = generated_dataset(encode_parts, signature)
        try:
            for ids, labels in parts.prefetch(16).as_numpy_iterator():
                yield IdsInMemory(ids, labels)
        except tf.errors.OpError as error:
            # TensorFlow raises an error of its own in place of that of the thread.
            raise (refused[0] if refused else error) from error


class StreamedBatches:
    """The batches of `StreamedIds`, block after block: see `ResumableBatches`.

    Batches should be asked for in order; to begin within an epoch takes a pass over the
    texts before.
    """

    def __init__(
        self, source: StreamedIds, batch_size: int, seed: int, lengths: np.ndarray
    ):
        self.source, self.batch_size = source, batch_size
        self.seed, self.lengths, self.epoch = seed, lengths, 0
        self.batches_per_block = -(-source.block_size // batch_size)
        # The epoch and block that `_batches` are made of.
        self._loaded: tuple[int, int] | None = None

    def __len__(self) -> int:
        return self.source.num_blocks * self.batches_per_block

    def __getitem__(self, index: int) -> Batch:
        block, batch = divmod(index, self.batches_per_block)
        if self._loaded != (self.epoch, block):
            self._load(block)
        return self._batches[batch]

    def _load(self, block: int) -> None:
        if self._loaded is None or self._loaded != (self.epoch, block - 1):
            self._blocks = self.source.blocks(block)
        loaded = next(self._blocks)
        self._batches = Batches(
            loaded.ids,
            loaded.labels,
            batch_size=self.batch_size,
            seed=[self.seed, self.epoch, block],
            lengths=self.lengths,
            shares=num_shares(),
        )
        self._loaded = (self.epoch, block)

    def on_epoch_end(self) -> None:
        self.epoch += 1

    def get_state(self) -> int:
        """The number of the epoch, from which its order follows."""
        return self.epoch

    def set_state(self, state: int) -> None:
        self.epoch = state


def _concatenate(parts: list[IdsInMemory]) -> IdsInMemory:
    return IdsInMemory(
        concatenate_ids([part.ids for part in parts]),
        np.concatenate([part.labels for part in parts]),
    )
