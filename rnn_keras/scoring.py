"""Scores of predicted labels, their confidence intervals, and a linear baseline.

`score` computes accuracy and F1. `share_interval` gives the interval of a proportion.
`Scores` gives the intervals of several models' scores on the same test texts, and of
the differences between models. `LinearBaseline` is the model that a recurrent network
has to beat. Nothing here imports TensorFlow; scikit-learn and SciPy, which take long to
import, are imported where they are needed, so that `score` needs NumPy alone.

A model's score varies for two reasons: other test texts could have been drawn, and
other seeds could have been used for training. `Scores` accounts for both.

- Texts: the test texts are resampled with replacement (B. Efron, "Bootstrap methods:
  another look at the jackknife", Annals of Statistics 7 (1979), 1-26). Every model is
  scored on the same resampled texts, so texts that are hard for all models do not widen
  the interval of a difference.
- Seeds: there are only a few runs, and the bootstrap of a few values gives intervals
  that are too narrow. Instead, each resample adds the deviations of the runs from their
  mean, weighted by standard normal numbers (the wild bootstrap: C. F. J. Wu,
  "Jackknife, bootstrap and other resampling methods in regression analysis", Annals of
  Statistics 14 (1986), 1261-1295) and widened by the ratio of Student's t quantile to
  the normal quantile. Run i of every model gets the same normal number, because runs
  with one seed may be parts of one training.

The chance outcome of one run on one text is counted twice, with the texts and with the
seeds. Where chance plays a large role, the intervals are therefore a little too wide.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import numpy as np

from rnn_keras.utils.predictions import class_indices
from rnn_keras.utils.threads import one_blas_thread

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

DRAWS = 2_000
_DRAWS_IN_MEMORY = 200
_TAIL = 0.025  # the probability on each side of a 95 % interval


class Answers(NamedTuple):
    """How often each pair of a true and a predicted label occurs.

    Attributes:
        true: the true label of each pair.
        predicted: the predicted label of each pair.
        counts: number of texts with that pair.
    """

    true: list[str]
    predicted: list[str]
    counts: list[int]

    def score(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Compute the result of `rnn_keras.scoring.score` for these answers."""
        return score(self.true, self.predicted, class_names, self.counts)


def count_answers(
    predict: Callable[[list[str]], Sequence[str]],
    chunks: Iterable[tuple[list[str], list[str]]],
) -> Answers:
    """Count the answers to labelled texts that need not fit in memory together.

    Args:
        predict: maps a list of texts to one label each.
        chunks: pairs of texts and their true labels.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for texts, labels in chunks:
        pairs.update(zip(labels, predict(texts), strict=True))
    true = [label for label, _ in pairs]
    predicted = [label for _, label in pairs]
    return Answers(true, predicted, list(pairs.values()))


def score_chunks(
    predict: Callable[[list[str]], Sequence[str]],
    chunks: Iterable[tuple[Sequence[str], Sequence[Any]]],
    class_names: Sequence[str],
) -> dict[str, Any]:
    """Score the answers to texts that come some at a time, as `score` does.

    Args:
        predict: maps texts to one label each.
        chunks: texts and their true labels.
        class_names: the classes that `predict` knows.

    Raises:
        InputError: if a true label is not in `class_names`.
    """

    def checked() -> Iterator[tuple[list[str], list[str]]]:
        for texts, labels in chunks:
            class_indices(labels, class_names)
            # Any sequence will do, but a list is what `count_answers` announces.
            yield cast(list[str], texts), [str(label) for label in labels]

    return count_answers(predict, checked()).score(class_names)


def score(
    true: Sequence[str],
    predicted: Sequence[str],
    class_names: Sequence[str],
    counts: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Compute accuracy, the F1 score of each class, and the mean of the F1 scores.

    Args:
        true: true labels, one for each text.
        predicted: predicted labels in the same order.
        class_names: the classes to score. A class that neither occurs nor is
            predicted has an F1 score of 0.
        counts: number of texts that each pair of labels stands for; 1 by default.

    Returns:
        A dictionary with `accuracy`, `macro_f1`, `f1` (a dictionary by class name) and
        `n`, the number of texts.

    >>> scores = score(["a", "a", "b"], ["a", "b", "b"], ["a", "b"])
    >>> round(scores["accuracy"], 3), round(scores["f1"]["a"], 3)
    (0.667, 0.667)
    """
    counts = [1] * len(true) if counts is None else counts
    total, right = sum(counts), 0
    hits, occurs = Counter[str](), Counter[str]()
    for label, answer, count in zip(true, predicted, counts, strict=True):
        # F1 is 2 hits / (texts of the class + texts predicted to be of it).
        occurs[label] += count
        occurs[answer] += count
        if label == answer:
            hits[label] += count
            right += count
    f1 = {name: 2 * hits[name] / (occurs[name] or 1) for name in class_names}
    return {
        "accuracy": right / total if total else float("nan"),
        "macro_f1": sum(f1.values()) / len(f1),
        "f1": f1,
        "n": total,
    }


