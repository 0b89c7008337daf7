"""Scores of predicted labels, and the linear baseline that stands beside them.

Intervals of scores, and of their differences, over test texts and seeds.

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

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline, make_pipeline


class Answers(NamedTuple):
    """Labels and predictions, each pair of them with its number.

    Attributes:
        true: labels.
        predicted: labels.
        counts: how many texts have the two.
    """

    true: list[str]
    predicted: list[str]
    counts: list[int]

    def score(self, class_names: Sequence[str]) -> dict[str, Any]:
        """See `rnn_keras.scoring.score`."""
        return score(self.true, self.predicted, class_names, self.counts)


def count_answers(
    predict: Callable[[list[str]], Sequence[str]],
    chunks: Iterable[tuple[list[str], list[str]]],
) -> Answers:
    """What `predict` says of labelled texts, of which some are in memory at a time.

    Args:
        predict: from texts to a label each.
        chunks: of texts and labels.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for texts, labels in chunks:
        pairs.update(zip(labels, predict(texts), strict=True))
    true, predicted = zip(*pairs, strict=True) if pairs else ((), ())
    return Answers(list(true), list(predicted), list(pairs.values()))


def score(
    true: Sequence[str],
    predicted: Sequence[str],
    class_names: Sequence[str],
    counts: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Accuracy, F1 of each class and their mean.

    Args:
        true: labels, one a text.
        predicted: labels in the same order.
        class_names: the classes to score. A class that neither occurs nor is
            predicted has F1 0.
        counts: how many texts each pair of labels stands for; by default one.

    Returns:
        `accuracy`, `macro_f1`, `f1` (by class name) and `n`, the number of texts.

    >>> scores = score(["a", "a", "b"], ["a", "b", "b"], ["a", "b"])
    >>> round(scores["accuracy"], 3), round(scores["f1"]["a"], 3)
    (0.667, 0.667)
    """
    names = list(class_names)
    of = {"sample_weight": counts}
    f1 = f1_score(true, predicted, labels=names, average=None, zero_division=0, **of)
    return {
        "accuracy": float(accuracy_score(true, predicted, **of)),
        "macro_f1": float(f1.mean()),
        "f1": {name: float(value) for name, value in zip(names, f1, strict=True)},
        "n": len(true) if counts is None else sum(counts),
    }


class Tokenizer(Protocol):
    """What splits texts into tokens, as `TextVectorizer` does."""

    def tokenize(self, texts: Sequence[str]) -> list[list[str]]: ...


class LinearBaseline:
    """TF-IDF of short n-grams, then logistic regression.

    It has no memory and knows the order of neighbours only, and on many corpora it
    is hard to beat. It reads the same tokens as the recurrent network,
    uncut.

    Args:
        vectorizer: whose `tokenize` splits the texts.
        max_ngram: tokens in the longest n-gram; by default pairs.
    """

    def __init__(self, vectorizer: Tokenizer, max_ngram: int = 2):
        self.vectorizer = vectorizer
        self.pipeline: Pipeline = make_pipeline(
            TfidfVectorizer(
                preprocessor=_as_it_is,
                tokenizer=_as_it_is,
                token_pattern=None,
                ngram_range=(1, max_ngram),
                sublinear_tf=True,
            ),
            LogisticRegression(C=10, max_iter=1000),
        )

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> "LinearBaseline":
        self.pipeline.fit(self.vectorizer.tokenize(texts), labels)
        return self

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The label of each text."""
        return self.pipeline.predict(self.vectorizer.tokenize(texts)).tolist()

    def count_params(self) -> int:
        """The number of weights and biases that were fitted."""
        regression = self.pipeline[-1]
        return regression.coef_.size + regression.intercept_.size


def _as_it_is(tokens: list[str]) -> list[str]:
    return tokens


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
