"""Texts and labels from a person's own files: tables and folders.

A table is `.csv`, `.tsv`, `.jsonl` or `.parquet`, plain or compressed (`.gz`,
`.bz2`, `.xz`, `.zip`; not `.parquet`, which compresses by itself). Cells are
kept as they are written: a text "NA" or "null" is a text. In a `.tsv` a
quotation mark is a character like any other; in a `.csv` it quotes.

Files are opened by `rnn_keras.opening`, which bounds what they unpack to.
"""

import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rnn_keras.datasets.table_formats import Column, not_text, read_columns
from rnn_keras.utils.errors import InputError, reason_of
from rnn_keras.utils.files import UNREADABLE, codec, open_file
from rnn_keras.utils.messages import shorten, without_surrogates

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
_TEXT_NAMES = ("text", "message", "review", "sentence", "content", "body")
_LABEL_NAMES = ("label", "class", "category", "target", "sentiment")

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
    return next(
        _read_cells(path, text_column, label_column, header, encoding, size=None)
    )


def iterate_table(
    path: Path,
    *,
    text_column: Column | None = None,
    label_column: Column | None = None,
    header: bool = True,
    encoding: str = "utf-8",
    size: int = 8192,
) -> Iterator[tuple[Cells, Cells]]:
    """The same, `size` rows at a time. The columns are those of the first of them.

    Raises:
        InputError: as `read_table`; of a row that cannot be read, when it is reached.
    """
    return _read_cells(path, text_column, label_column, header, encoding, size)


def _read_cells(
    path: Path,
    text_column: Column | None,
    label_column: Column | None,
    header: bool,
    encoding: str,
    size: int | None,
) -> Iterator[tuple[Cells, Cells]]:
    kind, columns = kind_of(path), None
    try:
        for names, column in read_columns(path, kind, header, encoding, size):
            if columns is None:
                hint = _hint(kind, header, len(names))
                text = find_column(path, names, text_column, _TEXT_NAMES, "text", hint)
                label = find_column(
                    path, names, label_column, _LABEL_NAMES, "label", hint
                )
                if text == label:
                    raise InputError(
                        f"{path}: text and label are the same column, "
                        f"{names[text]!r:.40}; name another with --text-column or "
                        "--label-column"
                    )
                columns = text, label
            texts, labels = ([_cell(v) for v in column(i)] for i in columns)
            yield texts, labels
    except InputError:
        raise
    except UnicodeError as error:
        raise not_text(path, encoding, error) from error
    except ImportError as error:
        raise InputError(
            f"{path}: reading .parquet needs one more package: pip install pyarrow"
        ) from error
    except UNREADABLE as error:
        raise InputError(f"{path}: cannot be read ({reason_of(error)})") from error


def kind_of(path: Path) -> str:
    """Which of `TABLES` a file is, by its name."""
    suffixes = (suffix.lower() for suffix in reversed(path.suffixes))
    kind = next((suffix for suffix in suffixes if suffix in TABLES), None)
    if kind is None:
        raise InputError(
            f"{path}: unknown kind of file; expected {', '.join(TABLES)} "
            "(also compressed), or a folder with one subfolder a class"
        )
    return kind


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
            with open_file(file) as raw, io.TextIOWrapper(raw, codec(encoding)) as text:
                texts.append(text.read())
        except InputError:
            raise
        except UnicodeError as error:
            raise not_text(file, encoding, error) from error
        except UNREADABLE as error:
            raise InputError(f"{file}: cannot be read ({reason_of(error)})") from error
        labels.append(file.parent.name)
    if not texts:
        raise InputError(
            f"{path}: no texts; expected one subfolder a class, with .txt files in it"
        )
    return texts, labels


def find_column(
    path: Path,
    names: Sequence[Column],
    wanted: Column | None,
    usual: tuple[str, ...],
    role: str,
    hint: str = "",
) -> int:
    """The position of the column that is meant.

    Args:
        path: for messages.
        names: of the columns; their positions, where they have none.
        wanted: a name, or a position; `None` for the only one with a usual name.
        usual: names.
        role: "text" or "label".
        hint: what may be wrong with a table where no name is a usual one.

    Raises:
        InputError: if there is no such column, or there are several.
    """
    # Of a table with thousands of columns, or one whose first row is a text.
    words = (" ".join(str(name).split()) or "''" for name in names)
    shown = shorten(", ".join(words), 120)
    if len(names) > 1:
        shown += f" (or 0 to {len(names) - 1})"
    if wanted is None:
        found = [i for i, n in enumerate(names) if str(n).strip().lower() in usual]
        if len(found) == 1:
            return found[0]
        raise InputError(
            f"{path}: which column is the {role}? Name it (--{role}-column), "
            f"one of: {shown}{hint}"
        )
    found = [i for i, name in enumerate(names) if name == wanted]
    if len(found) > 1:
        raise InputError(
            f"{path}: {len(found)} columns are called {wanted!r:.40}; say which by "
            f"its position (--{role}-column {found[0]} or {found[1]})"
        )
    if found:
        return found[0]
    if str(wanted).isdecimal() and len(str(wanted)) < 10 and int(wanted) < len(names):
        return int(wanted)
    raise InputError(f"{path}: no column {shorten(repr(wanted))}; it has: {shown}")


def _hint(kind: str, header: bool, number: int) -> str:
    """What may be wrong with separated values that have no such column."""
    separator = {".csv": "commas", ".tsv": "tabs"}.get(kind)
    if separator and number == 1:
        return f"; expected {separator} between columns"
    return "; if row 1 is data already: --no-header" if separator and header else ""


def _cell(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, float):
        # Whole numbers become floats in a column where one is missing.
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return without_surrogates(str(value))


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
