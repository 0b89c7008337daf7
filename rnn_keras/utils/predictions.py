"""What a classifier answers: a class name and probabilities, by NumPy alone."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from rnn_keras.utils.errors import InputError


class Prediction(NamedTuple):
    """The answer to one text.

    Attributes:
        text: as it was given.
        label: name of the most probable class.
        probability: of that class.
        probabilities: of every class, by name; they sum to 1.
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
) -> np.ndarray:
    """What `forward` gives for texts of like length at a time.

    Args:
        forward: from ids `(batch, timesteps)` to floats `(batch, classes)`.
        ids: `(texts, timesteps)`, padded on the right with 0.
        num_classes: for the shape of the answer to no texts.
        batch_size: texts at a time.

    Returns:
        float32 `(texts, classes)`, in the order of `ids`.

    Raises:
        InputError: if `batch_size` is below 1.
    """
    if batch_size < 1:
        raise InputError(f"batch_size {batch_size}: expected 1 or more")
    # Short texts together, so that one long text does not pad them all.
    lengths = (ids != 0).sum(axis=1)
    order = np.argsort(lengths, kind="stable")
    results = np.empty((len(ids), num_classes), np.float32)
    for start in range(0, len(ids), batch_size):
        rows = order[start : start + batch_size]
        longest = max(1, lengths[rows].max())
        results[rows] = forward(ids[rows, :longest])
    return results


def name_predictions(
    texts: Sequence[str], probabilities: np.ndarray, class_names: Sequence[str]
) -> list[Prediction]:
    """The most probable class of each text; of equals the first.

    Args:
        texts: as they were given.
        probabilities: `(texts, classes)`.
        class_names: names of the columns.
    """
    predictions = []
    for text, row in zip(texts, probabilities, strict=True):
        named = dict(zip(class_names, row.tolist(), strict=True))
        label = max(named, key=named.__getitem__)
        predictions.append(Prediction(text, label, named[label], named))
    return predictions
