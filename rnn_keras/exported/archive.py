"""Reads the archive of a `.keras` file that a stranger may have made.

Whoever gives a classifier away chooses every byte of its file. So before anything is
made of it, `read_archive` looks through it: the archive holds the members that
`TextClassifier.save` writes and no others; they are no larger than they say, nor than
those of a classifier; the weights are plain numbers in the file itself; and the
configuration names nothing but what `rnn_keras.exported.allowlist` allows.

Faults of the HDF5 library itself are not covered.
"""

import io
import json
import math
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import h5py

from rnn_keras.exported.allowlist import check_config
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import is_encrypted, kind_of_path

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# The tokenizer's rules, which `TextClassifier.save_assets` writes; older files lack it.
RULES = "assets/tokenizer.json"
# Keras writes this file, too, although the configuration has the vocabulary.
VOCABULARY = "vocabulary.txt"
# Two million tokens of eight characters, each as \uXXXX, are 100 MB.
LARGEST_CONFIG = 2**27
LARGEST_METADATA = 2**16
LARGEST_RULES = 2**18  # they take 16 KB
# Keras does not compress members. If a file is compressed later, weights hardly shrink,
# except the zeros of an optimizer that has made no step.
MAX_COMPRESSION = 20
_MOST_OBJECTS = 100_000  # groups and datasets; a layer has about ten
_NEEDED = (CONFIG, METADATA, WEIGHTS)


class Archive(NamedTuple):
    """What a `.keras` file holds; it has been looked through.

    Attributes:
        config: content of `config.json`.
        weights: the HDF5 file of the weights.
        rules: the tokenizer's rules as JSON, not looked at yet; `None` in older files.
    """

    config: dict[str, Any]
    weights: bytes
    rules: bytes | None


def read_archive(path: Path, registered: Mapping[str, str | None]) -> Archive:
    """Read a file, and refuse it if it holds anything but the data of a classifier.

    Args:
        path: the file.
        registered: the `__name__` of each class and function that the file may name
            besides those of Keras, by the name under which it is registered.

    Raises:
        InputError: if there is no such file, it is damaged, or it holds anything else.
    """
    if kind_of_path(path) != "file":
        raise InputError(f"{path}: no such file; expected a saved classifier")
    # A file with another name would be read by Keras in another, older format.
    if path.suffix != ".keras":
        raise InputError(f"{path}: expected a file whose name ends with .keras")
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            members = _members(archive)
            size = file.seek(0, io.SEEK_END)
            _read(archive, members[METADATA], LARGEST_METADATA)
            config = _read(archive, members[CONFIG], LARGEST_CONFIG)
            rules = None
            if RULES in members:
                rules = _read(archive, members[RULES], LARGEST_RULES)
            for name in members.keys() - {*_NEEDED, RULES}:
                _read(archive, members[name], LARGEST_CONFIG)
            content = _read(archive, members[WEIGHTS], MAX_COMPRESSION * size)
        weights = _count_weights(content)
        parsed = _parse(config)
        _check_allowed(parsed, registered, weights)
    except _Refused as error:
        raise InputError(f"{path}: refused, nothing of it is loaded: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    # `zipfile` raises errors of many types for a damaged file.
    except Exception as error:
        raise InputError(f"{path}: not a .keras file, or a damaged one") from error
    return Archive(parsed, content, rules)


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
    if len(members) > 5:
        raise _Refused(f"it holds {len(members)} members, where five are the most")
    return members


def _is_expected(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return name in (*_NEEDED, RULES) or (
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


def _check_allowed(
    config: Any, registered: Mapping[str, str | None], weights: int
) -> None:
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
