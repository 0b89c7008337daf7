"""Windows of texts that are read while they are trained on."""

import numpy as np
import pytest

from rnn_keras.training.batches import Batches, StreamedIds

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
    return ids, np.array([int(label) for label in labels], np.int32)


def source(window=40):
    sample = encode(*next(read()))[0]
    return StreamedIds(
        read, encode, count=COUNT, sample=sample, max_length=8, window=window
    )


def batches(window=40, batch_size=10, seed=1):
    return source(window).batches(batch_size=batch_size, seed=seed, num_lengths=3)


def epoch(streamed):
    found = [streamed[i] for i in range(len(streamed))]
    streamed.on_epoch_end()
    return found


def test_windows_hold_the_texts_in_their_order_and_are_alike():
    windows = list(source().windows())
    assert [len(labels) for _, labels in windows] == [35, 35, 35]
    labels = np.concatenate([labels for _, labels in windows])
    # The last is filled up with its own texts.
    assert labels.tolist() == [*range(COUNT), 70, 71]
    for ids, labels in windows:
        for row, label in zip(ids, labels, strict=True):
            assert row[row > 0].tolist() == [label + 1] * LENGTHS[label]


@pytest.mark.parametrize("first", [1, 2])
def test_reading_may_begin_with_a_later_window(first):
    expected = list(source().windows())[first:]
    for (ids, labels), (other, others) in zip(
        source().windows(first), expected, strict=True
    ):
        np.testing.assert_array_equal(ids, other)
        np.testing.assert_array_equal(labels, others)


@pytest.mark.parametrize(("window", "batch_size"), [(40, 10), (200, 16), (30, 7)])
def test_an_epoch_has_every_text_in_batches_of_one_size(window, batch_size):
    streamed = batches(window, batch_size)
    found = epoch(streamed)
    sizes = {len(labels) for _, labels in found}
    assert len(sizes) == 1
    assert sizes.pop() <= batch_size
    labels = np.concatenate([labels for _, labels in found])
    assert set(labels) == set(range(COUNT))
    # Few are there twice: what fills up the last window, and a batch of each.
    assert len(labels) - COUNT < batch_size * streamed.source.num_windows + window
    assert {ids.shape[1] for ids, _ in found} <= set(streamed.fixed)
    for ids, labels in found:
        assert ((ids > 0).sum(axis=1) == LENGTHS[labels]).all()


def test_epochs_differ_and_the_seed_fixes_them():
    streamed, again, other = batches(), batches(), batches(seed=2)
    orders = [
        [np.concatenate([labels for _, labels in epoch(b)]).tolist() for _ in range(2)]
        for b in (streamed, again, other)
    ]
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][0] != orders[0][1]


def test_anywhere_in_an_epoch_it_can_be_taken_up():
    streamed = batches()
    epoch(streamed)
    state, expected = streamed.get_state(), epoch(streamed)
    for first in (0, 3, 4, 7, len(expected) - 1):
        again = batches()
        again[0]  # as for a step that only makes variables
        again.set_state(state)
        for i in range(first, len(expected)):
            for found, wanted in zip(again[i], expected[i], strict=True):
                np.testing.assert_array_equal(found, wanted)


def test_all_in_one_window_is_as_in_memory():
    """The same batches as those of `Batches`, with the window's seed."""
    streamed = batches(window=COUNT)
    ids, labels = next(source(COUNT).windows())
    whole = Batches(ids, labels, batch_size=10, seed=[1, 0, 0], fixed=streamed.fixed)
    assert len(streamed) == len(whole)
    for i in range(len(whole)):
        for found, wanted in zip(streamed[i], whole[i], strict=True):
            np.testing.assert_array_equal(found, wanted)
