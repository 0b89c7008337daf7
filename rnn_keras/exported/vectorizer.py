"""Turns texts into token ids by rules that a file brings along, in plain Python.

The rules say what TensorFlow does with each character; how they were found is in
`rnn_keras.classification.tokenizer_rules`. With them `ExportedVectorizer` gives every
text the ids that `TextVectorizer` gives it, whichever version of Unicode this Python
knows.

They come from somebody else and may be damaged or forged, so `rule_faults` looks at
each of them first: it is there, has the right type, and is no larger than Unicode has
code points. Whether they are those of the classifier cannot be checked here.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from rnn_keras.utils.errors import checked_texts

_LAST_CODE_POINT = 0x10FFFF
_LAST_OF_PLANE = 0xFFFF
# The Unicode Standard, section 5.18: no more characters than these for one.
_LONGEST_CASE = 3


class ExportedVectorizer:
    """Turns texts into the token ids of `TextVectorizer.encode`, in plain Python.

    Args:
        description: content of the JSON file beside an export. Used are `tokenizer`
            (the rules), `max_length` and `vocabulary`.
    """

    def __init__(self, description: dict[str, Any]):
        self._rules = rules = description["tokenizer"]
        self.max_length: int | None = description["max_length"]
        self._unknown = rules["unknown_id"]
        self._ids = {token: i for i, token in enumerate(description["vocabulary"])}
        self._by_word = rules["unit"] == "word"
        self._lower: dict[int, int | str] = {}
        if self._by_word and rules["lowercase"]:
            self._lower = _lower_case_table(rules)

    def tokenize(self, texts: Iterable[str]) -> list[list[str]]:
        """The tokens of each text: all of them, known or not.

        Raises:
            InputError: if `texts` is one string, or holds anything but strings.
        """
        return [self._split(text) for text in checked_texts(texts)]

    def encode(self, texts: Iterable[str]) -> np.ndarray:
        """Token ids, int32 `(texts, longest)`, padded on the right with 0.

        A text of more than `max_length` tokens is cut at its end. There is at least
        one column.

        Raises:
            InputError: if `texts` is one string, or holds anything but strings.
        """
        rows = [
            [self._ids.get(token, self._unknown) for token in tokens[: self.max_length]]
            for tokens in self.tokenize(texts)
        ]
        ids = np.zeros((len(rows), max(map(len, rows), default=0) or 1), np.int32)
        for row, found in zip(ids, rows, strict=True):
            row[: len(found)] = found
        return ids

    def _split(self, text: str) -> list[str]:
        # A lone surrogate cannot be encoded, and becomes "?".
        text = text.encode("utf-8", errors="replace").decode()
        if not self._by_word:
            return list(text.replace("\0", "\ufffd"))
        if self._lower:
            if "Σ" in text:
                text = self._final_sigma.sub(r"\1ς", text)
            text = text.translate(self._lower)
        # Each character of two UTF-16 units is beyond the first plane.
        utf16 = text.encode("utf-16-le", errors="surrogatepass")
        in_plane = len(utf16) == 2 * len(text)
        return (self._token_of_plane if in_plane else self._token).findall(text)

    # Patterns take milliseconds to compile, and few texts need all of them.
    @cached_property
    def _token(self) -> re.Pattern[str]:
        return _token_pattern(self._rules, _LAST_CODE_POINT)

    @cached_property
    def _token_of_plane(self) -> re.Pattern[str]:
        return _token_pattern(self._rules, _LAST_OF_PLANE)

    @cached_property
    def _final_sigma(self) -> re.Pattern[str]:
        return _final_sigma_pattern(self._rules)


def _token_pattern(rules: dict[str, Any], last: int) -> re.Pattern[str]:
    """Finds the tokens of texts whose characters go up to the code point `last`.

    Python looks a character up in a table, but one beyond the first plane it compares
    with each range. If no range reaches there, a text is split eight times as fast.
    """
    alone = _character_class(rules["alone"], last)
    spaces = _character_class(rules["spaces"], last)
    # A class may not be empty, and no text has a surrogate.
    return re.compile(rf"[{alone}\ud800]|[^{alone}{spaces}\ud800]+")


def _character_class(ranges: Sequence[int], last: int = _LAST_CODE_POINT) -> str:
    """Ranges of code points, as the inside of brackets in a regular expression."""
    return "".join(
        rf"\U{a:08x}-\U{min(b, last):08x}"
        for a, b in _in_groups(ranges, 2)
        if a <= last
    )


def _lower_case_table(rules: dict[str, Any]) -> dict[int, int | str]:
    """What `str.translate` needs to lower-case a text."""
    table: dict[int, int | str] = {ord(a): b for a, b in rules["special"].items()}
    for first, last, step, offset in _in_groups(rules["lower"], 4):
        points = range(first, last + 1, step or 1)
        table |= {point: point + offset for point in points}
    return table


def _final_sigma_pattern(rules: dict[str, Any]) -> re.Pattern[str]:
    """Finds each capital sigma that ends a word, with what stands before it."""
    cased = _character_class(rules["cased"])
    ignorable = _character_class(rules["ignorable"])
    return re.compile(f"([{cased}][{ignorable}]*)Σ(?![{ignorable}]*[{cased}])")


def _in_groups(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """The numbers in consecutive groups of `size`."""
    return (numbers[i : i + size] for i in range(0, len(numbers), size))


def rule_faults(rules: Any, vocabulary_size: int) -> Iterator[str]:
    """A few words on each tokenizer's rule that this package would not write so.

    Args:
        rules: what should be the result of
            `rnn_keras.classification.tokenizer_rules.tokenizer_rules`.
        vocabulary_size: number of tokens, padding and unknown included.
    """
    if not isinstance(rules, dict):
        yield "tokenizer: expected an object with the tokenizer's rules"
        return
    if rules.get("unit") not in ("word", "character"):
        yield "unit: expected word or character"
    if not isinstance(rules.get("lowercase"), bool):
        yield "lowercase: expected true or false"
    if not is_integer(rules.get("unknown_id"), 0, vocabulary_size - 1):
        yield "unknown_id: expected a position in the vocabulary"
    if rules["unit"] != "word":
        return
    ranges = ["alone", "spaces"]
    if rules["lowercase"]:
        ranges += ["cased", "ignorable"]
        if not _is_lower_case_runs(rules.get("lower")):
            yield "lower: expected runs of code points"
        if not _is_special_case_map(rules.get("special")):
            yield "special: expected the text that each character becomes"
    for name in ranges:
        if not _is_ranges(rules.get(name)):
            yield f"{name}: expected ranges of code points"


def is_integer(value: Any, least: int, most: int | None = None) -> bool:
    """Whether `value` is an integer, no `bool`, between the bounds."""
    return type(value) is int and value >= least and (most is None or value <= most)


def _is_groups_of_integers(value: Any, size: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) % size == 0
        and all(type(number) is int for number in value)
    )


def _is_ranges(value: Any) -> bool:
    """Whether it lists first and last code points, not more than there are in all."""
    return (
        _is_groups_of_integers(value, 2)
        and len(value) > 0
        and all(0 <= a <= b <= _LAST_CODE_POINT for a, b in _in_groups(value, 2))
        and sum(b - a + 1 for a, b in _in_groups(value, 2)) <= _LAST_CODE_POINT + 1
    )


def _is_lower_case_runs(value: Any) -> bool:
    """Whether it lists first, last, step and offset, for not more points than exist."""
    return (
        _is_groups_of_integers(value, 4)
        and all(
            0 <= a <= b <= _LAST_CODE_POINT
            and step >= 0
            and 0 <= a + offset <= b + offset <= _LAST_CODE_POINT
            for a, b, step, offset in _in_groups(value, 4)
        )
        and sum((b - a) // (step or 1) + 1 for a, b, step, _ in _in_groups(value, 4))
        <= _LAST_CODE_POINT + 1
    )


def _is_special_case_map(value: Any) -> bool:
    """Whether it has no text longer than the longest that Unicode has."""
    return isinstance(value, dict) and all(
        len(character) == 1 and isinstance(text, str) and len(text) <= _LONGEST_CASE
        for character, text in value.items()
    )
