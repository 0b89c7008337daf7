"""The linear path beside scikit-learn's TF-IDF and logistic regression."""

import re
from collections import Counter

import keras
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from rnn_keras.layers.ngram_logits import (
    KEY_MULTIPLIER,
    LinearPath,
    fit_linear_path,
    ngram_keys,
)


def some_texts(classes, n=60, vocabulary=12, longest=9, seed=0):
    """Ids of random texts, some empty. Each class prefers words of its own."""
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    likes = random.dirichlet(np.full(vocabulary, 0.5), classes)
    ids = np.zeros((n, longest), np.int32)
    for row, label in zip(ids, labels, strict=True):
        length = random.integers(0, longest + 1)
        row[:length] = 1 + random.choice(vocabulary, length, p=likes[label])
    return ids, labels


def listed(row, max_ngram):
    """The n-grams of a text as strings, straight from their definition."""
    words = [str(i) for i in row if i]
    if not words:
        return []
    marked = ["0", *words, "0"]
    found = list(words)
    for n in range(2, max_ngram + 1):
        found += [" ".join(marked[i : i + n]) for i in range(len(marked) - n + 1)]
    return found


@pytest.mark.parametrize("max_ngram", [1, 2, 3])
def test_ngrams_are_those_of_a_text(max_ngram):
    ids, _ = some_texts(2)
    keys, real = map(np.asarray, ngram_keys(ids, max_ngram))
    # Which texts have a key, and which texts have an n-gram.
    with_key, with_name = {}, {}
    for i, (row, found, is_real) in enumerate(zip(ids, keys, real, strict=True)):
        for key in set(found[is_real].tolist()):
            with_key.setdefault(key, []).append(i)
        for name in set(listed(row, max_ngram)):
            with_name.setdefault(name, []).append(i)
    assert sorted(with_key.values()) == sorted(with_name.values())


def test_no_two_pairs_of_ids_share_a_key():
    # If (a, c) and (b, d) share a key, (a - b) * multiplier = d - c, modulo 2**32.
    apart = np.arange(1, 52_000, dtype=np.int64) * KEY_MULTIPLIER % 2**32
    assert np.minimum(apart, 2**32 - apart).min() >= 52_000
    keys, real = map(np.asarray, ngram_keys(np.array([[51_999, 7]], np.int32), 2))
    last = KEY_MULTIPLIER**2 + 7 * KEY_MULTIPLIER
    assert int(keys[real][-1]) % 2**32 == last % 2**32


@pytest.mark.parametrize(("classes", "max_ngram"), [(2, 1), (2, 2), (4, 3)])
def test_logits_are_those_of_scikit_learn(classes, max_ngram):
    ids, labels = some_texts(classes)
    others, _ = some_texts(classes, seed=1)
    path = LinearPath.from_texts(ids, labels, classes, max_ngram=max_ngram)
    tfidf = TfidfVectorizer(analyzer=lambda row: listed(row, max_ngram), binary=True)
    features = tfidf.fit_transform(ids).toarray()
    expected = []
    for label in range(classes):
        inside = labels == label
        scales = []
        for name in tfidf.get_feature_names_out():
            has = np.array([name in listed(row, max_ngram) for row in ids])
            # Two further texts, divided between the classes as all texts are.
            shares = [
                (has[part].sum() + 2 * part.mean()) / part.sum()
                for part in (inside, ~inside)
            ]
            scales.append(np.sqrt(0.5 + abs(np.log(shares[0] / shares[1]))))
        model = LogisticRegression(C=10, max_iter=1000, tol=1e-8)
        model.fit(features * scales, inside)
        new = tfidf.transform(others).toarray() * scales
        expected.append(model.decision_function(new))
    expected = np.stack(expected, axis=1)
    if classes == 2:
        expected /= 2  # so that their difference is that of one model
    np.testing.assert_allclose(path.predict(others), expected, atol=0.02)
    assert np.ptp(expected) > 1


@pytest.mark.parametrize("classes", [2, 4])
def test_a_fit_that_begins_with_another_ends_at_the_same_weights(classes):
    ids, labels = some_texts(classes)
    others = some_texts(classes, seed=1)[0]
    most = LinearPath.from_texts(ids[:-30], labels[:-30], classes)
    cold = LinearPath.from_texts(ids, labels, classes).predict(others)
    warm = LinearPath.from_texts(ids, labels, classes, start=most).predict(others)
    np.testing.assert_allclose(warm, cold, atol=0.02)
    assert np.abs(most.predict(others) - cold).max() > 0.2


def test_padding_and_company_change_nothing():
    ids, labels = some_texts(3)
    path = LinearPath.from_texts(ids, labels, 3, max_ngram=3)
    together = path.predict(ids)
    padded = path.predict(np.pad(ids, ((0, 0), (0, 7))))
    np.testing.assert_allclose(padded, together, atol=1e-5)
    for row, expected in zip(ids[:12], together[:12], strict=True):
        alone = path.predict(row[np.newaxis, : max(1, np.count_nonzero(row))])
        np.testing.assert_allclose(alone[0], expected, atol=1e-5)


