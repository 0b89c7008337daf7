"""Each check on histories and scores that are made to show one fault."""

import math

import numpy as np
import pytest

from rnn_keras.doctor import training_checks as checks

HEALTHY = {
    "loss": [0.69, 0.4, 0.2, 0.15],
    "val_loss": [0.6, 0.42, 0.3, 0.31],
    "accuracy": [0.5, 0.8, 0.92, 0.95],
    "val_accuracy": [0.6, 0.8, 0.9, 0.9],
}


def test_a_healthy_history_passes_all_checks():
    assert checks.loss_not_finite(HEALTHY) is None
    assert checks.loss_jumps(HEALTHY) is None
    assert checks.loss_at_chance(HEALTHY, [0.5, 0.5]) is None
    assert checks.overfitting(HEALTHY, trained=1000, validated=200) == []
    assert checks.overfitting({"loss": [0.6, 0.4]}) == []


@pytest.mark.parametrize("name", ["loss", "val_loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_an_error(name, value):
    history = {"loss": [0.7, 0.6], "val_loss": [0.7, 0.6]}
    history[name] = [0.7, value]
    found = checks.loss_not_finite(history)
    assert (found.name, found.severity) == ("loss-not-finite", "error")
    assert found.says.startswith(f"{name} is {value} in epoch 2")


@pytest.mark.parametrize(
    ("losses", "epoch"),
    [
        ([0.6, 0.4, 0.9, 0.5], 3),
        ([0.6, 0.4, 0.45, 0.4], None),
        ([0.002, 0.006, 0.001], None),  # three times as large, but tiny
        ([0.6, math.nan], None),
    ],
)
def test_a_steep_rise_of_the_training_loss_is_named(losses, epoch):
    found = checks.loss_jumps({"loss": losses})
    if epoch is None:
        assert found is None
    else:
        assert (found.name, found.severity) == ("loss-jumps", "warning")
        assert f"in epoch {epoch}," in found.says


@pytest.mark.parametrize(
    ("losses", "shares", "classes", "chance"),
    [
        ([0.70, 0.695], [0.5, 0.5], 2, "0.693"),
        ([1.7, 1.61], None, 5, "1.609"),
        # The entropy of unequal shares is well below log(2).
        ([0.4, 0.33], [0.9, 0.1], 2, "0.325"),
        ([0.69, 0.6], [0.5, 0.5], 2, None),
        ([0.4, 0.30], [0.9, 0.1], 2, None),
        ([0.4, 0.33], [0.5, 0.5], 2, None),
    ],
)
def test_a_loss_at_chance_is_the_entropy_of_the_shares(losses, shares, classes, chance):
    found = checks.loss_at_chance({"loss": losses}, shares, classes)
    if chance is None:
        assert found is None
    else:
        assert (found.name, found.severity) == ("loss-at-chance", "warning")
        source = "a guess among 5 classes" if shares is None else "the shares of the"
        assert f"no better than the {chance} that {source}" in found.says


@pytest.mark.parametrize(("loss", "cure"), [(0.69, "Raise"), (2.6, "Lower")])
def test_a_loss_far_above_chance_calls_for_a_lower_rate(loss, cure):
    assert checks.loss_at_chance({"loss": [5.0, loss]}).cure.startswith(cure)


@pytest.mark.parametrize("least", [0.0001, 0.009, 0.1])
def test_a_small_rise_of_a_small_loss_is_not_overfitting(least):
    history = {"loss": [0.02, 0.01, 0.001], "val_loss": [0.2, least, 0.04 + least]}
    assert checks.overfitting(history) == []
    history["val_loss"][-1] = 0.06 + least
    assert [finding.name for finding in checks.overfitting(history)] == ["overfitting"]


RISING = {"loss": [0.6, 0.3, 0.1, 0.02], "val_loss": [0.6, 0.5, 0.7, 1.0]}


def test_overfitting_is_a_warning_where_the_last_weights_are_kept():
    (found,) = checks.overfitting(RISING)
    assert (found.name, found.severity) == ("overfitting", "warning")
    assert "After epoch 2 the loss" in found.says
    (found,) = checks.overfitting(RISING, best_kept=True)
    assert found.severity == "note"


def test_the_usual_rise_before_early_stopping_is_not_overfitting():
    usual = {"loss": [0.3, 0.2, 0.1], "val_loss": [0.4, 0.5, 0.52]}
    assert checks.overfitting(usual, best_kept=True) == []
    assert len(checks.overfitting(usual)) == 1
    both_rise = {"loss": [0.3, 0.5], "val_loss": [0.4, 0.9]}
    assert checks.overfitting(both_rise) == []


@pytest.mark.parametrize(
    ("validated", "best_kept", "found"),
    [(400, False, True), (20, False, False), (400, True, False)],
)
def test_a_generalization_gap_needs_enough_texts(validated, best_kept, found):
    history = {
        "loss": [0.5, 0.1],
        "val_loss": [0.50, 0.52],
        "accuracy": [0.8, 0.99],
        "val_accuracy": [0.78, 0.8],
    }
    names = [
        finding.name
        for finding in checks.overfitting(
            history, trained=2000, validated=validated, best_kept=best_kept
        )
    ]
    assert names == (["generalization-gap"] if found else [])


def answers(rng, true, accuracy, classes):
    wrong = (true + rng.integers(1, classes, len(true))) % classes
    return np.where(rng.random(len(true)) < accuracy, true, wrong)


@pytest.mark.parametrize(
    ("shares", "accuracy", "n", "least", "most"),
    [
        ((0.5, 0.5), 0.5, 400, 18, 20),  # guesses
        ((0.5, 0.5), 0.65, 400, 0, 0),
        ((0.2,) * 5, 0.2, 400, 18, 20),
        ((0.2,) * 5, 0.4, 400, 0, 0),
        ((0.95, 0.05), 0.9, 1000, 0, 0),  # less accurate, but finds the rare class
    ],
)
def test_no_better_than_majority_finds_guesses_and_little_else(
    shares, accuracy, n, least, most
):
    rng = np.random.default_rng(0)
    flagged = 0
    for _ in range(20):
        true = rng.choice(len(shares), n, p=shares)
        predicted = answers(rng, true, accuracy, len(shares))
        flagged += (
            checks.no_better_than_majority(true, predicted, len(shares)) is not None
        )
    assert least <= flagged <= most


def test_always_answering_the_majority_is_no_better():
    true = np.array([0] * 60 + [1] * 40)
    found = checks.no_better_than_majority(true, np.zeros(100, int), 2, "network")
    assert (found.name, found.severity) == ("no-better-than-majority", "error")
    assert found.says.startswith(
        "The network has an accuracy of 0.600 on 100 test texts"
    )
    assert checks.no_better_than_majority(true, true, 2) is None


def test_one_answer_to_all_texts_shows_in_the_f1_of_the_classes():
    found = checks.one_answer({"f1": {"a": 0.0, "b": 0.7, "c": 0.0}, "n": 50})
    assert (found.name, found.severity) == ("one-answer", "error")
    assert "The classifier finds only one of 3 classes, 'b', in 50" in found.says
    assert checks.one_answer({"f1": {"a": 0.1, "b": 0.7}, "n": 50}) is None


def test_a_perfect_classifier_on_texts_of_one_class_has_no_finding():
    true = np.ones(50, int)
    assert checks.no_better_than_majority(true, true, 2) is None
    scores = {"accuracy": 1.0, "f1": {"a": 0.0, "b": 1.0}, "n": 50}
    assert checks.one_answer(scores) is None
    assert checks.one_answer(scores | {"accuracy": 0.9}) is not None


@pytest.mark.parametrize(
    ("own", "baseline", "n", "severity"),
    [
        (0.70, 0.85, 1000, "warning"),
        (0.84, 0.85, 1000, "note"),
        (0.70, 0.85, 30, "note"),
        (0.95, 0.85, 1000, None),
        (1.0, 1.0, 50, None),
    ],
)
def test_behind_baseline_depends_on_the_interval(own, baseline, n, severity):
    found = checks.behind_baseline({"accuracy": own, "n": n}, {"accuracy": baseline})
    assert (found and found.severity) == severity


def test_the_interval_to_the_baseline_holds_that_of_a_paired_bootstrap():
    """The bootstrap knows on which texts the two models differ, so it is narrower."""
    from rnn_keras.scoring import Scores

    rng = np.random.default_rng(0)
    true = rng.integers(0, 2, 500)
    own, other = answers(rng, true, 0.7, 2), answers(rng, true, 0.8, 2)
    predicted = {"own": own[None], "other": other[None]}
    exact = Scores(true, predicted).difference("own", "other")
    found = checks.behind_baseline(
        {"accuracy": float((own == true).mean()), "n": 500},
        {"accuracy": float((other == true).mean())},
    )
    low, high = map(float, found.says.split("[")[1].split("]")[0].split())
    assert low <= 100 * exact.low + 0.5
    assert high >= 100 * exact.high - 0.5
