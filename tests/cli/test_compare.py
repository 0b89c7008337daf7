"""`rnn-keras compare` as a person meets it."""

import subprocess
import sys

import pandas as pd
import pytest
from typer.testing import CliRunner

from rnn_keras.cli.app import app

WORDS = {"pos": ("good", "fine", "nice", "great"), "neg": ("bad", "poor", "dull")}


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    rows = [f"{k},{a} {b}" for k, of in WORDS.items() for a in of for b in "abcdefgh"]
    path.write_text("label,text\n" + "\n".join(rows) + "\n")
    return path


def test_compare_prints_a_table_writes_files_and_goes_on(table, tmp_path):
    arguments = ["compare", table, "--out", tmp_path, "--cells", "gru", "--epochs", 1]
    arguments += ["--units", 4, "--seeds", 1, "--no-linear", "--metric", "macro_f1"]
    first = subprocess.run(
        [sys.executable, "-m", "rnn_keras.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert first.returncode == 0, first.stderr
    for word in ("gru", "mean_embedding", "tfidf_1", "majority", "macro F1 %"):
        assert word in first.stdout
    # The last line names the folder.
    assert max(map(len, first.stdout.splitlines()[:-1])) <= 80
    assert "units: gru 4" in first.stderr
    assert "WARNING" not in first.stderr
    runs = pd.read_csv(tmp_path / "runs.csv")
    summary = pd.read_csv(tmp_path / "summary.csv", index_col="model")
    assert list(summary.index) == list(runs["model"])
    assert summary["macro_f1"].to_list() == pytest.approx(runs["macro_f1"].to_list())
    assert (tmp_path / "comparison.png").read_bytes()[1:4] == b"PNG"

    again = invoke(*arguments, "--reference", "gru")
    assert "5 of 5 runs are there already" in again.stderr
    assert "- gru" in again.stdout
    wrong = invoke(*arguments, "--reference", "lstm")
    assert wrong.exit_code == 2
    assert "--reference lstm: expected one of gru, mean_embedding," in wrong.stderr


def test_bad_input_gets_one_line_before_any_training(table, tmp_path):
    out = tmp_path / "out"
    cells = invoke("compare", table, "--out", out, "--cells", "gru,rnn")
    assert cells.exit_code == 2
    assert cells.stderr == (
        "rnn-keras: --cells: 'rnn' is none of simple_rnn, lstm, gru\n"
    )
    missing = invoke("compare", tmp_path / "no.csv", "--out", out)
    assert missing.exit_code == 2
    assert "no.csv: neither a file" in missing.stderr
    (tmp_path / "file").write_text("")
    blocked = invoke("compare", table, "--out", tmp_path / "file" / "in", "--seeds", 1)
    assert blocked.exit_code == 2
    assert "cannot be written (Not a directory)" in blocked.stderr
    assert not out.exists()
