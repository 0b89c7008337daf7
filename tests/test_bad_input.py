"""The exact lines that a user reads after giving bad input.

Each case makes files in an empty folder and runs a command there. The command must end
with status 2 and print this one line to standard error. It must print nothing to
standard output and write no file.

No line may contain the words of Python's own errors, which differ between versions.
"""

import bz2
import errno
import gzip
import io
import lzma
import os
import shlex
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
from typer.testing import CliRunner

import rnn_keras
from rnn_keras.cli.app import app
from rnn_keras.utils import files as opening


class Bad(NamedTuple):
    """A case.

    Attributes:
        name: name of the case.
        files: for each path, its content or a function that makes it.
        line: the line on standard error, without "rnn-keras: ".
        command: arguments of `rnn-keras`.
        before: lines on standard error before the last one.
    """

    name: str
    files: dict
    line: str
    command: str
    before: list


def bad(name, files, line, command=None, before=()):
    """Make a case; by default the command is `train` with the first file."""
    command = command or f"train {next(iter(files))} --out run"
    return Bad(name, files, line, command, list(before))


def zipped(members, **options):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return written.getvalue()


def encrypted():
    content = bytearray(zipped([("t.csv", b"text,label\na,b\n")]))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def parquet(**columns):
    written = io.BytesIO()
    pd.DataFrame(columns).to_parquet(written)
    return written.getvalue()


def fifo(path):
    os.mkfifo(path)


def folder(path):
    path.mkdir()


def link_to(target):
    return lambda path: path.symlink_to(target)


