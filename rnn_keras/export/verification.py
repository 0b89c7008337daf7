"""Runs an export beside the classifier that it was made from, and compares them.

The texts have no token up to more tokens than are read; each is run alone, in a pair
with a text of another length, in one batch with all others, and with more padding.
Compared are the probabilities, and for ONNX and LiteRT the token ids, which
`rnn_keras.exported` makes there. A SavedModel takes the texts themselves.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import tensorflow as tf

from rnn_keras.exported import ExportedClassifier
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.utils.errors import InputError, reason_within

if TYPE_CHECKING:
    from rnn_keras.classification.classifier import TextClassifier


TOLERANCE = 1e-4
# Length of the longest text where neither classifier nor format has a limit.
_LONGEST = 64
# Texts that a tokenizer might read otherwise than TensorFlow does.
_STRANGE_TEXTS = [
    "ΟΔΟΣ ΟΔΟΣ. ΣΑΣ Σ ΑΣ'Α ΑΣ' İI\u0307",
    "e\u0301tude nai\u0308ve \ud800 a\0b \x85\u2028\u3000c\u00a0d\ufeff",
    "我有iPhone 13，カメラー。한국어 हिन्दी 😀\u200d👩 don't £5.00",
]


class ExportError(InputError):
    """An export does not answer as its classifier does."""


class Comparison(NamedTuple):
    """How an export and its classifier compare.

    Attributes:
        largest_difference: between two probabilities.
        num_texts: number of texts that both have answered.
    """

    largest_difference: float
    num_texts: int


class _Batch(NamedTuple):
    """Some of the texts, and a function that runs the export on them.

    Attributes:
        rows: positions of the texts.
        run: gives the probabilities `(batch, classes)`.
    """

    rows: list[int]
    run: Callable[[], np.ndarray]


def compare(
    classifier: "TextClassifier", path: Path, format: str, length: int | None
) -> Comparison:
    """Compare the export at `path` with the classifier that it was made from.

    Args:
        classifier: the exported classifier.
        path: the model.
        format: `"saved_model"`, `"onnx"` or `"litert"`.
        length: number of token ids after which the format cuts texts, or `None`.

    Raises:
        ExportError: if two probabilities differ by more than `TOLERANCE`, a token id
            differs, or the export cannot be run.
    """
    texts = texts_to_compare(classifier.preprocessor, length)
    ids = classifier.preprocessor.encode(texts).ids[:, :length]
    expected = classifier.probabilities_of_ids(ids)
    lengths = (ids != 0).sum(axis=1)
    largest = 0.0
    for batch in _batches(path, format, texts, ids):
        sizes = lengths[batch.rows]
        given = f"{len(sizes)} texts of {sizes.min()} to {sizes.max()} tokens"
        try:
            found = np.asarray(batch.run())
        except Exception as error:
            raise ExportError(
                f"{format} cannot run a batch of {given} ({reason_within(error)})"
            ) from error
        if found.shape != (len(sizes), len(classifier.class_names)):
            raise ExportError(
                f"{format} gives an array of shape {found.shape} for {given}"
            )
        gaps = np.abs(found - expected[batch.rows]).max(axis=1)
        gaps = np.nan_to_num(gaps, nan=1.0)  # a nan is no small difference
        if gaps.max() > TOLERANCE:
            raise ExportError(
                f"{format} differs from the classifier by {gaps.max():.2g} for a text "
                f"of {sizes[gaps.argmax()]} tokens in a batch of {given}"
            )
        largest = max(largest, float(gaps.max()))
    return Comparison(largest, len(texts))


def texts_to_compare(vectorizer: TextVectorizer, length: int | None) -> list[str]:
    """Texts of known and unknown tokens in several lengths, and a few strange ones.

    Args:
        vectorizer: its vocabulary gives the tokens.
        length: number of token ids after which the format cuts texts, or `None`.

    Returns:
        Texts of 0, 1, 2 and more tokens, up to three more than are read.
    """
    longest = min(filter(None, (vectorizer.max_length, length)), default=_LONGEST)
    lengths = {0, 1, 2, 3, longest // 2, longest - 1, longest, longest + 3}
    random = np.random.default_rng(0)
    tokens = [*vectorizer.get_vocabulary(include_special_tokens=False), "\u0378"]
    separator = " " if vectorizer.unit == "word" else ""
    texts = [separator.join(random.choice(tokens, n)) for n in sorted(lengths)]
    return [*texts, separator.join([tokens[0]] * longest), *_STRANGE_TEXTS]


def _batches(
    path: Path, format: str, texts: list[str], ids: np.ndarray
) -> list[_Batch]:
    """Every batch that the export is to be run on."""
    everything = list(range(len(texts)))
    pairs = [[i, everything[-1 - i]] for i in everything[: len(texts) // 2]]
    groups = [*([i] for i in everything), *pairs, everything, everything[::-1]]
    if format == "saved_model":
        serve = tf.saved_model.load(str(path)).signatures["serving_default"]
        utf8 = [text.encode("utf-8", errors="replace") for text in texts]
        return [
            _Batch(rows, partial(_run_saved_model, serve, [utf8[i] for i in rows]))
            for rows in groups
        ]
    exported = ExportedClassifier(path)
    _check_ids(exported.vectorizer.encode(texts), ids, texts, format)
    wider = np.pad(ids, ((0, 0), (0, 3)))
    batches = []
    for rows in groups:
        width = max(1, (ids[rows] != 0).sum(axis=1).max())
        widths = [width, width + 3] if exported.length is None else [width]
        batches += [
            _Batch(rows, partial(exported.run, wider[rows, :columns]))
            for columns in widths
        ]
    return batches


def _run_saved_model(serve: Callable, texts: list[bytes]) -> np.ndarray:
    """The probabilities of a SavedModel, whose label must belong to the highest."""
    answer = {k: v.numpy() for k, v in serve(texts=tf.constant(texts)).items()}
    probabilities = answer["probabilities"]
    best = probabilities.argmax(axis=1)
    rows = np.arange(len(texts))
    if any(answer["class_names"][rows, best] != answer["label"]) or any(
        probabilities[rows, best] != answer["probability"]
    ):
        raise ValueError("the label is not that of the highest probability")
    return probabilities


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
            f"the vectorizer of {format} gives other token ids than the classifier "
            f"for {texts[wrong[0]]!r:.60}"
        )
