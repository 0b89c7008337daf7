"""Texts and labels from people's own files: tables, folders and lines of pairs.

A table is a `.csv`, `.tsv`, `.jsonl` or `.parquet` file. All but Parquet, which has its
own compression, may be packed (`.gz`, `.bz2`, `.xz`, `.zip`). Values are kept as they
are written: "NA" and "null" are texts. In a `.csv` quotation marks quote; in a `.tsv`
they are characters like any other.

The formats are parsed in `rnn_keras.datasets.table_formats`. Files are opened by
`rnn_keras.utils.files`, which limits their unpacked size. What to do with empty texts
is decided in `rnn_keras.datasets.loaders`.
"""

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rnn_keras.datasets.table_formats import ColumnKey, read_chunks
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import codec_for, open_file, refuse_unreadable
from rnn_keras.utils.messages import shorten, without_surrogates

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
_USUAL_NAMES = {
    "text": ("text", "message", "review", "sentence", "content", "body"),
    "label": ("label", "class", "category", "target", "sentiment"),
}

# The values of a column of texts or labels, `None` where one is missing.
ColumnValues = list[str | None]


def read_table(
    path: Path,
    *,
    text_column: ColumnKey | None = None,
    label_column: ColumnKey | None = None,
    header: bool = True,
    encoding: str = "utf-8",
) -> tuple[ColumnValues, ColumnValues]:
    """Read the text column and the label column of a table.

    Args:
        path: the table.
        text_column: name of the column, or its position counted from 0. By default
            the only column called text, message, review, sentence, content or body.
        label_column: name or position of the column; by default the only column called
            label, class, category, target or sentiment.
        header: whether the first row of a `.csv` or `.tsv` holds names.
        encoding: encoding of a `.csv`, `.tsv` or `.jsonl`.

    Raises:
        InputError: if the file cannot be read as the table that its name announces,
            or it does not have the columns.
    """
    return next(
        _read_columns(path, text_column, label_column, header, encoding, size=None)
    )


def iterate_table(
    path: Path,
    *,
    text_column: ColumnKey | None = None,
    label_column: ColumnKey | None = None,
    header: bool = True,
    encoding: str = "utf-8",
    size: int = 8192,
) -> Iterator[tuple[ColumnValues, ColumnValues]]:
    """Read a table like `read_table`, but `size` rows at a time.

    The names in the first `size` rows decide which columns there are.

    Raises:
        InputError: in the same cases as `read_table`; for a row that cannot be read,
            when it is reached.
    """
    return _read_columns(path, text_column, label_column, header, encoding, size)


def _read_columns(
    path: Path,
    text_column: ColumnKey | None,
    label_column: ColumnKey | None,
    header: bool,
    encoding: str,
    size: int | None,
) -> Iterator[tuple[ColumnValues, ColumnValues]]:
    kind = table_kind(path)
    columns: tuple[int, int] | None = None
    with refuse_unreadable(path, encoding=encoding):
        for names, values in read_chunks(path, kind, header, encoding, size):
            if columns is None:
                hint = _hint(kind, header, len(names))
                text = _find_column(path, names, text_column, "text", hint)
                label = _find_column(path, names, label_column, "label", hint)
                if text == label:
                    raise InputError(
                        f"{path}: text and label are the same column, "
                        f"{names[text]!r:.40}; name another with --text-column or "
                        "--label-column"
                    )
                columns = text, label
            texts, labels = (list(map(_to_text, values(i))) for i in columns)
            yield texts, labels


def table_kind(path: Path) -> str:
    """Return which of `TABLES` a file is according to its name.

    Raises:
        InputError: if the name has none of these suffixes.
    """
    suffixes = (suffix.lower() for suffix in reversed(path.suffixes))
    kind = next((suffix for suffix in suffixes if suffix in TABLES), None)
    if kind is None:
        raise InputError(
            f"{path}: unknown kind of file; expected {', '.join(TABLES)} "
            "(also compressed), or a folder with one subfolder for each class"
        )
    return kind


