"""The kinds of tables, each from a stream to names and columns, or to rows.

Separated values by pandas, whose reader takes what people's programs write; where it
refuses a file, Python's own reader says in which line. Lines of JSON; Parquet, of which
Python's values are taken, not what its writer has noted for pandas.
"""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pandas as pd

from rnn_keras.utils.errors import InputError, reason_of
from rnn_keras.utils.files import (
    UNREADABLE,
    codec,
    largest,
    open_bytes,
    open_file,
    open_lines,
    too_large,
)

_EXPECTED = 'expected one a line, like {"text": "...", "label": "..."}'

Column = str | int
# The names of the columns, and the values of the one at a position.
Table = tuple[list[Column], Callable[[int], list[Any]]]


def read_columns(
    path: Path, kind: str, header: bool, encoding: str, size: int | None = None
) -> Iterator[Table]:
    """Names and columns of a table, of some rows at a time; of at least one.

    Args:
        path: of the file.
        kind: `.csv`, `.tsv`, `.jsonl` or `.parquet`.
        header: whether the first row of separated values holds names; without, they
            are positions.
        encoding: of all but Parquet.
        size: rows at a time; all of them where it is `None`.

    Raises:
        InputError: if it is no such table, or has no rows.
        UnicodeError: if it has another encoding.
        ImportError: if Parquet cannot be read here.
    """
    tables = _read(path, kind, header, encoding, size)
    first = next(tables, None)
    if first is None:
        raise InputError(f"{path}: no rows; expected a text and its label in each")
    yield first
    yield from tables


def _read(
    path: Path, kind: str, header: bool, encoding: str, size: int | None
) -> Iterator[Table]:
    if kind == ".parquet":
        yield from _read_parquet(path, size)
        return
    with open_lines(path, encoding) as lines:
        if kind == ".jsonl":
            yield from _read_json_lines(path, lines, size)
            return
        try:
            yield from _read_separated(path, lines, kind, header, size)
        except pd.errors.EmptyDataError:
            return
        except pd.errors.ParserError as error:
            raise _bad_row(path, kind, encoding, error) from error


def _read_separated(
    path: Path, lines: IO[str], kind: str, header: bool, size: int | None
) -> Iterator[Table]:
    # Names as a row like others: pandas would give a second "text" another name.
    read = pd.read_csv(
        lines, header=None, dtype=str, na_filter=False, chunksize=size, **_as(kind)
    )
    names: list[Column] | None = None
    for table in [read] if size is None else read:
        rows = table
        if names is None:
            names = list(range(len(table.columns)))
            if header:
                names, rows = table.iloc[0].tolist(), table.iloc[1:]
                if any("\0" in name for name in names):
                    raise _nul(path)
        if len(rows):
            yield names, lambda position, rows=rows: rows[position].tolist()


def _as(kind: str) -> dict[str, Any]:
    is_tsv = kind == ".tsv"
    quoting = csv.QUOTE_NONE if is_tsv else csv.QUOTE_MINIMAL
    return {"sep": "\t" if is_tsv else ",", "quoting": quoting}


def _bad_row(path: Path, kind: str, encoding: str, error: ValueError) -> InputError:
    """Where the row is that has too many fields, or a quotation mark open."""
    try:
        with open_lines(path, encoding) as lines:
            rows = _rows(lines, kind)
            begin, first = next(rows)
            for begin, fields in rows:
                if fields > first:
                    return InputError(
                        f"{path}: line {begin:,} has {fields:,} fields, the first row "
                        f"{first:,}; is a text with the separator in it not quoted?"
                    )
    except (*UNREADABLE, StopIteration, csv.Error):
        begin = 0
    reason = reason_of(error).removeprefix("Error tokenizing data. C error: ")
    if begin and "EOF inside string" in reason:
        return InputError(
            f"{path}: a quotation mark in the row that begins in line {begin:,} is "
            "never closed; one that is meant as such is written twice"
        )
    return InputError(f"{path}: cannot be read ({reason})")


def _rows(lines: IO[str], kind: str) -> Iterator[tuple[int, int]]:
    """Of each row the line that it begins in, and how many fields it has."""
    dialect = _as(kind)
    longest = csv.field_size_limit(sys.maxsize)
    try:
        reader = csv.reader(lines, delimiter=dialect["sep"], quoting=dialect["quoting"])
        begin = 1
        for fields in reader:
            if fields:
                yield begin, len(fields)
            begin = reader.line_num + 1
    finally:
        csv.field_size_limit(longest)


