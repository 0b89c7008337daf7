"""The commands `evaluate`, `predict`, `explain` and `datasets`, and every `--help`."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.cli.app import app
from rnn_keras.cli.shared import load_answering
from rnn_keras.exported import ExportedClassifier

FILES = Path(__file__).parent.parent / "files"
COMMANDS = typer.main.get_command(app).commands


@pytest.fixture(scope="module")
def classifier(run):
    return TextClassifier.load(run / "model.keras")


def test_evaluate_scores_every_text_as_in_python(
    run, table, healthy, classifier, invoke
):
    expected = classifier.evaluate(healthy.texts, healthy.labels)
    assert json.loads(invoke("evaluate", run, table, "--json").stdout) == expected
    assert set(expected) == {"accuracy", "macro_f1", "f1", "n"}
    shown = invoke("evaluate", run, table, "--stream").stdout
    for word in ("400 test texts", "F1 of neg", f"{expected['accuracy']:.3f}"):
        assert word in shown


def test_predict_takes_arguments_or_lines_and_prints_a_line_each(run, invoke):
    # The last argument is what Python makes of a byte that is not UTF-8.
    given = invoke("predict", run, "a door", "", "坏", "a\tb\nc", "caf\udce9")
    piped = invoke("predict", run, input="a door\n\r\n坏\na\tb\n".encode() + b"caf\xe9")
    rows = [line.split("\t") for line in given.stdout.splitlines()]
    assert [row[2] for row in rows] == ["a door", "", "坏", "a b c", "caf?"]
    assert all(row[0] in ("pos", "neg") for row in rows)
    assert all(0.5 <= float(row[1]) <= 1 for row in rows)
    lines = [line.split("\t") for line in piped.stdout.splitlines()]
    assert lines[:3] == rows[:3]
    assert [line[2] for line in lines[3:]] == ["a b", "caf\ufffd"]
    assert given.stderr == piped.stderr == ""


def test_predict_in_a_process_of_its_own_prints_the_answers_and_nothing_else(
    run, start
):
    stdout, stderr = start("predict", run).communicate("坏\n".encode() + b"caf\xe9\n")
    rows = [line.split("\t") for line in stdout.decode().splitlines()]
    assert [row[2] for row in rows] == ["坏", "caf\ufffd"]
    assert stderr == b""  # TensorFlow's start is not heard


@pytest.mark.exhaustive
def test_an_argument_that_is_not_utf8_is_answered_in_a_process_of_its_own(run, start):
    stdout, stderr = start("predict", run, b"caf\xe9").communicate()
    assert stdout.decode().endswith("\tcaf?\n")
    assert stderr == b""


def test_predict_json_equals_the_python_way(run, classifier, invoke):
    texts = ["very door", "坏"]
    shown = invoke("predict", run / "model.keras", "--json", *texts)
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    for line, expected in zip(lines, classifier.predict(texts), strict=True):
        assert list(line) == ["text", "label", "probability", "probabilities"]
        assert line["text"] == expected.text
        assert line["label"] == expected.label
        assert line["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
        assert line["probability"] == max(line["probabilities"].values())


def test_what_train_writes_is_answered_without_tensorflow(run, unlearned):
    """The second one has no n-grams, and its class names are odd."""
    for folder in (run, unlearned[1]):
        assert isinstance(load_answering(folder), ExportedClassifier)


def test_a_file_without_tokenizer_rules_is_answered_by_keras(invoke):
    name = "word_gru_ngrams"
    answers = json.loads((FILES / "answers.json").read_text(encoding="utf-8"))[name]
    # An empty argument is a text, too; a lone surrogate cannot be an argument.
    texts = [text for text in answers["texts"] if text.isprintable()]
    shown = invoke("predict", FILES / f"{name}.keras", "--json", "--", *texts)
    found = [json.loads(line) for line in shown.stdout.splitlines()]
    expected = dict(zip(answers["texts"], answers["probabilities"], strict=True))
    assert [line["text"] for line in found] == texts
    for line in found:
        probabilities = list(line["probabilities"].values())
        assert probabilities == pytest.approx(expected[line["text"]], abs=1e-6)


def test_explain_prints_the_difference_and_a_row_for_each_token(run, invoke, tmp_path):
    arguments = ("explain", run, "door [b] meek", "--label", "neg")
    found = json.loads(invoke(*arguments, "--json").stdout)
    assert (found["label"], found["against"]) == ("neg", "pos")
    shown = invoke(*arguments, "--figure", tmp_path / "why.png")
    assert shown.exit_code == 0, shown.output
    first, *rest = shown.stdout.splitlines()
    assert first == (
        f"logit of neg minus logit of pos: {found['difference']:+.2f}; "
        f"{found['rest']:+.2f} of it comes from no token"
    )
    rows = [line.split() for line in rest]
    rows = [row for row in rows if len(row) == 3 and row[1][0] in "+-"]
    assert (
        [row[0] for row in rows] == found["tokens"] == ["door", "[", "b", "]", "meek"]
    )
    added, chances = ([float(row[i]) for row in rows] for i in (1, 2))
    np.testing.assert_allclose(added, found["contributions"], atol=0.006)
    np.testing.assert_allclose(chances, found["probabilities"]["neg"], atol=6e-4)
    assert (tmp_path / "why.png").read_bytes()[1:4] == b"PNG"


def test_labels_of_other_classes_get_one_line_and_status_2(run, invoke, tmp_path):
    (tmp_path / "other.csv").write_text("text,label\na,ugly\n")
    shown = invoke("evaluate", run, tmp_path / "other.csv")
    assert shown.exit_code == 2
    assert shown.stderr.splitlines()[1:] == [
        "rnn-keras: label 'ugly' is none of the classifier's classes: neg, pos"
    ]
    assert shown.stdout == ""


def test_datasets_lists_every_corpus_with_its_licence(invoke):
    shown = invoke("datasets").stdout
    for word in ("messages", "sms_spam", "imdb", "chnsenticorp", "CC BY 4.0", "2,060"):
        assert word in shown
    assert "RNN_KERAS_CACHE" in shown


def test_help_answers_without_numpy_and_tensorflow():
    code = (
        "import sys; from typer.testing import CliRunner\n"
        "from rnn_keras.cli.app import app\n"
        "for name in sys.argv[1:]:\n"
        "    shown = CliRunner().invoke(app, [name, '--help'])\n"
        "    assert shown.exit_code == 0 and 'Usage:' in shown.stdout, name\n"
        "slow = {'tensorflow', 'keras', 'numpy', 'pandas', 'rich'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    names = [*COMMANDS, "--help"]
    shown = subprocess.run(
        [sys.executable, "-c", code, *names], capture_output=True, text=True
    )
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_has_a_help_text(name):
    command = COMMANDS[name]
    assert len(command.get_short_help_str(80)) < 70  # --help shows it whole
    for parameter in command.params:
        text = parameter.help or ""
        assert text[:1].isupper(), parameter.name
        assert text.endswith("."), parameter.name