class Interval(NamedTuple):
    """A mean and the bounds of its 95 % confidence interval, as fractions of 1."""

    mean: float
    low: float
    high: float


def share_interval(hits: float, n: int) -> Interval:
    """Compute a proportion and its 95 % interval by Wilson's method.

    Unlike the normal approximation, the interval is right for small samples and for
    proportions near 0 or 1. E. B. Wilson, "Probable inference, the law of succession,
    and statistical inference", Journal of the American Statistical Association 22
    (1927), 209-212.

    Args:
        hits: number of successes. A fractional number, such as an accuracy times a
            number of texts, is rounded for the bounds but not for the mean.
        n: number of trials. Of 0 trials nothing is known: the interval is 0 to 1.

    >>> [round(bound, 3) for bound in share_interval(0, 10)]
    [0.0, 0.0, 0.278]
    """
    if not n:
        return Interval(0.0, 0.0, 1.0)
    from scipy import stats

    bounds = stats.binomtest(round(hits), n).proportion_ci(method="wilson")
    return Interval(hits / n, float(bounds.low), float(bounds.high))


# Maps weights of the texts (draws, texts) to scores (draws, runs).
Metric = Callable[[np.ndarray], np.ndarray]


def accuracy(true: np.ndarray, predicted: np.ndarray, classes: int) -> Metric:
    """Return a function from weights of the texts to the accuracy of each run.

    Args:
        true: class indices `(texts,)`.
        predicted: class indices `(runs, texts)`.
        classes: number of classes.
    """
    right = (predicted == true).astype(np.float64).T
    return lambda weights: weights @ right / weights.sum(axis=1, keepdims=True)


def macro_f1(true: np.ndarray, predicted: np.ndarray, classes: int) -> Metric:
    """Return a function from weights of the texts to each run's mean F1 score.

    A class that neither occurs nor is predicted counts as an F1 score of 0.

    Args:
        true: class indices `(texts,)`.
        predicted: class indices `(runs, texts)`.
        classes: number of classes.
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


class Scores:
    """Scores of several models on the same texts, with bootstrap intervals.

    The module's docstring describes the method.

    Args:
        true: class indices `(texts,)`.
        predicted: for each model's name, class indices `(runs, texts)`.
        metric: `"accuracy"` or `"macro_f1"`.
        classes: number of classes; by default one more than the largest index.
        draws: number of bootstrap resamples.
        seed: seed of the resampling.

    Attributes:
        mean: for each model's name, the mean score of its runs on the given texts.
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
        metrics = {
            model: METRICS[metric](true, answers, classes or seen)
            for model, answers in predicted.items()
        }
        texts, runs = len(true), max(len(p) for p in predicted.values())
        once = np.ones((1, texts))
        self.mean = {model: float(of(once).mean()) for model, of in metrics.items()}
        chunks: dict[str, list[np.ndarray]] = {model: [] for model in metrics}
        for start in range(0, draws, _DRAWS_IN_MEMORY):
            size = (min(_DRAWS_IN_MEMORY, draws - start),)
            weights = rng.multinomial(texts, np.full(texts, 1 / texts), size)
            for model, of in metrics.items():
                chunks[model].append(of(weights.astype(np.float64)))
        normal = rng.normal(size=(draws, runs))
        self._resampled = {
            model: _resample_runs(np.vstack(chunk), normal)
            for model, chunk in chunks.items()
        }

    def interval(self, model: str) -> Interval:
        """Return the score of `model` with its interval."""
        low, high = _bounds(self._resampled[model]).clip(0, 1).tolist()
        return Interval(self.mean[model], low, high)

    def difference(self, model: str, reference: str) -> Interval:
        """Return by how much `model` scores higher than `reference`.

        Both are scored on the same resampled texts.
        """
        mean = self.mean[model] - self.mean[reference]
        one, other = self._resampled[model], self._resampled[reference]
        # If both models have several runs, the one with fewer runs decides.
        freedom = min([f for f in (one.freedom, other.freedom) if f] or [0])
        difference = _Resampled(one.texts - other.texts, one.runs - other.runs, freedom)
        low, high = _bounds(difference).clip(-1, 1).tolist()
        return Interval(mean, low, high)


class _Resampled(NamedTuple):
    """A score in each bootstrap resample.

    Attributes:
        texts: mean score of the runs on the resampled texts, `(draws,)`.
        runs: deviation that the resampled runs add, `(draws,)`.
        freedom: number of runs less one.
    """

    texts: np.ndarray
    runs: np.ndarray
    freedom: int


