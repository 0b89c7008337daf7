"""Scores and intervals against scikit-learn, SciPy and simulations."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.metrics import accuracy_score, f1_score

from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.scoring import (
    METRICS,
    LinearBaseline,
    Scores,
    count_answers,
    fit_binary,
    score,
    share_interval,
)

# Scores of labels.


def test_scores_follow_their_definitions():
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


@pytest.mark.parametrize("counted", [False, True])
def test_scores_are_those_of_scikit_learn(counted):
    random = np.random.default_rng(0)
    true, predicted = random.choice(list("abcd"), (2, 60)).tolist()
    counts = random.integers(1, 9, 60).tolist() if counted else None
    scores = score(true, predicted, list("abce"), counts)
    weights = {"sample_weight": counts}
    accuracy = accuracy_score(true, predicted, **weights)
    assert scores["accuracy"] == pytest.approx(accuracy)
    f1 = f1_score(
        true, predicted, labels=list("abce"), average=None, zero_division=0, **weights
    )
    assert list(scores["f1"].values()) == pytest.approx(f1.tolist())
    assert scores["macro_f1"] == pytest.approx(f1.mean())
    assert scores["n"] == (sum(counts) if counted else 60)


def test_a_class_that_never_occurs_scores_zero():
    assert score(["a", "b"], ["a", "b"], ["a", "b", "c"])["f1"]["c"] == 0.0


def test_answers_counted_in_chunks_have_the_scores_of_all_texts():
    true, predicted = list("aaaabbbbcc"), list("aaabbbbaca")
    chunks = [(predicted[i : i + 3], true[i : i + 3]) for i in range(0, 10, 3)]
    answers = count_answers(lambda texts: texts, chunks)
    assert answers.score(list("abc")) == score(true, predicted, list("abc"))
    assert count_answers(lambda texts: texts, []) == ([], [], [])


# Intervals of proportions.


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (1, 30), (700, 1000)])
def test_the_interval_of_a_proportion_solves_wilsons_equation(hits, n):
    """The bounds p are those with |hits / n - p| = z sqrt(p (1 - p) / n)."""
    interval = share_interval(hits, n)
    assert interval.mean == hits / n
    z = stats.norm.isf(0.025)
    for bound in interval[1:]:
        deviation = z * np.sqrt(max(0.0, bound * (1 - bound)) / n)
        assert abs(hits / n - bound) == pytest.approx(deviation, abs=1e-9)
    assert interval.low <= interval.mean <= interval.high
    assert interval.low < interval.high


def test_a_fractional_number_of_hits_is_rounded_for_the_bounds_alone():
    near, whole = share_interval(0.7 * 30 + 1e-6, 30), share_interval(21, 30)
    assert near[1:] == whole[1:]
    assert near.mean == pytest.approx(0.7, abs=1e-6)


def test_without_trials_every_proportion_is_possible():
    assert share_interval(0, 0) == (0, 0, 1)


# Intervals of models' scores.


def simulate_runs(rng, skill, seeds, texts, spread):
    """Simulate answers where some texts are hard and some seeds are unlucky.

    Returns:
        For each model, 1 for a right and 0 for a wrong answer, `(seeds, texts)`.
    """
    hard = rng.normal(0, 1.5, texts)
    right = {}
    for model, mean in skill.items():
        luck = spread[model] * rng.normal(size=(seeds, 1))
        own = rng.normal(0, 0.5, texts)  # hard for this model only
        right[model] = rng.random((seeds, texts)) < expit(mean + luck + hard + own)
    return {model: answers.astype(int) for model, answers in right.items()}


def expected_accuracy(mean, spread):
    """Compute the expected accuracy of simulated runs by Gauss-Hermite quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    deviation = np.sqrt(1.5**2 + 0.5**2 + spread**2)
    return (expit(mean + deviation * nodes) * weights).sum() / weights.sum()


@pytest.mark.parametrize(
    ("spreads", "seeds"),
    [
        pytest.param((0.2, 0.2), 3, marks=pytest.mark.exhaustive),
        ((0.5, 0.5), 5),
        pytest.param((0.6, 0.0), 3, marks=pytest.mark.exhaustive),
    ],
)
def test_intervals_cover_the_true_difference_as_often_as_they_claim(spreads, seeds):
    rng = np.random.default_rng(0)
    skill = {"better": 1.3, "worse": 1.0}
    spread = dict(zip(skill, spreads, strict=True))
    truth = {m: expected_accuracy(mean, spread[m]) for m, mean in skill.items()}
    true, repeats = np.ones(300, int), 300
    covered, score_covered, one_run, means, widths = [], [], [], [], []
    for i in range(repeats):
        predicted = simulate_runs(rng, skill, seeds, 300, spread)
        scores = Scores(true, predicted, draws=300, seed=i)
        difference = scores.difference("better", "worse")
        value = truth["better"] - truth["worse"]
        covered.append(difference.low <= value <= difference.high)
        interval = scores.interval("better")
        score_covered.append(interval.low <= truth["better"] <= interval.high)
        means.append(difference.mean)
        widths.append(difference.high - difference.low)
        # One run of each model, which is what is usually reported.
        first = {m: p[:1] for m, p in predicted.items()}
        alone = Scores(true, first, draws=300, seed=i).difference("better", "worse")
        one_run.append(alone.low <= value <= alone.high)
    # With 300 repeats the standard error of a coverage of 0.95 is 0.013.
    assert np.mean(covered) > 0.925
    assert np.mean(score_covered) > 0.925
    # The intervals are not too wide: compared with Student's t and the true spread.
    narrowest = 2 * stats.t.isf(0.025, seeds - 1) * np.std(means)
    assert np.mean(widths) < 1.4 * narrowest
    if spreads[0] > 0.2:
        assert np.mean(one_run) < 0.85


