"""Class names and their indices, from labels that are words or numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_keras.errors import InputError


def class_names_of(labels: Sequence[Any]) -> list[str]:
    """The different labels in order: numbers by value, otherwise alphabetically.

    >>> class_names_of([10, 9, 1, 9]), class_names_of(["spam", "ham"])
    (['1', '9', '10'], ['ham', 'spam'])
    """
    names = sorted({str(label) for label in labels})
    try:
        values = {name: float(name) for name in names}
    except ValueError:
        return names
    return sorted(names, key=lambda n: (math.isnan(values[n]), values[n]))


def check_pairs(texts: Sequence[Any], labels: Sequence[Any]) -> None:
    """Refuse another number of labels than texts.

    Raises:
        InputError: with both numbers.
    """
    if len(texts) != len(labels):
        raise InputError(f"{len(texts)} texts, but {len(labels)} labels")


def classes_to_learn(texts: Sequence[Any], labels: Sequence[Any]) -> list[str]:
    """The class names of training texts.

    Raises:
        InputError: if there are no texts, another number of labels than texts, or
            fewer than two classes.
    """
    check_pairs(texts, labels)
    names = class_names_of(labels)
    if len(names) < 2:
        found = f"one class only: {names[0]}" if names else "no texts"
        raise InputError(f"{found}; a classifier needs two classes or more")
    return names


def class_indices(labels: Sequence[Any], class_names: Sequence[str]) -> np.ndarray:
    """The position of each label in `class_names`, int32 `(texts,)`.

    Raises:
        InputError: if a label is none of them.
    """
    index = {name: i for i, name in enumerate(class_names)}
    unknown = sorted({str(label) for label in labels} - set(index))
    if unknown:
        raise InputError(
            f"label {unknown[0]!r} is none of the classifier's classes: "
            f"{', '.join(class_names)}"
        )
    return np.array([index[str(label)] for label in labels], np.int32)