ROWS = b"text,label\na,b\nc,d\n"
LONG = "x" * 5000
CASES = [
    # Paths.
    bad(
        "no such file",
        {},
        (
            "nosuch.csv: neither a file, a folder nor a data set; the data sets are: "
            "messages, seed, sms_spam, imdb, chnsenticorp, clinc150"
        ),
        command="train nosuch.csv --out run",
    ),
    bad(
        "an empty name",
        {},
        (
            "'': neither a file, a folder nor a data set; the data sets are: "
            "messages, seed, sms_spam, imdb, chnsenticorp, clinc150"
        ),
        command="train '' --out run",
    ),
    bad(
        "a name too long",
        {},
        (
            "x"
            * 199
            + "…: neither a file, a folder nor a data set; the data sets are: "
            "messages, seed, sms_spam, imdb, chnsenticorp, clinc150"
        ),
        command=f"train {LONG}.csv --out run",
    ),
    bad(
        "a name with a line break",
        {},
        (
            "a b.csv: neither a file, a folder nor a data set; the data sets are: "
            "messages, seed, sms_spam, imdb, chnsenticorp, clinc150"
        ),
        command="train 'a\nb.csv' --out run",
    ),
    bad(
        "a name with an escape",
        {},
        (
            "a\\x1b[2Jb.csv: neither a file, a folder nor a data set; the data sets "
            "are: messages, seed, sms_spam, imdb, chnsenticorp, clinc150"
        ),
        command="train 'a\x1b[2Jb.csv' --out run",
    ),
    bad(
        "a name not of text",
        {},
        (
            "a\\udce9.csv: neither a file, a folder nor a data set; the data sets "
            "are: messages, seed, sms_spam, imdb, chnsenticorp, clinc150"
        ),
        command="train 'a\udce9.csv' --out run",
    ),
    bad(
        "another data set",
        {},
        (
            "tiny_shakespeare (scenes from Shakespeare's plays, one long text) is "
            "loaded by `rnn_keras.datasets.load_text`; `load_dataset` takes: "
            "messages, seed, sms_spam, imdb, chnsenticorp, clinc150"
        ),
        command="train tiny_shakespeare --out run",
    ),
    bad(
        "kind",
        {"t.xlsx": b"PK"},
        (
            "t.xlsx: unknown kind of file; expected .csv, .tsv, .jsonl, .parquet "
            "(also compressed), or a folder with one subfolder for each class"
        ),
    ),
    bad(
        "no kind",
        {"t": ROWS},
        (
            "t: unknown kind of file; expected .csv, .tsv, .jsonl, .parquet (also "
            "compressed), or a folder with one subfolder for each class"
        ),
    ),
    bad(
        "a folder called so",
        {"t.csv": folder},
        "t.csv: no texts; expected one subfolder for each class, with .txt files",
    ),
    bad("a pipe", {"t.csv": fifo}, "t.csv: a pipe or device, where a file is expected"),
    bad(
        "a device",
        {"t.csv": link_to("/dev/zero")},
        "t.csv: a pipe or device, where a file is expected",
    ),
    bad(
        "a link to itself",
        {"t.csv": link_to("t.csv")},
        f"t.csv: cannot be read ({os.strerror(errno.ELOOP)})",
    ),
    bad(
        "a file as a folder",
        {"t": ROWS},
        (
            "t/u.csv: neither a file, a folder nor a data set; the data sets are: "
            "messages, seed, sms_spam, imdb, chnsenticorp, clinc150"
        ),
        command="train t/u.csv --out run",
    ),
    # Tables of separated values.
    bad(
        "empty",
        {"t.csv": b""},
        "t.csv: no rows; expected a text and a label in each row",
    ),
    bad(
        "blank lines",
        {"t.csv": b"\n\n"},
        "t.csv: no rows; expected a text and a label in each row",
    ),
    bad(
        "names only",
        {"t.csv": b"text,label\n"},
        "t.csv: no rows; expected a text and a label in each row",
    ),
    bad(
        "empty names",
        {"t.csv": b",\na,b\n"},
        (
            "t.csv: which column is the text? Name it (--text-column): '', "
            "'' (or 0 to 1); if the first row is data: --no-header"
        ),
    ),
    bad(
        "other names",
        {"t.csv": b"said,kind\na,b\n"},
        (
            "t.csv: which column is the text? Name it (--text-column): said, "
            "kind (or 0 to 1); if the first row is data: --no-header"
        ),
    ),
    bad(
        "no header",
        {"t.csv": b"hello there,ham\na,spam\n"},
        (
            "t.csv: which column is the text? Name it (--text-column): hello "
            "there, ham (or 0 to 1); if the first row is data: --no-header"
        ),
    ),
    bad(
        "two texts",
        {"t.csv": b"text,review,label\na,b,c\n"},
        (
            "t.csv: which column is the text? Name it (--text-column): text, "
            "review, label (or 0 to 2); if the first row is data: --no-header"
        ),
    ),
    bad(
        "the same name",
        {"t.csv": b"a,a,label\n1,2,3\n"},
        (
            "t.csv: 2 columns are called 'a'; choose one by its position "
            "(--text-column 0 or 1)"
        ),
        command="train t.csv --text-column a --out run",
    ),
    bad(
        "the same name by default",
        {"t.csv": b"text,text,label\n1,2,3\n"},
        (
            "t.csv: which column is the text? Name it (--text-column): text, "
            "text, label (or 0 to 2); if the first row is data: --no-header"
        ),
    ),
    bad(
        "no such column",
        {"t.csv": ROWS},
        "t.csv: no column 'kind'; it has: text, label (or 0 to 1)",
        command="train t.csv --label-column kind --out run",
    ),
    bad(
        "no such position",
        {"t.csv": ROWS},
        "t.csv: no column '2'; it has: text, label (or 0 to 1)",
        command="train t.csv --label-column 2 --out run",
    ),
    bad(
        "a position without end",
        {"t.csv": ROWS},
        (
            "t.csv: no column '99999999999999999999999999999999999999…; it has: "
            "text, label (or 0 to 1)"
        ),
        command=f"train t.csv --label-column {'9' * 5000} --out run",
    ),
    bad(
        "one column for both",
        {"t.csv": ROWS},
        (
            "t.csv: text and label are the same column, 'text'; name another with "
            "--text-column or --label-column"
        ),
        command="train t.csv --label-column text --out run",
    ),
    bad(
        "too many fields",
        {"t.csv": ROWS + b"e,f,g\n"},
        (
            "t.csv: line 4 has 3 fields but the first row has 2; put quotation marks "
            "around a text that contains the separator"
        ),
    ),
    bad(
        "too many after a text of lines",
        {"t.csv": b'text,label\n"a\nb",c\n\nd,e,f\n'},
        (
            "t.csv: line 5 has 3 fields but the first row has 2; put quotation marks "
            "around a text that contains the separator"
        ),
    ),
    bad(
        "commas everywhere",
        {"t.csv": b"text,label\na, b,c\n"},
        (
            "t.csv: line 2 has 3 fields but the first row has 2; put quotation marks "
            "around a text that contains the separator"
        ),
    ),
    bad(
        "open quote",
        {"t.csv": ROWS + b'"e,f\ng,h\n'},
        (
            "t.csv: a quotation mark in the row that begins in line 4 is never "
            "closed; write it twice if it is part of the text"
        ),
    ),
    bad(
        "one column",
        {"t.csv": b"text\na\n"},
        (
            "t.csv: which column is the label? Name it (--label-column): "
            "text; expected commas between columns"
        ),
    ),
    bad(
        "semicolons",
        {"t.csv": b"text;label\na;b\n"},
        (
            "t.csv: which column is the text? Name it (--text-column): "
            "text;label; expected commas between columns"
        ),
    ),
    bad(
        "no labels",
        {"t.csv": b"text,label\na,\nb\n"},
        "t.csv: no row has both a text and a label",
    ),
    bad(
        "escapes in names",
        {"t.csv": b"\x1b]0;x\x07,b\n1,2\n"},
        (
            "t.csv: which column is the text? Name it (--text-column): "
            "\\x1b]0;x\\x07, b (or 0 to 1); if the first row is data: --no-header"
        ),
    ),
    bad(
        "thousands of columns",
        {"t.csv": b",".join([b"col"] * 5000) + b"\n" + b"," * 4999},
        (
            "t.csv: which column is the text? Name it (--text-column): "
            + "col, " * 23
            + "col,… (or 0 to 4999); if the first row is data: --no-header"
        ),
    ),
    bad(
        "a long row",
        {"t.csv": b"x" * 10**6 + b",b\n1,2\n"},
        (
            "t.csv: which column is the text? Name it (--text-column): "
            + 119 * "x"
            + "… (or 0 to 1); if the first row is data: --no-header"
        ),
    ),
    bad(
        "binary",
        {"t.csv": bytes(range(256)) * 4},
        (
            "t.csv: not utf-8 text (byte 0x80 in line 2); give its encoding, "
            "for example --encoding gb18030 or latin-1"
        ),
    ),
    bad(
        "NUL",
        {"t.csv": bytes(1000)},
        (
            "t.csv: the first row contains NUL characters; the file may be UTF-16 "
            "(--encoding utf-16), or not a table"
        ),
    ),
    # Encodings.
    bad(
        "Latin-1",
        {"t.csv": ROWS + "é,f\n".encode("latin-1")},
        (
            "t.csv: not utf-8 text (byte 0xe9 in line 4); give its encoding, "
            "for example --encoding gb18030 or latin-1"
        ),
    ),
    bad(
        "UTF-16",
        {"t.csv": "text,label\na,b\n".encode("utf-16")},
        (
            "t.csv: not utf-8 text (byte 0xff in line 1); it begins like UTF-16: "
            "--encoding utf-16"
        ),
    ),
    bad(
        "UTF-16 without a mark",
        {"t.csv": "text,label\na,b\n".encode("utf-16-le")},
        (
            "t.csv: the first row contains NUL characters; the file may be UTF-16 "
            "(--encoding utf-16), or not a table"
        ),
    ),
    bad(
        "wrongly said",
        {"t.csv": ROWS + b"e\n"},
        (
            "t.csv: not utf-16 text (byte 0x74 in line 1); give its encoding, "
            "for example --encoding gb18030 or latin-1"
        ),
        command="train t.csv --encoding utf-16 --out run",
    ),
    bad(
        "gb18030 said",
        {"t.csv": b"text,label\n\xff,a\n"},
        (
            "t.csv: not gb18030 text (byte 0xff in line 2); give its encoding, "
            "for example --encoding gb18030 or latin-1"
        ),
        command="train t.csv --encoding gb18030 --out run",
    ),
    bad(
        "no encoding",
        {"t.csv": ROWS},
        "t.csv: 'utf-9' is not a known text encoding",
        command="train t.csv --encoding utf-9 --out run",
    ),
    bad(
        "no encoding of text",
        {"t.csv": ROWS},
        "t.csv: 'rot13' is not a known text encoding",
        command="train t.csv --encoding rot13 --out run",
    ),
    bad(
        "cut in a character",
        {"t.csv": ROWS + "é".encode()[:1]},
        (
            "t.csv: not utf-8 text (byte 0xc3 in line 4); give its encoding, "
            "for example --encoding gb18030 or latin-1"
        ),
    ),
    # Lines of JSON.
    bad(
        "a broken line",
        {"t.jsonl": b'{"text": "a", "label": "b"}\n{"text": \n'},
        "t.jsonl: line 2 is not JSON (error at character 11)",
    ),
    bad(
        "an array",
        {"t.jsonl": b'[{"text": "a", "label": "b"}]\n'},
        (
            "t.jsonl: line 1 is not a JSON object; expected one on each line, like "
            '{"text": "...", "label": "..."}'
        ),
    ),
    bad(
        "an array of lines",
        {"t.jsonl": b'[\n{"text": "a", "label": "b"}\n]\n'},
        (
            "t.jsonl: line 1 is not a JSON object; expected one on each line, like "
            '{"text": "...", "label": "..."}'
        ),
    ),
    bad(
        "nested",
        {"t.jsonl": b"[" * 10**5},
        "t.jsonl: line 1 is not JSON (nested too deeply)",
    ),
    bad(
        "digits",
        {"t.jsonl": b'{"text": %s}' % (b"1" * 5000)},
        "t.jsonl: line 1 is not JSON (a number has more than 4,300 digits)",
    ),
    bad(
        "twice",
        {"t.jsonl": b'{"text": "a", "text": "b", "label": 1}'},
        "t.jsonl: line 1 has the name 'text' twice in one object",
    ),
    bad(
        "no rows of JSON",
        {"t.jsonl": b"\n\n"},
        "t.jsonl: no rows; expected a text and a label in each row",
    ),
    bad(
        "empty objects",
        {"t.jsonl": b"{}\n{}\n"},
        (
            "t.jsonl: all JSON objects are empty; expected one on each line, like "
            '{"text": "...", "label": "..."}'
        ),
    ),
    bad(
        "UTF-16 lines",
        {"t.jsonl": '{"text": "a"}\n'.encode("utf-16-le")},
        (
            "t.jsonl: the first row contains NUL characters; the file may be UTF-16 "
            "(--encoding utf-16), or not a table"
        ),
    ),
    bad(
        "null",
        {"t.jsonl": b'{"text": null, "label": NaN}\n'},
        ("t.jsonl: no row has both a text and a label"),
    ),
    # Parquet.
    bad(
        "no Parquet",
        {"t.parquet": ROWS},
        "t.parquet: not a Parquet file, or a damaged one",
    ),
    bad(
        "cut Parquet",
        {"t.parquet": parquet(text=["a"], label=["b"])[:-9]},
        "t.parquet: not a Parquet file, or a damaged one",
    ),
    bad(
        "Parquet of nothing",
        {"t.parquet": parquet(text=[], label=[])},
        "t.parquet: no rows; expected a text and a label in each row",
    ),
    bad(
        "Parquet of others",
        {"t.parquet": parquet(a=["x"], b=["y"])},
        (
            "t.parquet: which column is the text? Name it (--text-column): "
            "a, b (or 0 to 1)"
        ),
    ),
    bad(
        "empty Parquet",
        {"t.parquet": b""},
        "t.parquet: not a Parquet file, or a damaged one",
    ),
    # Packed tables.
    bad(
        "no gzip",
        {"t.csv.gz": ROWS},
        (
            "t.csv.gz: cannot be read (a damaged archive, or one of another kind than "
            "its name says)"
        ),
    ),
    bad(
        "cut gzip",
        {"t.csv.gz": gzip.compress(ROWS * 99)[:-9]},
        "t.csv.gz: cannot be read (it ends too early)",
    ),
    bad(
        "cut xz",
        {"t.csv.xz": lzma.compress(ROWS * 99)[:-9]},
        "t.csv.xz: cannot be read (it ends too early)",
    ),
    bad(
        "cut bz2",
        {"t.csv.bz2": bz2.compress(ROWS * 99)[:-9]},
        "t.csv.bz2: cannot be read (it ends too early)",
    ),
    bad(
        "no zip",
        {"t.csv.zip": ROWS},
        (
            "t.csv.zip: cannot be read (a damaged archive, or one of another kind than "
            "its name says)"
        ),
    ),
    bad(
        "cut zip",
        {"t.csv.zip": zipped([("t.csv", ROWS)])[:-9]},
        (
            "t.csv.zip: cannot be read (a damaged archive, or one of another kind than "
            "its name says)"
        ),
    ),
    bad(
        "nothing in a zip",
        {"t.csv.zip": zipped([])},
        "t.csv.zip: 0 files inside; expected one",
    ),
    bad(
        "two in a zip",
        {"t.csv.zip": zipped([("a.csv", ROWS), ("b.csv", ROWS)])},
        "t.csv.zip: 2 files inside; expected one",
    ),
    bad(
        "a zip that leads out",
        {"t.csv.zip": zipped([("../t.csv", ROWS)])},
        (
            "t.csv.zip: the file inside is called '../t.csv', a place outside the "
            "archive; unpack it and give the table itself"
        ),
    ),
    bad(
        "a zip that leads up",
        {"t.csv.zip": zipped([("/t.csv", ROWS)])},
        (
            "t.csv.zip: the file inside is called '/t.csv', a place outside the "
            "archive; unpack it and give the table itself"
        ),
    ),
    bad(
        "encrypted",
        {"t.csv.zip": encrypted()},
        (
            "t.csv.zip: is encrypted with a password; unpack it and give the table "
            "itself"
        ),
    ),
    bad(
        "a bomb",
        {"t.csv.gz": gzip.compress(b"a" * 10**6)},
        (
            "t.csv.gz: unpacks to more than 200,800 bytes from 1,004; "
            "if that is intended, unpack it and give the file inside"
        ),
    ),
    bad(
        "a bomb of bz2",
        {"t.csv.bz2": bz2.compress(b"a" * 10**6)},
        (
            "t.csv.bz2: unpacks to more than 100,000 bytes from 48; "
            "if that is intended, unpack it and give the file inside"
        ),
    ),
    bad(
        "a bomb of xz",
        {"t.jsonl.xz": lzma.compress(b"\n" * 10**6)},
        (
            "t.jsonl.xz: unpacks to more than 100,000 bytes from 276; "
            "if that is intended, unpack it and give the file inside"
        ),
    ),
    bad(
        "a bomb of zip",
        {"t.csv.zip": zipped([("t.csv", b"a" * 10**6)], compression=8)},
        (
            "t.csv.zip: unpacks to more than 218,800 bytes from 1,094; "
            "if that is intended, unpack it and give the file inside"
        ),
    ),
    bad(
        "a bomb of Parquet",
        {"t.parquet": parquet(text=["abc"] * 10**6, label=["d"] * 10**6)},
        (
            "t.parquet: unpacks to more than 1,351,200 bytes from 6,756; "
            "if that is intended, unpack it and give the file inside"
        ),
    ),
    # Folders.
    bad(
        "an empty folder",
        {"d": folder},
        "d: no texts; expected one subfolder for each class, with .txt files",
    ),
    bad(
        "a folder without classes",
        {"d/a.txt": b"a"},
        "d: no texts; expected one subfolder for each class, with .txt files",
        command="train d --out run",
    ),
    bad(
        "a text of Latin-1",
        {"d/a/1.txt": b"\xe9"},
        (
            "d/a/1.txt: not utf-8 text (byte 0xe9 in line 1); give its encoding, "
            "for example --encoding gb18030 or latin-1"
        ),
        command="train d --out run",
    ),
    bad(
        "a text that is a pipe",
        {"d/a/1.txt": fifo},
        "d/a/1.txt: a pipe or device, where a file is expected",
        command="train d --out run",
    ),
    bad(
        "a text that is a folder",
        {"d/a/1.txt": folder},
        "d/a/1.txt: a folder, where a file is expected",
        command="train d --out run",
    ),
    bad(
        "empty texts",
        {"d/a/1.txt": b"", "d/b/1.txt": b" "},
        "d: no row has both a text and a label",
        command="train d --out run",
    ),
    # Data that a classifier cannot learn from.
    bad(
        "one class",
        {"t.csv": b"text,label\na,x\nb,x\n"},
        "t.csv: one class only (x); a classifier needs two or more",
        before=["t.csv: 2 texts"],
    ),
    bad(
        "one text of a class",
        {"t.csv": b"text,label\na,x\nb,x\nc,y\n"},
        (
            "t.csv: class 'y' has one text only; each class needs two or more. Is "
            "that the label column?"
        ),
        before=["t.csv: 3 texts"],
    ),
    bad(
        "a class with an escape",
        {"t.csv": b"text,label\na,\x1b[31mx\nb,\x1b[31mx\n"},
        "t.csv: one class only (\\x1b[31mx); a classifier needs two or more",
        before=["t.csv: 2 texts"],
    ),
    bad(
        "another test",
        {"t.csv": b"text,label\na,ugly\n"},
        "test label 'ugly' is none of the classes of seed: 0, 1",
        command="train seed --test t.csv --out run",
        before=["seed: 4 texts", "t.csv: 1 text"],
    ),
    # Comparisons.
    bad(
        "compare no such file",
        {},
        (
            "nosuch.csv: neither a file, a folder nor a data set; the data sets are: "
            "messages, seed, sms_spam, imdb, chnsenticorp, clinc150"
        ),
        command="compare nosuch.csv --out run",
    ),
    bad(
        "compare unknown cells",
        {},
        "--cells: 'rnn' is none of simple_rnn, lstm, gru",
        command="compare seed --cells gru,rnn --out run",
    ),
    # Saved classifiers.
    bad(
        "no classifier",
        {},
        "nosuch: no such file; expected what rnn-keras train wrote",
        command="predict nosuch x",
    ),
    bad(
        "an empty run",
        {"run2": folder},
        "run2/model.keras: no such file; expected what rnn-keras train wrote",
        command="explain run2 x",
    ),
    bad(
        "a pipe for a model",
        {"model.keras": fifo},
        "model.keras: no such file; expected what rnn-keras train wrote",
        command="predict model.keras x",
    ),
    bad(
        "a model too long",
        {},
        ("x" * 199 + "…: no such file; expected what rnn-keras train wrote"),
        command=f"predict {LONG} x",
    ),
    bad(
        "no model",
        {"model.keras": b"x"},
        "model.keras: not a .keras file, or a damaged one",
        command="predict model.keras x",
    ),
    bad(
        "no model 2",
        {"model.keras": b""},
        "model.keras: not a .keras file, or a damaged one",
        command="evaluate model.keras seed",
        before=["seed: 4 texts"],
    ),
    bad(
        "a model of another kind",
        {"model.h5": b"\x89HDF\r\n"},
        "model.h5: expected a file whose name ends with .keras",
        command="predict model.h5 x",
    ),
    bad(
        "a zip for a model",
        {"model.keras": zipped([("a.py", b"")])},
        (
            "model.keras: refused, nothing of it is loaded: it holds 'a.py', which "
            "no classifier's file does"
        ),
        command="predict model.keras x",
    ),
    bad(
        "half a model",
        {"model.keras": zipped([("config.json", b"{}")])},
        "model.keras: refused, nothing of it is loaded: it holds no metadata.json",
        command="explain model.keras x",
    ),
]


