"""Files of unknown origin are opened safely; files are written completely."""

import bz2
import errno
import gzip
import io
import lzma
import os
import threading
import zipfile

import pytest

from rnn_keras.datasets.loaders import load_pairs, load_series, load_text
from rnn_keras.datasets.tables import read_folder, read_table
from rnn_keras.utils import files as opening
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import (
    kind_of_path,
    open_bytes,
    open_lines,
    read_json,
    refuse_unreadable,
    refuse_unwritable,
    write_whole,
)

ROWS = b"text,label\n" + b"".join(b"%d text,%d\n" % (i, i % 2) for i in range(2000))


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return written.getvalue()


PACKERS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": lambda content: zipped(("t.csv", content)),
}


@pytest.mark.parametrize("packer", PACKERS)
def test_the_bound_is_the_larger_of_two(packer, tmp_path, monkeypatch):
    path = tmp_path / f"t.csv{packer}"
    path.write_bytes(PACKERS[packer](ROWS))
    ratio = len(ROWS) / path.stat().st_size
    for small, largest, fits in (
        (len(ROWS), 0, True),
        (len(ROWS) - 1, 0, False),
        (0, ratio * 1.01, True),
        (0, ratio * 0.99, False),
    ):
        monkeypatch.setattr(opening, "HARMLESS_BYTES", small)
        monkeypatch.setattr(opening, "MAX_UNPACKED_RATIO", largest)
        with open_bytes(path) as content:
            if fits:
                assert content.read() == ROWS
            else:
                with pytest.raises(InputError, match="unpacks to more than"):
                    content.read()


@pytest.mark.parametrize("packer", PACKERS)
def test_a_bomb_is_stopped_long_before_its_end(packer, tmp_path, monkeypatch):
    """Twenty times the bound, of which no more than the bound is unpacked."""
    monkeypatch.setattr(opening, "HARMLESS_BYTES", 10**6)
    monkeypatch.setattr(opening, "MAX_UNPACKED_RATIO", 1)
    path = tmp_path / f"t.csv{packer}"
    path.write_bytes(PACKERS[packer](b"a" * 2 * 10**7))
    parts = []
    with open_bytes(path) as content:
        steps = iter(lambda: content.read1(2**16), b"")
        with pytest.raises(InputError, match="unpacks to more than 1,000,000 bytes"):
            parts.extend(map(len, steps))
    assert 0 < sum(parts) <= 10**6


def test_ordinary_tables_are_far_from_the_bound():
    """What is read without a word: the same few rows a hundred thousand times."""
    rows = b"the same text again and again,label\n" * 10**5
    assert opening.max_unpacked_bytes(len(gzip.compress(rows))) > len(rows)
    assert opening.HARMLESS_BYTES >= 10**8
    assert opening.MAX_UNPACKED_RATIO >= 200


@pytest.mark.parametrize(
    "name", ["../t.csv", "/etc/t.csv", "a/../../t.csv", "C:\\t.csv"]
)
def test_a_member_with_a_place_outside_is_refused(name, tmp_path):
    path = tmp_path / "in" / "t.csv.zip"
    path.parent.mkdir()
    path.write_bytes(zipped((name, ROWS)))
    with pytest.raises(InputError, match="a place outside the archive"):
        read_table(path)
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "t.csv.zip"]


def test_what_macos_puts_beside_a_table_is_no_table(tmp_path):
    path = tmp_path / "t.csv.zip"
    path.write_bytes(zipped(("t.csv", ROWS), ("__MACOSX/._t.csv", b"\0\5\x16\7")))
    assert read_table(path)[1][:2] == ["0", "1"]


def test_kinds_of_paths(tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "lost").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    found = {
        name: kind_of_path(tmp_path / name)
        for name in (
            "file",
            "link",
            ".",
            "pipe",
            "lost",
            "x",
            "file/x",
            "x" * 999,
            "\0",
        )
    }
    assert list(found.values()) == ["file", "file", "folder", "other", *[None] * 5]
    with pytest.raises(InputError, match=os.strerror(errno.ELOOP)):
        kind_of_path(tmp_path / "loop")


READERS = [read_table, load_text, load_pairs, load_series]


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_not_waited_for(reader, tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    finished = []

    def read():
        with pytest.raises(InputError, match="a pipe or device, where a file"):
            reader(tmp_path / "t.csv")
        finished.append(True)

    # In a thread: a test that hangs would say nothing.
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(20)
    assert finished


@pytest.mark.parametrize("reader", READERS)
def test_a_device_without_end_is_not_read(reader, tmp_path):
    (tmp_path / "t.csv").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="a pipe or device, where a file"):
        reader(tmp_path / "t.csv")


