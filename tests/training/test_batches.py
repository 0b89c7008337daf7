"""Batches by length, from arrays and from texts that are read meanwhile."""

import gc
import itertools
import weakref

import numpy as np
import pytest

from rnn_keras.training.batches import (
    Batches,
    IdsInMemory,
    StreamedIds,
    as_dataset,
    choose_lengths,
)


def some_ids(n=100, longest=12):
    random = np.random.default_rng(0)
    ids = np.zeros((n, longest), np.int32)
    for i, row in enumerate(ids):
        row[: random.integers(0, longest + 1)] = i + 1
    return ids


def drawn(batches):
    return [batches[i] for i in range(len(batches))]


def padded(fixed, lengths):
    return fixed[np.searchsorted(fixed, lengths)].sum()


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize(("seed", "multiple"), [(0, 1), (1, 2), (2, 4)])
def test_no_other_choose_lengths_need_less_padding(count, seed, multiple):
    lengths = np.random.default_rng(seed).integers(0, 15, 30)
    fixed = choose_lengths(lengths, count, multiple)
    possible = range(multiple, lengths.max() + multiple, multiple)
    choices = [
        np.array(choice)
        for size in range(1, count + 1)
        for choice in itertools.combinations(possible, size)
        if choice[-1] >= lengths.max()
    ]
    assert len(fixed) <= count
    assert padded(fixed, lengths) == min(padded(c, lengths) for c in choices)


def test_choose_lengths_are_multiples_increasing_and_enough():
    lengths = np.random.default_rng(0).integers(0, 99, 500)
    fixed = choose_lengths(lengths, 5, 4)
    assert len(fixed) == 5
    assert (np.diff(fixed) > 0).all()
    assert not (fixed % 4).any()
    assert fixed[-1] >= lengths.max()


@pytest.mark.parametrize("lengths", [[0], [0, 0], [1], [7, 7]])
def test_texts_of_one_length_have_one_fixed_length(lengths):
    assert len(choose_lengths(np.array(lengths), 4)) == 1


@pytest.mark.parametrize("num_lengths", [1, 3, 16])
def test_a_batch_holds_whole_texts_with_their_labels(num_lengths):
    ids = some_ids()
    batches = Batches(
        ids, np.arange(100), batch_size=8, num_lengths=num_lengths, seed=0
    )
    seen = set()
    for x, y in drawn(batches):
        seen.add(x.shape[1])
        np.testing.assert_array_equal(x, ids[y, : x.shape[1]])
        assert not ids[y, x.shape[1] :].any()
    assert len(seen) <= num_lengths


def test_ids_are_padded_to_a_multiple():
    ids = np.ones((4, 5), np.int32)
    x, _ = Batches(ids, np.zeros(4), batch_size=4, multiple=4)[0]
    assert x.shape == (4, 8)
    assert not x[:, 5:].any()
    assert Batches(ids, np.zeros(4), batch_size=4)[0][0].shape == (4, 5)


@pytest.mark.parametrize("n", [1, 7, 32, 33, 100])
def test_every_epoch_has_every_text_and_batches_of_one_size(n):
    batches = Batches(some_ids(n), np.arange(n), batch_size=32, seed=0)
    for _ in range(2):
        labels = [y for _, y in drawn(batches)]
        assert {len(y) for y in labels} == {batches.batch_size}
        assert set(np.concatenate(labels)) == set(range(n))
        # Fewer are drawn twice than there are batches.
        assert len(np.concatenate(labels)) - n < len(batches)
        batches.on_epoch_end()


def test_without_a_seed_every_text_comes_once_in_one_order():
    batches = Batches(some_ids(), np.arange(100), batch_size=32)
    first = [y.tolist() for _, y in drawn(batches)]
    batches.on_epoch_end()
    assert [y.tolist() for _, y in drawn(batches)] == first
    assert sorted(itertools.chain(*first)) == list(range(100))


def test_the_seed_fixes_the_order_and_epochs_differ():
    def epochs(seed):
        batches = Batches(some_ids(), np.arange(100), batch_size=8, seed=seed)
        first = [y.tolist() for _, y in drawn(batches)]
        batches.on_epoch_end()
        return first, [y.tolist() for _, y in drawn(batches)]

    assert epochs(1) == epochs(1)
    assert epochs(1) != epochs(2)
    first, second = epochs(1)
    assert first != second


def test_texts_that_come_together_change_from_epoch_to_epoch():
    batches = Batches(some_ids(), np.arange(100), batch_size=10, num_lengths=2, seed=0)
    first = {frozenset(y.tolist()) for _, y in drawn(batches)}
    batches.on_epoch_end()
    assert first.isdisjoint(frozenset(y.tolist()) for _, y in drawn(batches))


def test_few_lengths_leave_little_padding():
    random = np.random.default_rng(0)
    ids = np.zeros((1000, 100), np.int32)
    for row in ids:
        row[: min(100, 1 + int(random.exponential(15)))] = 1
    batches = Batches(ids, np.zeros(1000), batch_size=10, num_lengths=8, seed=0)
    real = (ids != 0).sum()
    assert real <= sum(x.size for x, _ in drawn(batches)) < 1.5 * real < ids.size


