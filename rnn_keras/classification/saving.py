"""Reads a saved classifier from a file that a stranger may have made.

Whoever gives a classifier away chooses every byte of its file. So before Keras sees the
file, `check_keras_file` looks through it: the archive holds the members that
`TextClassifier.save` writes and no others; they are no larger than they say, nor than
those of a classifier; the weights are plain numbers in the file itself; and the
configuration names nothing but what `rnn_keras.classification.allowlist` allows.

Faults of the HDF5 library itself are not covered. And the file is read twice, so
whoever can exchange it in between is not stopped.
"""

import io
import json
import math
import stat
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

import h5py
import keras
import numpy as np

from rnn_keras.classification.allowlist import check_config
from rnn_keras.utils.errors import InputError, reason_within
from rnn_keras.utils.files import is_encrypted, kind_of_path

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# Keras writes this file, too, although the configuration has the vocabulary.
VOCABULARY = "vocabulary.txt"
# Two million tokens of eight characters, each as \uXXXX, are 100 MB.
LARGEST_CONFIG = 2**27
LARGEST_METADATA = 2**16
# Keras does not compress members. If a file is compressed later, weights hardly shrink,
# except the zeros of an optimizer that has made no step.
MAX_COMPRESSION = 20
_MOST_OBJECTS = 100_000  # groups and datasets; a layer has about ten
_NEEDED = (CONFIG, METADATA, WEIGHTS)


def check_keras_file(path: Path, registered: Mapping[str, Any]) -> None:
    """Refuse a file that holds anything but the data of a classifier.

    Args:
        path: the file.
        registered: classes and functions that the process has registered with Keras,
            by name. The file may name them.

    Raises:
        InputError: if the file is damaged, or holds anything else.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = _members(archive)
            size = file.seek(0, io.SEEK_END)
            _read(archive, members[METADATA], LARGEST_METADATA)
            config = _read(archive, members[CONFIG], LARGEST_CONFIG)
            for name in members.keys() - set(_NEEDED):
                _read(archive, members[name], LARGEST_CONFIG)
            content = _read(archive, members[WEIGHTS], MAX_COMPRESSION * size)
        weights = _count_weights(content)
        _check_allowed(_parse(config), registered, weights)
    except _Refused as error:
        raise InputError(f"{path}: refused, nothing of it is loaded: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    # `zipfile` raises errors of many types for a damaged file.
    except Exception as error:
        raise InputError(f"{path}: not a .keras file, or a damaged one") from error


class AnsweringModel(Protocol):
    """A model of texts: what `load_model` tries out."""

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Return class probabilities `(texts, classes)`."""


ModelKind = TypeVar("ModelKind", bound=AnsweringModel)


