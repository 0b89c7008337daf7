"""The vectorised n-grams against the same equations with dictionaries."""

from collections import Counter

import numpy as np
import pytest

from rnn_keras.models.ngrams import ngram_losses


def witten_bell(counts, highest):
    return {gram: (count, 1) for gram, count in counts.items()}


def kneser_ney(counts, highest):
    """Discounts from the equations; lower orders count the different tokens before."""
    if not highest:
        counts = Counter(past_and_token[1:] for past_and_token in counts)
    n = [sum(count == times for count in counts.values()) for times in (1, 2, 3, 4)]
    discounts = [0.5, 0.5, 0.5]
    if all(n):
        share = n[0] / (n[0] + 2 * n[1])
        discounts = [k - (k + 1) * share * n[k] / n[k - 1] for k in (1, 2, 3)]
        discounts = [max(discount, 0.1) for discount in discounts]
    taken = {gram: discounts[min(count, 3) - 1] for gram, count in counts.items()}
    return {g: (count - taken[g], taken[g]) for g, count in counts.items()}


def by_dictionaries(train, test, order, size, smoothing):
    grams = [
        Counter(tuple(train[i : i + n]) for i in range(len(train) - n + 1))
        for n in range(order + 2)
    ]

    def chance(past, token, highest=True):
        shorter = chance(past[1:], token, False) if past else 1 / size
        n = len(past) + 1
        counts = grams[n if highest or smoothing is witten_bell else n + 1]
        parts = smoothing(counts, highest)
        after = [part for gram, part in parts.items() if gram[:-1] == past]
        total = sum(kept + left for kept, left in after)
        if not after:
            return shorter
        kept, _ = parts.get((*past, token), (0, 0))
        return (kept + sum(left for _, left in after) * shorter) / total

    return [
        [
            -np.log(chance(tuple(test[max(0, i - n + 1) : i]), test[i]))
            for i in range(len(test))
        ]
        for n in range(1, order + 1)
    ]


@pytest.mark.parametrize("smoothing", [witten_bell, kneser_ney])
@pytest.mark.parametrize("length", [0, 1, 3, 300])
def test_losses_follow_the_equation(length, smoothing):
    random = np.random.default_rng(0)
    # Some symbols are rare, and one does not occur in training.
    train = random.choice(5, length, p=[0.6, 0.2, 0.15, 0.05, 0])
    test = random.integers(0, 5, 80)
    losses = ngram_losses(train, test, 4, 5, smoothing.__name__)
    expected = by_dictionaries(train.tolist(), test.tolist(), 4, 5, smoothing)
    np.testing.assert_allclose(losses, expected, rtol=1e-9)


@pytest.mark.parametrize("smoothing", ["witten_bell", "kneser_ney"])
def test_probabilities_after_every_context_sum_to_one(smoothing):
    random = np.random.default_rng(1)
    train = random.integers(0, 4, 200)
    for past in ([0, 1], [3, 3], [2, 0]):
        rows = [
            ngram_losses(train, np.array([*past, w]), 3, 4, smoothing)[:, -1]
            for w in range(4)
        ]
        np.testing.assert_allclose(np.exp(-np.array(rows)).sum(axis=0), 1)


def test_a_token_that_always_follows_the_same_is_unlikely_after_others():
    """Francisco is frequent but only follows San: the idea of Kneser and Ney."""
    san, francisco, other = 0, 1, 2
    random = np.random.default_rng(0)
    rest = random.integers(3, 9, 600)
    train = np.concatenate([[*pair, san, francisco] for pair in rest.reshape(-1, 2)])
    train = np.concatenate([train, np.repeat(np.arange(2, 9), 40)])
    # The context, id 9, does not occur in training.
    of_both = [
        np.exp(-ngram_losses(train, np.array([9, w]), 2, 10)[1, 1])
        for w in (francisco, other)
    ]
    assert (train == francisco).sum() > (train == other).sum()
    assert of_both[0] < of_both[1]


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
    with pytest.raises(ValueError, match="`smoothing` must be one of"):
        ngram_losses(np.array([0]), np.array([1]), 1, 5, "none")