def not_text(path: Path, encoding: str, error: UnicodeError) -> InputError:
    """What is said of a file of another encoding: where that shows, and what to do."""
    advice = "say which encoding it has, for instance --encoding gb18030 or latin-1"
    place = reason_of(error)
    if codec(encoding) == "utf-8-sig":
        place, start = _first_bad_byte(path)
        if start in (b"\xff\xfe", b"\xfe\xff"):
            advice = "it begins like UTF-16: --encoding utf-16"
    return InputError(f"{path}: not {encoding} text ({place}); {advice}")


def _first_bad_byte(path: Path) -> tuple[str, bytes]:
    """Of a file that is not UTF-8: where that shows, and how it begins."""
    start, place = b"", "at its end"
    with open_bytes(path) as raw:
        for number, line in enumerate(raw, start=1):
            start = start or line[:2]
            try:
                line.decode()
            except UnicodeDecodeError as error:
                place = f"byte 0x{line[error.start]:02x} in line {number:,}"
                break
    return place, start


def _nul(path: Path) -> InputError:
    return InputError(
        f"{path}: holds NUL characters in its first row; is it UTF-16 (--encoding "
        "utf-16), or no table at all?"
    )


def _read_json_lines(path: Path, lines: IO[str], size: int | None) -> Iterator[Table]:
    objects, names = json_rows(path, lines), None
    while rows := list(islice(objects, size)):
        # Of the first rows: a position is then the same column all along.
        names = names or list(dict.fromkeys(name for row in rows for name in row))
        if not names:
            raise InputError(f"{path}: its objects hold nothing; {_EXPECTED}")
        yield (
            names,
            lambda i, rows=rows, names=names: [row.get(names[i]) for row in rows],
        )


def json_rows(path: Path, lines: IO[str]) -> Iterator[dict[str, Any]]:
    """The objects of a `.jsonl` file, one a line; blank lines are none.

    Raises:
        InputError: if a line is no object, or one with two values of one name.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number:,}"
        try:
            row = json.loads(line, object_pairs_hook=_distinct)
        except InputError as error:
            raise InputError(f"{where} {error}") from None
        except (ValueError, RecursionError) as error:
            if number == 1 and "\0" in line:
                raise _nul(path) from error
            row = None
            if not isinstance(error, json.JSONDecodeError) or line.strip()[0] != "[":
                why = _why_not(error)
                raise InputError(f"{where} is not JSON ({why})") from error
        if not isinstance(row, dict):
            raise InputError(f"{where} is not a JSON object; {_EXPECTED}")
        yield row


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"has the name {twice[:40]!r} twice; which of them is meant?")
    return row


def _why_not(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos + 1:,}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    # Python's advice on that is of no use in a file.
    return (
        "a number has more than 4,300 digits" if "digits" in str(error) else str(error)
    )


def _read_parquet(path: Path, rows: int | None) -> Iterator[Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_file(path) as raw, pq.ParquetFile(raw) as described:
        size, batches = os.fstat(raw.fileno()).st_size, []
        room, metadata = largest(size), described.metadata
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        if sum(group.total_byte_size for group in groups) > room:
            raise too_large(path, size)
        # A text repeated a milliard times takes a few bytes. It is kept once until it
        # is known how much all of them are; of texts in lists, few are read at a time.
        once, nested = _columns_of_text(metadata.schema)
        most = 256 if nested else 65_536
        with pq.ParquetFile(raw, metadata=metadata, read_dictionary=once) as file:
            for batch in file.iter_batches(min(rows or most, most)):
                room -= sum(map(_unpacked, batch.columns))
                if room < 0:
                    raise too_large(path, size)
                if rows is None:
                    batches.append(batch)
                elif len(batch):
                    yield _of_arrow(batch)
            whole = pa.Table.from_batches(batches, file.schema_arrow)
    if len(whole):
        yield _of_arrow(whole)


def _columns_of_text(schema: Any) -> tuple[list[str], list[str]]:
    """The columns that hold texts, and those that hold lists or objects of texts."""
    flat, nested = [], []
    for column in map(schema.column, range(len(schema))):
        if column.physical_type == "BYTE_ARRAY":
            # Decimal numbers are bytes, too.
            if column.path != column.name or column.max_repetition_level:
                nested.append(column.path)
            elif column.logical_type.type in ("STRING", "NONE"):
                flat.append(column.path)
    return flat, nested


def _unpacked(column: Any) -> int:
    """The bytes that it takes with every value written out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return column.nbytes
    if pa.types.is_primitive(column.type.value_type):
        return 8 * len(column)
    lengths = pc.binary_length(column.dictionary).cast("int64")
    return 4 * len(column) + (pc.sum(lengths.take(column.indices)).as_py() or 0)


def _of_arrow(table: Any) -> Table:
    import pyarrow as pa

    def values(position: int) -> list[Any]:
        column = table.column(position)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return column.to_pylist()

    return list(table.schema.names), values
