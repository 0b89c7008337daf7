"""Scores of predicted labels, and the linear baseline that stands beside them."""

from collections.abc import Sequence
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import Pipeline, make_pipeline

from rnn_keras.vectorization import TextVectorizer


def score(
    true: Sequence[str], predicted: Sequence[str], class_names: Sequence[str]
) -> dict[str, Any]:
    """Accuracy, F1 of each class and their mean.

    Args:
        true: labels, one a text.
        predicted: labels in the same order.
        class_names: the classes to score. A class that neither occurs nor is
            predicted has F1 0.

    Returns:
        `accuracy`, `macro_f1`, `f1` (by class name) and `n`, the number of texts.

    >>> scores = score(["a", "a", "b"], ["a", "b", "b"], ["a", "b"])
    >>> round(scores["accuracy"], 3), round(scores["f1"]["a"], 3)
    (0.667, 0.667)
    """
    names = list(class_names)
    f1 = f1_score(true, predicted, labels=names, average=None, zero_division=0)
    return {
        "accuracy": float(accuracy_score(true, predicted)),
        "macro_f1": float(f1.mean()),
        "f1": {name: float(value) for name, value in zip(names, f1, strict=True)},
        "n": len(true),
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
