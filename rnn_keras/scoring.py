"""Scores of predicted labels, and the linear baseline that stands beside them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline, make_pipeline

from rnn_keras.vectorization import TextVectorizer


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


class LinearBaseline:
    """TF-IDF of short n-grams, then logistic regression.

    It has no memory and knows the order of neighbours only, and on many corpora it
    is hard to beat. It reads the same tokens as the recurrent network,
    uncut.

    Args:
        vectorizer: whose `tokenize` splits the texts.
        max_ngram: tokens in the longest n-gram; by default pairs.
    """

    def __init__(self, vectorizer: TextVectorizer, max_ngram: int = 2):
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