def test_a_pipe_among_the_texts_of_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "1.txt")
    with pytest.raises(InputError, match=r"1.txt: a pipe or device"):
        read_folder(tmp_path)


def test_series_are_no_address(monkeypatch):
    """Pandas would take it for one, and ask the network."""
    with pytest.raises(InputError, match="neither a file nor a known name"):
        load_series("http://127.0.0.1:9/x.csv")


def test_lines_have_no_byte_order_mark(tmp_path):
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8"), (b"", "UTF8")):
        (tmp_path / "t.txt").write_bytes(mark + b"a\r\nb")
        with open_lines(tmp_path / "t.txt", encoding) as lines:
            assert list(lines) == ["a\n", "b"]


def refused(path, error, **options):
    """What is said of a file whose reading raises `error`."""
    with pytest.raises(InputError) as raised, refuse_unreadable(path, **options):
        raise error
    return str(raised.value)


def refused_encoding(path, encoding):
    """What is said of a file that is decoded."""
    with (
        pytest.raises(InputError) as raised,
        refuse_unreadable(path, encoding=encoding),
    ):
        read_lines(path, encoding)
    return str(raised.value)


def read_lines(path, encoding):
    with open_lines(path, encoding) as lines:
        return list(lines)


def test_an_unreadable_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "t.csv"
    for error, reason in (
        (PermissionError(13, "Permission denied"), "Permission denied"),
        (ValueError("too short"), "too short"),
        (EOFError("end"), "it ends too early"),
        (
            zipfile.BadZipFile("x"),
            "a damaged archive, or one of another kind than its name says",
        ),
        (MemoryError(), "it takes more memory than there is"),
        (LookupError("unknown encoding: x; use codecs"), "unknown encoding: x"),
    ):
        assert refused(path, error) == f"{path}: cannot be read ({reason})"
    assert refused(path, ValueError("end"), name="mine") == "mine: cannot be read (end)"
    described = refused(path, EOFError("end"), describe=lambda e: f"no table: {e}")
    assert described == f"{path}: no table: end"
    # What is refused already, and mistakes of the program, pass.
    assert refused(path, InputError("as it was")) == "as it was"
    with pytest.raises(TypeError, match="ours"), refuse_unreadable(path):
        raise TypeError("ours")
    assert "ours" in refused(path, TypeError("ours"), errors=(TypeError,))


@pytest.mark.parametrize(
    ("content", "encoding", "place"),
    [
        (b"a\nb\xe9c\n", "utf-8", "byte 0xe9 in line 2"),
        (b"\xef\xbb\xbfa\n\xc3", "utf-8", "byte 0xc3 in line 2"),
        (b"text,label\n\xff,a\n", "gb18030", "byte 0xff in line 2"),
        (b"a\xff", "ascii", "byte 0xff in line 1"),
        # A byte order mark is missing; Python 3.13 says so in another way than 3.12.
        (b"text,label\na", "utf-16", "byte 0x74 in line 1"),
    ],
)
def test_a_wrong_encoding_is_located(content, encoding, place, tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(content)
    assert refused_encoding(path, encoding) == (
        f"{path}: not {encoding} text ({place}); give its encoding, for example "
        "--encoding gb18030 or latin-1"
    )


def test_utf_16_is_recognised_by_its_mark(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes("a".encode("utf-16"))
    said = refused_encoding(path, "utf-8")
    assert said.endswith("it begins like UTF-16: --encoding utf-16")


def test_an_unwritable_file_is_refused_in_one_line(tmp_path):
    full = OSError(28, "No space left on device")
    for options, advice in (
        ({}, ""),
        (
            {"can_resume": lambda: True},
            "; the last checkpoint is kept, and the same command goes on from it",
        ),
    ):
        with (
            pytest.raises(InputError) as raised,
            refuse_unwritable(tmp_path, **options),
        ):
            raise full
        assert str(raised.value) == (
            f"{tmp_path}: cannot be written (No space left on device){advice}"
        )


def test_a_file_is_replaced_completely_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    write_whole(path, b"old")

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_json_that_cannot_be_read_is_none(tmp_path):
    path = tmp_path / "run.json"
    assert read_json(path) is None
    path.write_bytes(b"{")
    assert read_json(path) is None
    path.write_bytes(b'{"seed": 1}')
    assert read_json(path) == {"seed": 1}