# Numbered texts that are read 20 at a time.
COUNT = 103
RANDOM = np.random.default_rng(0)
LENGTHS = RANDOM.integers(1, 9, COUNT)


def read():
    """Numbered texts of their lengths, 20 at a time."""
    for start in range(0, COUNT, 20):
        numbers = range(start, min(start + 20, COUNT))
        yield [f"{i} " * LENGTHS[i] for i in numbers], [str(i) for i in numbers]


def encode(texts, labels):
    ids = np.zeros((len(texts), max(len(t.split()) for t in texts)), np.int32)
    for row, text in zip(ids, texts, strict=True):
        tokens = [int(token) + 1 for token in text.split()]
        row[: len(tokens)] = tokens
    return IdsInMemory(ids, np.array([int(label) for label in labels], np.int32))


def source(block_size=40):
    sample = encode(*next(read())).ids
    return StreamedIds(
        read, encode, count=COUNT, sample=sample, max_length=8, block_size=block_size
    )


def streamed_batches(block_size=40, batch_size=10, seed=1):
    return source(block_size).batches(batch_size=batch_size, seed=seed, num_lengths=3)


def epoch(streamed):
    found = [streamed[i] for i in range(len(streamed))]
    streamed.on_epoch_end()
    return found


def test_blocks_hold_the_texts_in_their_order_and_are_alike():
    blocks = list(source().blocks())
    assert [block.count for block in blocks] == [35, 35, 35]
    labels = np.concatenate([block.labels for block in blocks])
    # The last is filled up with its own texts.
    assert labels.tolist() == [*range(COUNT), 70, 71]
    for block in blocks:
        for row, label in zip(block.ids, block.labels, strict=True):
            assert row[row > 0].tolist() == [label + 1] * LENGTHS[label]


@pytest.mark.parametrize("first", [1, 2])
def test_reading_may_begin_with_a_later_block(first):
    expected = list(source().blocks())[first:]
    for found, wanted in zip(source().blocks(first), expected, strict=True):
        np.testing.assert_array_equal(found.ids, wanted.ids)
        np.testing.assert_array_equal(found.labels, wanted.labels)


@pytest.mark.parametrize(("block_size", "batch_size"), [(40, 10), (200, 16), (30, 7)])
def test_an_epoch_has_every_text_in_batches_of_one_size(block_size, batch_size):
    streamed = streamed_batches(block_size, batch_size)
    found = epoch(streamed)
    sizes = {len(labels) for _, labels in found}
    assert len(sizes) == 1
    assert sizes.pop() <= batch_size
    labels = np.concatenate([labels for _, labels in found])
    assert set(labels) == set(range(COUNT))
    # Few are there twice: what fills up the last block, and a batch of each.
    assert len(labels) - COUNT < batch_size * streamed.source.num_blocks + block_size
    assert {ids.shape[1] for ids, _ in found} <= set(streamed.lengths)
    for ids, labels in found:
        assert ((ids > 0).sum(axis=1) == LENGTHS[labels]).all()


def test_epochs_differ_and_the_seed_fixes_them():
    streamed, again, other = (
        streamed_batches(),
        streamed_batches(),
        streamed_batches(seed=2),
    )
    orders = [
        [np.concatenate([labels for _, labels in epoch(b)]).tolist() for _ in range(2)]
        for b in (streamed, again, other)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][0] != orders[0][1]


def test_anywhere_in_an_epoch_it_can_be_taken_up():
    streamed = streamed_batches()
    epoch(streamed)
    state, expected = streamed.get_state(), epoch(streamed)
    for first in (0, 3, 4, 7, len(expected) - 1):
        again = streamed_batches()
        again[0]  # as for a step that only makes variables
        again.set_state(state)
        for i in range(first, len(expected)):
            for found, wanted in zip(again[i], expected[i], strict=True):
                np.testing.assert_array_equal(found, wanted)


def test_all_in_one_block_is_as_in_memory():
    """The same batches as those of `Batches`, with the block's seed."""
    streamed = streamed_batches(block_size=COUNT)
    block = next(source(COUNT).blocks())
    whole = Batches(
        block.ids, block.labels, batch_size=10, seed=[1, 0, 0], lengths=streamed.lengths
    )
    assert len(streamed) == len(whole)
    for i in range(len(whole)):
        for found, wanted in zip(streamed[i], whole[i], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_a_dataset_keeps_its_batches_for_as_long_as_it_is_read():
    batches = Batches(some_ids(8), np.zeros(8, int), batch_size=4)
    alive = weakref.ref(batches)
    iterator = iter(as_dataset(batches).prefetch(2).repeat(2))
    del batches
    gc.collect()
    assert len(list(iterator)) == 4
    del iterator
    gc.collect()
    assert alive() is None
