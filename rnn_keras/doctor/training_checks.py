"""Checks of a training's history and scores, without its network or its texts.

A history is a dictionary of lists with one number per epoch, as in
`keras.callbacks.History`: `loss`, and perhaps `accuracy`, `val_loss`, `val_accuracy`.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy import stats

from rnn_keras.doctor.findings import Finding
from rnn_keras.scoring import share_interval

History = Mapping[str, Sequence[float]]

# The loss of a network that knows the class shares and nothing of the texts is within
# 2 % of their entropy; dropout and the first steps cost it about that much.
_LEAST_GAIN = 0.02
# A network whose loss is that many times the entropy is confident and wrong.
_CONFIDENTLY_WRONG = 1.2
# Adam's loss varies by some per cent from epoch to epoch. A rise by half, and by a
# tenth of a nat, comes from a step that went wrong.
_JUMP, _JUMP_IN_NATS = 1.5, 0.1
# The loss of held-out texts rises by some per cent before training stops by itself. If
# the best weights are kept, only a steep rise is worth a note. Where the loss is small,
# a rise by fewer nats than the last number means nothing.
_RISE, _STEEP_RISE, _RISE_IN_NATS = 1.1, 1.5, 0.05
# Difference between two accuracies: ten texts in a hundred are known by heart.
_GAP = 0.1
# Significance level of all tests here.
_LEVEL = 0.05

_LOWER_RATE = (
    "Lower --learning-rate, and clip the gradient as "
    "`rnn_keras.training.make_optimizer` does."
)
_LEARNED_NOTHING = (
    "Look at the training loss first: train longer, with another --learning-rate, or "
    "on more texts; `doctor SOURCE` examines these."
)


def loss_not_finite(history: History) -> Finding | None:
    """Find the first epoch whose loss is infinite or not a number."""
    for name in ("loss", "val_loss"):
        for epoch, value in enumerate(history.get(name, ()), 1):
            if not math.isfinite(value):
                return Finding(
                    "loss-not-finite",
                    "error",
                    f"{name} is {value} in epoch {epoch}: the gradient exploded, and "
                    "the weights with it.",
                    _LOWER_RATE,
                )
    return None


def loss_jumps(history: History) -> Finding | None:
    """Find a steep rise of the training loss from one epoch to the next."""
    losses = [loss for loss in history["loss"] if math.isfinite(loss)]
    for epoch, (before, after) in enumerate(pairwise(losses), 2):
        if after > _JUMP * before and after - before > _JUMP_IN_NATS:
            return Finding(
                "loss-jumps",
                "warning",
                f"The training loss jumps from {before:.3f} to {after:.3f} in epoch "
                f"{epoch}, which happens when gradients explode.",
                _LOWER_RATE,
            )
    return None


def loss_at_chance(
    history: History,
    shares: Sequence[float] | np.ndarray | None = None,
    classes: int = 2,
) -> Finding | None:
    """Find out whether the training loss is no better than without the texts.

    Args:
        history: history of the training.
        shares: share of each class among the training texts. A network that knows only
            these has their entropy as its loss.
        classes: number of classes, for when their shares are not known. The loss is
            then compared with that of a guess among all classes.
    """
    losses = [loss for loss in history["loss"] if math.isfinite(loss)]
    known = np.array([1 / classes] * classes if shares is None else shares)
    known = known[known > 0]
    chance = float(-(known * np.log(known)).sum())
    if not losses or min(losses) < (1 - _LEAST_GAIN) * chance:
        return None
    source = "the shares of the classes give without the texts"
    if shares is None:
        source = f"a guess among {classes:,} classes gives"
    # A network that is confidently wrong took too large steps.
    above = min(losses) > _CONFIDENTLY_WRONG * chance
    change = "Lower --learning-rate" if above else "Raise --learning-rate or --epochs"
    return Finding(
        "loss-at-chance",
        "warning",
        f"The lowest training loss is {min(losses):.3f}, no better than the "
        f"{chance:.3f} that {source}.",
        f"{change}; if the network is your own, make sure that padding is masked "
        "(`mask_zero=True`).",
    )


def overfitting(
    history: History,
    *,
    trained: int | None = None,
    validated: int | None = None,
    best_kept: bool = False,
) -> list[Finding]:
    """Find out whether training went on to learn by heart, and with which result.

    Args:
        history: history of the training.
        trained: number of training texts. Without it and `validated`, the accuracies
            are not compared.
        validated: number of texts that were held out.
        best_kept: whether the weights are those of the best epoch, as `train` keeps
            them, or those of the last.
    """
    losses, held_out = history["loss"], history.get("val_loss", ())
    if len(held_out) < 1 or not np.isfinite([*losses, *held_out]).all():
        return []
    best = int(np.argmin(held_out))
    last = best if best_kept else len(losses) - 1
    found = [
        _rising_loss(losses, held_out, best, best_kept),
        _generalization_gap(history, last, trained, validated),
    ]
    return [finding for finding in found if finding is not None]


def _rising_loss(
    losses: Sequence[float], held_out: Sequence[float], best: int, best_kept: bool
) -> Finding | None:
    """Find out whether the two losses part after the best epoch.

    Args:
        losses: loss of the training texts in each epoch.
        held_out: loss of the held-out texts in each epoch.
        best: index of the best epoch.
        best_kept: whether its weights were kept.
    """
    rise = _STEEP_RISE if best_kept else _RISE
    bound = max(rise * held_out[best], held_out[best] + _RISE_IN_NATS)
    if held_out[-1] <= bound or losses[-1] >= losses[best]:
        return None
    kept = " (its weights were kept)" if best_kept else ""
    return Finding(
        "overfitting",
        "note" if best_kept else "warning",
        f"After epoch {best + 1}{kept} the loss of held-out texts rises from "
        f"{held_out[best]:.3f} to {held_out[-1]:.3f}, while that of training texts "
        f"falls from {losses[best]:.3f} to {losses[-1]:.3f}.",
        "Nothing is lost; a lower --learning-rate or more --dropout may find a better "
        "epoch."
        if best_kept
        else "Stop at the best epoch (`patience` of `TextClassifier.fit`, or "
        "`keras.callbacks.EarlyStopping(restore_best_weights=True)`).",
    )


def _generalization_gap(
    history: History, epoch: int, trained: int | None, validated: int | None
) -> Finding | None:
    """Find an accuracy on training texts surely a tenth above that on held-out ones.

    Args:
        history: history of the training.
        epoch: index of the epoch whose weights were kept.
        trained: number of training texts, or `None`.
        validated: number of texts that were held out, or `None`.
    """
    if not trained or not validated or "val_accuracy" not in history:
        return None
    known, new = history["accuracy"][epoch], history["val_accuracy"][epoch]
    one = share_interval(known * trained, trained)
    other = share_interval(new * validated, validated)
    # The interval of a difference of R. G. Newcombe, Statistics in Medicine 17 (1998).
    least = known - new - math.hypot(known - one.low, other.high - new)
    if least < _GAP:
        return None
    return Finding(
        "generalization-gap",
        "warning",
        f"In epoch {epoch + 1} the accuracy is {known:.3f} on training texts and "
        f"{new:.3f} on held-out ones, a difference of at least {least:.3f}.",
        "Train on more texts, or raise --dropout and --token-dropout and lower "
        "--units.",
    )


def no_better_than_majority(
    true: np.ndarray, predicted: np.ndarray, classes: int, what: str = "classifier"
) -> Finding | None:
    """Find answers that are no better than always answering the most frequent class.

    Answers are better if their accuracy is significantly higher (McNemar's exact
    test), or if their mean recall over the classes is: always answering one of k
    classes has a recall of 1 / k. The second holds also where one class is so frequent
    that accuracies hardly differ.

    Args:
        true: class indices `(texts,)`.
        predicted: class indices `(texts,)`.
        classes: number of classes.
        what: name of the model in the sentence.
    """
    if len(np.unique(true)) < 2:  # one constant answer is right there
        return None
    majority = np.bincount(true, minlength=classes).argmax()
    right, constant = predicted == true, true == majority
    only, lost = int((right & ~constant).sum()), int((constant & ~right).sum())
    above = only + lost and stats.binomtest(only, only + lost, alternative="greater")
    if above and above.pvalue < _LEVEL:
        return None
    if _least_recall(true, right, classes) > 1 / len(np.unique(true)):
        return None
    return Finding(
        "no-better-than-majority",
        "error",
        f"The {what} has an accuracy of {right.mean():.3f} on {len(true):,} test "
        f"texts; always answering the most frequent class has {constant.mean():.3f}, "
        "and the difference may be chance.",
        _LEARNED_NOTHING,
    )


def _least_recall(true: np.ndarray, right: np.ndarray, classes: int) -> float:
    """Lower bound of the mean recall over the classes.

    Args:
        true: class indices `(texts,)`.
        right: whether each text was answered rightly, `(texts,)`.
        classes: number of classes.
    """
    sizes = np.bincount(true, minlength=classes)
    hits = np.bincount(true[right], minlength=classes)[sizes > 0]
    sizes = sizes[sizes > 0]
    # Two more texts, one of them right, keep a small class from looking certain.
    likely = (hits + 1) / (sizes + 2)
    error = np.sqrt((likely * (1 - likely) / (sizes + 2)).sum()) / len(sizes)
    return float((hits / sizes).mean() - stats.norm.isf(_LEVEL) * error)


def one_answer(scores: Mapping[str, Any], what: str = "classifier") -> Finding | None:
    """Find out from the F1 of the classes whether all texts got the same answer.

    Args:
        scores: `accuracy`, `f1` by class name and `n`, as in `rnn_keras.scoring.score`.
        what: name of the model in the sentence.
    """
    f1 = scores["f1"]
    answered = [name for name, value in f1.items() if value > 0]
    # If one answer is always right, all test texts are of one class.
    if len(f1) < 2 or len(answered) != 1 or scores.get("accuracy") == 1:
        return None
    return Finding(
        "one-answer",
        "error",
        f"The {what} finds only one of {len(f1)} classes, {answered[0]!r}, in "
        f"{scores['n']:,} test texts.",
        _LEARNED_NOTHING,
    )


def behind_baseline(
    scores: Mapping[str, Any], baseline: Mapping[str, Any], what: str = "classifier"
) -> Finding | None:
    """Find a model that is no better than TF-IDF with logistic regression.

    Args:
        scores: `accuracy` and `n` of the model.
        baseline: `accuracy` of `rnn_keras.scoring.LinearBaseline` on the same texts.
        what: name of the model in the sentence.
    """
    n, own, other = scores["n"], scores["accuracy"], baseline["accuracy"]
    if own == 1:  # nothing can be better
        return None
    difference = own - other
    # It is not known on which texts the two differ. They differ at most on all texts
    # that one of them gets wrong, for which the interval is widest.
    differ = min(1.0, (1 - own) + (1 - other))
    half = stats.norm.isf(_LEVEL / 2) * math.sqrt(max(0, differ - difference**2) / n)
    low, high = difference - half, difference + half
    if low > 0:
        return None
    worse = high < 0
    verdict = "worse than" if worse else "not clearly better than"
    return Finding(
        "behind-baseline",
        "warning" if worse else "note",
        f"The {what} is {verdict} its linear baseline: accuracy {own:.3f} against "
        f"{other:.3f} on {n:,} test texts, a difference of {100 * difference:+.1f} "
        f"points [{100 * low:+.1f} {100 * high:+.1f}].",
        "Use `rnn_keras.scoring.LinearBaseline`, which is faster, or find out with "
        "`rnn-keras compare` whether another cell is better over several seeds.",
    )
