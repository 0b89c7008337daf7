"""Runs an export beside the classifier that it came from.

What is compared: the token ids of texts, where the export does not make them itself,
and the probabilities, of texts of no token to more than are read, each alone, in pairs
of unlike length, all together, and padded further.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from rnn_keras.exported import ExportedClassifier
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.utils.errors import InputError, reason_within

if TYPE_CHECKING:
    from rnn_keras.classification.classifier import TextClassifier


TOLERANCE = 1e-4
# Where neither classifier nor format has a longest text.
_LONG = 64
# What a tokenizer may read otherwise than TensorFlow's.
_STRANGE = [
    "ΟΔΟΣ ΟΔΟΣ. ΣΑΣ Σ ΑΣ'Α ΑΣ' İI\u0307",
    "e\u0301tude nai\u0308ve \ud800 a\0b \x85\u2028\u3000c\u00a0d\ufeff",
    "我有iPhone 13，カメラー。한국어 हिन्दी 😀\u200d👩 don't £5.00",
]


class ExportError(InputError):
    """An export that does not answer as its classifier does."""


def largest_difference(
    classifier: "TextClassifier", path: Path, format: str, length: int | None
) -> tuple[float, int]:
    """How far the probabilities of the export at `path` are from the classifier's.

    Args:
        classifier: that was exported.
        path: of the model.
        format: of `rnn_keras.export`.
        length: where the format cuts texts, or `None`.

    Returns:
        The largest difference, and the number of texts.

    Raises:
        ExportError: if it is above `TOLERANCE`, an id differs, or the export
            cannot be run.
    """
    texts = texts_to_compare(classifier.preprocessor, length)
    ids = classifier.preprocessor.encode(texts).ids[:, :length]
    expected = classifier._probabilities(ids)
    counts = (ids != 0).sum(axis=1)
    worst = 0.0
    for rows, answer in _answers(path, format, texts, ids):
        sizes = counts[rows]
        given = f"{len(rows)} texts of {sizes.min()} to {sizes.max()} tokens"
        try:
            found = np.asarray(answer())
        except Exception as error:
            raise ExportError(
                f"{format} cannot run a batch of {given} ({reason_within(error)})"
            ) from error
        if found.shape != (len(rows), len(classifier.class_names)):
            raise ExportError(
                f"{format} gives an array of shape {found.shape} for {given}"
            )
        # Not a number is no small difference.
        gaps = np.nan_to_num(np.abs(found - expected[rows]).max(axis=1), nan=1.0)
        if gaps.max() > TOLERANCE:
            raise ExportError(
                f"{format} differs from the classifier by {gaps.max():.2g} for a text "
                f"of {sizes[gaps.argmax()]} tokens in a batch of {given}"
            )
        worst = max(worst, float(gaps.max()))
    return worst, len(texts)


def texts_to_compare(vectorizer: TextVectorizer, length: int | None) -> list[str]:
    """Texts of no token, of one, and so on, to more than are read; and strange ones."""
    longest = min(filter(None, (vectorizer.max_length, length)), default=_LONG)
    lengths = {0, 1, 2, 3, longest // 2, longest - 1, longest, longest + 3}
    random = np.random.default_rng(0)
    tokens = [*vectorizer.get_vocabulary(include_special_tokens=False), "\u0378"]
    between = " " if vectorizer.unit == "word" else ""
    texts = [between.join(random.choice(tokens, n)) for n in sorted(lengths)]
    return [*texts, between.join([tokens[0]] * longest), *_STRANGE]


Batch = tuple[list[int], Callable[[], np.ndarray]]


def _answers(path: Path, format: str, texts: list[str], ids: np.ndarray) -> list[Batch]:
    """Rows of the texts, and what runs the export on them."""
    everything = list(range(len(texts)))
    batches = [[i] for i in everything]
    batches += [[i, everything[-1 - i]] for i in everything[: len(texts) // 2]]
    batches += [everything, everything[::-1]]
    if format == "saved_model":
        serve = tf.saved_model.load(str(path)).signatures["serving_default"]
        utf8 = [text.encode("utf-8", errors="replace") for text in texts]
        return [
            (rows, lambda rows=rows: _served(serve, [utf8[i] for i in rows]))
            for rows in batches
        ]
    exported = ExportedClassifier(path)
    _check_ids(exported.vectorizer.encode(texts), ids, texts, format)
    answers: list[Batch] = []
    for rows in batches:
        width = max(1, (ids[rows] != 0).sum(axis=1).max())
        widths = [width, width + 3] if exported.length is None else [width]
        for w in widths:
            batch = np.pad(ids[rows], ((0, 0), (0, 3)))[:, :w]
            answers.append((rows, lambda batch=batch: exported.run(batch)))
    return answers


def _served(serve: Callable, texts: list[bytes]) -> np.ndarray:
    answer = {k: v.numpy() for k, v in serve(texts=tf.constant(texts)).items()}
    names = answer["class_names"]
    best = answer["probabilities"].argmax(axis=1)
    rows = np.arange(len(texts))
    if any(names[rows, best] != answer["label"]) or any(
        answer["probabilities"][rows, best] != answer["probability"]
    ):
        raise ValueError("the label is not that of the highest probability")
    return answer["probabilities"]


def _check_ids(
    found: np.ndarray, expected: np.ndarray, texts: list[str], format: str
) -> None:
    width = max(found.shape[1], expected.shape[1])
    found, expected = (
        np.pad(ids, ((0, 0), (0, width - ids.shape[1]))) for ids in (found, expected)
    )
    wrong = np.flatnonzero((found != expected).any(axis=1))
    if len(wrong):
        raise ExportError(
            f"the reader of {format} gives other token ids than the classifier for "
            f"{texts[wrong[0]]!r:.60}"
        )