@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_agree_with_scikit_learn_on_resampled_texts(classes):
    rng = np.random.default_rng(1)
    true = rng.integers(classes, size=40)
    predicted = rng.integers(classes, size=(3, 40))
    weights = rng.multinomial(40, np.full(40, 1 / 40), 5)
    weights[0] = 1
    for name, metric in METRICS.items():
        found = metric(true, predicted, classes)(weights.astype(float))
        for row, drawn in zip(found, weights, strict=True):
            again = np.repeat(np.arange(40), drawn)
            for value, answers in zip(row, predicted, strict=True):
                pair = true[again], answers[again]
                expected = (
                    accuracy_score(*pair)
                    if name == "accuracy"
                    # a class that is neither drawn nor predicted counts as 0
                    else f1_score(
                        *pair, average=None, labels=range(classes), zero_division=0
                    ).mean()
                )
                assert value == pytest.approx(expected)


def test_texts_that_are_hard_for_both_models_do_not_widen_their_difference():
    rng = np.random.default_rng(2)
    right = rng.random(400) < 0.6
    better = right.copy()
    better[np.flatnonzero(~right)[:20]] = True
    predicted = {"a": right[None].astype(int), "b": better[None].astype(int)}
    scores = Scores(np.ones(400, int), predicted)
    difference = scores.difference("b", "a")
    assert difference.mean == pytest.approx(0.05)
    assert 0 < difference.low < 0.05 < difference.high
    # The intervals of the two scores overlap all the same.
    assert scores.interval("b").low < scores.interval("a").high


def test_a_model_equals_itself_and_equal_seeds_give_equal_intervals():
    rng = np.random.default_rng(3)
    predicted = simulate_runs(rng, {"a": 1.0, "b": 1.0}, 4, 50, {"a": 0.3, "b": 0.3})
    scores = Scores(np.ones(50, int), predicted, seed=7)
    assert scores.difference("a", "a") == (0, 0, 0)
    again = Scores(np.ones(50, int), predicted, seed=7)
    assert scores.difference("a", "b") == again.difference("a", "b")
    low, high = scores.difference("a", "b")[1:]
    assert low < 0 < high


def test_a_class_without_test_texts_counts_for_every_model():
    true = np.array([0, 0, 1, 1])
    predicted = {"a": np.array([[0, 0, 1, 1]]), "b": np.array([[0, 2, 1, 1]])}
    scores = Scores(true, predicted, "macro_f1", classes=3)
    assert scores.mean["a"] == pytest.approx(2 / 3)
    assert scores.mean["b"] == pytest.approx((2 / 3 + 1) / 3)


def test_models_that_share_their_training_share_the_luck_of_their_seeds():
    """The seeds differ a lot; one model is the other with five more right answers."""
    rng = np.random.default_rng(4)
    one = (rng.random((4, 200)) < np.array([[0.5], [0.6], [0.7], [0.8]])).astype(int)
    other = one.copy()
    for row in other:
        row[np.flatnonzero(row == 0)[:5]] = 1
    scores = Scores(np.ones(200, int), {"one": one, "other": other})
    low, high = scores.interval("one")[1:]
    assert high - low > 0.3
    low, high = scores.difference("other", "one")[1:]
    assert 0 < low < 0.025 < high < 0.05


def test_an_interval_stays_within_the_possible_scores():
    runs = np.ones((3, 100), int)
    runs[0, :6] = 0
    assert Scores(np.ones(100, int), {"a": runs}).interval("a").high == 1.0


# The linear baseline.


@pytest.mark.parametrize("unit", ["word", "character"])
def test_the_baseline_sees_the_order_of_neighbouring_tokens(unit):
    texts = ["x y", "y x"] * 10
    baseline = LinearBaseline(TextVectorizer(unit)).fit(texts, ["a", "b"] * 10)
    assert baseline.predict(["x y", "y x"]) == ["a", "b"]


def test_the_baseline_accepts_an_empty_text():
    baseline = LinearBaseline(TextVectorizer()).fit(["x", "y", ""], ["a", "b", "b"])
    assert baseline.predict([""])[0] in ("a", "b")


def some_features(share: float) -> tuple[csr_matrix, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.random((400, 30)) * (rng.random((400, 30)) < 0.3)
    logits = features @ rng.normal(size=30) * 4
    return csr_matrix(features, dtype=np.float32), logits > np.quantile(
        logits, 1 - share
    )


@pytest.mark.parametrize("share", [0.5, 0.02])
@pytest.mark.parametrize("started", [False, True])
def test_the_weights_are_those_of_the_optimum(share, started):
    features, inside = some_features(share)
    signs = np.where(inside, 1, -1)

    def loss(both: np.ndarray) -> float:
        margins = signs * (features @ both[:-1] + both[-1])
        return 10 * np.logaddexp(0, -margins).sum() + both[:-1] @ both[:-1] / 2

    best = minimize(loss, np.zeros(31), method="BFGS")
    start = (np.ones(30), -1.0) if started else None
    weights, intercept = fit_binary(features, inside, 10.0, start)
    reached = loss(np.append(weights, intercept))
    assert best.fun <= reached + 1e-3
    assert reached < best.fun * 1.001
    assert best.fun < 0.8 * loss(np.zeros(31))
