"""Files of times and numbers: their steps, and what is no such file."""

import gzip

import numpy as np
import pandas as pd
import pytest

from rnn_keras.datasets.loaders import load_series
from rnn_keras.utils.errors import InputError


def written(path, times):
    rows = [f"{time},{i}" for i, time in enumerate(times)]
    path.write_text("\n".join(["time,a", *rows]))
    return path


def test_series_have_a_row_for_every_step(tmp_path):
    """Rows out of order are put in order, and steps that are left out are missing."""
    path = tmp_path / "series.csv"
    path.write_text(
        "day,a,b\n2020-01-02,2,20\n2020-01-01,1,\n2020-01-05,5,50\n2020-01-03,3,30\n"
    )
    table = load_series(path)
    expected = [[1, np.nan], [2, 20], [3, 30], [np.nan, np.nan], [5, 50]]
    np.testing.assert_array_equal(table.to_numpy(), expected)
    assert list(table.columns) == ["a", "b"]
    assert table.index[3] == pd.Timestamp("2020-01-04")


@pytest.mark.parametrize(
    "step", ["YS", "YE", "QS", "QE", "MS", "ME", "W", "B", "15min"]
)
def test_steps_are_those_of_the_calendar_or_the_clock(step, tmp_path):
    """Months are of no equal length: taken for 31 days, they were lost but for one."""
    times = pd.date_range("2023-01-01", periods=24, freq=step)
    table = load_series(written(tmp_path / "t.csv", times))
    np.testing.assert_array_equal(table["a"].dropna(), np.arange(24))
    steps = pd.date_range(times[0], times[-1], freq="D" if step == "B" else step)
    np.testing.assert_array_equal(table.index, steps)
    # One that is left out is a row of nothing.
    table = load_series(written(tmp_path / "t.csv", times.delete(11)))
    np.testing.assert_array_equal(table.index, steps)


def test_years_and_months_need_no_day(tmp_path):
    table = load_series(written(tmp_path / "t.csv", range(2000, 2012)))
    assert table["a"].tolist() == list(range(12))
    table = load_series(written(tmp_path / "t.csv", ["2000-01", "2000-02", "2000-04"]))
    np.testing.assert_array_equal(table["a"], [0, 1, np.nan, 2])


TIME = "2020-01-0"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"day,a\n{TIME}1,1\n{TIME}2,high\n", r"\(could not convert .*'high'\)"),
        ("day,a\nfoo,1\nbar,2\n", r"\(Time data foo is not ISO8601 format\)"),
        (f"{TIME}1,1\n{TIME}2,2\n", "no names of columns above the time 2020-01-01"),
        (f"day,a\n{TIME}1,1\n,2\n{TIME}3,3\n", "data row 2 has no time"),
        (f"day,a\n{TIME}1,1,5\n{TIME}2,2,5\n", "more fields than the first one"),
        (f"day\n{TIME}1\n{TIME}2\n", "fewer than two rows, or no numbers"),
        (f"day,a\n{TIME}1,1\n", "fewer than two rows, or no numbers"),
        (f"day,a\n{TIME}1,1\n{TIME}1,1\n", "2020-01-01 00:00:00 stands in two rows"),
        ("", "no table of an ISO 8601 time and numbers in each row"),
        (
            f"day,a\n{TIME}1,1\n{TIME}2,2\n{TIME}3,3\n{TIME}4 12:00,4\n",
            "2020-01-04 12:00:00 is no whole number of steps of 1 days .* after 2020",
        ),
        # A second is as frequent as four days, and would make 345,601 rows.
        (
            f"day,a\n{TIME}1 00:00:00,1\n{TIME}1 00:00:01,2\n{TIME}5,3\n",
            "3 rows are too few for steps of 00:00:01 from 2020-01-01",
        ),
        (
            "day,a\n2020-01-31,1\n2020-02-29,2\n2020-03-31,3\n2020-04-29,4\n",
            "times at no equal distances: ",
        ),
    ],
)
def test_a_file_without_series_is_named(content, message, tmp_path):
    path = tmp_path / "series.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=f"series.csv: .*{message}"):
        load_series(path)


@pytest.mark.parametrize("name", ["t.csv.zip", "t.csv.gz", "t.csv.xz"])
def test_a_file_that_is_not_what_its_name_says_is_named(name, tmp_path):
    (tmp_path / name).write_bytes(gzip.compress(b"day,a\n" * 50)[:-9])
    with pytest.raises(InputError, match=f"{name}: no table of an ISO 8601 time"):
        load_series(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="known by name; those are: melbourne, beij"):
        load_series(tmp_path / "nosuch.csv")


def test_times_farther_apart_than_can_be_added_up_are_refused(tmp_path):
    """A step of two thousand years, a hundred times over, is no time any more."""
    (tmp_path / "t.csv").write_text("when,x\n2000\n0000-1-2,nan\n")
    with pytest.raises(InputError, match="no table of an ISO 8601 time and numbers"):
        load_series(tmp_path / "t.csv")
