"""Time series from files: their equal steps, and files that are refused."""

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


def test_a_series_has_a_row_for_every_step(tmp_path):
    """Rows are sorted by time, and steps that the file leaves out become `nan`."""
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
def test_steps_follow_the_calendar_or_the_clock(step, tmp_path):
    """Months differ in length: with steps of 31 days, only one of them would match."""
    times = pd.date_range("2023-01-01", periods=24, freq=step)
    table = load_series(written(tmp_path / "t.csv", times))
    np.testing.assert_array_equal(table["a"].dropna(), np.arange(24))
    steps = pd.date_range(times[0], times[-1], freq="D" if step == "B" else step)
    np.testing.assert_array_equal(table.index, steps)
    # A step that the file leaves out becomes a row of `nan`.
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
        (
            f"day,a\n{TIME}1,1\n{TIME}2,high\n",
            r"\(data row 2, column a: 'high' is not a number\)",
        ),
        ("day,a\nfoo,1\nbar,2\n", r"\(data row 1: 'foo' is not a time\)"),
        (
            f"{TIME}1,1\n{TIME}2,2\n",
            "the first row has no column names but the time 2020-01-01",
        ),
        (f"day,a\n{TIME}1,1\n,2\n{TIME}3,3\n", "data row 2 has no time"),
        (f"day,a\n{TIME}1,1,5\n{TIME}2,2,5\n", "more fields than the first one"),
        (f"day\n{TIME}1\n{TIME}2\n", "fewer than two rows, or no numbers"),
        (f"day,a\n{TIME}1,1\n", "fewer than two rows, or no numbers"),
        (f"day,a\n{TIME}1,1\n{TIME}1,1\n", "2020-01-01 00:00:00 occurs in two rows"),
        ("", "expected an ISO 8601 time and numbers in each row"),
        (
            f"day,a\n{TIME}1,1\n{TIME}2,2\n{TIME}3,3\n{TIME}4 12:00,4\n",
            "2020-01-04 12:00:00 is not a whole number of steps of 1 day after 2020",
        ),
        # One second is as frequent as four days, and would give 345,601 rows.
        (
            f"day,a\n{TIME}1 00:00:00,1\n{TIME}1 00:00:01,2\n{TIME}5,3\n",
            "3 rows are too few for steps of 00:00:01 from 2020-01-01",
        ),
        (
            "day,a\n2020-01-31,1\n2020-02-29,2\n2020-03-31,3\n2020-04-29,4\n",
            "the times are not equally spaced: ",
        ),
    ],
)
def test_a_file_that_is_not_a_series_is_refused_with_the_reason(
    content, message, tmp_path
):
    path = tmp_path / "series.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=f"series.csv: .*{message}"):
        load_series(path)


@pytest.mark.parametrize("name", ["t.csv.zip", "t.csv.gz", "t.csv.xz"])
def test_a_damaged_archive_is_refused(name, tmp_path):
    (tmp_path / name).write_bytes(gzip.compress(b"day,a\n" * 50)[:-9])
    with pytest.raises(InputError, match=f"{name}: expected an ISO 8601 time"):
        load_series(tmp_path / name)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="known names: melbourne, beijing"):
        load_series(tmp_path / "nosuch.csv")


def test_times_that_are_too_far_apart_are_refused(tmp_path):
    """A hundred steps of two thousand years lead to a time that pandas cannot hold."""
    (tmp_path / "t.csv").write_text("when,x\n2000\n0000-1-2,nan\n")
    with pytest.raises(InputError, match="expected an ISO 8601 time and numbers"):
        load_series(tmp_path / "t.csv")
