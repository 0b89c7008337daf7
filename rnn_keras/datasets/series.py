"""Time series from people's own files, with one row for each equal time step.

The file has a time and numbers in each row. The step is found from the times, and the
steps that the file leaves out become rows of `nan`. How a series is cut into examples
for a forecaster is decided in `rnn_keras.models.forecasting`.
"""

from collections.abc import Hashable
from pathlib import Path

import pandas as pd

from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import UNREADABLE, open_lines, refuse_unreadable

# Years, quarters and months, by their first or last day: they differ in length.
_CALENDAR_STEPS = ("YS", "YE", "QS", "QE", "MS", "ME")
_MAX_STEPS_PER_ROW = 100


def read_series(path: Path, name: str) -> pd.DataFrame:
    """Read a table of numbers, as described at `rnn_keras.datasets.load_series`.

    Args:
        path: a `.csv` file, possibly packed.
        name: what messages call the file.

    Raises:
        InputError: if it is not such a table, or its times are not equally spaced.
    """
    with refuse_unreadable(
        path, name=name, errors=(*UNREADABLE, TypeError), describe=_describe
    ):
        return _fill_gaps(_read(path), name)


def _describe(error: Exception) -> str:
    # pandas gives the reason first, and then advice to programmers.
    reason = " ".join(str(error).split(". ")[0].split())[:120]
    return f"expected an ISO 8601 time and numbers in each row ({reason})"


def _read(path: Path) -> pd.DataFrame:
    """Read numbers by rising times; a `ValueError` gives what is wrong with them."""
    with open_lines(path) as lines:
        table = pd.read_csv(lines)
    # If every row has more fields than the header, pandas takes the first ones as row
    # names.
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError("rows have more fields than the first one")
    first = table.columns[0]
    if not pd.isna(pd.to_datetime(first, errors="coerce", format="ISO8601")):
        raise ValueError(f"the first row has no column names but the time {first}")
    times = _to_times(table.pop(first))
    if len(table) < 2 or not len(table.columns):
        raise ValueError("fewer than two rows, or no numbers")
    table.index = pd.DatetimeIndex(times, name=first)
    if table.index.has_duplicates:
        again = table.index[table.index.duplicated()][0]
        raise ValueError(f"the time {again} occurs in two rows")
    for column in table.columns:
        _check_numbers(table[column], column)
    return table.astype("float64").sort_index()


def _to_times(column: pd.Series) -> pd.Series:
    times = pd.to_datetime(column.astype("str"), errors="coerce", format="ISO8601")
    if times.isna().any():
        row = int(times.isna().argmax())
        if pd.isna(column[row]):
            raise ValueError(f"data row {row + 1:,} has no time")
        raise ValueError(f"data row {row + 1:,}: {column[row]!r} is not a time")
    return times


def _check_numbers(column: pd.Series, name: Hashable) -> None:
    """Raise `ValueError` for the first value that is neither a number nor missing."""
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = (numbers.isna() & column.notna()).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"data row {row + 1:,}, column {name}: {column.iloc[row]!r} is not a number"
        )


def _fill_gaps(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Add a row of `nan` for each step that is left out."""
    step = _find_step(table.index)
    begin, end = table.index[[0, -1]]
    unequal = f"{name}: the times are not equally spaced: "
    # Checked before the steps are made, because a wrong step may give too many of them.
    if begin + _MAX_STEPS_PER_ROW * len(table) * step < end:
        raise InputError(
            f"{unequal}{len(table):,} rows are too few for steps of {_name_step(step)} "
            f"from {begin} to {end}"
        )
    steps = pd.date_range(begin, end, freq=step)
    between = table.index.difference(steps)
    if len(between):
        raise InputError(
            f"{unequal}{between[0]} is not a whole number of steps of "
            f"{_name_step(step)} after {begin}"
        )
    return table.reindex(steps)


def _find_step(times: pd.DatetimeIndex) -> pd.offsets.BaseOffset:
    """Return the step between times.

    It is a year, quarter or month if all times are the first or the last day of one.
    Otherwise it is the most frequent distance, and the smallest of equally frequent
    ones.
    """
    distances = times.to_series().diff()
    if distances.min() >= pd.Timedelta(28, "D"):
        for step in map(pd.tseries.frequencies.to_offset, _CALENDAR_STEPS):
            if all(map(step.is_on_offset, times)):
                return step
    return pd.tseries.frequencies.to_offset(distances.mode()[0])


def _name_step(step: pd.offsets.BaseOffset) -> str:
    if isinstance(step, pd.offsets.Tick):
        distance = pd.Timedelta(step)
        words = str(distance).removeprefix("0 days ").removesuffix(" 00:00:00")
        return words.replace("days", "day") if distance.days == 1 else words
    kind = type(step).__name__.removesuffix("Begin").removesuffix("End")
    return f"a {kind.lower()}"
