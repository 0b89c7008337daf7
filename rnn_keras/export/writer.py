"""Writes a trained classifier for other programs: SavedModel, ONNX or LiteRT.

- `saved_model`: a folder for TensorFlow Serving or `tf.saved_model.load`. It takes
  strings and gives class names and probabilities; nothing of this package is needed
  there.
- `onnx`: a file for onnxruntime. It takes token ids and gives probabilities.
- `litert`: a file for LiteRT. It takes a fixed number of token ids per text, gives
  probabilities, and uses LiteRT's built-in operations only.

ONNX and LiteRT files have a JSON file beside them, with which `rnn_keras.exported`
turns texts into token ids without TensorFlow. Every export is run and compared with the
classifier that it was made from (`rnn_keras.export.verification`) before it is moved to
its place.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import keras

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.classification.tokenizer_rules import tokenizer_rules
from rnn_keras.export.files import (
    check_targets,
    mark_saved_model,
    size_in_bytes,
    staging_folder,
)
from rnn_keras.export.tensorflow import write_litert, write_saved_model
from rnn_keras.export.verification import compare
from rnn_keras.exported import FORMAT_VERSION, INSTALL, MOST_STEPS, description_path
from rnn_keras.utils.errors import InputError, reason_within
from rnn_keras.utils.quiet import silence

Format = Literal["saved_model", "onnx", "litert"]
FORMATS = get_args(Format)
_PACKAGES: dict[str, tuple[str, ...]] = {
    "saved_model": (),
    "onnx": ("onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
}


class ExportReport(NamedTuple):
    """What was written, and how it compares with the classifier.

    Attributes:
        path: the model.
        format: one of `FORMATS`.
        files: each file or folder that was written, with its size in bytes.
        length: number of token ids per text that a LiteRT model takes; `None` where
            a model takes any number.
        largest_difference: between probabilities of the export and the classifier.
        num_texts: number of texts they were compared on, each alone and with others.
    """

    path: Path
    format: str
    files: dict[Path, int]
    length: int | None
    largest_difference: float
    num_texts: int


def export(
    classifier: TextClassifier,
    path: str | Path,
    format: Format,
    *,
    length: int | None = None,
    force: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> ExportReport:
    """Write a classifier for another program, and check what was written.

    Args:
        classifier: a trained `TextClassifier`.
        path: where the model goes: a folder for a SavedModel, else a `.onnx` or
            `.tflite` file, whose description is written beside it (`model.onnx.json`).
        format: `"saved_model"`, `"onnx"` or `"litert"`.
        length: number of token ids per text, for LiteRT only; by default the
            classifier's `max_length`. Longer texts are cut at their end.
        force: replace an older export at `path`.
        report: receives one line when each stage of the work begins.

    Raises:
        InputError: if the classifier cannot be exported, `path` is taken, a package
            is missing, or the export does not answer as the classifier does. Nothing
            is written then.
    """
    path = Path(path)
    _check_classifier(classifier, format)
    length = _fixed_length(classifier.preprocessor.max_length, format, length)
    targets = check_targets(path, format, force)
    _check_packages(format)
    with staging_folder(targets) as staging:
        model = staging / path.name
        report(f"converting to {format}")
        _write(classifier, model, format, length)
        report("comparing with the classifier")
        with silence():
            compared = compare(classifier, model, format, length)
    sizes = {target: size_in_bytes(target) for target in targets}
    return ExportReport(path, format, sizes, length, *compared)


def _write(
    classifier: TextClassifier, path: Path, format: str, length: int | None
) -> None:
    """Write the model and what belongs to it, without a check of its answers."""
    try:
        with silence():
            _write_model(classifier, path, format, length)
            if format == "saved_model":
                mark_saved_model(path)
            else:
                description = _description(classifier, path.name, format, length)
                text = json.dumps(
                    description, ensure_ascii=False, separators=(",", ":")
                )
                description_path(path).write_text(text + "\n", encoding="utf-8")
    except (InputError, OSError):
        raise
    except Exception as error:
        reason = reason_within(error)
        raise InputError(
            f"the classifier cannot be converted to {format} ({reason})"
        ) from error


def _write_model(
    classifier: TextClassifier, path: Path, format: str, length: int | None
) -> None:
    if length is not None:  # only LiteRT's is fixed
        write_litert(classifier, path, length)
    elif format == "onnx":
        from rnn_keras.export.onnx import write_onnx  # onnx may not be installed

        write_onnx(classifier, path)
    else:
        write_saved_model(classifier, path)


def _description(
    classifier: TextClassifier, name: str, format: str, length: int | None
) -> dict[str, Any]:
    """The content of the JSON file; `rnn_keras.exported` checks and reads it."""
    preprocessor = classifier.preprocessor
    limits = filter(None, (preprocessor.max_length, length))
    return {
        "format_version": FORMAT_VERSION,
        "format": format,
        "model": name,
        "class_names": list(classifier.class_names),
        "max_length": min(limits, default=None),
        "length": length,
        "tokenizer": tokenizer_rules(preprocessor),
        "vocabulary": preprocessor.get_vocabulary(),
    }


def _check_classifier(classifier: Any, format: str) -> None:
    if format not in FORMATS:
        raise InputError(f"format {format!r} is none of {', '.join(FORMATS)}")
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "exporting needs the TensorFlow backend. "
            f"Received: {keras.backend.backend()!r}"
        )
    if not isinstance(classifier, TextClassifier):
        kind = type(classifier).__name__
        raise InputError(f"a TextClassifier can be exported, not a {kind}")


def _fixed_length(
    max_length: int | None, format: str, length: int | None
) -> int | None:
    """Number of token ids per text; `None` for a format that takes any number.

    Args:
        max_length: number of tokens after which the classifier cuts texts, or `None`.
        format: one of `FORMATS`.
        length: the number that the caller asks for, or `None`.
    """
    if format != "litert":
        if length is not None:
            raise InputError(
                f"length {length}: {format} takes texts of any length; only litert "
                "has a fixed one"
            )
        return None
    if length is None:
        if max_length is None:
            raise InputError(
                "this classifier cuts no text, but litert takes a fixed length: "
                f"choose one (--length), 1 to {MOST_STEPS}"
            )
        if max_length > MOST_STEPS:
            raise InputError(
                f"this classifier cuts texts after {max_length} tokens, and litert "
                f"takes at most {MOST_STEPS}: choose a length (--length)"
            )
        return max_length
    most = min(max_length or MOST_STEPS, MOST_STEPS)
    if not 1 <= length <= most:
        why = "the classifier cuts longer texts" if max_length == most else "the limit"
        raise InputError(f"length {length}: expected 1 to {most} ({why})")
    return length


def _check_packages(format: str) -> None:
    for package in _PACKAGES[format]:
        try:
            __import__(package)
        except ImportError as error:
            raise InputError(f"{format} needs {package}: {INSTALL}") from error
