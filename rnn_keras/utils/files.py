"""Reads files that other people made, and writes files completely or not at all.

Reading: a name that ends with `.csv` may belong to a pipe, which would block forever,
and a few kilobytes may unpack to more than the memory holds. Every reader of tables,
texts and series opens its file here, where both are refused. Nothing is unpacked to
disk, so a member of an archive cannot overwrite anything.

Writing: a file is written under another name, flushed to the disk and renamed, so that
it is complete whenever it is there, even after a power cut.

Errors of the system, of decoders and of parsers become one-line `InputError`s
(`refuse_unreadable`, `refuse_unwritable`). What the content means is not decided here.
"""

import bz2
import codecs
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, Literal

from rnn_keras.utils.errors import InputError, reason_of

# What reading a damaged or mislabelled file may raise. Errors of pandas and pyarrow are
# ValueErrors; an archive without the expected member raises KeyError; an encrypted one
# raises RuntimeError, and so does the recursive reader of JSON.
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
_DAMAGED_ARCHIVE = (
    gzip.BadGzipFile,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
# The classifier in the folder of a training run.
RUN_MODEL = "model.keras"
# Text shrinks to between a third and a tenth when it is packed, a table with few
# distinct rows to a fiftieth; a single repeated byte shrinks to a thousandth, with
# `.bz2` or `.xz` to far less.
MAX_UNPACKED_RATIO = 200
# Unpacking to this many bytes is always allowed: it does no harm.
HARMLESS_BYTES = 100_000_000
_OPENERS: dict[str, Callable[..., Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


@contextmanager
def refuse_unreadable(
    path: str | Path,
    *,
    name: str | None = None,
    encoding: str | None = None,
    errors: tuple[type[Exception], ...] = UNREADABLE,
    describe: Callable[[Exception], str] | None = None,
) -> Iterator[None]:
    """Turn errors of reading a file into an `InputError` of one line.

    An `InputError` that is raised inside passes unchanged.

    Args:
        path: the file.
        name: what the message calls the file; by default its path.
        encoding: how its bytes are decoded. With it, an unknown encoding is named, and
            a decoding error is reported with the place of the first invalid byte and
            advice on the option --encoding.
        errors: the types of errors that mean an unreadable file.
        describe: returns what the message says after the name of the file; by default
            "cannot be read" with the reason.

    Raises:
        InputError: if one of `errors` is raised inside.
    """
    name = str(path) if name is None else name
    try:
        yield
    except InputError:
        raise
    except errors as error:
        if encoding is not None and not _is_text_encoding(encoding):
            said = f"{encoding!r:.40} is not a known text encoding"
        elif encoding is not None and isinstance(error, UnicodeError):
            said = _describe_wrong_encoding(Path(path), encoding)
        elif describe is not None:
            said = describe(error)
        else:
            said = f"cannot be read ({_reason_of_unreadable(error)})"
        raise InputError(f"{name}: {said}") from error


def _reason_of_unreadable(error: Exception) -> str:
    """Say why in words that do not depend on the versions of Python's libraries."""
    if isinstance(error, EOFError):
        return "it ends too early"
    if isinstance(error, _DAMAGED_ARCHIVE):
        return "a damaged archive, or one of another kind than its name says"
    return reason_of(error)


def kind_of_path(path: Path) -> Literal["file", "folder", "other"] | None:
    """What a path leads to; "other" is a pipe or device, `None` means nothing.

    Raises:
        InputError: if the system does not tell, for example because the folder may not
            be searched.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        # No file can have a name that is too long or contains NUL.
        if getattr(error, "errno", None) in (None, errno.ENAMETOOLONG):
            return None
        raise InputError(f"{path}: cannot be read ({reason_of(error)})") from error
    if stat.S_ISDIR(mode):
        return "folder"
    return "file" if stat.S_ISREG(mode) else "other"


def open_file(path: Path) -> IO[bytes]:
    """Open a regular file for reading bytes.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if it may not be read.
        InputError: if it is a folder, pipe or device.
    """
    # Looked at first, because `open` itself would wait for a pipe's writer.
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        found = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
        raise InputError(f"{path}: {found}, where a file is expected")
    return open(path, "rb")


@contextmanager
def open_bytes(path: Path, suffix: str | None = None) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes, and unpack it if its name says that it is packed.

    Args:
        path: the file.
        suffix: ".gz", ".bz2", ".xz" or ".zip" if the name does not end with it; any
            other suffix means that the file is not packed.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not a regular file, or an archive that does not hold
            exactly one file; while reading, if it unpacks to more than
            `max_unpacked_bytes`.
    """
    suffix = path.suffix.lower() if suffix is None else suffix
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if suffix == ".zip":
            with (
                zipfile.ZipFile(file) as archive,
                archive.open(_only_member(path, archive)) as member,
            ):
                yield _limit(path, member, size)
        elif suffix in _OPENERS:
            with _OPENERS[suffix](file, "rb") as unpacked:
                yield _limit(path, unpacked, size)
        else:
            yield file


@contextmanager
def open_lines(path: Path, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """Open a file like `open_bytes`, for reading text.

    A byte order mark at the start of UTF-8 is dropped.
    """
    with open_bytes(path) as raw, io.TextIOWrapper(raw, codec_for(encoding)) as lines:
        yield lines


def codec_for(encoding: str) -> str:
    """The codec for an encoding: for UTF-8 the one that drops a byte order mark."""
    return "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding


def _is_text_encoding(encoding: str) -> bool:
    try:
        "".encode(encoding)
    except (LookupError, ValueError):
        return False
    return True


def max_unpacked_bytes(packed: int) -> int:
    """How many bytes a packed file of `packed` bytes may unpack to."""
    return max(HARMLESS_BYTES, MAX_UNPACKED_RATIO * packed)


def unpacks_too_large(path: Path, packed: int) -> InputError:
    """The error for a file of `packed` bytes that unpacks to more than it may."""
    return InputError(
        f"{path}: unpacks to more than {max_unpacked_bytes(packed):,} bytes from "
        f"{packed:,}; if that is intended, unpack it and give the file inside"
    )


def is_encrypted(member: zipfile.ZipInfo) -> bool:
    """Whether reading a member of a ZIP archive takes a password."""
    return bool(member.flag_bits & 1)


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [
        member
        for member in archive.infolist()
        # macOS adds a second file for each, with the Finder's notes.
        if not member.is_dir() and not member.filename.startswith("__MACOSX/")
    ]
    if len(members) != 1:
        raise InputError(f"{path}: {len(members)} files inside; expected one")
    name = members[0].filename
    readings = (PurePosixPath(name), PureWindowsPath(name))
    if any(reading.anchor or ".." in reading.parts for reading in readings):
        raise InputError(
            f"{path}: the file inside is called {name!r}, a place outside the archive; "
            "unpack it and give the table itself"
        )
    if is_encrypted(members[0]):
        raise InputError(
            f"{path}: is encrypted with a password; unpack it and give the table itself"
        )
    return members[0]


def _limit(path: Path, raw: IO[bytes], packed: int) -> IO[bytes]:
    return io.BufferedReader(_LimitedReader(path, raw, packed), 2**16)


class _LimitedReader(io.RawIOBase):
    """A stream that raises `InputError` once it has given more bytes than it may."""

    def __init__(self, path: Path, raw: IO[bytes], packed: int):
        self.path, self.raw, self.packed = path, raw, packed
        self.bytes_left = max_unpacked_bytes(packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self.raw.read(len(buffer))
        self.bytes_left -= len(part)
        if self.bytes_left < 0:
            raise unpacks_too_large(self.path, self.packed)
        buffer[: len(part)] = part
        return len(part)


def _describe_wrong_encoding(path: Path, encoding: str) -> str:
    """Where a file turns out not to have an encoding, and what to do about it."""
    try:
        place, start = _first_undecodable_byte(path, encoding)
    except UNREADABLE:  # the file has changed meanwhile
        place, start = "place unknown", b""
    advice = "give its encoding, for example --encoding gb18030 or latin-1"
    if codec_for(encoding) == "utf-8-sig" and start in (b"\xff\xfe", b"\xfe\xff"):
        advice = "it begins like UTF-16: --encoding utf-16"
    return f"not {encoding} text ({place}); {advice}"


def _first_undecodable_byte(path: Path, encoding: str) -> tuple[str, bytes]:
    """The value and line of the first byte that is invalid; the first two bytes."""
    decoder = codecs.getincrementaldecoder(codec_for(encoding))()
    number, line, start = 0, b"", b""
    with open_bytes(path) as raw:
        try:
            for line in raw:
                number, start = number + 1, start or line[:2]
                decoder.decode(line)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            line = error.object[error.start :]
        except UnicodeError:  # of some codecs, without a position
            pass
    return f"byte 0x{line[0]:02x} in line {number:,}", start


@contextmanager
def refuse_unwritable(
    path: str | Path,
    *,
    errors: tuple[type[Exception], ...] = (OSError,),
    can_resume: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Turn errors of writing a file or folder into an `InputError` of one line.

    Args:
        path: the file or folder.
        errors: the types of errors that mean that it cannot be written.
        can_resume: called after an error; tells whether there is a checkpoint from
            which the same command can go on.

    Raises:
        InputError: if one of `errors` is raised inside.
    """
    try:
        yield
    except InputError:
        raise
    except errors as error:
        raise _not_written(Path(path), error, can_resume()) from error


def _not_written(path: Path, error: Exception, kept: bool = False) -> InputError:
    """The error for a file or folder that cannot be written.

    Args:
        path: the file or folder.
        error: the reason.
        kept: whether there is a checkpoint to go on from.
    """
    advice = "; the last checkpoint is kept, and the same command goes on from it"
    reason = getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot be written ({reason}){advice if kept else ''}")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is complete whenever it is there.

    Raises:
        OSError: if it cannot be written; a file that was there before is unchanged.
    """
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
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk; Windows has no way to do so."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_json(path: Path) -> Any:
    """The content of a JSON file; `None` if there is none or it is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
