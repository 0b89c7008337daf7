"""The command line as a person meets it: in processes of its own."""

import inspect
import json
import re
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.cli.app import app
from rnn_keras.cli.train import train as train_command

ROWS = [("pos", w) for w in ("good", "fine", "nice", "great")]
ROWS += [("neg", w) for w in ("bad", "poor", "awful", "dull")]


def command(*arguments, stdin=None):
    return subprocess.run(
        [sys.executable, "-m", "rnn_keras.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        input=stdin,
    )


def invoke(*arguments):
    """The same in this process: quicker where only a message is looked at."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    lines = [f"{label},{a} {b}" for label, a in ROWS for _, b in ROWS[:4]]
    lines += [f"{label},it is {a} in the {b}" for label, a in ROWS for b in "xyz"]
    path.write_text("kind,said\n" + "\n".join(lines) + "\n")
    return path


QUICK = ("--units", 8, "--embedding-dim", 8, "--epochs", 3, "--learning-rate", 0.02)
COLUMNS = ("--text-column", "said", "--label-column", "kind")


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "mine"
    return command("train", table, *COLUMNS, *QUICK, "--out", out), out


def test_train_prints_a_table_and_writes_the_run(trained):
    finished, out = trained
    assert finished.returncode == 0, finished.stderr
    for word in ("accuracy", "macro F1", "F1 of neg", "F1 of pos", "TF-IDF + LR"):
        assert word in finished.stdout
    assert "parameters and " in finished.stdout
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["class_names"] == ["neg", "pos"]
    assert {p.suffix for p in out.iterdir()} == {".keras", ".json", ".csv", ".png"}


def test_the_network_alone_stands_beside_the_classifier(trained, table, tmp_path):
    finished, out = trained
    head = finished.stdout.splitlines()[1]
    assert [cell.strip() for cell in head.split("┃")[2:5]] == [
        "gru + n-grams",
        "gru",
        "TF-IDF + LR",
    ]
    metrics = json.loads((out / "metrics.json").read_text())
    assert f"and {metrics['ngrams']:,} n-grams, 3 epochs" in finished.stdout
    alone = invoke("train", table, *COLUMNS, *QUICK, "--no-linear", "--out", tmp_path)
    assert "gru + n-grams" not in alone.stdout
    assert "parameters, 3 epochs" in alone.stdout
    assert json.loads((tmp_path / "metrics.json").read_text())["ngrams"] == 0


def test_nothing_of_tensorflows_start_shows(trained):
    finished, _ = trained
    lines = finished.stderr.splitlines()
    assert [line.split(" ")[0] for line in lines[1:]] == ["train", "vocabulary"]
    assert lines[0].endswith("mine.csv: 56 texts")


@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_run_that_is_stopped_says_how_it_goes_on(
    number, status, trained, table, tmp_path
):
    arguments = ["train", table, *COLUMNS, *QUICK, "--checkpoint-every", 0]
    arguments += ["--epochs", 4000, "--patience", 4000, "--out", tmp_path]
    process = subprocess.Popen(
        [sys.executable, "-m", "rnn_keras.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not list(tmp_path.glob(".unfinished/checkpoints/00002-*.npz")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(getattr(signal, number))
    stdout, stderr = process.communicate()
    assert (process.returncode, stdout) == (status, "")
    *_, finishing, last = stderr.splitlines()
    assert finishing == "finishing this step; once more to stop at once"
    place = re.fullmatch(
        r"rnn-keras: stopped before (epoch \d+, batch \d); the same command goes on "
        "there",
        last,
    )
    again = subprocess.Popen(
        [sys.executable, "-m", "rnn_keras.cli", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
    )
    said = [again.stderr.readline() for _ in range(3)]
    again.kill()
    again.communicate()
    assert said[2] == f"goes on with {place[1]}\n"


def test_evaluate_scores_every_text(trained, table):
    _, out = trained
    shown = command("evaluate", out, table, *COLUMNS, "--json")
    scores = json.loads(shown.stdout)
    assert set(scores) == {"accuracy", "macro_f1", "f1", "n"}
    assert scores["n"] == 56
    as_table = command("evaluate", out, table, *COLUMNS)
    assert "F1 of neg" in as_table.stdout
    assert f"{scores['accuracy']:.3f}" in as_table.stdout


def test_predict_takes_arguments_or_lines(trained):
    _, out = trained
    given = command("predict", out, "very good", "", "坏")
    piped = command("predict", out, stdin="very good\n\n坏\n")
    assert given.stdout == piped.stdout
    rows = [line.split("\t") for line in given.stdout.splitlines()]
    assert [row[2] for row in rows] == ["very good", "", "坏"]
    assert all(row[0] in ("pos", "neg") for row in rows)
    assert all(0.5 <= float(row[1]) <= 1 for row in rows)
    assert given.stderr == ""


def test_predict_json_equals_the_python_way(trained):
    _, out = trained
    finished = command("predict", out / "model.keras", "--json", "very good", "坏")
    lines = [json.loads(line) for line in finished.stdout.splitlines()]
    classifier = TextClassifier.load(out / "model.keras")
    for line, expected in zip(
        lines, classifier.predict(["very good", "坏"]), strict=True
    ):
        assert list(line) == ["text", "label", "probability", "probabilities"]
        assert line["text"] == expected.text
        assert line["label"] == expected.label
        assert line["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
        assert line["probability"] == max(line["probabilities"].values())


def test_a_text_of_several_lines_gets_one(trained):
    _, out = trained
    assert command("predict", out, "a\tb\nc").stdout.endswith("\ta b c\n")


def test_labels_are_no_markup(tmp_path):
    table = tmp_path / "t.csv"
    rows = "\n".join(f"good {i},[spam]\nbad {i},[/b]" for i in range(10))
    table.write_text(f"text,label\n{rows}\n")
    finished = command("train", table, *QUICK, "--out", tmp_path / "run")
    assert "F1 of [spam]" in finished.stdout, finished.stderr
    assert "F1 of [/b]" in finished.stdout


def test_bytes_that_are_not_utf8_are_answered(trained):
    _, out = trained
    finished = subprocess.run(
        [sys.executable, "-m", "rnn_keras.cli", "predict", str(out)],
        input=b"caf\xe9\n",
        capture_output=True,
        check=True,
    )
    assert finished.stdout.decode().endswith("\tcaf\ufffd\n")


def test_an_argument_that_is_not_utf8_is_answered(trained):
    _, out = trained
    finished = subprocess.run(
        [sys.executable, "-m", "rnn_keras.cli", "predict", str(out), b"caf\xe9"],
        capture_output=True,
        check=True,
    )
    assert finished.stdout.decode().endswith("\tcaf?\n")


def test_a_test_file_of_ones_own_is_scored(table, tmp_path):
    test = tmp_path / "test.csv"
    test.write_text("kind,said\npos,so good\nneg,so bad\nneg,bad bad\n")
    finished = command(
        "train", table, *COLUMNS, *QUICK, "--out", tmp_path / "run", "--test", test
    )
    assert finished.returncode == 0, finished.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test"]["n"] == 3


def test_positions_without_a_header(table, tmp_path):
    rows = table.read_text().splitlines()[1:]
    plain = tmp_path / "plain.tsv"
    plain.write_text("\n".join(row.replace(",", "\t") for row in rows))
    columns = ("--no-header", "--text-column", 1, "--label-column", 0)
    finished = command("train", plain, *columns, *QUICK, "--out", tmp_path / "run")
    assert finished.returncode == 0, finished.stderr


def bad_input(case, tmp_path, table, run):
    """The arguments of a command that must fail, and what it must say."""
    out = ("--out", tmp_path / "run")
    files = {
        "single.csv": "text,label\na,x\nb,x\nc,y\n",
        "one.csv": "text,label\na,x\nb,x\n",
        "none.csv": "text,label\n",
        "other.csv": "text,label\na,ugly\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "gbk.csv").write_bytes("text,label\n中,a\n".encode("gb18030"))
    (tmp_path / "broken.keras").write_bytes(b"PK\x03\x04 broken")
    return {
        "unknown data set": (("train", "nosuch", *out), "nosuch: neither a file"),
        "missing file": (("train", "no/such.csv", *out), "no/such.csv: neither a file"),
        "missing column": (
            ("train", table, "--text-column", "text", *out),
            "no column 'text'; it has: kind, said",
        ),
        "unnamed columns": (("train", table, *out), "which column is the text?"),
        "encoding": (("train", tmp_path / "gbk.csv", *out), "not utf-8"),
        "no rows": (("train", tmp_path / "none.csv", *out), "none.csv: no rows"),
        "one class": (("train", tmp_path / "one.csv", *out), "one class only (x)"),
        "one example": (
            ("train", tmp_path / "single.csv", *out),
            "class 'y' has one text only",
        ),
        "older run": (
            ("train", table, *COLUMNS, "--out", run),
            "holds an older run (model.keras, metrics.json",
        ),
        "test labels": (
            ("train", "seed", "--test", tmp_path / "other.csv", *out),
            "label 'ugly' is none of the classes of seed: 0, 1",
        ),
        "no such run": (("predict", tmp_path / "nosuch", "x"), "nosuch: no such file"),
        "empty folder": (("evaluate", tmp_path, "seed"), "model.keras: no such file"),
        "corrupt model": (
            ("predict", tmp_path / "broken.keras", "x"),
            "broken.keras: not a .keras file, or a damaged one",
        ),
        "other labels": (
            ("evaluate", run, tmp_path / "other.csv"),
            "label 'ugly' is none of the classifier's classes: neg, pos",
        ),
    }[case]


@pytest.mark.parametrize(
    "case",
    [
        "unknown data set",
        "missing file",
        "missing column",
        "unnamed columns",
        "encoding",
        "no rows",
        "one class",
        "one example",
        "older run",
        "test labels",
        "no such run",
        "empty folder",
        "corrupt model",
        "other labels",
    ],
)
def test_bad_input_gets_one_line_and_status_2(case, tmp_path, table, trained):
    arguments, message = bad_input(case, tmp_path, table, trained[1])
    before = {p: p.read_bytes() for p in trained[1].iterdir()}
    result = invoke(*arguments)
    assert result.exit_code == 2, result.output
    errors = [
        line for line in result.stderr.splitlines() if line.startswith("rnn-keras: ")
    ]
    assert errors == result.stderr.splitlines()[-1:]
    assert message in errors[0]
    assert result.stdout == ""
    assert not (tmp_path / "run").exists()
    assert {p: p.read_bytes() for p in trained[1].iterdir()} == before


def test_a_fault_in_a_process_of_its_own_has_no_traceback(tmp_path):
    finished = command("train", "nosuch", "--out", tmp_path / "run")
    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1
    assert "Traceback" not in finished.stderr


def test_datasets_lists_every_corpus_with_its_licence():
    shown = command("datasets").stdout
    for word in ("messages", "sms_spam", "imdb", "chnsenticorp", "CC BY 4.0", "2,060"):
        assert word in shown


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_help_does_not_import_tensorflow(arguments):
    code = (
        "import sys; sys.argv[1:] = sys.argv[1:]\n"
        "from rnn_keras.cli import app\n"
        "try: app()\n"
        "finally: assert not {'tensorflow', 'keras', 'pandas'} & set(sys.modules)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr
    assert "Usage:" in shown.stdout


def test_options_have_the_defaults_of_the_python_way():
    options = inspect.signature(train_command).parameters
    python = {
        **inspect.signature(TextClassifier.from_texts).parameters,
        **inspect.signature(TextClassifier.fit).parameters,
    }
    shared = set(options) & set(python) - {"seed"}
    assert {"unit", "cell", "units", "pooling", "epochs", "patience"} <= shared
    for name in shared:
        assert options[name].default == python[name].default, name