def make(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content)


def snapshot(folder):
    """Return every path with its content, or `None` for what is not a file."""
    return {
        path: path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
    }


def check(case, folder, status, stdout, stderr, before):
    assert stderr.splitlines() == [*case.before, f"rnn-keras: {case.line}"]
    assert status == 2
    assert stdout == ""
    assert snapshot(folder) == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_is_refused_in_one_line(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(opening, "HARMLESS_BYTES", 100_000)
    make(tmp_path, case.files)
    before = snapshot(tmp_path)
    result = CliRunner().invoke(app, shlex.split(case.command))
    check(case, tmp_path, result.exit_code, result.stdout, result.stderr, before)


# How the operating system hands over arguments, and how deep Python may recurse, can
# differ in a process of its own. The last one imports TensorFlow, which takes seconds.
IN_A_PROCESS = {
    "a name not of text": (),
    "nested": (),
    "a pipe": pytest.mark.exhaustive,
    "a zip for a model": pytest.mark.exhaustive,
}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=IN_A_PROCESS[case.name], id=case.name)
        for case in CASES
        if case.name in IN_A_PROCESS
    ],
)
def test_a_process_of_its_own_prints_the_same_line(case, tmp_path):
    make(tmp_path, case.files)
    before = snapshot(tmp_path)
    command = [sys.executable, "-m", "rnn_keras.cli", *shlex.split(case.command)]
    finished = subprocess.run(
        [os.fsencode(argument) for argument in command],
        cwd=tmp_path,
        capture_output=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(Path(rnn_keras.__file__).parents[1])},
    )
    stdout, stderr = finished.stdout.decode(), finished.stderr.decode()
    check(case, tmp_path, finished.returncode, stdout, stderr, before)


def test_the_cases_are_many_and_their_lines_are_short():
    assert len({case.name for case in CASES}) == len(CASES) >= 70
    for case in CASES:
        # A line that quotes a name of 200 characters is longer.
        assert len(case.line) <= (300 if LONG[:150] not in case.line else 400)
        assert case.line.isprintable(), case.name


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path, {"t.csv": ROWS, "d/a/1.txt": b"a"})
    denied = os.strerror(errno.EACCES)
    (tmp_path / "t.csv").chmod(0)
    (tmp_path / "d/a/1.txt").chmod(0)
    for source, named in (("t.csv", "t.csv"), ("d", "d/a/1.txt")):
        result = CliRunner().invoke(app, ["train", source, "--out", "run"])
        line = f"rnn-keras: {named}: cannot be read ({denied})\n"
        assert (result.exit_code, result.stderr) == (2, line)
