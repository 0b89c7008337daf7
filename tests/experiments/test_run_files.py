import json
from dataclasses import replace

import pytest

from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.experiments import run_files
from rnn_keras.experiments.run_files import (
    RunMetrics,
    is_run,
    load_source,
    read_run,
    texts_of_run,
)
from rnn_keras.utils.errors import InputError

SCORES = {"accuracy": 0.9, "f1": {"a": 0.9, "b": 0.9}, "n": 20, "macro_f1": 0.9}
METRICS = {
    "test": SCORES,
    "network": SCORES,
    "baseline": SCORES,
    "ngrams": 0,
    "seed": 0,
    "source": "seed",
    "class_names": ["a", "b"],
    "texts": {"train": 70, "validation": 10, "test": 20},
    "settings": {},
}
# An older run, whose file has only what was needed from the beginning.
OLDER = RunMetrics(**METRICS)
HISTORY = "epoch,loss,val_loss\n1,0.7,0.6\n2,nan,0.5\n"


def folder(path, metrics=METRICS, history=HISTORY):
    (path / "model.keras").write_bytes(b"")
    text = metrics if isinstance(metrics, str) else json.dumps(metrics)
    (path / "metrics.json").write_text(text)
    (path / "history.csv").write_text(history)
    return path


def test_a_run_is_read_back(tmp_path):
    assert not is_run(tmp_path)
    run = read_run(folder(tmp_path))
    assert is_run(tmp_path)
    assert run.metrics == OLDER
    assert not run.metrics.streamed
    assert run.metrics.labels is None
    assert run.history["val_loss"] == [0.6, 0.5]
    assert run.history["loss"][1] != run.history["loss"][1]  # nan is a number here
    assert set(run.history) == {"loss", "val_loss"}


@pytest.mark.parametrize("name", ["model.keras", "metrics.json", "history.csv"])
def test_a_missing_file_is_named(tmp_path, name):
    (folder(tmp_path) / name).unlink()
    with pytest.raises(InputError, match=f"{name}: no such file; expected what rnn"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        ("{", "metrics.json: cannot be read as JSON"),
        ("[" * 100_000, "metrics.json: cannot be read as JSON"),
        ("[]", "metrics.json: expected an object"),
        ({**METRICS, "seed": "0"}, "'seed' is of another kind; expected a int"),
        ({"test": SCORES}, "'network' is missing; expected a dict"),
        ({**METRICS, "test": {"accuracy": 1}}, "'test' has no 'f1'"),
    ],
)
def test_damaged_metrics_are_named(tmp_path, metrics, said):
    with pytest.raises(InputError, match=said):
        read_run(folder(tmp_path, metrics))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("test.n", 0, "'test.n' is 0; expected a whole number from 1"),
        ("test.n", "many", "'test.n' is 'many'; expected a whole number"),
        ("baseline.n", True, "'baseline.n' is True"),
        ("test.n", 10**400, "'test.n' is 1000"),
        ("network.accuracy", None, "'network.accuracy' is None; expected a number"),
        ("test.accuracy", 2, "'test.accuracy' is 2; expected a number from 0 to 1"),
        ("test.accuracy", float("nan"), "'test.accuracy' is nan"),
        ("test.f1", [0.9, 0.9], "'test.f1' is .*; expected a number for each class"),
        ("test.f1", {"a": 0.5}, "expected a number for each class"),
        ("test.f1", {"a": 0.5, "b": "c"}, "'test.f1.b' is 'c'"),
        ("texts.train", "x", "'texts.train' is 'x'; expected a whole number from 1"),
        ("texts.validation", None, "'texts.validation' is None"),
        ("seed", -1, "'seed' is -1; expected a whole number from 0 to 4294967295"),
        ("seed", 2**40, "'seed' is 1099511627776"),
        ("seed", True, "'seed' is of another kind"),
        ("ngrams", -1, "'ngrams' is -1"),
        ("class_names", ["a", 1], "'class_names' is .*; expected two names"),
        ("class_names", ["a"], "'class_names' is .*; expected two names"),
        ("class_names", ["a", "a"], "'class_names' has a name twice"),
    ],
)
def test_a_value_that_no_run_can_have_is_named(tmp_path, key, value, said):
    metrics = json.loads(json.dumps(METRICS))
    *way, last = key.split(".")
    (metrics[way[0]] if way else metrics)[last] = value
    with pytest.raises(InputError, match=rf"metrics\.json: .*{said}"):
        read_run(folder(tmp_path, metrics))


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ("", "expected columns 'epoch' and 'loss'"),
        ("epoch,accuracy\n1,0.5\n", "expected columns 'epoch' and 'loss'"),
        ("epoch,loss\n", "holds no epoch"),
        ("epoch,loss\n1,0.5\n2\n", "row 3 has 1 fields, but the first has 2"),
        ("epoch,loss\n1,high\n", "row 2, column 'loss': 'high' is no number"),
        ("epoch,loss\n1,0.5\n\n", "row 3 has 0 fields"),
        ("epoch,loss,loss\n1,0.5,0.4\n", "has a column twice"),
        ("epoch,loss,val_accuracy\n1,0.5,0.5\n", "but no column 'accuracy'"),
        ("epoch,loss,accuracy\n1,0.5,2\n", "column 'accuracy' has 2.0; expected"),
        ("epoch,loss,accuracy,val_accuracy\n1,1,1,-3\n", "'val_accuracy' has -3.0"),
    ],
)
def test_a_damaged_history_is_named_by_row_and_column(tmp_path, history, said):
    with pytest.raises(InputError, match=rf"history\.csv: .*{said}"):
        read_run(folder(tmp_path, history=history))


