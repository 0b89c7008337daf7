"""The description beside an export: `model.onnx.json` beside `model.onnx`.

It holds the vocabulary, the class names and the tokenizer's rules. It comes with the
model from somebody else and may be damaged or forged, so `read_description` checks
every entry before anything uses it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnn_keras.exported.runtimes import LOADERS
from rnn_keras.exported.vectorizer import is_integer, rule_faults
from rnn_keras.utils.errors import InputError

FORMAT_VERSION = 1
# A LiteRT model holds the states of all its steps, however short the text is.
MOST_STEPS = 4096


def description_path(path: Path) -> Path:
    """Path of the description of the model at `path`, as `model.onnx.json`."""
    return path.with_name(path.name + ".json")


def read_description(path: str | Path) -> dict[str, Any]:
    """Content of the JSON file beside the export at `path`, checked.

    Raises:
        InputError: if either file is missing, or the JSON belongs to another model,
            has another version, or is not as export writes it.
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
    fault = next(_description_faults(description), None)
    if fault is not None:
        raise InputError(f"{beside}: not written by export, or damaged ({fault})")
    return description


def _description_faults(description: dict[str, Any]) -> Iterator[str]:
    """A few words on each entry that export would not write so."""
    format, length = description.get("format"), description.get("length")
    if format not in LOADERS:
        yield f"format: expected one of {', '.join(LOADERS)}"
    for name in ("class_names", "vocabulary"):
        if not _is_list_of_strings(description.get(name)):
            yield f"{name}: expected a list of strings"
    max_length = description.get("max_length")
    if max_length is not None and not is_integer(max_length, 1):
        yield "max_length: expected a number of tokens, or null"
    fixed = length is not None or format == "litert"
    if fixed and not is_integer(length, 1, MOST_STEPS):
        yield f"length: expected 1 to {MOST_STEPS} for litert, null for onnx"
    yield from rule_faults(description.get("tokenizer"), len(description["vocabulary"]))


def _is_list_of_strings(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(text, str) for text in value)
    )
