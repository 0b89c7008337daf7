"""Intervals of scores, and of their differences, over test texts and seeds.

A score varies for two reasons: other texts could have been tested, and other seeds
could have been drawn. The texts are drawn again, with replacement, many times (B.
Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7
(1979), 1-26), the same for every model, so that what is hard for all of them leaves a
difference. The seeds are few, and the bootstrap of a few values is too narrow. So each
draw adds the deviations of the runs from their mean, weighed by normal numbers (C. F.
J. Wu, "Jackknife, bootstrap and other resampling methods in regression analysis",
Annals of Statistics 14 (1986), 1261-1295), and widened by Student's t over the normal.
Run i of every model has the same number: runs of one seed may be parts of one training.

What a run gains on one text by chance is counted with the texts and with the seeds, so
that where chance is much, the intervals are somewhat wide.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

DRAWS = 2_000
_AT_ONCE = 200  # draws of the texts held in memory
_TAIL = 0.025

# From weights of the texts (draws, texts) to scores (draws, runs).
Metric = Callable[[np.ndarray], np.ndarray]


class Interval(NamedTuple):
    """A mean over runs and its 95 % interval, as shares of 1."""

    mean: float
    low: float
    high: float


def accuracy(true: np.ndarray, predicted: np.ndarray, classes: int) -> Metric:
    """The share of texts that are right.

    Args:
        true: class indices `(texts,)`.
        predicted: class indices `(runs, texts)`.
        classes: how many there are.
    """
    right = (predicted == true).astype(np.float64).T
    return lambda weights: weights @ right / weights.sum(axis=1, keepdims=True)


def macro_f1(true: np.ndarray, predicted: np.ndarray, classes: int) -> Metric:
    """The mean over the classes of F1; 0 of a class that nothing has or is given.

    Args:
        true: class indices `(texts,)`.
        predicted: class indices `(runs, texts)`.
        classes: how many there are.
    """
    given = (predicted[:, :, None] == np.arange(classes)).astype(np.float64)
    real = (true[:, None] == np.arange(classes)).astype(np.float64)
    right = given * real

    def scores(weights: np.ndarray) -> np.ndarray:
        hits = np.tensordot(weights, right, (1, 1))  # (draws, runs, classes)
        both = np.tensordot(weights, given, (1, 1)) + (weights @ real)[:, None]
        return np.divide(2 * hits, both, np.zeros_like(hits), where=both > 0).mean(-1)

    return scores


METRICS = {"accuracy": accuracy, "macro_f1": macro_f1}


def share_interval(hits: float, n: float) -> Interval:
    """A share that was counted, with its 95 % interval, right for few and rare too.

    E. B. Wilson, "Probable inference, the law of succession, and statistical
    inference", Journal of the American Statistical Association 22 (1927), 209-212.

    >>> [round(bound, 3) for bound in share_interval(0, 10)]
    [0.0, 0.0, 0.278]
    """
    if not n:
        return Interval(0.0, 0.0, 1.0)
    z = stats.norm.isf(_TAIL)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + (z / n / 2) ** 2)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(share, float(low), float(high))


class Scores:
    """The scores of several models on the same texts, whole and as drawn again.

    Args:
        true: class indices `(texts,)`.
        predicted: name of a model to class indices `(runs, texts)`.
        metric: `"accuracy"` or `"macro_f1"`.
        classes: how many there are; by default those that are seen.
        draws: how many.
        seed: of the draws.
    """

    def __init__(
        self,
        true: np.ndarray,
        predicted: Mapping[str, np.ndarray],
        metric: str = "accuracy",
        *,
        classes: int | None = None,
        draws: int = DRAWS,
        seed: int = 0,
    ):
        rng = np.random.default_rng(seed)
        seen = 1 + max(true.max(), *(p.max() for p in predicted.values()))
        of_model = {
            m: METRICS[metric](true, p, classes or seen) for m, p in predicted.items()
        }
        texts, runs = len(true), max(len(p) for p in predicted.values())
        whole = np.ones((1, texts))
        self.mean = {m: float(score(whole).mean()) for m, score in of_model.items()}
        chunks: dict[str, list[np.ndarray]] = {m: [] for m in of_model}
        for start in range(0, draws, _AT_ONCE):
            size = (min(_AT_ONCE, draws - start),)
            weights = rng.multinomial(texts, np.full(texts, 1 / texts), size)
            for m, score in of_model.items():
                chunks[m].append(score(weights.astype(np.float64)))
        normal = rng.normal(size=(draws, runs))
        self._drawn = {m: _add_runs(np.vstack(c), normal) for m, c in chunks.items()}

    def interval(self, model: str) -> Interval:
        """The score of `model`."""
        bounds = _bounds(self._drawn[model])
        return Interval(self.mean[model], *np.clip(bounds, 0, 1).tolist())

    def difference(self, model: str, reference: str) -> Interval:
        """How much better `model` is than `reference` on the same texts."""
        mean = self.mean[model] - self.mean[reference]
        one, other = self._drawn[model], self._drawn[reference]
        # As many as the fewer runs give, where both have several.
        freedom = [f for f in (one.freedom, other.freedom) if f] or [0]
        texts, runs = one.texts - other.texts, one.runs - other.runs
        bounds = _bounds(_Drawn(texts, runs, min(freedom)))
        return Interval(mean, *np.clip(bounds, -1, 1).tolist())


class _Drawn(NamedTuple):
    """A score in every draw: of the drawn texts, and what the runs add."""

    texts: np.ndarray
    runs: np.ndarray
    freedom: int


def _add_runs(scores: np.ndarray, normal: np.ndarray) -> _Drawn:
    """From the scores of each run `(draws, runs)` on the texts of the draws.

    One run alone tells nothing of the seeds: the texts are all that varies then.
    """
    n = scores.shape[1]
    mean = scores.mean(axis=1, keepdims=True)
    # Over the normal numbers its variance is that of the mean of n runs.
    added = (normal[:, :n] * (scores - mean)).sum(axis=1) / np.sqrt(n * max(1, n - 1))
    return _Drawn(mean[:, 0], added, n - 1)


def _bounds(drawn: _Drawn) -> np.ndarray:
    widened = stats.t.isf(_TAIL, max(1, drawn.freedom)) / stats.norm.isf(_TAIL)
    return np.quantile(drawn.texts + widened * drawn.runs, [_TAIL, 1 - _TAIL])
