"""Predictions of a classifier, computed in batches and named, with NumPy alone.

A trained classifier and an exported one use the same functions; the network itself is
passed in as `forward`.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from rnn_keras.utils.errors import InputError


class Prediction(NamedTuple):
    """The prediction for one text.

    Attributes:
        text: the text as it was given.
        label: name of the most probable class.
        probability: probability of that class.
        probabilities: probability of every class, by name; they sum to 1.
    """

    text: str
    label: str
    probability: float
    probabilities: dict[str, float]


def run_by_length(
    forward: Callable[[np.ndarray], np.ndarray],
    ids: np.ndarray,
    num_classes: int,
    batch_size: int,
    threads: int = 1,
) -> np.ndarray:
    """Apply a network to texts, those of similar length in one batch.

    Args:
        forward: from token ids `(batch, timesteps)` to floats `(batch, classes)`.
        ids: token ids `(texts, timesteps)`, padded on the right with 0.
        num_classes: the number of classes.
        batch_size: texts in a batch.
        threads: number of batches that are computed at the same time. The threads
            are gone when the function returns, so that a process may be forked.

    Returns:
        float32 `(texts, classes)`, in the order of `ids`.

    Raises:
        InputError: if `batch_size` is below 1, or the network gives infinity or `nan`.
    """
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size}: expected 1 or more")
    # Sorted, so that one long text does not pad all others.
    lengths = (ids != 0).sum(axis=1)
    order = np.argsort(lengths, kind="stable")
    results = np.empty((len(ids), num_classes), np.float32)

    def run(start: int) -> None:
        rows = order[start : start + batch_size]
        longest = max(1, lengths[rows].max())
        results[rows] = forward(ids[rows, :longest])

    starts = range(0, len(ids), batch_size)
    if min(threads, len(starts)) > 1:
        with ThreadPoolExecutor(threads) as pool:
            # The longest texts first, so that no thread has them alone at the end.
            list(pool.map(run, reversed(starts)))
    else:
        for start in starts:
            run(start)
    if not np.isfinite(results).all():
        raise InputError(
            "the network answers with numbers that are not finite: its weights have "
            "diverged; train it again with a lower learning rate"
        )
    return results


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities `(texts, classes)` of logits."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def name_predictions(
    texts: Sequence[str], probabilities: np.ndarray, class_names: Sequence[str]
) -> list[Prediction]:
    """Name the most probable class of each text; among equals, the first.

    Args:
        texts: the texts as they were given.
        probabilities: class probabilities `(texts, classes)`.
        class_names: names of the columns.
    """
    predictions = []
    for text, row in zip(texts, probabilities, strict=True):
        named = dict(zip(class_names, row.tolist(), strict=True))
        label = max(named, key=named.__getitem__)
        predictions.append(Prediction(text, label, named[label], named))
    return predictions


def class_indices(labels: Sequence[Any], class_names: Sequence[str]) -> np.ndarray:
    """Return the position of each label in `class_names`, int32 `(texts,)`.

    Raises:
        InputError: if a label is not among them.
    """
    index = {name: i for i, name in enumerate(class_names)}
    unknown = sorted({str(label) for label in labels} - set(index))
    if unknown:
        raise InputError(
            f"label {unknown[0]!r} is none of the classifier's classes: "
            f"{', '.join(class_names)}"
        )
    return np.array([index[str(label)] for label in labels], np.int32)
