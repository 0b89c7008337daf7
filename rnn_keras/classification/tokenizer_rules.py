"""What `TextVectorizer` does to each character, found by asking TensorFlow.

Its tokens come from RE2's regular expressions and ICU's lower case, whose Unicode
tables have other versions than Python's. A program without TensorFlow therefore gets
their answers for every code point, as ranges that take a few kilobytes.

Lower case depends on the neighbours of a character in one case only: a capital sigma
at the end of a word becomes another letter than one inside (The Unicode Standard,
section 3.13, "Final_Sigma"). TensorFlow is asked, too, which characters count as
letters there and which are ignored. ICU has more rules of this kind for Turkish,
Azerbaijani and Lithuanian locales; in such a locale there are no rules to write down.
"""

from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from rnn_keras.layers.text_vectorizer import (
    ALONE,
    PADDING_ID,
    SPACE,
    UNKNOWN_ID,
    TextVectorizer,
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
    if [_lower(text) for text in _LOCALE_DEPENDENT] != _LOWER_IN_MOST_LOCALES:
        raise InputError(
            "the locale has lower-casing rules of its own (Turkish, Azerbaijani or "
            "Lithuanian); set LC_ALL=C.UTF-8, for training too"
        )


@cache
def _word_rules() -> dict[str, Any]:
    points = _all_points()
    return {
        "alone": _ranges(_matching(ALONE, points)),
        "spaces": _ranges(_matching(SPACE, points)),
    }


@cache
def _case_rules() -> dict[str, Any]:
    # The vectorizer makes separators a space each before it lower-cases.
    points = _without(_all_points(), _matching(SPACE, _all_points()))
    lowered, starts, ends = _lower_each("AΣ", points, "A")
    # The sigma is not final before a cased letter. It is final before an ignorable
    # character, unless a cased letter follows that one.
    passed = points[lowered[starts + 1] != ord("ς")]
    alone, first, _ = _lower_each("AΣ", passed, "")
    cased = alone[first + 1] != ord("ς")
    # Of each word, what lies between "AΣ" and "A" is the character's lower case.
    starts, ends = starts + 2, ends - 1
    single = ends - starts == 1
    changed = single & (lowered[starts] != points)
    pairs = zip(
        points[changed].tolist(), lowered[starts[changed]].tolist(), strict=True
    )
    return {
        "lower": _runs(list(pairs)),
        "special": {
            chr(points[i]): _text_of(lowered[starts[i] : ends[i]])
            for i in np.flatnonzero(~single)
        },
        "cased": _ranges(passed[cased]),
        "ignorable": _ranges(passed[~cased]),
    }


def _all_points() -> np.ndarray:
    """Return every code point but the surrogates."""
    return np.r_[0:0xD800, 0xE000:0x110000].astype(np.uint32)


def _matching(pattern: str, points: np.ndarray) -> np.ndarray:
    """Return the code points that a pattern matches, as TensorFlow reads it.

    All of them are one string, which is far quicker than a string for each.
    """
    others = tf.strings.regex_replace(_text_of(points).encode(), pattern, "")
    return _without(points, _points_of(others.numpy().decode()))


def _without(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.setdiff1d(points, others, assume_unique=True)


def _lower_each(
    before: str, points: np.ndarray, after: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lower-case words that differ in one character, all of them as one string.

    Args:
        before: what every word begins with.
        points: the character that follows, of each word.
        after: what every word ends with.

    Returns:
        Code points of all words, and where in them each word starts and ends. A space,
        which does not count, stands behind each word.
    """
    words = np.empty((len(points), len(before) + len(after) + 2), np.uint32)
    words[:, : len(before)] = [ord(c) for c in before]
    words[:, len(before)] = points
    words[:, len(before) + 1 :] = [ord(c) for c in f"{after} "]
    lowered = _points_of(_lower(_text_of(words)))
    ends = np.flatnonzero(lowered == ord(" "))
    return lowered, np.r_[0, ends[:-1] + 1], ends


def _lower(text: str) -> str:
    return tf.strings.lower(text.encode(), encoding="utf-8").numpy().decode()


def _text_of(points: np.ndarray) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le")


def _points_of(text: str) -> np.ndarray:
    return np.frombuffer(text.encode("utf-32-le"), "<u4")


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
