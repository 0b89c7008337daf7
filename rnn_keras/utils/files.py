"""A stranger's file as a stream of bytes or lines: plain or packed, never endless.

A file may be named like a table and be a pipe, which is waited for forever; or be a few
kilobytes that unpack to more than the memory holds. Both are refused here, where every
reader of tables, texts and series gets its stream from. Nothing is unpacked to disk, so
no member of an archive can land anywhere.
"""

import bz2
import errno
import gzip
import io
import json
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, Literal

from rnn_keras.utils.errors import InputError, reason_of

# What reading a file may raise that is not what its name says. Errors of pandas and
# pyarrow are ValueErrors, a member that is not in its archive is a KeyError, and
# RuntimeErrors are of encrypted archives, and of JSON, whose reader is recursive.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
    OverflowError,
    MemoryError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
# Text packs to a third or a tenth of its size, a table of few different rows to a
# fiftieth; one byte repeated to a thousandth, and by `.bz2` or `.xz` to far less.
LARGEST_RATIO = 200
# Below, unpacking does no harm whatever the ratio.
SMALL = 100_000_000
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def kind_of_path(path: Path) -> Literal["file", "folder", "other"] | None:
    """What there is: a pipe or device is "other"; `None` where there is nothing.

    Raises:
        InputError: if that cannot be told, as in a folder that may not be looked into.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        # A name longer than one can be, or with a NUL in it, is no file's.
        if getattr(error, "errno", None) in (None, errno.ENAMETOOLONG):
            return None
        raise InputError(f"{path}: cannot be read ({reason_of(error)})") from error
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"


def open_file(path: Path) -> IO[bytes]:
    """The bytes of a regular file.

    Raises:
        FileNotFoundError: if there is nothing.
        OSError: if it may not be read.
        InputError: if it is a folder, pipe or device.
    """
    # A pipe that nobody writes to would be waited for in `open` itself.
    found = os.stat(path).st_mode
    if not stat.S_ISREG(found):
        what = "a folder" if stat.S_ISDIR(found) else "a pipe or device"
        raise InputError(f"{path}: {what}, where a file is expected")
    return open(path, "rb")


@contextmanager
def open_bytes(path: Path, suffix: str | None = None) -> Iterator[IO[bytes]]:
    """The content of a file, unpacked if its name ends with .gz, .bz2, .xz or .zip.

    Args:
        path: of the file.
        suffix: one of these, where the name does not say it.

    Raises:
        FileNotFoundError: if there is nothing.
        InputError: if it is no regular file, or an archive of anything but one file;
            or, while it is read, if it unpacks to far more than it is.
    """
    suffix = path.suffix.lower() if suffix is None else suffix
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if suffix == ".zip":
            with (
                zipfile.ZipFile(file) as archive,
                archive.open(_only_member(path, archive)) as member,
            ):
                yield _bounded(path, member, size)
        elif suffix in _OPENERS:
            with _OPENERS[suffix](file, "rb") as unpacked:
                yield _bounded(path, unpacked, size)
        else:
            yield file


@contextmanager
def open_lines(path: Path, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """The same as text. Of UTF-8, a byte order mark is dropped."""
    with open_bytes(path) as raw, io.TextIOWrapper(raw, codec(encoding)) as lines:
        yield lines


def codec(encoding: str) -> str:
    """Of UTF-8 the variant that drops a byte order mark."""
    return "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding


def largest(packed: int) -> int:
    """The bytes that so many may unpack to."""
    return max(SMALL, LARGEST_RATIO * packed)


def too_large(path: Path, packed: int) -> InputError:
    """What is said of a file that unpacks to more."""
    return InputError(
        f"{path}: unpacks to more than {largest(packed):,} bytes, of {packed:,}; if "
        "that is meant to be so, unpack it and give what is inside"
    )


def is_encrypted(member: zipfile.ZipInfo) -> bool:
    """Whether it is read with a password only."""
    return bool(member.flag_bits & 1)


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        # macOS packs a second file beside each, with what its Finder knows of it.
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    if len(members) != 1:
        raise InputError(f"{path}: {len(members)} files inside; expected one")
    name = members[0].filename
    ways = (PurePosixPath(name), PureWindowsPath(name))
    if any(way.anchor or ".." in way.parts for way in ways):
        raise InputError(
            f"{path}: the file inside is called {name!r}, a place outside the archive; "
            "unpack it and give the table itself"
        )
    if is_encrypted(members[0]):
        raise InputError(
            f"{path}: is encrypted with a password; unpack it and give the table itself"
        )
    return members[0]


def _bounded(path: Path, raw: IO[bytes], packed: int) -> IO[bytes]:
    return io.BufferedReader(_Bounded(path, raw, packed), 2**16)


class _Bounded(io.RawIOBase):
    """A stream that ends with an error once it gets too long."""

    def __init__(self, path: Path, raw: IO[bytes], packed: int):
        self.path, self.raw, self.packed = path, raw, packed
        self.room = largest(packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:
        part = self.raw.read(len(buffer))
        self.room -= len(part)
        if self.room < 0:
            raise too_large(self.path, self.packed)
        buffer[: len(part)] = part
        return len(part)


def not_written(path: Path, error: Exception, kept: bool = False) -> InputError:
    """What is said of a file or folder that cannot be written.

    Args:
        path: of it.
        error: of the system, or of what was to write.
        kept: whether there is a state to go on from.
    """
    more = "; the last good state is kept, and the same command goes on from it"
    reason = getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot be written ({reason}){more if kept else ''}")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whenever the machine stops."""
    aside = path.with_name(f".{path.name}.part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk, too; Windows cannot open one."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read_json(path: Path) -> Any:
    """What a file holds; `None` where there is none, or it is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
