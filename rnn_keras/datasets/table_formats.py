"""Parsers for the formats of tables: separated values, JSON lines and Parquet.

Each parser turns a file into `TableChunk`s, which hold some consecutive rows. Which
columns are the text and the label is decided in `rnn_keras.datasets.tables`.

pandas parses separated values, because its parser accepts what common programs write.
If it refuses a file, Python's `csv` module finds the line at fault. Parquet is read
through pyarrow and converted to Python's types, without the index and data types that
pandas may have stored in the file.
"""

import csv
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import pandas as pd

from rnn_keras.utils.errors import InputError, reason_of
from rnn_keras.utils.files import (
    UNREADABLE,
    max_unpacked_bytes,
    open_file,
    open_lines,
    unpacks_too_large,
)

# A column's name, or its position counted from 0.
ColumnKey = str | int

_EXPECTED_OBJECT = 'expected one on each line, like {"text": "...", "label": "..."}'


class TableChunk(NamedTuple):
    """Some consecutive rows of a table.

    Attributes:
        names: names of all columns; their positions if the table has no header.
        values: function from the position of a column to its values in these rows.
    """

    names: list[ColumnKey]
    values: Callable[[int], list[Any]]


def read_chunks(
    path: Path, kind: str, header: bool, encoding: str, size: int | None = None
) -> Iterator[TableChunk]:
    """Read a table in chunks; there is at least one.

    Args:
        path: the file.
        kind: `.csv`, `.tsv`, `.jsonl` or `.parquet`.
        header: whether the first row of separated values holds names.
        encoding: encoding of all formats but Parquet.
        size: number of rows in a chunk; `None` reads all rows into one chunk.

    Raises:
        InputError: if the file is not such a table, if it has no rows, or if Parquet
            cannot be read because pyarrow is not installed.
        UnicodeError: if the file has another encoding.
    """
    chunks = _parse(path, kind, header, encoding, size)
    first = next(chunks, None)
    if first is None:
        raise InputError(f"{path}: no rows; expected a text and a label in each row")
    yield first
    yield from chunks


def _parse(
    path: Path, kind: str, header: bool, encoding: str, size: int | None
) -> Iterator[TableChunk]:
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
            raise _explain_parser_error(path, kind, encoding, error) from error


# Separated values.


def _read_separated(
    path: Path, lines: IO[str], kind: str, header: bool, size: int | None
) -> Iterator[TableChunk]:
    # The names are read like any row: pandas would rename a second column "text".
    read = pd.read_csv(
        lines, header=None, dtype=str, na_filter=False, chunksize=size, **_dialect(kind)
    )
    names: list[ColumnKey] | None = None
    for rows in [read] if size is None else read:
        if names is None:
            names = list(range(len(rows.columns)))
            if header:
                names, rows = rows.iloc[0].tolist(), rows.iloc[1:]
                if any("\0" in str(name) for name in names):
                    raise _holds_nul(path)
        if len(rows):
            yield TableChunk(names, _frame_values(rows))


def _frame_values(rows: pd.DataFrame) -> Callable[[int], list[Any]]:
    return lambda position: rows[position].tolist()


def _dialect(kind: str) -> dict[str, Any]:
    """Arguments of `pandas.read_csv` for separators and quotation marks."""
    if kind == ".tsv":
        return {"sep": "\t", "quoting": csv.QUOTE_NONE}
    return {"sep": ",", "quoting": csv.QUOTE_MINIMAL}


def _explain_parser_error(
    path: Path, kind: str, encoding: str, error: ValueError
) -> InputError:
    """Find the row with too many fields, or the quotation mark that is not closed."""
    try:
        with open_lines(path, encoding) as lines:
            counts = _field_counts(lines, kind)
            begin, expected = next(counts)
            for begin, fields in counts:
                if fields > expected:
                    return InputError(
                        f"{path}: line {begin:,} has {fields:,} fields but the first "
                        f"row has {expected:,}; put quotation marks around a text "
                        "that contains the separator"
                    )
    except (*UNREADABLE, StopIteration, csv.Error):
        begin = 0
    reason = reason_of(error).removeprefix("Error tokenizing data. C error: ")
    if begin and "EOF inside string" in reason:
        return InputError(
            f"{path}: a quotation mark in the row that begins in line {begin:,} is "
            "never closed; write it twice if it is part of the text"
        )
    return InputError(f"{path}: cannot be read ({reason})")


def _field_counts(lines: IO[str], kind: str) -> Iterator[tuple[int, int]]:
    """Yield the line in which each row begins, and its number of fields."""
    dialect = _dialect(kind)
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


def _holds_nul(path: Path) -> InputError:
    return InputError(
        f"{path}: the first row contains NUL characters; the file may be UTF-16 "
        "(--encoding utf-16), or not a table"
    )


# JSON lines.


