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
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import keras

from rnn_keras.errors import InputError
from rnn_keras.export_check import largest_difference
from rnn_keras.export_tensorflow import write_litert, write_saved_model
from rnn_keras.exported import FORMAT_VERSION, INSTALL
from rnn_keras.pipeline import TextPipeline
from rnn_keras.silence import silence
from rnn_keras.text_rules import tokenizer_rules

Format = Literal["saved_model", "onnx", "litert"]
FORMATS = get_args(Format)
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite"}
NEEDED = {
    "saved_model": (),
    "onnx": ("onnx", "onnxruntime"),
    "litert": ("ai_edge_litert",),
}
# A LiteRT model holds the states of all its steps, however short the text.
MOST_STEPS = 4096


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
    classifier: TextPipeline,
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
            latter two the description goes beside it, with suffix `.json`.
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
    targets = _targets(path, format)
    for target in targets:
        _check_free(target, path, format, force)
    _check_packages(format)
    try:
        aside = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=path.parent))
        try:
            report(f"converting to {format}")
            _write(classifier, aside / path.name, format, length)
            report("comparing with the classifier")
            with silence():
                compared = largest_difference(
                    classifier, aside / path.name, format, length
                )
            _put_in_place(aside, targets)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    sizes = {target: _size(target) for target in targets}
    return ExportReport(path, format, sizes, length, *compared)


def _write(
    classifier: TextPipeline, path: Path, format: str, length: int | None
) -> None:
    try:
        with silence():
            if format == "saved_model":
                write_saved_model(classifier, path)
                return
            description = _description(classifier, path.name, format, length)
            if format == "onnx":
                from rnn_keras.export_onnx import write_onnx

                write_onnx(classifier, path)
            else:
                write_litert(classifier, path, length)
    except (InputError, OSError):
        raise
    except Exception as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(
            f"the classifier cannot be converted to {format} ({reason[:200]})"
        ) from error
    text = json.dumps(description, ensure_ascii=False, separators=(",", ":"))
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def _description(
    classifier: TextPipeline, name: str, format: str, length: int | None
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
    if not isinstance(classifier, TextPipeline):
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
        return max_length
    most = min(max_length or MOST_STEPS, MOST_STEPS)
    if not 1 <= length <= most:
        why = "the classifier cuts longer texts" if max_length == most else "the limit"
        raise InputError(f"length {length}: expected 1 to {most} ({why})")
    return length


def _targets(path: Path, format: str) -> list[Path]:
    """The model, and the description that goes beside it."""
    suffix = SUFFIXES.get(format)
    if suffix is None:
        if path.suffix in (*SUFFIXES.values(), ".keras", ".json", ".h5"):
            raise InputError(
                f"{path}: a SavedModel is a folder; expected a name without "
                f"{path.suffix}"
            )
        return [path]
    if path.suffix != suffix:
        raise InputError(f"{path}: expected a name that ends in {suffix}")
    return [path, path.with_suffix(".json")]


def _check_free(target: Path, path: Path, format: str, force: bool) -> None:
    if not target.parent.is_dir():
        raise InputError(f"{target.parent}: no such folder; {target.name} goes there")
    if not target.exists():
        return
    if not force:
        raise InputError(
            f"{target}: exists already; choose another name, or give --force to "
            "replace an older export"
        )
    if not _is_export(target, path, format):
        raise InputError(f"{target}: is no older export; it is not replaced")


def _is_export(target: Path, path: Path, format: str) -> bool:
    """Whether `--force` may replace it: another model's description is none."""
    if format == "saved_model":
        return (target / "saved_model.pb").is_file()
    if target == path:
        return target.is_file()
    try:
        return json.loads(target.read_text(encoding="utf-8"))["model"] == path.name
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_packages(format: str) -> None:
    for package in NEEDED[format]:
        try:
            __import__(package)
        except ImportError as error:
            raise InputError(f"{format} needs {package}: {INSTALL}") from error


def _put_in_place(aside: Path, targets: list[Path]) -> None:
    """Move what lies aside to where it belongs; what stood there comes back if not."""
    older = aside / "older"
    older.mkdir()
    moved: list[tuple[Path, Path]] = []
    try:
        for target in targets:
            if target.exists():
                os.replace(target, older / target.name)
                moved.append((older / target.name, target))
            os.replace(aside / target.name, target)
            moved.append((target, aside / target.name))
    except OSError:
        for now, before in reversed(moved):
            os.replace(now, before)
        raise


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
