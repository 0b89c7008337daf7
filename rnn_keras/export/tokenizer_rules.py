"""What `TextVectorizer` does to each character, found out by asking TensorFlow.

Its tokens come from RE2's regular expressions and ICU's lower case, whose tables of
Unicode are of other versions than Python's. A program without TensorFlow therefore
gets what they say of every code point, as ranges that take a few kilobytes.

Lower case hangs on the neighbours in one place only: a capital sigma that ends a word
becomes another letter than one inside (The Unicode Standard, section 3.13,
"Final_Sigma"). Which characters count as letters there, and which are passed over, is
asked as well. Turkish, Azerbaijani and Lithuanian have more such rules, which ICU
follows in such a locale; they are refused.
"""

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from rnn_keras.layers.text_vectorizer import (
    PADDING_ID,
    UNKNOWN_ID,
    TextVectorizer,
    is_standalone_token,
    is_word_separator,
)
from rnn_keras.utils.errors import InputError

# Dotted and dotless i of Turkish, and the dots that Lithuanian keeps.
_BY_LOCALE = ["I", "I\u0307", "J\u0301", "\u00cc"]
_EVERYWHERE = ["i", "i\u0307", "j\u0301", "\u00ec"]


def tokenizer_rules(vectorizer: TextVectorizer) -> dict[str, Any]:
    """How `vectorizer` finds tokens, in what JSON has.

    Returns:
        `unit`, `lowercase`, `padding_id` and `unknown_id`; of words also `alone`
        and `spaces`, flat lists of the first and last code point of each range; and
        where words are lower-cased `lower`, four numbers a run (its first and last
        code point, the step, and what is added), `special`, texts of more than one
        character, and the ranges `cased` and `ignorable` of the rule of the sigma.

    Raises:
        InputError: if the locale has lower-casing rules of its own.
    """
    rules = {
        "unit": vectorizer.unit,
        "lowercase": vectorizer.lowercase,
        "padding_id": PADDING_ID,
        "unknown_id": UNKNOWN_ID,
    }
    if vectorizer.unit == "word":
        rules |= _word_rules()
        if vectorizer.lowercase:
            _check_locale()
            rules |= _case_rules()
    return rules


def _check_locale() -> None:
    if _decoded(_lower(tf.constant(_BY_LOCALE))) != _EVERYWHERE:
        raise InputError(
            "the locale has lower-casing rules of its own (Turkish, Azerbaijani or "
            "Lithuanian); set LC_ALL=C.UTF-8, for training too"
        )


@cache
def _word_rules() -> dict[str, Any]:
    points, characters = _characters()
    return {
        "alone": _ranges(points[is_standalone_token(characters)]),
        "spaces": _ranges(points[is_word_separator(characters)]),
    }


@cache
def _case_rules() -> dict[str, Any]:
    points, characters = _characters()
    # Before it lower-cases, the vectorizer has made these one space each.
    words = ~is_word_separator(characters)
    points, characters = points[words], tf.boolean_mask(characters, words)
    lower = _decoded(_lower(characters))
    changed = [
        (p, text)
        for p, text in zip(points.tolist(), lower, strict=True)
        if text != chr(p)
    ]
    single = [(p, ord(text)) for p, text in changed if len(text) == 1]
    ends_word = "aς".encode()
    # A sigma before a letter is none at the end. Before what is passed over it is,
    # unless a letter comes after.
    cased = ~_starts_with(_lower(tf.strings.join(["AΣ", characters])), ends_word)
    inside = ~_starts_with(_lower(tf.strings.join(["AΣ", characters, "A"])), ends_word)
    return {
        "lower": _runs(single),
        "special": {chr(p): text for p, text in changed if len(text) != 1},
        "cased": _ranges(points[cased]),
        "ignorable": _ranges(points[inside & ~cased]),
    }


def _characters() -> tuple[np.ndarray, tf.Tensor]:
    """Every code point but the surrogates, as a number and as a string."""
    points = np.r_[0:0xD800, 0xE000:0x110000].astype(np.int32)
    return points, tf.strings.unicode_encode(points[:, None], "UTF-8")


def _lower(strings: tf.Tensor) -> tf.Tensor:
    return tf.strings.lower(strings, encoding="utf-8")


def _decoded(strings: tf.Tensor) -> list[str]:
    return [text.decode() for text in strings.numpy().tolist()]


def _starts_with(strings: tf.Tensor, start: bytes) -> np.ndarray:
    return tf.strings.substr(strings, 0, len(start)).numpy() == start


def _ranges(points: np.ndarray) -> list[int]:
    """First and last of each run of numbers without a gap, one after the other.

    >>> _ranges(np.array([1, 2, 3, 7]))
    [1, 3, 7, 7]
    """
    last = np.flatnonzero(np.diff(points, append=np.inf) != 1)
    first = np.r_[0, last + 1][: len(last)]
    return np.stack([points[first], points[last]], axis=1).ravel().tolist()


def _runs(pairs: list[tuple[int, int]]) -> list[int]:
    """First, last, step and offset of each run of equal steps and offsets.

    >>> _runs([(65, 97), (66, 98), (256, 257), (258, 259)])
    [65, 66, 1, 32, 256, 258, 2, 1]
    """
    runs: list[list[int]] = []
    for point, lower in pairs:
        run = runs[-1] if runs else [0, 0, 0, 0]
        alone = run[0] == run[1]
        gap = point - run[1]
        if lower - point == run[3] and (gap == run[2] or (alone and gap <= 2)):
            run[1:3] = [point, gap]
        else:
            runs.append([point, point, 1, lower - point])
    return [number for run in runs for number in run]