def _read_json_lines(
    path: Path, lines: IO[str], size: int | None
) -> Iterator[TableChunk]:
    objects = _json_objects(path, lines)
    names: list[ColumnKey] = []
    while rows := list(islice(objects, size)):
        # The first chunk decides, so that a position means the same column throughout.
        names = names or list(dict.fromkeys(name for row in rows for name in row))
        if not names:
            raise InputError(f"{path}: all JSON objects are empty; {_EXPECTED_OBJECT}")
        yield TableChunk(names, _object_values(names, rows))


def _object_values(
    names: list[ColumnKey], rows: list[dict[str, Any]]
) -> Callable[[int], list[Any]]:
    return lambda position: [row.get(str(names[position])) for row in rows]


def _json_objects(path: Path, lines: IO[str]) -> Iterator[dict[str, Any]]:
    """Parse a JSON object from each line that is not blank.

    Raises:
        InputError: if a line is not a JSON object, or has a name twice.
    """
    for number, line in enumerate(lines, start=1):
        if number == 1 and "\0" in line:
            raise _holds_nul(path)
        if line.strip():
            yield _parse_object(f"{path}: line {number:,}", line)


def _parse_object(where: str, line: str) -> dict[str, Any]:
    """Parse one line; `where` names the file and the line in messages."""
    try:
        row = json.loads(line, object_pairs_hook=_dict_of_distinct)
    except InputError as error:
        raise InputError(f"{where} {error}") from None
    except RecursionError as error:
        raise InputError(f"{where} is not JSON (nested too deeply)") from error
    except json.JSONDecodeError as error:
        row, place = None, f"error at character {error.pos + 1:,}"
        # An array that goes on in the next line is reported like one that ends here.
        if not line.lstrip().startswith("["):
            raise InputError(f"{where} is not JSON ({place})") from error
    except ValueError as error:
        digits = f"a number has more than {sys.get_int_max_str_digits():,} digits"
        raise InputError(f"{where} is not JSON ({digits})") from error
    if not isinstance(row, dict):
        raise InputError(f"{where} is not a JSON object; {_EXPECTED_OBJECT}")
    return row


def _dict_of_distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"has the name {twice[:40]!r} twice in one object")
    return row


# Parquet.


def _read_parquet(path: Path, rows: int | None) -> Iterator[TableChunk]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(
            f"{path}: reading .parquet needs another package: pip install pyarrow"
        ) from error
    with open_file(path) as raw:
        metadata = _parquet_metadata(path, raw)
        # A text that is repeated a billion times takes a few bytes. Texts are read as
        # indices into their distinct values, so that the size of a batch is known
        # before every value is written out. That is not possible for texts in lists,
        # so few rows of those are read together.
        flat, nested = _columns_of_text(metadata.schema)
        most = 256 if nested else 65_536
        with pq.ParquetFile(raw, metadata=metadata, read_dictionary=flat) as file:
            reading = file.iter_batches(min(rows or most, most))
            batches: Iterable[Any] = _limit_batches(path, raw, reading)
            if rows is None:
                batches = [pa.Table.from_batches(list(batches), file.schema_arrow)]
            for batch in batches:
                if len(batch):
                    yield _arrow_chunk(batch)


def _parquet_metadata(path: Path, raw: IO[bytes]) -> Any:
    """Read the description of a Parquet file, and refuse one that is too large."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(raw)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a Parquet file, or a damaged one") from error
    size = os.fstat(raw.fileno()).st_size
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    if sum(group.total_byte_size for group in groups) > max_unpacked_bytes(size):
        raise unpacks_too_large(path, size)
    return metadata


def _limit_batches(path: Path, raw: IO[bytes], batches: Iterator[Any]) -> Iterator[Any]:
    """Yield batches until they are larger together than the file may unpack to."""
    size = os.fstat(raw.fileno()).st_size
    room = max_unpacked_bytes(size)
    for batch in batches:
        room -= sum(map(_unpacked_bytes, batch.columns))
        if room < 0:
            raise unpacks_too_large(path, size)
        yield batch


def _columns_of_text(schema: Any) -> tuple[list[str], list[str]]:
    """Return the columns of texts, and those of lists or objects with texts."""
    flat, nested = [], []
    for column in map(schema.column, range(len(schema))):
        if column.physical_type == "BYTE_ARRAY":
            if column.path != column.name or column.max_repetition_level:
                nested.append(column.path)
            # Decimal numbers are stored as bytes, too.
            elif column.logical_type.type in ("STRING", "NONE"):
                flat.append(column.path)
    return flat, nested


def _unpacked_bytes(column: Any) -> int:
    """Return the size of an Arrow array if every value were written out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return column.nbytes
    if pa.types.is_primitive(column.type.value_type):
        return 8 * len(column)
    lengths = pc.binary_length(column.dictionary).cast("int64")
    return 4 * len(column) + (pc.sum(lengths.take(column.indices)).as_py() or 0)


def _arrow_chunk(table: Any) -> TableChunk:
    """Convert an Arrow table or record batch."""
    import pyarrow as pa

    def values(position: int) -> list[Any]:
        column = table.column(position)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        return column.to_pylist()

    return TableChunk(list(table.schema.names), values)
