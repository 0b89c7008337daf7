import numpy as np
import pytest

from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.scoring import LinearBaseline, score


def test_scores_by_their_definitions():
    true = list("aaaabbbbcc")
    predicted = list("aaabbbbaca")
    f1 = {}
    for name in "abc":
        hits = sum(t == p == name for t, p in zip(true, predicted, strict=True))
        precision = hits / predicted.count(name)
        recall = hits / true.count(name)
        f1[name] = 2 * precision * recall / (precision + recall)
    scores = score(true, predicted, ["a", "b", "c"])
    assert scores["accuracy"] == pytest.approx(0.7)
    assert scores["f1"] == pytest.approx(f1)
    assert scores["macro_f1"] == pytest.approx(np.mean(list(f1.values())))
    assert scores["n"] == 10


def test_a_class_that_never_occurs_scores_zero():
    assert score(["a", "b"], ["a", "b"], ["a", "b", "c"])["f1"]["c"] == 0.0


@pytest.mark.parametrize("unit", ["word", "character"])
def test_the_baseline_knows_pairs_of_neighbours_but_no_longer_order(unit):
    texts = ["x y", "y x"] * 10
    baseline = LinearBaseline(TextVectorizer(unit)).fit(texts, ["a", "b"] * 10)
    assert baseline.predict(["x y", "y x"]) == ["a", "b"]


def test_the_baseline_takes_an_empty_text():
    baseline = LinearBaseline(TextVectorizer()).fit(["x", "y", ""], ["a", "b", "b"])
    assert baseline.predict([""])[0] in ("a", "b")
