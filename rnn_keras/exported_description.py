"""The JSON file beside an export, looked through before anything rests on it.

It comes with the model from somebody else, and may be damaged or made up. What is
checked: that everything is there, of the right type, and no larger than Unicode has
characters. Left out: whether the rules are those of the classifier that was exported.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rnn_keras.errors import InputError

FORMAT_VERSION = 1
FORMATS = ("onnx", "litert")
# A LiteRT model holds the states of all its steps, however short the text.
MOST_STEPS = 4096
_LAST_POINT = 0x10FFFF


def description_path(path: Path) -> Path:
    """Where the description of the model at `path` lies: `model.onnx.json`."""
    return path.with_name(path.name + ".json")


def read_description(path: str | Path) -> dict[str, Any]:
    """What the JSON file beside the export at `path` holds.

    Raises:
        InputError: if one of the two is missing, or the JSON is another's, of another
            version, or not as export writes it.
    """
    path = Path(path)
    beside = description_path(path)
    for file in (path, beside):
        if not file.is_file():
            raise InputError(f"{file}: no such file; expected what export wrote")
    try:
        description = json.loads(beside.read_text(encoding="utf-8"))
        version, model = description["format_version"], description["model"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{beside}: not written by export, or damaged") from error
    if version != FORMAT_VERSION:
        raise InputError(
            f"{beside}: format version {str(version)[:40]}; expected {FORMAT_VERSION}"
        )
    if model != path.name:
        raise InputError(f"{beside}: belongs to {str(model)[:200]}, not to {path.name}")
    wrong = next(_wrong(description), None)
    if wrong is not None:
        raise InputError(f"{beside}: not written by export, or damaged ({wrong})")
    return description


def in_groups(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """So many at a time."""
    return (numbers[i : i + size] for i in range(0, len(numbers), size))


def _wrong(description: dict[str, Any]) -> Iterator[str]:
    format, length = description.get("format"), description.get("length")
    if format not in FORMATS:
        yield f"format: expected one of {', '.join(FORMATS)}"
    if not _is_texts(description.get("class_names")):
        yield "class_names: expected a list of strings"
    if not _is_texts(description.get("vocabulary")):
        yield "vocabulary: expected a list of strings"
    if description.get("max_length") is not None and not _is_whole(
        description["max_length"], 1
    ):
        yield "max_length: expected a number of tokens, or null"
    if (length is not None or format == "litert") and not _is_whole(
        length, 1, MOST_STEPS
    ):
        yield f"length: expected 1 to {MOST_STEPS}, of litert alone"
    rules = description.get("tokenizer")
    if not isinstance(rules, dict):
        yield "tokenizer: expected its rules"
        return
    if rules.get("unit") not in ("word", "character"):
        yield "unit: expected word or character"
    if not isinstance(rules.get("lowercase"), bool):
        yield "lowercase: expected true or false"
    if not _is_whole(rules.get("unknown_id"), 0, len(description["vocabulary"]) - 1):
        yield "unknown_id: expected a position in the vocabulary"
    if rules["unit"] == "word":
        yield from _wrong_of_words(rules)


def _wrong_of_words(rules: dict[str, Any]) -> Iterator[str]:
    ranges = ["alone", "spaces"]
    if rules["lowercase"]:
        ranges += ["cased", "ignorable"]
        if not _is_runs(rules.get("lower")):
            yield "lower: expected runs of code points"
        if not _is_special(rules.get("special")):
            yield "special: expected the text that each character becomes"
    for name in ranges:
        if not _is_ranges(rules.get(name)):
            yield f"{name}: expected ranges of code points"


def _is_texts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(text, str) for text in value)
    )


def _is_whole(value: Any, least: int, most: int | None = None) -> bool:
    return type(value) is int and value >= least and (most is None or value <= most)


def _is_points(value: Any, size: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) % size == 0
        and all(type(number) is int for number in value)
    )


def _is_ranges(value: Any) -> bool:
    """Whether it is first and last code points, of no more than there are in all."""
    return (
        _is_points(value, 2)
        and len(value) > 0
        and all(0 <= a <= b <= _LAST_POINT for a, b in in_groups(value, 2))
        and sum(b - a + 1 for a, b in in_groups(value, 2)) <= _LAST_POINT + 1
    )


def _is_runs(value: Any) -> bool:
    """Whether it is first, last, step and offset, of no more points than there are."""
    return (
        _is_points(value, 4)
        and all(
            0 <= a <= b <= _LAST_POINT
            and step >= 0
            and 0 <= a + offset <= b + offset <= _LAST_POINT
            for a, b, step, offset in in_groups(value, 4)
        )
        and sum((b - a) // (step or 1) + 1 for a, b, step, _ in in_groups(value, 4))
        <= _LAST_POINT + 1
    )


def _is_special(value: Any) -> bool:
    return isinstance(value, dict) and all(
        len(one) == 1 and isinstance(text, str) for one, text in value.items()
    )
