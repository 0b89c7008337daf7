"""A trained classifier for other programs: a SavedModel, ONNX or LiteRT.

- `saved_model`: a folder for TensorFlow Serving or `tf.saved_model.load`, from strings
  to class names and probabilities. Nothing of this package is needed there.
- `onnx`: a file from token ids to probabilities, for onnxruntime.
- `litert`: the same for LiteRT, with a fixed number of token ids a text, of LiteRT's
  built-in operations alone.

The latter two have a JSON file beside them, by which `rnn_keras.exported` turns texts
into token ids without TensorFlow. Each export is run, and compared with the classifier
it came from (`rnn_keras.export_check`), before it is put in its place.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import keras

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.export.files import check_targets, mark, size, written_aside
from rnn_keras.export.tensorflow import write_litert, write_saved_model
from rnn_keras.export.tokenizer_rules import tokenizer_rules
from rnn_keras.export.verification import largest_difference
from rnn_keras.exported import FORMAT_VERSION, INSTALL, MOST_STEPS, description_path
from rnn_keras.utils.errors import InputError, reason_within
from rnn_keras.utils.quiet import silence

Format = Literal["saved_model", "onnx", "litert"]
FORMATS = get_args(Format)
NEEDED = {
    "saved_model": (),
    "onnx": ("onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
}


class ExportReport(NamedTuple):
    """What was written.

    Attributes:
        path: of the model.
        format: one of `FORMATS`.
        files: each file or folder that was written, and its bytes.
        length: token ids a text, of LiteRT; `None` where any number is taken.
        largest_difference: between probabilities of the export and the classifier.
        num_texts: that they were compared on, each alone and with others.
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
    """Write a classifier for another program, and run what was written.

    Args:
        classifier: a trained `TextClassifier`.
        path: where the model goes: a folder, a `.onnx` or a `.tflite` file; of the
            latter two the description goes beside it, as `model.onnx.json`.
        format: `"saved_model"`, `"onnx"` or `"litert"`.
        length: token ids a text, of LiteRT alone; by default the classifier's
            `max_length`. Longer texts are cut at their end.
        force: replace an older export at `path`.
        report: gets a line as each part of the work begins.

    Raises:
        InputError: if the classifier cannot be exported, `path` is taken, a package
            is missing, or the export does not answer as the classifier does. Then
            nothing is written.
    """
    path = Path(path)
    _check_classifier(classifier, format)
    length = _length(classifier.preprocessor.max_length, format, length)
    targets = check_targets(path, format, force)
    _check_packages(format)
    with written_aside(targets) as aside:
        model = aside / path.name
        report(f"converting to {format}")
        _write(classifier, model, format, length)
        report("comparing with the classifier")
        with silence():
            compared = largest_difference(classifier, model, format, length)
    sizes = {target: size(target) for target in targets}
    return ExportReport(path, format, sizes, length, *compared)


def _write(
    classifier: TextClassifier, path: Path, format: str, length: int | None
) -> None:
    try:
        with silence():
            if format == "saved_model":
                write_saved_model(classifier, path)
                mark(path)
                return
            description = _description(classifier, path.name, format, length)
            if format == "onnx":
                from rnn_keras.export.onnx import write_onnx

                write_onnx(classifier, path)
            else:
                write_litert(classifier, path, length)
    except (InputError, OSError):
        raise
    except Exception as error:
        reason = reason_within(error)
        raise InputError(
            f"the classifier cannot be converted to {format} ({reason})"
        ) from error
    text = json.dumps(description, ensure_ascii=False, separators=(",", ":"))
    description_path(path).write_text(text + "\n", encoding="utf-8")


def _description(
    classifier: TextClassifier, name: str, format: str, length: int | None
) -> dict[str, Any]:
    preprocessor = classifier.preprocessor
    return {
        "format_version": FORMAT_VERSION,
        "format": format,
        "model": name,
        "class_names": list(classifier.class_names),
        "max_length": min(
            filter(None, (preprocessor.max_length, length)), default=None
        ),
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


def _length(max_length: int | None, format: str, length: int | None) -> int | None:
    """Token ids a text, where it is fixed."""
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
                f"takes {MOST_STEPS} at most: choose how many (--length)"
            )
        return max_length
    most = min(max_length or MOST_STEPS, MOST_STEPS)
    if not 1 <= length <= most:
        why = "the classifier cuts longer texts" if max_length == most else "the limit"
        raise InputError(f"length {length}: expected 1 to {most} ({why})")
    return length


def _check_packages(format: str) -> None:
    for package in NEEDED[format]:
        try:
            __import__(package)
        except ImportError as error:
            raise InputError(f"{format} needs {package}: {INSTALL}") from error
