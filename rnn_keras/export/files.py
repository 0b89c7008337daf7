"""Where an export is written: nothing else is overwritten, nothing is half-written.

Everything is written into a hidden folder beside the target first, and moved into place
at the end. An older export of the same name is replaced only if it is certain that
export wrote it.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rnn_keras.exported import description_path
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import refuse_unwritable
from rnn_keras.utils.stopping import cleaned_up

_SUFFIXES = {"onnx": ".onnx", "litert": ".tflite"}
# TensorFlow leaves this folder of a SavedModel to the program that writes the model.
_SAVED_MODEL_MARK = Path("assets.extra", "rnn_keras.json")


def check_targets(path: Path, format: str, force: bool) -> list[Path]:
    """The files or folders that an export to `path` will write, once all are free.

    Args:
        path: where the model goes.
        format: one of `rnn_keras.export.writer.FORMATS`.
        force: whether an older export of this name may be replaced.

    Returns:
        The model; for ONNX and LiteRT also the description beside it.

    Raises:
        InputError: if the suffix belongs to another format, the folder does not
            exist, or a name is taken by anything but an older export that `force`
            lets replace.
    """
    suffix, targets = _SUFFIXES.get(format), [path]
    if suffix is not None:
        targets.append(description_path(path))
        if path.suffix != suffix:
            raise InputError(f"{path}: expected a name that ends in {suffix}")
    elif path.suffix in (*_SUFFIXES.values(), ".keras", ".h5", ".json"):
        raise InputError(
            f"{path}: a SavedModel is a folder; expected a name without {path.suffix}"
        )
    if not path.name or not path.parent.is_dir():
        raise InputError(f"{path}: expected a name in a folder that exists")
    for target in targets:
        older = _is_older_export(target, path, format)
        if os.path.lexists(target) and not (force and older):
            advice = ", or give --force to replace it" if older else ""
            raise InputError(
                f"{target}: exists, and is {'an' if older else 'no'} older export of "
                f"this name; choose another name{advice}"
            )
    return targets


def mark_saved_model(path: Path) -> None:
    """Note in the SavedModel at `path` that export wrote it and may replace it."""
    mark = path / _SAVED_MODEL_MARK
    mark.parent.mkdir(exist_ok=True)
    mark.write_text('{"format": "saved_model"}\n', encoding="utf-8")


def _is_older_export(target: Path, path: Path, format: str) -> bool:
    """Whether export wrote `target`, which its name alone does not tell."""
    if target.is_symlink():
        return False
    if format not in _SUFFIXES:
        is_saved_model = (target / "saved_model.pb").is_file()
        mark = target / _SAVED_MODEL_MARK
        return is_saved_model and _json_has(mark, "format", "saved_model")
    return target.is_file() and _json_has(description_path(path), "model", path.name)


def _json_has(file: Path, key: str, value: str) -> bool:
    try:
        return json.loads(file.read_text(encoding="utf-8"))[key] == value
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


@contextmanager
def staging_folder(targets: list[Path]) -> Iterator[Path]:
    """A new folder to write in, whose content replaces the targets at the end.

    Each target is written under its own name in the folder. If an error or Ctrl-C comes
    before the end, all targets stay, or become again, what they were.

    Args:
        targets: files or folders in one folder.

    Raises:
        InputError: if something cannot be written.
    """
    with refuse_unwritable(targets[0]):
        staging = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=targets[0].parent))
        finished_with = True
        try:
            with cleaned_up(partial(shutil.rmtree, staging, ignore_errors=True)):
                yield staging
            _move_into_place(staging, targets)
        except _NotRestoredError:
            finished_with = False  # the folder holds the older files
            raise
        finally:
            if finished_with:
                shutil.rmtree(staging, ignore_errors=True)


class _NotRestoredError(InputError):
    """The older files could not be moved back to their place."""


def _move_into_place(staging: Path, targets: list[Path]) -> None:
    older = staging / "older"
    older.mkdir()
    moves: list[tuple[Path, Path]] = []  # from, to
    try:
        for target in targets:
            # Each move is noted before it is made: an interrupt may come in between.
            if target.exists():
                moves.append((target, older / target.name))
                os.replace(*moves[-1])
            moves.append((staging / target.name, target))
            os.replace(*moves[-1])
    except BaseException:  # Ctrl-C too
        _undo(moves, older)
        raise


def _undo(moves: list[tuple[Path, Path]], older: Path) -> None:
    try:
        for origin, destination in reversed(moves):
            if destination.exists() and not origin.exists():
                os.replace(destination, origin)
    except BaseException as error:
        raise _NotRestoredError(
            f"{older}: holds the older files, which cannot be moved back"
        ) from error


def size_in_bytes(path: Path) -> int:
    """Size of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
