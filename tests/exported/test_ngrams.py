"""The linear model in NumPy against one that counts n-grams in a dictionary."""

import numpy as np
import pytest

from rnn_keras.exported.ngrams import KEY_MULTIPLIER, LinearModel

IDS = np.array(
    [
        [2, 3, 2, 3, 2, 3],  # repeated n-grams
        [5, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 0],
        [4, 2, 3, 0, 0, 0],
        [6, 6, 6, 6, 0, 0],  # unknown ones
    ]
)


def ngrams_of(row, max_ngram):
    """All n-grams of a text, with a 0 at each end of it."""
    tokens = [0, *row[row != 0].tolist(), 0]
    if len(tokens) == 2:
        return set()
    runs = {
        tuple(tokens[i : i + n])
        for n in range(2, max_ngram + 1)
        for i in range(len(tokens) - n + 1)
    }
    return runs | {(token,) for token in tokens[1:-1]}


def key_of(ngram):
    key = 1
    for token in ngram:
        key = key * KEY_MULTIPLIER + token
    return (key + 2**31) % 2**32 - 2**31


@pytest.mark.parametrize("max_ngram", [1, 2, 3, 100])
def test_logits_are_the_sums_of_the_known_ngrams(max_ngram):
    known = sorted(ngrams_of(IDS[0], 2) | ngrams_of(IDS[3], 3), key=key_of)
    random = np.random.default_rng(0)
    table = random.uniform(0.1, 1, (len(known), 3)).astype(np.float32)
    bias = np.array([0.5, -0.5], np.float32)
    scales = np.array([2.0, 0.5], np.float32)
    keys = np.array([key_of(ngram) for ngram in known], np.int32)
    model = LinearModel(max_ngram, keys, table, bias, scales)

    expected = []
    for row in IDS:
        has = ngrams_of(row, max_ngram)
        total = sum((table[i] for i, n in enumerate(known) if n in has), np.zeros(3))
        norm = np.sqrt(total[-1]) or 1
        expected.append(total[:-1] / norm + bias)
    np.testing.assert_allclose(model.logits(IDS), expected, rtol=1e-5)
    wider = np.pad(IDS, ((0, 0), (0, 3)))
    np.testing.assert_allclose(model.logits(wider), expected, rtol=1e-5)
    network = np.ones((len(IDS), 2), np.float32)
    np.testing.assert_allclose(
        model.add_to(network, IDS), 2 + 0.5 * np.array(expected), rtol=1e-5
    )
