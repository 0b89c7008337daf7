"""A person's own series: a file of times and numbers, as steps of equal distance."""

from pathlib import Path

import pandas as pd

from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import UNREADABLE, open_lines

_ISO = {"format": "ISO8601"}
# Begin and end of years, quarters and months, which are of no equal length.
_CALENDAR = ("YS", "YE", "QS", "QE", "MS", "ME")
_MOST_STEPS = 100  # for each row of the file


def read_series(path: Path, name: str) -> pd.DataFrame:
    """A table of numbers by rising times: see `rnn_keras.datasets.load_series`.

    Args:
        path: of a `.csv` file, also compressed.
        name: what errors call it.

    Raises:
        InputError: if it is no such table, or its times are at no equal distances.
    """
    try:
        return _even(_read(path), name)
    except InputError:
        raise
    except (*UNREADABLE, TypeError) as error:
        # What pandas says first: advice on its arguments follows.
        reason = " ".join(str(error).split(". ")[0].split())[:120]
        raise InputError(
            f"{name}: no table of an ISO 8601 time and numbers in each row ({reason})"
        ) from error


def _even(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """With a row for each step that is left out."""
    step = _step_of(table.index)
    begin, end = table.index[[0, -1]]
    unequal = f"{name}: times at no equal distances: "
    # Before they are made: of a wrong step there may be no end.
    if begin + _MOST_STEPS * len(table) * step < end:
        raise InputError(
            f"{unequal}{len(table):,} rows are too few for steps of {_words(step)} "
            f"from {begin} to {end}"
        )
    steps = pd.date_range(begin, end, freq=step)
    between = table.index.difference(steps)
    if len(between):
        raise InputError(
            f"{unequal}{between[0]} is no whole number of steps of {_words(step)} "
            f"after {begin}"
        )
    return table.reindex(steps)


def _read(path: Path) -> pd.DataFrame:
    with open_lines(path) as lines:
        table = pd.read_csv(lines)
    # Where every row has a field more than the header, pandas takes the first field
    # for row names.
    if not isinstance(table.index, pd.RangeIndex):
        raise ValueError("rows have more fields than the first one")
    first = table.columns[0]
    if not pd.isna(pd.to_datetime(first, errors="coerce", **_ISO)):
        raise ValueError(f"no names of columns above the time {first}")
    times = pd.to_datetime(table.pop(first).astype("str"), **_ISO)
    if times.isna().any():
        raise ValueError(f"data row {times.isna().argmax() + 1:,} has no time")
    if len(table) < 2 or not len(table.columns):
        raise ValueError("fewer than two rows, or no numbers")
    table.index = pd.DatetimeIndex(times, name=first)
    if table.index.has_duplicates:
        again = table.index[table.index.duplicated()][0]
        raise ValueError(f"the time {again} stands in two rows")
    return table.astype("float64").sort_index()


def _step_of(times: pd.DatetimeIndex) -> pd.offsets.BaseOffset:
    """A year, quarter or month, where all times begin or end one; the usual distance.

    Of distances that are as frequent as each other, the least.
    """
    distances = times.to_series().diff()
    if distances.min() >= pd.Timedelta(28, "D"):
        for step in map(pd.tseries.frequencies.to_offset, _CALENDAR):
            if all(map(step.is_on_offset, times)):
                return step
    return pd.tseries.frequencies.to_offset(distances.mode()[0])


def _words(step: pd.offsets.BaseOffset) -> str:
    if isinstance(step, pd.offsets.Tick):
        return str(pd.Timedelta(step)).removeprefix("0 days ")
    kind = type(step).__name__.removesuffix("Begin").removesuffix("End")
    return f"a {kind.lower()}"