def _resample_runs(scores: np.ndarray, normal: np.ndarray) -> _Resampled:
    """Add the variation between runs to scores on resampled texts.

    A single run says nothing about the variation between seeds; then only the texts
    vary.

    Args:
        scores: score of each run on the texts of each resample, `(draws, runs)`.
        normal: standard normal numbers, `(draws, runs or more)`.
    """
    n = scores.shape[1]
    mean = scores.mean(axis=1, keepdims=True)
    # The variance of this sum over `normal` is that of the mean of n runs.
    added = (normal[:, :n] * (scores - mean)).sum(axis=1) / np.sqrt(n * max(1, n - 1))
    return _Resampled(mean[:, 0], added, n - 1)


def _bounds(resampled: _Resampled) -> np.ndarray:
    from scipy import stats

    widening = stats.t.isf(_TAIL, max(1, resampled.freedom)) / stats.norm.isf(_TAIL)
    scores = resampled.texts + widening * resampled.runs
    return np.quantile(scores, [_TAIL, 1 - _TAIL])


# The largest mean gradient that `fit_binary` leaves, in units of the share of the rarer
# class: the gradient of a rare class is small from the start.
_TOLERANCE = 1e-4


def logistic_regression(
    strength: float, tolerance: float = 1e-4
) -> "LogisticRegression":
    """Return an unfitted logistic regression for sparse features of many columns.

    Fit it to float32 features, inside `one_blas_thread`. Newton's method with conjugate
    gradients ends nearer to the optimum than scikit-learn's default, in less time:
    nearly all of its work is products with a sparse matrix. `benchmarks/linear.md` has
    the figures.

    Args:
        strength: inverse strength of the L2 penalty on the weights; the intercept has
            none.
        tolerance: the largest component of the mean gradient that is left at the end.
    """
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(
        C=strength, tol=tolerance, solver="newton-cg", max_iter=1000
    )


def fit_binary(
    features: "csr_matrix",
    inside: np.ndarray,
    strength: float,
    start: tuple[np.ndarray, float] | None = None,
) -> tuple[np.ndarray, float]:
    """Fit a logistic regression of two classes.

    Args:
        features: float32 `(texts, features)`.
        inside: booleans `(texts,)`, of which some are `True` and some `False`.
        strength: inverse strength of the L2 penalty.
        start: weights and intercept to begin with; by default zeros.

    Returns:
        The weights `(features,)` and the intercept.
    """
    share = min(inside.mean(), 1 - inside.mean())
    model = logistic_regression(strength, _TOLERANCE * share)
    if start is not None:
        model.warm_start = True
        model.coef_ = start[0][np.newaxis].astype(np.float32)
        model.intercept_ = np.array([start[1]], np.float32)
    model.fit(features, inside)
    return model.coef_[0], float(model.intercept_[0])


class Tokenizer(Protocol):
    """An object that splits texts into tokens, as `TextVectorizer` does."""

    def tokenize(self, texts: Sequence[str]) -> list[list[str]]: ...


class LinearBaseline:
    """Logistic regression on TF-IDF features of short n-grams.

    It has no memory and knows word order only among neighbouring tokens, yet on many
    corpora it is hard to beat. It reads the same tokens as the recurrent network,
    but never cuts a text.

    Args:
        vectorizer: its `tokenize` method splits the texts.
        max_ngram: number of tokens in the longest n-gram.
    """

    def __init__(self, vectorizer: Tokenizer, max_ngram: int = 2):
        self.vectorizer = vectorizer
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline

        self.pipeline: Pipeline = make_pipeline(
            TfidfVectorizer(
                preprocessor=_identity,
                tokenizer=_identity,
                token_pattern=None,
                ngram_range=(1, max_ngram),
                sublinear_tf=True,
                dtype=np.float32,
            ),
            logistic_regression(10.0),
        )

    def fit(self, texts: Sequence[str], labels: Sequence[str]) -> "LinearBaseline":
        """Fit the features and the regression; returns the baseline itself."""
        tokens = self.vectorizer.tokenize(texts)
        # On two classes scikit-learn's default takes as long as Newton's method, and
        # scores higher on long texts, because it stops before the optimum.
        solver = "newton-cg" if len(set(labels)) > 2 else "lbfgs"
        self.pipeline.set_params(logisticregression__solver=solver)
        with one_blas_thread():
            self.pipeline.fit(tokens, labels)
        return self

    def predict(self, texts: Sequence[str]) -> list[str]:
        """Return the predicted label of each text."""
        return self.pipeline.predict(self.vectorizer.tokenize(texts)).tolist()

    def count_params(self) -> int:
        """Return the number of fitted weights and biases."""
        regression = self.pipeline[-1]
        return regression.coef_.size + regression.intercept_.size


def _identity(tokens: list[str]) -> list[str]:
    return tokens