def test_a_history_that_is_no_text_is_named(tmp_path):
    (folder(tmp_path) / "history.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"history\.csv: cannot be read"):
        read_run(tmp_path)


def test_metrics_are_read_as_they_were_written(tmp_path):
    metrics = replace(
        OLDER, labels={"a": 35, "b": 35}, streamed=True, run="0a", epochs=3
    )
    folder(tmp_path)
    metrics.write(tmp_path / "metrics.json")
    assert read_run(tmp_path).metrics == metrics
    # Another version may write more.
    content = json.loads((tmp_path / "metrics.json").read_text()) | {"colour": "red"}
    (tmp_path / "metrics.json").write_text(json.dumps(content))
    assert read_run(tmp_path).metrics == metrics


def test_the_texts_of_a_run_are_known_by_their_numbers_and_classes():
    texts = [f"text {i}" for i in range(100)]
    corpus = LabelledTexts(texts, ["a", "b"] * 50, "mine")
    assert texts_of_run(OLDER, corpus) == corpus.split(seed=0)
    other = LabelledTexts(texts, ["a", "c"] * 50)
    assert texts_of_run(OLDER, other) is None
    assert texts_of_run(OLDER, corpus[range(90)]) is None
    assert texts_of_run(OLDER, LabelledTexts(texts, ["a"] * 100)) is None
    assert texts_of_run(replace(OLDER, streamed=True), corpus) is None


def test_a_source_that_is_not_here_is_none(tmp_path, monkeypatch):
    assert len(load_source(OLDER)) == 4
    assert load_source(replace(OLDER, streamed=True)) is None
    assert load_source(replace(OLDER, source=str(tmp_path / "gone.csv"))) is None
    # Nothing is downloaded only because a run is looked at.
    monkeypatch.setenv("RNN_KERAS_CACHE", str(tmp_path))
    assert load_source(replace(OLDER, source="imdb")) is None
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_hardly_fits_into_memory_is_not_read(monkeypatch):
    monkeypatch.setattr(run_files, "is_large", lambda source: source == "seed")
    assert load_source(OLDER) is None
