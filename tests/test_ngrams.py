"""The vectorised n-grams against the same equation, gram by gram, with dictionaries."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from rnn_keras.ngrams import ngram_losses


def by_dictionaries(train, test, order, size):
    counts, followers = Counter(), defaultdict(set)
    for n in range(1, order + 1):
        for i in range(len(train) - n + 1):
            *past, token = train[i : i + n]
            counts[(*past, token)] += 1
            followers[tuple(past)].add(token)

    def chance(past, token):
        shorter = chance(past[1:], token) if past else 1 / size
        total = sum(counts[(*past, w)] for w in followers[past])
        types = len(followers[past])
        if not total:
            return shorter
        return (counts[(*past, token)] + types * shorter) / (total + types)

    return [
        [
            -np.log(chance(tuple(test[max(0, i - n + 1) : i]), test[i]))
            for i in range(len(test))
        ]
        for n in range(1, order + 1)
    ]


@pytest.mark.parametrize("length", [0, 1, 3, 300])
def test_losses_follow_the_equation(length):
    random = np.random.default_rng(0)
    # Some symbols are rare, and one is never seen in training.
    train = random.choice(5, length, p=[0.6, 0.2, 0.15, 0.05, 0])
    test = random.integers(0, 5, 80)
    losses = ngram_losses(train, test, 4, 5)
    expected = by_dictionaries(train.tolist(), test.tolist(), 4, 5)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)


def test_chances_after_every_past_sum_to_one():
    random = np.random.default_rng(1)
    train = random.integers(0, 4, 200)
    for past in ([0, 1], [3, 3], [2, 0]):
        rows = [
            ngram_losses(train, np.array([*past, w]), 3, 4)[:, -1] for w in range(4)
        ]
        np.testing.assert_allclose(np.exp(-np.array(rows)).sum(axis=0), 1)


def test_counting_pairs_finds_what_follows_what():
    stream = np.tile([0, 1, 2], 500)
    unigram, bigram = ngram_losses(stream, stream[1:301], 2, 3).mean(axis=1)
    assert unigram == pytest.approx(np.log(3), abs=1e-3)
    assert bigram < 0.01


@pytest.mark.parametrize(
    ("ids", "order", "message"),
    [
        ([0, 1], 0, "`order` must be at least 1. Received: 0"),
        ([0, 7], 2, "ids must be 0 to 4. Received: 0 to 7"),
        ([-1, 0], 2, "ids must be 0 to 4. Received: -1 to 1"),
        ([0, 1], 30, "`order` 30 is too high for a vocabulary of 5"),
    ],
)
def test_what_cannot_be_counted_is_said(ids, order, message):
    with pytest.raises(ValueError, match=message):
        ngram_losses(np.array(ids), np.array([1]), order, 5)
