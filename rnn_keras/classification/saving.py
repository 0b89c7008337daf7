"""A `.keras` file is looked through before Keras sees it.

Whoever gives a classifier away chooses every byte of its file. What is checked: that
the archive holds the members that `TextClassifier.save` writes and no others; that they
are no larger than they say, nor than a classifier's are; that the weights lie in the
file itself, as plain numbers; and what the configuration names (`rnn_keras.allowlist`).

Left out: faults of the HDF5 library itself. And the file is read twice, so whoever can
exchange it in between is not stopped.
"""

import io
import json
import stat
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import keras

from rnn_keras.classification.allowlist import check_config
from rnn_keras.utils.errors import InputError, reason_within
from rnn_keras.utils.files import is_encrypted, kind_of_path

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# Keras writes it beside the configuration, where the vocabulary stands, too.
VOCABULARY = "vocabulary.txt"
# Two million tokens of eight characters, each as \uXXXX, are 100 MB.
LARGEST_CONFIG = 2**27
LARGEST_METADATA = 2**16
# Keras stores members as they are. Packed anew, weights hardly shrink, but those of an
# optimizer that has made no step, which are zeros.
LARGEST_RATIO = 20
_MANY = 100_000  # groups and datasets; a layer has about ten


def check_keras_file(path: Path, registered: Mapping[str, Any]) -> None:
    """Refuse a file that is no saved classifier, or more than that.

    Args:
        path: of the file.
        registered: the classes and functions that the process has registered with
            Keras, by name, which the file may name.

    Raises:
        InputError: if it holds anything but data of a classifier.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = _members(archive)
            size = file.seek(0, io.SEEK_END)
            _read(archive, members[METADATA], LARGEST_METADATA)
            config = _read(archive, members[CONFIG], LARGEST_CONFIG)
            for name in members.keys() - {CONFIG, METADATA, WEIGHTS}:
                _read(archive, members[name], LARGEST_CONFIG)
            content = _read(archive, members[WEIGHTS], LARGEST_RATIO * size)
        weights = _count_weights(content)
        _check(_parse(config), registered, weights)
    except _Refused as error:
        raise InputError(f"{path}: refused, nothing of it is loaded: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    # What `zipfile` raises on a damaged file is of many kinds.
    except Exception as error:
        raise InputError(f"{path}: not a .keras file, or a damaged one") from error


class _Refused(Exception):
    """What is wrong with a file."""


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename
        if name in members:
            raise _Refused(f"it holds two members called {name!r}")
        if not _is_ours(name):
            raise _Refused(f"it holds {name!r}, which no classifier's file does")
        if stat.S_ISLNK(info.external_attr >> 16) or info.is_dir():
            raise _Refused(f"its member {name!r} is no plain file")
        if is_encrypted(info):
            raise _Refused(f"its member {name!r} is encrypted")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Refused(f"its member {name!r} is packed in an unusual way")
        members[name] = info
    for name in (CONFIG, METADATA, WEIGHTS):
        if name not in members:
            raise _Refused(f"it holds no {name}")
    if len(members) > 4:
        raise _Refused(f"it holds {len(members)} members, where four are the most")
    return members


def _is_ours(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return name in (CONFIG, METADATA, WEIGHTS) or (
        parts[0] == "assets"
        and parts[-1] == VOCABULARY
        and "/".join(parts) == name
        and all(part.replace("_", "a").isalnum() for part in parts[:-1])
    )


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """A member's content, if it is no larger than it says and than `limit`.

    `zipfile` compares it with its check sum, and gives out no more than was declared.
    """
    packed = info.compress_size
    if info.file_size > limit or info.file_size > LARGEST_RATIO * packed + 2**20:
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


def _check(config: Any, registered: Mapping[str, Any], weights: int) -> None:
    try:
        check_config(config, registered, weights)
    except ValueError as error:
        raise _Refused(f"its {CONFIG} {error}") from None


def _count_weights(content: bytes) -> int:
    """How many numbers the weights are.

    Raises:
        _Refused: if they are anything but numbers that lie in `content`.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            return _Walk(len(content)).count(file)
    except _Refused:
        raise
    # What h5py raises on a damaged file is of many kinds.
    except Exception as error:
        raise _Refused(f"its {WEIGHTS} is damaged ({error})") from error


class _Walk:
    """Looks at everything in a file of weights once."""

    def __init__(self, size: int):
        self.room = size  # bytes that datasets may have
        self.seen: set[Any] = set()

    def count(self, group: h5py.Group) -> int:
        number = 0
        waiting = [group]
        while waiting:
            group = waiting.pop()
            for name in group:
                self._check_link(group, name)
                child = group[name]
                key = h5py.h5o.get_info(child.id).addr
                # Two names of one thing: Keras writes none.
                if key in self.seen or len(self.seen) > _MANY:
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
        if not isinstance(dataset, h5py.Dataset):
            raise _Refused(f"its {WEIGHTS} has no numbers at {dataset.name!r}")
        plan = dataset.id.get_create_plist()
        if dataset.external or dataset.is_virtual:
            raise _Refused(
                f"its {WEIGHTS} has numbers of another file at {dataset.name!r}"
            )
        # Filters may be plugins, which are code; Keras uses none.
        if plan.get_nfilters() or dataset.chunks is not None:
            raise _Refused(f"its {WEIGHTS} has packed numbers at {dataset.name!r}")
        is_half = dataset.dtype.kind == "V" and dataset.dtype.itemsize == 2
        if dataset.dtype.kind not in "biuf" and not (
            is_half and dataset.attrs.get("dtype") == "bfloat16"
        ):
            raise _Refused(
                f"its {WEIGHTS} has {dataset.dtype} at {dataset.name!r}, not numbers"
            )
        number = 1
        for length in dataset.shape or ():
            number *= int(length)
        self.room -= number * dataset.dtype.itemsize
        if dataset.shape is None or self.room < 0:
            raise _Refused(f"its {WEIGHTS} declares more numbers than it holds")
        return number


def load_model(path: str | Path, kind: type[keras.Model]) -> keras.Model:
    """The model of class `kind` in the file `path`. Nothing there is run as code.

    The file is looked through first (`rnn_keras.archives`): that does not rest on
    Keras's safe mode, which `keras.config.enable_unsafe_deserialization` turns off for
    the whole process, whatever `safe_mode` says here.

    Raises:
        InputError: if there is no such file, or it holds something else.
    """
    path = Path(path)
    if kind_of_path(path) != "file":
        raise InputError(f"{path}: no such file; expected a saved classifier")
    # By its name Keras takes a file for one of another, older format.
    if path.suffix != ".keras":
        raise InputError(f"{path}: expected a file whose name ends with .keras")
    check_keras_file(path, keras.saving.get_custom_objects())
    try:
        with warnings.catch_warnings():
            # Of what was said when it was built, and of an optimizer that begins anew;
            # but layers whose weights are not in the file would be wrong in silence.
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", message="Skipping nested container")
            model = keras.saving.load_model(path, safe_mode=True)
            if isinstance(model, kind):
                # Someone may have made up a network that gives no logits. What is
                # built for the answer is kept for those that follow.
                model.predict_proba(["a"])
    except Exception as error:
        raise InputError(
            f"{path}: cannot be loaded ({reason_within(error)})"
        ) from error
    if not isinstance(model, kind):
        found = type(model).__name__
        raise InputError(f"{path}: holds a Keras {found}, not a {kind.__name__}")
    return model
