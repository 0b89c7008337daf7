"""What `TextVectorizer` does to each character, found by asking TensorFlow.

Its tokens come from RE2's regular expressions and ICU's lower case, whose Unicode
tables have other versions than Python's. A program without TensorFlow therefore gets
their answers for every code point, as ranges that take a few kilobytes.

Lower case depends on the neighbours of a character in one case only: a capital sigma
at the end of a word becomes another letter than one inside (The Unicode Standard,
section 3.13, "Final_Sigma"). TensorFlow is asked, too, which characters count as
letters there and which are ignored. ICU has more rules of this kind for Turkish,
Azerbaijani and Lithuanian locales; in such a locale an export is refused.
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

# Turkish has a dotted and a dotless i, and Lithuanian keeps the dot below accents.
_LOCALE_DEPENDENT = ["I", "I\u0307", "J\u0301", "\u00cc"]
_LOWER_IN_MOST_LOCALES = ["i", "i\u0307", "j\u0301", "\u00ec"]


def tokenizer_rules(vectorizer: TextVectorizer) -> dict[str, Any]:
    """The rules by which `vectorizer` finds tokens, ready for JSON.

    Returns:
        `unit`, `lowercase`, `padding_id` and `unknown_id`.

        If tokens are words, also `alone` (each such character is a token) and
        `spaces`: flat lists with the first and last code point of each range.

        If words are lower-cased, also `lower` (four numbers for each run: first and
        last code point, step, and the number to add), `special` (each character that
        becomes several), and the ranges `cased` and `ignorable`, which the rule for
        the final sigma needs.

    Raises:
        InputError: if the locale has its own rules for lower case.
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
    if _decode(_lower(tf.constant(_LOCALE_DEPENDENT))) != _LOWER_IN_MOST_LOCALES:
        raise InputError(
            "the locale has lower-casing rules of its own (Turkish, Azerbaijani or "
            "Lithuanian); set LC_ALL=C.UTF-8, for training too"
        )


@cache
def _word_rules() -> dict[str, Any]:
    points, characters = _all_characters()
    return {
        "alone": _ranges(points[is_standalone_token(characters)]),
        "spaces": _ranges(points[is_word_separator(characters)]),
    }


@cache
def _case_rules() -> dict[str, Any]:
    points, characters = _all_characters()
    # The vectorizer makes separators a space each before it lower-cases.
    inside_words = ~is_word_separator(characters)
    points = points[inside_words]
    characters = tf.boolean_mask(characters, inside_words)
    lower = _decode(_lower(characters))
    changed = [
        (point, text)
        for point, text in zip(points.tolist(), lower, strict=True)
        if text != chr(point)
    ]
    single = [(point, ord(text)) for point, text in changed if len(text) == 1]
    # A sigma is not final before a cased letter. It is final before an ignorable
    # character, unless a cased letter follows that one.
    final = "aς".encode()
    cased = ~_starts_with(_lower(tf.strings.join(["AΣ", characters])), final)
    passed = ~_starts_with(_lower(tf.strings.join(["AΣ", characters, "A"])), final)
    return {
        "lower": _runs(single),
        "special": {chr(point): text for point, text in changed if len(text) != 1},
        "cased": _ranges(points[cased]),
        "ignorable": _ranges(points[passed & ~cased]),
    }


def _all_characters() -> tuple[np.ndarray, tf.Tensor]:
    """Every code point but the surrogates, as numbers and as strings."""
    points = np.r_[0:0xD800, 0xE000:0x110000].astype(np.int32)
    return points, tf.strings.unicode_encode(points[:, None], "UTF-8")


def _lower(strings: tf.Tensor) -> tf.Tensor:
    return tf.strings.lower(strings, encoding="utf-8")


def _decode(strings: tf.Tensor) -> list[str]:
    return [text.decode() for text in strings.numpy().tolist()]


def _starts_with(strings: tf.Tensor, start: bytes) -> np.ndarray:
    return tf.strings.substr(strings, 0, len(start)).numpy() == start


def _ranges(points: np.ndarray) -> list[int]:
    """First and last number of each stretch without a gap, in one flat list.

    >>> _ranges(np.array([1, 2, 3, 7]))
    [1, 3, 7, 7]
    """
    last = np.flatnonzero(np.diff(points, append=np.inf) != 1)
    first = np.r_[0, last + 1][: len(last)]
    return np.stack([points[first], points[last]], axis=1).ravel().tolist()


def _runs(pairs: list[tuple[int, int]]) -> list[int]:
    """First, last, step and offset of each run with equal steps and offsets.

    Args:
        pairs: each code point and its lower case, ascending.

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