def test_the_ngrams_that_occur_in_most_texts_are_kept():
    ids, labels = some_texts(2)
    whole = LinearPath.from_texts(ids, labels, 2)
    some = LinearPath.from_texts(ids, labels, 2, max_rows=20)
    assert some.rows == 20 < whole.rows
    in_texts = Counter(name for row in ids for name in set(listed(row, 2)))
    least = sorted(in_texts.values())[-20]
    frequency = (1 + len(ids)) / (1 + least)
    assert np.all(np.asarray(some.table)[:, -1] <= (1 + np.log(frequency)) ** 2 + 1e-4)
    assert np.all(np.diff(np.asarray(some.keys)) > 0)


def test_no_texts_have_no_logits():
    path = LinearPath.from_texts(*some_texts(2), 2)
    assert path.predict(np.zeros((0, 1), np.int32)).shape == (0, 2)


def test_an_unfitted_layer_adds_nothing():
    logits = np.array([[1.0, -2.0]], np.float32)
    np.testing.assert_array_equal(LinearPath(2, 5)(np.array([[1, 2]]), logits), logits)


def test_the_scales_make_held_out_texts_most_probable():
    ids, labels = some_texts(3, n=1500)
    path = LinearPath.from_texts(ids[:100], labels[:100], 3, max_ngram=1)
    held, wanted = ids[100:], labels[100:]
    rows = np.arange(len(wanted))
    useful = np.random.default_rng(2).normal(size=(len(wanted), 3))
    useful[rows, wanted] += 2

    def loss():
        both = path(held, useful.astype(np.float32))
        return -log_softmax(np.asarray(both), axis=1)[rows, wanted].mean()

    path.fit_scales(held, useful, wanted)
    found = np.asarray(path.scales)
    best = loss()
    assert np.all(found > 0.1)
    for change in ([0.3, 0], [-0.3, 0], [0, 0.3], [0, -0.3]):
        path.scales.assign(found + change)
        assert loss() > best
    path.fit_scales(held, np.zeros_like(useful), wanted)
    # Logits that say nothing leave the scale at its prior value.
    assert float(path.scales[0]) == pytest.approx(1, abs=0.01)


def test_few_held_out_texts_move_the_scales_little():
    ids, labels = some_texts(2)
    path = LinearPath.from_texts(ids, labels, 2, max_ngram=1)
    right = np.where(np.eye(2)[labels[:2]] > 0, 50.0, -50.0)
    path.fit_scales(ids[:2], right, labels[:2])
    assert np.all(np.abs(np.asarray(path.scales) - [1, 0.5]) < 0.6)


def test_linear_path_learns_from_both_parts():
    ids, labels = some_texts(3, n=200)
    logits = np.zeros((50, 3), np.float32)
    path = fit_linear_path(
        logits, (ids[:150, :8], labels[:150]), (ids[150:], labels[150:]), max_ngram=2
    )
    every = np.concatenate([np.pad(ids[:150, :8], ((0, 0), (0, 1))), ids[150:]])
    whole = LinearPath.from_texts(every, labels, 3)
    np.testing.assert_allclose(path.predict(ids), whole.predict(ids), atol=0.02)
    without_tokens = (np.zeros_like(ids[:9]), labels[:9])
    of_one_class = (ids[:9], np.zeros(9, int))
    for data in (without_tokens, of_one_class):
        held_out = (ids[150:], labels[150:])
        assert fit_linear_path(logits, data, held_out, max_ngram=2) is None


def test_a_class_that_is_missing_is_the_least_probable():
    ids, labels = some_texts(2)
    path = LinearPath.from_texts(ids, labels * 2, 3, max_ngram=1)
    logits = path.predict(ids)
    assert np.all(np.isfinite(logits))
    assert not np.any(logits.argmax(axis=1) == 1)


def test_a_saved_model_has_the_path(tmp_path):
    ids, labels = some_texts(2)
    path = LinearPath.from_texts(ids, labels, 2)
    path.fit_scales(ids, np.zeros((len(ids), 2)), labels)
    tokens = keras.Input((None,), dtype="int32")
    embedded = keras.layers.Embedding(16, 2)(tokens)
    model = keras.Model(
        tokens, path(tokens, keras.layers.GlobalMaxPooling1D()(embedded))
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(ids), model(ids))
    assert len(loaded.trainable_variables) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 0}, "`num_classes` must be at least 1. Received: 0"),
        ({"max_ngram": 0}, "`max_ngram` must be at least 1. Received: 0"),
        ({"rows": 0}, "`rows` must be at least 1. Received: 0"),
    ],
)
def test_sizes_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        LinearPath(**{"num_classes": 2, "rows": 5, **arguments})