def read_folder(
    path: Path, encoding: str = "utf-8"
) -> tuple[ColumnValues, ColumnValues]:
    """Read texts from a folder that has one subfolder for each class.

    Every `.txt` file directly in a subfolder is a text, and the name of the subfolder
    is its label. Texts are sorted by their paths.

    Raises:
        InputError: if there is no such file, or one cannot be read or decoded.
    """
    texts: ColumnValues = []
    labels: ColumnValues = []
    for file in sorted(path.glob("*/*.txt")):
        with (
            refuse_unreadable(file, encoding=encoding),
            open_file(file) as raw,
            io.TextIOWrapper(raw, codec_for(encoding)) as text,
        ):
            texts.append(text.read())
        labels.append(file.parent.name)
    if not texts:
        raise InputError(
            f"{path}: no texts; expected one subfolder for each class, with .txt files"
        )
    return texts, labels


def _find_column(
    path: Path,
    names: Sequence[ColumnKey],
    wanted: ColumnKey | None,
    role: str,
    hint: str,
) -> int:
    """Return the position of the text or label column.

    Args:
        path: the table, for messages.
        names: names of the columns, or their positions if they have no names.
        wanted: a name or a position; `None` for the only column with a usual name.
        role: "text" or "label".
        hint: what may be wrong with a table in which no column has a usual name.

    Raises:
        InputError: if there is no such column, or more than one.
    """
    if wanted is None:
        usual = _USUAL_NAMES[role]
        found = [i for i, n in enumerate(names) if str(n).strip().lower() in usual]
        if len(found) == 1:
            return found[0]
        raise InputError(
            f"{path}: which column is the {role}? Name it (--{role}-column): "
            f"{_list_columns(names)}{hint}"
        )
    found = [i for i, name in enumerate(names) if name == wanted]
    if len(found) > 1:
        raise InputError(
            f"{path}: {len(found)} columns are called {wanted!r:.40}; choose one by "
            f"its position (--{role}-column {found[0]} or {found[1]})"
        )
    if found:
        return found[0]
    if str(wanted).isdecimal() and len(str(wanted)) < 10 and int(wanted) < len(names):
        return int(wanted)
    raise InputError(
        f"{path}: no column {shorten(repr(wanted))}; it has: {_list_columns(names)}"
    )


def _list_columns(names: Sequence[ColumnKey]) -> str:
    """List the columns for a message, which stays short.

    A table may have thousands of columns, or a first row that is a text.
    """
    words = (" ".join(str(name).split()) or "''" for name in names)
    positions = f" (or 0 to {len(names) - 1})" if len(names) > 1 else ""
    return shorten(", ".join(words), 120) + positions


def _hint(kind: str, header: bool, number: int) -> str:
    """Say what may be wrong with separated values that lack a column."""
    separator = {".csv": "commas", ".tsv": "tabs"}.get(kind)
    if separator and number == 1:
        return f"; expected {separator} between columns"
    if separator and header:
        return "; if the first row is data: --no-header"
    return ""


def _to_text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, float):
        if math.isnan(value):
            return None
        # Integers become floats in a column in which one is missing.
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return without_surrogates(str(value))


def parse_pairs(text: str, source: str) -> list[tuple[str, str]]:
    """Parse lines of a text, a tab and its translation; further columns are ignored.

    Each run of white space becomes one space. French puts narrow no-break spaces
    before some punctuation marks; a reader does not notice them, but a comparison of
    strings does.

    Args:
        text: the lines.
        source: what messages call the file.

    Raises:
        InputError: if a line that is not blank does not have two texts, or all lines
            are blank.
    """
    pairs = []
    # `splitlines` would also split at separators within a text, such as U+2028.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        columns = [" ".join(column.split()) for column in line.split("\t")[:2]]
        if len(columns) < 2 or not all(columns):
            raise InputError(
                f"{source}: line {number:,} is not two texts separated by a tab"
            )
        pairs.append((columns[0], columns[1]))
    if not pairs:
        raise InputError(f"{source}: no lines of two texts separated by a tab")
    return pairs
