import numpy as np
import pytest
from scipy import stats
from scipy.special import expit
from sklearn.metrics import accuracy_score, f1_score

from rnn_keras.scoring import METRICS, Scores


def runs(rng, skill, seeds, texts, spread):
    """Right or wrong answers: some texts are hard, some seeds unlucky."""
    hard = rng.normal(0, 1.5, texts)
    right = {}
    for model, mean in skill.items():
        luck = spread[model] * rng.normal(size=(seeds, 1))
        own = rng.normal(0, 0.5, texts)  # hard for this model only
        right[model] = rng.random((seeds, texts)) < expit(mean + luck + hard + own)
    return {model: answers.astype(int) for model, answers in right.items()}


def known(mean, spread):
    """The share that is right in the long run, by quadrature over what is drawn."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    deviation = np.sqrt(1.5**2 + 0.5**2 + spread**2)
    return (expit(mean + deviation * nodes) * weights).sum() / weights.sum()


@pytest.mark.parametrize(
    ("spreads", "seeds"), [((0.2, 0.2), 3), ((0.5, 0.5), 5), ((0.6, 0.0), 3)]
)
def test_intervals_hold_the_known_difference_as_often_as_they_say(spreads, seeds):
    rng = np.random.default_rng(0)
    skill = {"better": 1.3, "worse": 1.0}
    spread = dict(zip(skill, spreads, strict=True))
    truth = {m: known(mean, spread[m]) for m, mean in skill.items()}
    true, repeats = np.ones(300, int), 300
    held, held_score, blind, means, widths = [], [], [], [], []
    for i in range(repeats):
        predicted = runs(rng, skill, seeds, 300, spread)
        scores = Scores(true, predicted, draws=300, seed=i)
        difference = scores.difference("better", "worse")
        value = truth["better"] - truth["worse"]
        held.append(difference.low <= value <= difference.high)
        interval = scores.interval("better")
        held_score.append(interval.low <= truth["better"] <= interval.high)
        means.append(difference.mean)
        widths.append(difference.high - difference.low)
        # One seed each, taken for all there is: what is usually reported.
        first = {m: p[:1] for m, p in predicted.items()}
        alone = Scores(true, first, draws=300, seed=i).difference("better", "worse")
        blind.append(alone.low <= value <= alone.high)
    # 300 repeats: the standard error of a share of 0.95 is 0.013.
    assert np.mean(held) > 0.925
    assert np.mean(held_score) > 0.925
    # Not by being wide: against what Student's t would make of the true spread.
    narrowest = 2 * stats.t.isf(0.025, seeds - 1) * np.std(means)
    assert np.mean(widths) < 1.4 * narrowest
    if spreads[0] > 0.2:
        assert np.mean(blind) < 0.85


@pytest.mark.parametrize("classes", [2, 4])
def test_metrics_are_scikit_learns_with_the_texts_drawn_again(classes):
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
                    # a class that is neither drawn nor given counts as 0
                    else f1_score(
                        *pair, average=None, labels=range(classes), zero_division=0
                    ).mean()
                )
                assert value == pytest.approx(expected)


def test_what_is_hard_for_both_does_not_blur_their_difference():
    rng = np.random.default_rng(2)
    right = rng.random(400) < 0.6
    better = right.copy()
    better[np.flatnonzero(~right)[:20]] = True
    predicted = {"a": right[None].astype(int), "b": better[None].astype(int)}
    scores = Scores(np.ones(400, int), predicted)
    difference = scores.difference("b", "a")
    assert difference.mean == pytest.approx(0.05)
    assert 0 < difference.low < 0.05 < difference.high
    # The two intervals overlap all the same.
    assert scores.interval("b").low < scores.interval("a").high


def test_a_model_does_not_differ_from_itself_and_equal_seeds_draw_alike():
    rng = np.random.default_rng(3)
    predicted = runs(rng, {"a": 1.0, "b": 1.0}, 4, 50, {"a": 0.3, "b": 0.3})
    scores = Scores(np.ones(50, int), predicted, seed=7)
    assert scores.difference("a", "a") == (0, 0, 0)
    again = Scores(np.ones(50, int), predicted, seed=7)
    assert scores.difference("a", "b") == again.difference("a", "b")
    low, high = scores.difference("a", "b")[1:]
    assert low < 0 < high


def test_a_class_that_no_test_text_has_counts_for_every_model_alike():
    true = np.array([0, 0, 1, 1])
    predicted = {"a": np.array([[0, 0, 1, 1]]), "b": np.array([[0, 2, 1, 1]])}
    scores = Scores(true, predicted, "macro_f1", classes=3)
    assert scores.mean["a"] == pytest.approx(2 / 3)
    assert scores.mean["b"] == pytest.approx((2 / 3 + 1) / 3)


def test_parts_of_one_training_share_its_luck():
    """Seeds differ much, but one model is the other with five more texts right."""
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


def test_an_interval_stays_among_the_scores_there_are():
    runs = np.ones((3, 100), int)
    runs[0, :6] = 0
    assert Scores(np.ones(100, int), {"a": runs}).interval("a").high == 1.0
