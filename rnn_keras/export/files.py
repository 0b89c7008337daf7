"""Where an export goes: never over something else, never half-written."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnn_keras.exported import description_path
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import not_written

SUFFIXES = {"onnx": ".onnx", "litert": ".tflite"}
# In the folder of a SavedModel that is left to whoever writes it.
_MARK = Path("assets.extra", "rnn_keras.json")


def check_targets(path: Path, format: str, force: bool) -> list[Path]:
    """The model at `path`, and the description that goes beside it.

    Raises:
        InputError: for a suffix of another format, a folder that is not there, or
            a name that is taken: by anything, or with `force` by what is no older
            export of that name.
    """
    suffix, targets = SUFFIXES.get(format), [path]
    if suffix is not None:
        targets.append(description_path(path))
        if path.suffix != suffix:
            raise InputError(f"{path}: expected a name that ends in {suffix}")
    elif path.suffix in (*SUFFIXES.values(), ".keras", ".h5", ".json"):
        raise InputError(
            f"{path}: a SavedModel is a folder; expected a name without {path.suffix}"
        )
    if not path.name or not path.parent.is_dir():
        raise InputError(f"{path}: expected a name in a folder that exists")
    for target in targets:
        older = _is_older(target, path, format)
        if os.path.lexists(target) and not (force and older):
            advice = ", or give --force to replace it" if older else ""
            raise InputError(
                f"{target}: exists, and is {'an' if older else 'no'} older export of "
                f"this name; choose another name{advice}"
            )
    return targets


def mark(path: Path) -> None:
    """Say in a SavedModel that export wrote it, and may write over it."""
    file = path / _MARK
    file.parent.mkdir(exist_ok=True)
    file.write_text('{"format": "saved_model"}\n', encoding="utf-8")


def _is_older(target: Path, path: Path, format: str) -> bool:
    """Whether export wrote it: a name alone says nothing of that."""
    if target.is_symlink():
        return False
    if format not in SUFFIXES:
        is_there = (target / "saved_model.pb").is_file()
        return is_there and _holds(target / _MARK, "format", "saved_model")
    return target.is_file() and _holds(description_path(path), "model", path.name)


def _holds(file: Path, key: str, value: str) -> bool:
    try:
        return json.loads(file.read_text(encoding="utf-8"))[key] == value
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


class _NotPutBackError(InputError):
    """What was there before lies elsewhere now."""


@contextmanager
def written_aside(targets: list[Path]) -> Iterator[Path]:
    """A folder to write in; what has the name of a target there becomes it at the end.

    An error before that leaves everything as it was.

    Raises:
        InputError: if something cannot be written.
    """
    aside = None
    try:
        aside = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=targets[0].parent))
        yield aside
        _put_in_place(aside, targets)
    except _NotPutBackError:
        aside = None
        raise
    except OSError as error:
        raise not_written(targets[0], error) from error
    finally:
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _put_in_place(aside: Path, targets: list[Path]) -> None:
    older = aside / "older"
    older.mkdir()
    moved: list[tuple[Path, Path]] = []
    try:
        for target in targets:
            # Noted before it happens: an interrupt may come in between.
            if target.exists():
                moved.append((older / target.name, target))
                os.replace(target, older / target.name)
            moved.append((target, aside / target.name))
            os.replace(aside / target.name, target)
    except BaseException:  # Ctrl-C too
        _put_back(moved, older)
        raise


def _put_back(moved: list[tuple[Path, Path]], older: Path) -> None:
    try:
        for now, before in reversed(moved):
            if now.exists() and not before.exists():
                os.replace(now, before)
    except BaseException as error:
        raise _NotPutBackError(
            f"{older}: what was there before lies here; it cannot be put back"
        ) from error


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
