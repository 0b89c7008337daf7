"""The command `compare`."""

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from rnn_keras.datasets import load_dataset
from rnn_keras.experiments import compare

OPTIONS = ("--cells", "simple_rnn", "--epochs", 1, "--units", 4, "--seeds", 1)
OPTIONS += ("--no-linear", "--metric", "macro_f1")
MODELS = ["simple_rnn", "mean_embedding", "tfidf_2", "tfidf_1", "majority"]


@pytest.fixture(scope="module")
def made(table, tmp_path_factory):
    """A folder with the runs of `OPTIONS`, made in this process."""
    out = tmp_path_factory.mktemp("comparison")
    with ThreadPoolExecutor(1) as executor:
        compare(
            load_dataset(table).split(seed=0),
            out,
            cells=["simple_rnn"],
            seeds=1,
            units=4,
            executor=executor,
            linear=False,
            unit=None,
            epochs=1,
        )
    return out


def check(result, out):
    """The table that is printed, and the files."""
    assert result.exit_code == 0, result.output
    for word in (*MODELS, "macro F1 %", "- tfidf_2"):
        assert word in result.stdout
    # The last line names the folder.
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80
    assert "units: simple_rnn 4" in result.stderr
    assert "WARNING" not in result.stderr
    runs = pd.read_csv(out / "runs.csv")
    summary = pd.read_csv(out / "summary.csv", index_col="model")
    assert list(summary.index) == list(runs["model"]) == MODELS
    assert summary["macro_f1"].to_list() == pytest.approx(runs["macro_f1"].to_list())
    assert (out / "comparison.png").read_bytes()[1:4] == b"PNG"


def test_compare_goes_on_with_the_runs_that_are_there(made, table, invoke):
    result = invoke("compare", table, "--out", made, *OPTIONS)
    check(result, made)
    assert "5 of 5 runs are there already" in result.stderr
    other = invoke("compare", table, "--out", made, *OPTIONS, "--reference", "majority")
    assert "- majority" in other.stdout
    wrong = invoke("compare", table, "--out", made, *OPTIONS, "--reference", "lstm")
    assert wrong.exit_code == 2
    assert (
        "--reference lstm: expected one of simple_rnn, mean_embedding," in wrong.stderr
    )


@pytest.mark.exhaustive
def test_compare_makes_the_runs_in_processes_of_its_own(table, tmp_path, invoke):
    check(invoke("compare", table, "--out", tmp_path, *OPTIONS), tmp_path)


def test_a_folder_that_cannot_be_made_gets_one_line(table, tmp_path, invoke):
    (tmp_path / "file").write_text("")
    blocked = invoke("compare", table, "--out", tmp_path / "file" / "in", "--seeds", 1)
    assert blocked.exit_code == 2
    assert "cannot be written (Not a directory)" in blocked.stderr
    assert blocked.stdout == ""
