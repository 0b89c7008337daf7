"""What the history and the scores of a run show, without its network or its texts.

A history is a dictionary of lists, a number an epoch, as `keras.callbacks.History`
has it: `loss`, and where texts were held out `val_loss`; `accuracy`, `val_accuracy`.
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

# A network that has learned the class shares and nothing of the texts is within two
# hundredths of their entropy: dropout and the first steps cost it about that.
_GAIN = 0.02
_ABOVE = 1.2
# Adam's loss wavers by some hundredths from epoch to epoch. Half as much again, and a
# tenth of a nat, is a step that went wrong.
_JUMP, _JUMP_NATS = 1.5, 0.1
# The loss of held-out texts rises by some per cent before training stops by itself.
# Where the best weights are kept, it is worth a word only where it rises steeply.
# By less than this many nats, it is of no use to anyone where the loss is small.
_RISE, _STEEP_RISE, _RISE_NATS = 1.1, 1.5, 0.05
_GAP = 0.1  # of accuracy: ten texts in a hundred that are known by heart
_SURE = 0.05


def loss_not_finite(history: History) -> Finding | None:
    """A loss that is no number any more."""
    for name in ("loss", "val_loss"):
        for epoch, value in enumerate(history.get(name, ()), 1):
            if not math.isfinite(value):
                return Finding(
                    "loss-not-finite",
                    "error",
                    f"{name} is {value} in epoch {epoch}: the gradient exploded, and "
                    "the weights with it.",
                    "Lower --learning-rate, and clip the gradient as "
                    "`rnn_keras.training.make_optimizer` does.",
                )
    return None


def loss_jumps(history: History) -> Finding | None:
    """A training loss that rises steeply from one epoch to the next."""
    losses = [loss for loss in history["loss"] if math.isfinite(loss)]
    for epoch, (before, after) in enumerate(pairwise(losses), 2):
        if after > _JUMP * before and after - before > _JUMP_NATS:
            return Finding(
                "loss-jumps",
                "warning",
                f"The training loss jumps from {before:.3f} to {after:.3f} in epoch "
                f"{epoch}, as it does where gradients explode.",
                "Lower --learning-rate, and clip the gradient as "
                "`rnn_keras.training.make_optimizer` does.",
            )
    return None


def loss_at_chance(
    history: History, shares: Sequence[float] | None = None, classes: int = 2
) -> Finding | None:
    """A training loss that stays where it is without a look at the texts.

    Args:
        history: of the run.
        shares: of the classes among the training texts; the loss of a network that
            knows these and nothing else is their entropy.
        classes: how many there are, where their shares are not known. Then only what
            is no better than a guess among all is found.
    """
    losses = [loss for loss in history["loss"] if math.isfinite(loss)]
    known = np.array([1 / classes] * classes if shares is None else shares)
    known = known[known > 0]
    chance = float(-(known * np.log(known)).sum())
    if not losses or min(losses) < (1 - _GAIN) * chance:
        return None
    what = "the shares of the classes give without a look at the texts"
    if shares is None:
        what = f"a guess among {classes:,} classes gives"
    # Well above it, the network is sure of what is wrong: its steps are too large.
    above = min(losses) > _ABOVE * chance
    change = "Lower --learning-rate" if above else "Raise --learning-rate or --epochs"
    return Finding(
        "loss-at-chance",
        "warning",
        f"The training loss is {min(losses):.3f} at best, and {chance:.3f} is what "
        f"{what}.",
        f"{change}, and if the network is your own, see to it that padding is masked "
        "(`mask_zero=True`).",
    )


def overfitting(
    history: History,
    *,
    trained: int | None = None,
    validated: int | None = None,
    best_kept: bool = False,
) -> list[Finding]:
    """Training that goes on to learn by heart, and what it left of a gap.

    Args:
        history: of the run.
        trained: number of training texts; without it there is no word on the gap.
        validated: number of texts held out.
        best_kept: whether the weights are those of the best epoch, as `train` keeps
            them; else they are those of the last.
    """
    losses, held_out = history["loss"], history.get("val_loss", ())
    if len(held_out) < 1 or not np.isfinite([*losses, *held_out]).all():
        return []
    best = int(np.argmin(held_out))
    found = []
    rise = _STEEP_RISE if best_kept else _RISE
    risen = held_out[-1] - max(rise * held_out[best], held_out[best] + _RISE_NATS)
    if risen > 0 and losses[-1] < losses[best]:
        kept = " (its weights were kept)" if best_kept else ""
        found.append(
            Finding(
                "overfitting",
                "note" if best_kept else "warning",
                f"After epoch {best + 1}{kept} the loss of held-out texts rises from "
                f"{held_out[best]:.3f} to {held_out[-1]:.3f}, while that of training "
                f"texts falls from {losses[best]:.3f} to {losses[-1]:.3f}.",
                "Nothing is lost; a lower --learning-rate or more --dropout may find "
                "a better epoch."
                if best_kept
                else "Stop at the best epoch (`patience` of `TextClassifier.fit`, or "
                "`keras.callbacks.EarlyStopping(restore_best_weights=True)`).",
            )
        )
    epoch = best if best_kept else len(losses) - 1
    gap = _gap(history, epoch, trained, validated)
    return [*found, gap] if gap is not None else found


def _gap(
    history: History, epoch: int, trained: int | None, validated: int | None
) -> Finding | None:
    """Accuracy on training texts above that on held-out ones, surely by a tenth."""
    if not trained or not validated or "val_accuracy" not in history:
        return None
    known, new = history["accuracy"][epoch], history["val_accuracy"][epoch]
    one = share_interval(known * trained, trained)
    other = share_interval(new * validated, validated)
    # R. G. Newcombe's interval of a difference, Statistics in Medicine 17 (1998).
    least = known - new - math.hypot(known - one.low, other.high - new)
    if least < _GAP:
        return None
    return Finding(
        "generalization-gap",
        "warning",
        f"In epoch {epoch + 1} the accuracy is {known:.3f} on training texts and "
        f"{new:.3f} on held-out ones, a difference of {least:.3f} at least.",
        "Train on more texts, or raise --dropout and --token-dropout and lower "
        "--units.",
    )


def no_better_than_majority(
    true: np.ndarray, predicted: np.ndarray, classes: int, what: str = "classifier"
) -> Finding | None:
    """Answers that are no better than always saying the most frequent class.

    Better is what is surely above it in accuracy (McNemar's exact test), or finds
    surely more of the classes than one in their number, where one class is so
    frequent that accuracy hardly tells.

    Args:
        true: class indices `(texts,)`.
        predicted: class indices `(texts,)`.
        classes: how many there are.
        what: is named in the sentence.
    """
    if len(np.unique(true)) < 2:  # with one class always saying it is right
        return None
    majority = np.bincount(true, minlength=classes).argmax()
    right, constant = predicted == true, true == majority
    only, lost = int((right & ~constant).sum()), int((constant & ~right).sum())
    above = only + lost and stats.binomtest(only, only + lost, alternative="greater")
    if above and above.pvalue < _SURE:
        return None
    if _least_recall(true, right, classes) > 1 / len(np.unique(true)):
        return None
    return Finding(
        "no-better-than-majority",
        "error",
        f"The {what} is right on {right.mean():.3f} of {len(true):,} test texts, and "
        f"always saying the most frequent class on {constant.mean():.3f}, which is "
        "no difference that can be told from chance.",
        "Look at the training loss first: train longer, at another --learning-rate, "
        "or on more texts; `doctor SOURCE` looks at these.",
    )


def _least_recall(true: np.ndarray, right: np.ndarray, classes: int) -> float:
    """The lower bound of the mean over classes of the share that is found."""
    sizes = np.bincount(true, minlength=classes)
    hits = np.bincount(true[right], minlength=classes)[sizes > 0]
    sizes = sizes[sizes > 0]
    # Two texts more, half of them right, keep a class of few from looking certain.
    likely = (hits + 1) / (sizes + 2)
    error = np.sqrt((likely * (1 - likely) / (sizes + 2)).sum()) / len(sizes)
    return float((hits / sizes).mean() - stats.norm.isf(_SURE) * error)


def one_answer(scores: Mapping[str, Any], what: str = "classifier") -> Finding | None:
    """The same answer to every text, as the F1 of the classes show.

    Args:
        scores: `accuracy`, `f1` by class name and `n`, as `rnn_keras.scoring.score`
            gives them.
        what: is named in the sentence.
    """
    f1 = scores["f1"]
    told = [name for name, value in f1.items() if value > 0]
    # All right with one answer: the test texts are of one class.
    if len(f1) < 2 or len(told) != 1 or scores.get("accuracy") == 1:
        return None
    return Finding(
        "one-answer",
        "error",
        f"Of {len(f1)} classes the {what} finds one only, {told[0]!r}, in "
        f"{scores['n']:,} test texts.",
        "Look at the training loss first: train longer, at another --learning-rate, "
        "or on more texts; `doctor SOURCE` looks at these.",
    )


def behind_baseline(
    scores: Mapping[str, Any], baseline: Mapping[str, Any], what: str = "classifier"
) -> Finding | None:
    """No better than TF-IDF with logistic regression on the same texts.

    Args:
        scores: `accuracy` and `n` of the run.
        baseline: likewise, of `rnn_keras.scoring.LinearBaseline`.
        what: is named in the sentence.
    """
    n, own, other = scores["n"], scores["accuracy"], baseline["accuracy"]
    if own == 1:  # there is nothing to be better at
        return None
    difference = own - other
    # On which texts the two differ is not kept. They differ at most on all that
    # either gets wrong, and the interval is as wide as it is then.
    differ = min(1.0, (1 - own) + (1 - other))
    half = stats.norm.isf(_SURE / 2) * math.sqrt(max(0, differ - difference**2) / n)
    low, high = difference - half, difference + half
    if low > 0:
        return None
    worse = high < 0
    told = "worse than" if worse else "not surely better than"
    return Finding(
        "behind-baseline",
        "warning" if worse else "note",
        f"The {what} is {told} its linear baseline: accuracy {own:.3f} against "
        f"{other:.3f} on {n:,} test texts, a difference of {100 * difference:+.1f} "
        f"points [{100 * low:+.1f} {100 * high:+.1f}].",
        "Use `rnn_keras.scoring.LinearBaseline`, which is quicker, or look with "
        "`rnn-keras compare` whether another cell gains over several seeds.",
    )
