"""Intervals of scores, and of their differences, over test texts and seeds.

A score varies for two reasons: other texts could have been tested, and other seeds
could have been drawn. Both are drawn again, with replacement, many times (B. Efron,
"Bootstrap methods: another look at the jackknife", Annals of Statistics 7 (1979),
1-26). The texts of a draw are the same for every model, so that what is hard for all
of them leaves a difference; the seeds are each model's own.

The seeds are few, and the bootstrap of a few values is too narrow: the spread of n is
too small by sqrt((n - 1) / n), and Student's t stands in the place of the normal. So
what the seeds add to a draw is widened by both factors. What a run gains on one text
by chance is counted with the texts and with the seeds, so that the intervals hold the
true value in 95 of 100 cases or more, not less.
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


def accuracy(true: np.ndarray, predicted: np.ndarray) -> Metric:
    """The share of texts that are right.

    Args:
        true: class indices `(texts,)`.
        predicted: class indices `(runs, texts)`.
    """
    right = (predicted == true).astype(np.float64).T
    return lambda weights: weights @ right / weights.sum(axis=1, keepdims=True)


def macro_f1(true: np.ndarray, predicted: np.ndarray) -> Metric:
    """The mean over the classes of F1; 0 of a class that nothing has or is given.

    Args:
        true: class indices `(texts,)`.
        predicted: class indices `(runs, texts)`.
    """
    classes = np.arange(1 + max(true.max(), predicted.max()))
    given = (predicted[:, :, None] == classes).astype(np.float64)
    real = (true[:, None] == classes).astype(np.float64)

    def scores(weights: np.ndarray) -> np.ndarray:
        hits = np.tensordot(weights, given * real, (1, 1))  # (draws, runs, classes)
        both = np.tensordot(weights, given, (1, 1)) + (weights @ real)[:, None]
        return np.divide(2 * hits, both, np.zeros_like(hits), where=both > 0).mean(-1)

    return scores


METRICS = {"accuracy": accuracy, "macro_f1": macro_f1}


class Scores:
    """The scores of several models on the same texts, whole and as drawn again.

    Args:
        true: class indices `(texts,)`.
        predicted: name of a model to class indices `(runs, texts)`.
        metric: `"accuracy"` or `"macro_f1"`.
        draws: how many.
        seed: of the draws.
    """

    def __init__(
        self,
        true: np.ndarray,
        predicted: Mapping[str, np.ndarray],
        metric: str = "accuracy",
        *,
        draws: int = DRAWS,
        seed: int = 0,
    ):
        rng = np.random.default_rng(seed)
        of_model = {m: METRICS[metric](true, p) for m, p in predicted.items()}
        texts = len(true)
        whole = np.ones((1, texts))
        self.mean = {m: float(score(whole).mean()) for m, score in of_model.items()}
        chunks: dict[str, list[np.ndarray]] = {m: [] for m in of_model}
        for start in range(0, draws, _AT_ONCE):
            size = (min(_AT_ONCE, draws - start),)
            weights = rng.multinomial(texts, np.full(texts, 1 / texts), size)
            for m, score in of_model.items():
                chunks[m].append(score(weights.astype(np.float64)))
        self._drawn = {m: _draw_runs(np.vstack(c), rng) for m, c in chunks.items()}

    def interval(self, model: str) -> Interval:
        """The score of `model`."""
        return _interval(self.mean[model], [self._drawn[model]])

    def difference(self, model: str, reference: str) -> Interval:
        """How much better `model` is than `reference` on the same texts."""
        if model == reference:
            return Interval(0.0, 0.0, 0.0)
        texts, seeds, freedom = self._drawn[reference]
        mean = self.mean[model] - self.mean[reference]
        return _interval(mean, [self._drawn[model], _Drawn(-texts, -seeds, freedom)])


class _Drawn(NamedTuple):
    """A score in every draw: of the drawn texts, and what the drawn runs add."""

    texts: np.ndarray
    runs: np.ndarray
    degrees_of_freedom: int


def _draw_runs(scores: np.ndarray, rng: np.random.Generator) -> _Drawn:
    """From the scores of each run `(draws, runs)` on the texts of the draws.

    One run alone tells nothing of the seeds: the texts are all that varies then.
    """
    texts, n = scores.mean(axis=1), scores.shape[1]
    rows = rng.integers(n, size=scores.shape)
    runs = np.take_along_axis(scores, rows, axis=1).mean(axis=1) - texts
    return _Drawn(texts, runs * np.sqrt(n / max(1, n - 1)), n - 1)


def _interval(mean: float, parts: list[_Drawn]) -> Interval:
    freedom = sum(part.degrees_of_freedom for part in parts)
    widened = stats.t.isf(_TAIL, max(1, freedom)) / stats.norm.isf(_TAIL)
    drawn = sum(part.texts + widened * part.runs for part in parts)
    low, high = np.quantile(drawn, [_TAIL, 1 - _TAIL])
    return Interval(mean, float(low), float(high))
