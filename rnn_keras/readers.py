"""Texts and labels from a person's own files: tables and folders.

A table is `.csv`, `.tsv`, `.jsonl` or `.parquet`, plain or compressed (`.gz`,
`.bz2`, `.xz`, `.zip`; not `.parquet`, which compresses by itself). Cells are
kept as they are written: a text "NA" or "null" is a text. In a `.tsv` a
quotation mark is a character like any other; in a `.csv` it quotes.
"""

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import pandas as pd

from rnn_keras.errors import InputError

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
# What reading a file may raise that is not what its name says. Errors of pandas and
# pyarrow are ValueErrors, a member that is not in its archive is a KeyError, and
# RuntimeErrors are of encrypted archives, and of JSON, whose reader is recursive.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    RuntimeError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_TEXT_NAMES = ("text", "message", "review", "sentence", "content", "body")
_LABEL_NAMES = ("label", "class", "category", "target", "sentiment")

Column = str | int
Cells = list[str | None]


def read_table(
    path: Path,
    *,
    text_column: Column | None = None,
    label_column: Column | None = None,
    header: bool = True,
    encoding: str = "utf-8",
) -> tuple[Cells, Cells]:
    """The cells of the text and the label column, `None` where one is missing.

    Args:
        path: of the table.
        text_column: name, or position counted from 0. By default the only column
            called text, message, review, sentence, content or body.
        label_column: the same; by default the only column called label, class,
            category, target or sentiment.
        header: whether the first row of a `.csv` or `.tsv` holds names.
        encoding: of a `.csv`, `.tsv` or `.jsonl`.

    Raises:
        InputError: if the file cannot be read as what its name says, or a column
            is not there.
    """
    suffixes = (suffix.lower() for suffix in reversed(path.suffixes))
    kind = next((suffix for suffix in suffixes if suffix in TABLES), None)
    if kind is None:
        raise InputError(
            f"{path}: unknown kind of file; expected {', '.join(TABLES)} "
            "(also compressed), or a folder with one subfolder a class"
        )
    try:
        if kind == ".parquet":
            table = pd.read_parquet(path)
        else:
            with _open(path) as raw, io.TextIOWrapper(raw, codec(encoding)) as lines:
                if kind == ".jsonl":
                    table = _read_json_lines(path, lines)
                else:
                    table = _read_separated(path, lines, kind, header)
    except InputError:
        raise
    except UnicodeError as error:
        raise InputError(
            f"{path}: not {encoding} text ({error}); say which encoding it has, "
            "for instance gb18030 or latin-1"
        ) from error
    except ImportError as error:
        raise InputError(
            f"{path}: reading .parquet needs one more package: pip install pyarrow"
        ) from error
    except pd.errors.EmptyDataError:
        table = pd.DataFrame()
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        reason = reason.removeprefix("Error tokenizing data. C error: ")
        raise InputError(f"{path}: cannot be read ({reason})") from error
    if not len(table):
        raise InputError(f"{path}: no rows")
    text = _find(path, table, text_column, _TEXT_NAMES, "text")
    label = _find(path, table, label_column, _LABEL_NAMES, "label")
    if text == label:
        raise InputError(f"{path}: text and label are the same column, {text!r}")
    return _cells(table[text]), _cells(table[label])


def read_folder(path: Path, encoding: str = "utf-8") -> tuple[Cells, Cells]:
    """Texts and labels of a folder with one subfolder a class, one text a file.

    Every `.txt` file directly in a subfolder is a text; order is that of the names.

    Raises:
        InputError: if there is no such file, or one cannot be decoded.
    """
    texts: Cells = []
    labels: Cells = []
    for file in sorted(path.glob("*/*.txt")):
        try:
            texts.append(file.read_text(codec(encoding)))
        except UnicodeError as error:
            raise InputError(f"{file}: not {encoding} text ({error})") from error
        except (OSError, LookupError) as error:
            raise InputError(f"{file}: cannot be read ({error})") from error
        labels.append(file.parent.name)
    if not texts:
        raise InputError(
            f"{path}: no texts; expected one subfolder a class, with .txt files in it"
        )
    return texts, labels


def codec(encoding: str) -> str:
    """Of UTF-8 the variant that drops a byte order mark."""
    return "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding


def _open(path: Path) -> IO[bytes]:
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir()]
            if len(members) != 1:
                raise InputError(f"{path}: {len(members)} files inside; expected one")
            return archive.open(members[0])
    return _OPENERS.get(path.suffix.lower(), open)(path, "rb")


def _read_separated(
    path: Path, lines: IO[str], kind: str, header: bool
) -> pd.DataFrame:
    table = pd.read_csv(
        lines,
        sep="\t" if kind == ".tsv" else ",",
        quoting=csv.QUOTE_NONE if kind == ".tsv" else csv.QUOTE_MINIMAL,
        header=0 if header else None,
        dtype=str,
        na_filter=False,
    )
    # Where every row has a field more than the header, pandas takes the first
    # field for row names, and each cell for its neighbour's.
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(
            f"{path}: rows have more fields than the first one; is a text with the "
            "separator in it not quoted?"
        )
    return table


def _read_json_lines(path: Path, lines: IO[str]) -> pd.DataFrame:
    rows = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}: line {number} is not JSON ({error})") from error
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {number} is not a JSON object")
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)


def _find(
    path: Path,
    table: pd.DataFrame,
    wanted: Column | None,
    usual: tuple[str, ...],
    role: str,
) -> Any:
    columns = list(table.columns)
    shown = ", ".join(" ".join(str(column).split()) for column in columns)
    if wanted is None:
        found = [c for c in columns if str(c).strip().lower() in usual]
        if len(found) == 1:
            return found[0]
        raise InputError(
            f"{path}: which column is the {role}? Name it (--{role}-column), "
            f"one of: {shown}"
        )
    if wanted in columns:
        return wanted
    if str(wanted).isdecimal() and int(wanted) < len(columns):
        return columns[int(wanted)]
    raise InputError(
        f"{path}: no column {wanted!r}; it has: {shown} (or 0 to {len(columns) - 1})"
    )


def _cells(column: pd.Series) -> Cells:
    return [_cell(value) for value in column.tolist()]


def _cell(value: Any) -> str | None:
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, float):
        # Whole numbers become floats in a column where one is missing.
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def read_pairs(text: str, source: str) -> list[tuple[str, str]]:
    """A text and its translation from each line, a tab between; more columns are left.

    White space of any kind is one space: French has narrow no-break ones before some
    marks, which a reader does not see and a comparison does.

    Raises:
        InputError: if a line that is not empty has not two texts.
    """
    pairs = []
    # Not `splitlines`, to which a separator within a text is the end of a line, too.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        cells = [" ".join(cell.split()) for cell in line.split("\t")[:2]]
        if len(cells) < 2 or not all(cells):
            raise InputError(
                f"{source}: line {number:,} is not two texts with a tab between"
            )
        pairs.append((cells[0], cells[1]))
    if not pairs:
        raise InputError(f"{source}: no lines of two texts with a tab between")
    return pairs