class _Refused(Exception):
    """A file may not be loaded; the message says why."""


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members of an archive by name, if they are those of a classifier."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename
        if name in members:
            raise _Refused(f"it holds two members called {name!r}")
        if not _is_expected(name):
            raise _Refused(f"it holds {name!r}, which no classifier's file does")
        if stat.S_ISLNK(info.external_attr >> 16) or info.is_dir():
            raise _Refused(f"its member {name!r} is no plain file")
        if is_encrypted(info):
            raise _Refused(f"its member {name!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Refused(f"its member {name!r} is packed in an unusual way")
        members[name] = info
    for name in _NEEDED:
        if name not in members:
            raise _Refused(f"it holds no {name}")
    if len(members) > 4:
        raise _Refused(f"it holds {len(members)} members, where four are the most")
    return members


def _is_expected(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return name in _NEEDED or (
        parts[0] == "assets"
        and parts[-1] == VOCABULARY
        and "/".join(parts) == name
        and all(part.replace("_", "a").isalnum() for part in parts[:-1])
    )


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """Return the content of a member, if it is as large as it says and within `limit`.

    `zipfile` compares the content with its check sum, and returns no more bytes than
    were declared.
    """
    packed = info.compress_size
    if info.file_size > limit or info.file_size > MAX_COMPRESSION * packed + 2**20:
        raise _Refused(
            f"its member {info.filename!r} unpacks to {info.file_size:,} bytes of "
            f"{packed:,}, far more than a classifier's does"
        )
    with archive.open(info) as member:
        content = member.read()
    if len(content) != info.file_size:
        raise _Refused(
            f"its member {info.filename!r} says it is {info.file_size:,} bytes, and "
            f"is {len(content):,}"
        )
    return content


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _Refused(f"its {CONFIG} is not JSON ({error})") from error


def _check_allowed(config: Any, registered: Mapping[str, Any], weights: int) -> None:
    try:
        check_config(config, registered, weights)
    except ValueError as error:
        raise _Refused(f"its {CONFIG} {error}") from None


def _count_weights(content: bytes) -> int:
    """Return how many numbers a file of weights holds.

    Raises:
        _Refused: if it holds anything but numbers that are stored in `content`.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            return _WeightsCounter(len(content)).count(file)
    except _Refused:
        raise
    # h5py raises errors of many types for a damaged file.
    except Exception as error:
        raise _Refused(f"its {WEIGHTS} is damaged ({error})") from error


class _WeightsCounter:
    """Looks at each group and dataset of a file of weights once.

    Args:
        size: number of bytes in the file; all datasets together have no more.
    """

    def __init__(self, size: int):
        self.bytes_left = size
        self.seen: set[Any] = set()

    def count(self, file: h5py.File) -> int:
        """Return the number of numbers in the file."""
        number = 0
        waiting: list[h5py.Group] = [file]
        while waiting:
            group = waiting.pop()
            for name in group:
                self._check_link(group, name)
                child = group[name]
                key = h5py.h5o.get_info(child.id).addr
                # Keras never writes two names for one object.
                if key in self.seen or len(self.seen) > _MOST_OBJECTS:
                    raise _Refused(f"its {WEIGHTS} is tangled at {child.name!r}")
                self.seen.add(key)
                if isinstance(child, h5py.Group):
                    waiting.append(child)
                else:
                    number += self._size(child)
        return number

    def _check_link(self, group: h5py.Group, name: str) -> None:
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            kind = type(link).__name__
            raise _Refused(f"its {WEIGHTS} has a {kind} at {name!r}, out of the file")

    def _size(self, dataset: Any) -> int:
        """Return the number of numbers in a dataset that is stored plainly."""
        if not isinstance(dataset, h5py.Dataset):
            raise _Refused(f"its {WEIGHTS} has no numbers at {dataset.name!r}")
        plan = dataset.id.get_create_plist()
        if dataset.external or dataset.is_virtual:
            raise _Refused(
                f"its {WEIGHTS} has numbers of another file at {dataset.name!r}"
            )
        # A filter may be a plugin, which is code. Keras uses no filters.
        if plan.get_nfilters() or dataset.chunks is not None:
            raise _Refused(f"its {WEIGHTS} has packed numbers at {dataset.name!r}")
        is_half = dataset.dtype.kind == "V" and dataset.dtype.itemsize == 2
        if dataset.dtype.kind not in "biuf" and not (
            is_half and dataset.attrs.get("dtype") == "bfloat16"
        ):
            raise _Refused(
                f"its {WEIGHTS} has {dataset.dtype} at {dataset.name!r}, not numbers"
            )
        number = math.prod(map(int, dataset.shape or ()))
        self.bytes_left -= number * dataset.dtype.itemsize
        if dataset.shape is None or self.bytes_left < 0:
            raise _Refused(f"its {WEIGHTS} declares more numbers than it holds")
        return number


def load_model(path: str | Path, kind: type[ModelKind]) -> ModelKind:
    """Return the model of class `kind` that is saved in the file `path`.

    Nothing in the file is run as code. The file is looked through before Keras loads
    it, because Keras's safe mode alone does not protect: the function
    `keras.config.enable_unsafe_deserialization` turns it off for the whole process,
    whatever `safe_mode` says.

    Raises:
        InputError: if there is no such file, or it holds something else.
    """
    path = Path(path)
    if kind_of_path(path) != "file":
        raise InputError(f"{path}: no such file; expected a saved classifier")
    # A file with another name would be read by Keras in another, older format.
    if path.suffix != ".keras":
        raise InputError(f"{path}: expected a file whose name ends with .keras")
    check_keras_file(path, keras.saving.get_custom_objects())
    try:
        with _without_warnings():
            model = keras.saving.load_model(path, safe_mode=True)
            if isinstance(model, kind):
                # The network may fail to give logits. What is built for this answer
                # is kept for later ones.
                model.predict_proba(["a"])
    except Exception as error:
        raise InputError(
            f"{path}: cannot be loaded ({reason_within(error)})"
        ) from error
    if not isinstance(model, kind):
        found = type(model).__name__
        raise InputError(f"{path}: holds a Keras {found}, not a {kind.__name__}")
    return model


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Suppress the warnings that are of no use to someone who loads a model.

    Keras repeats warnings from when the model was built, and warns of an optimizer that
    begins anew. But layers without weights in the file would be wrong in silence, so
    that warning is an error.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message="Skipping nested container")
        yield
