import csv
import json
import re
import resource
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.classification.settings import Settings
from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.datasets.streaming import Stream
from rnn_keras.experiments import run as runs
from rnn_keras.experiments.run_folder import FILES, UNFINISHED
from rnn_keras.training import loop
from rnn_keras.training.checkpoints import Checkpoints
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.stages import STAGES

SETTINGS = Settings(
    cell="simple_rnn",
    bidirectional=False,
    units=8,
    embedding_dim=8,
    epochs=6,
    learning_rate=0.02,
    max_length=2,
    dropout=0.3,
)


@pytest.fixture(scope="module")
def train(made):
    def train(out, corpus=None, **arguments):
        splits = (corpus or made()).split()
        return runs.train(splits, out, source="made", settings=SETTINGS, **arguments)

    return train


@pytest.fixture(scope="module")
def done(train, tmp_path_factory):
    """Return the folder, the metrics and the lines of one run."""
    out, lines = tmp_path_factory.mktemp("done") / "run", []
    return out, train(out, report=lines.append), lines


def test_a_run_leaves_its_five_files_and_nothing_else(done):
    out, metrics, lines = done
    assert {p.name for p in out.iterdir()} == set(FILES)
    assert json.loads((out / "metrics.json").read_text()) == metrics
    assert metrics["test"]["n"] == metrics["baseline"]["n"] == 20
    assert set(metrics["test"]) == {"accuracy", "macro_f1", "f1", "n"}
    assert set(metrics["test"]["f1"]) == {"neg", "pos"}
    assert (metrics["seed"], metrics["source"]) == (0, "made")
    assert metrics["class_names"] == ["neg", "pos"]
    assert metrics["texts"] == {"train": 70, "validation": 10, "test": 20}
    assert metrics["labels"] == {"neg": 35, "pos": 35}
    assert not metrics["streamed"]
    assert lines[0] == "train 70, validation 10, test 20"
    assert "70 of 70 training texts were longer than 2 tokens and were cut" in lines[1]


def test_the_scores_are_those_of_the_saved_classifier(done, made):
    out, metrics, _ = done
    assert metrics["test"]["accuracy"] == metrics["baseline"]["accuracy"] == 1.0
    classifier = TextClassifier.load(out / "model.keras")
    test = made().split().test
    assert classifier.evaluate(test.texts, test.labels) == metrics["test"]
    assert classifier.network.count_params() == metrics["parameters"]
    assert classifier.linear.rows == metrics["ngrams"] > 0
    scales = np.asarray(classifier.linear.scales)
    np.testing.assert_allclose(metrics["scales"], scales, atol=1e-3)


def test_the_history_has_a_row_for_each_epoch(done):
    out, metrics, _ = done
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == metrics["epochs"]
    assert {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"} <= set(rows[0])
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert rows[0]["epoch"] == "1"


def test_the_network_is_scored_alone_too_and_all_settings_are_kept(
    train, made, tmp_path
):
    """The network learns nothing, the linear path everything."""
    quick = {"epochs": 1, "learning_rate": 0.0, "max_length": 3, "patience": None}
    metrics = train(tmp_path, **quick)
    assert metrics["test"]["accuracy"] == 1.0 > metrics["network"]["accuracy"]
    saved = TextClassifier.load(tmp_path / "model.keras")
    alone = TextClassifier(saved.network, saved.preprocessor, saved.class_names)
    test = made().split().test
    assert alone.evaluate(test.texts, test.labels) == metrics["network"]
    # What nobody chose is there as it was chosen from the texts.
    chosen = {"unit": "word", "min_count": 1, "max_ngram": 2, "token_dropout": 0.3}
    assert metrics["settings"] == asdict(SETTINGS) | quick | chosen


@pytest.mark.parametrize(
    "names",
    [
        ("US$_$", "$\\foo$"),
        pytest.param(("正面", "负面"), marks=pytest.mark.exhaustive),
    ],
)
def test_no_class_name_stops_a_run(names, train, made, tmp_path):
    """A run without the linear path, on texts that are not cut, over an older run."""
    renamed = dict(zip(("pos", "neg"), names, strict=True))
    texts = LabelledTexts(made().texts, [renamed[label] for label in made().labels])
    (tmp_path / "metrics.json").write_text("older")
    arguments = {"linear": False, "max_length": 0, "epochs": 1}
    with pytest.raises(InputError, match=r"holds an older run \(metrics.json\)"):
        train(tmp_path, texts, **arguments)
    assert (tmp_path / "metrics.json").read_text() == "older"
    lines = []
    metrics = train(tmp_path, texts, force=True, report=lines.append, **arguments)
    assert metrics["class_names"] == sorted(names)
    assert (tmp_path / "confusion.png").exists()
    assert metrics["test"] == metrics["network"]
    assert (metrics["ngrams"], metrics["scales"]) == (0, [1.0, 0.0])
    assert lines[1] == "vocabulary of 15 tokens"


def test_a_failure_leaves_what_was_there(train, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match="cell"):
        train(out, cell="none")
    assert not out.exists()
    out.mkdir()
    (out / "metrics.json").write_text("older")
    with pytest.raises(ValueError, match="cell"):
        train(out, cell="none", force=True)
    assert [p.name for p in out.iterdir()] == ["metrics.json"]
    with pytest.raises(TypeError, match="unitz"):
        train(out, unitz=3)


def test_what_has_finished_is_not_trained_again(train, done, tmp_path):
    out, metrics, _ = done
    before = {p: p.stat().st_mtime_ns for p in out.iterdir()}
    lines = []
    assert train(out, report=lines.append) == metrics
    assert lines == ["had finished already"]
    assert {p: p.stat().st_mtime_ns for p in out.iterdir()} == before
    with pytest.raises(InputError, match="holds an older run"):
        train(out, dropout=0.2)
    # A process that was killed before the scores were moved had finished, too.
    copy = shutil.copytree(out, tmp_path / "copy")
    aside = copy / UNFINISHED / "done"
    aside.mkdir(parents=True)
    for name in ("metrics.json", "model.keras"):
        (copy / name).rename(aside / name)
    assert train(copy, report=lines.append) == metrics
    assert lines == ["had finished already"] * 2
    assert {p.name for p in copy.iterdir()} == set(FILES)


class Kill(BaseException):
    """As sudden as a signal that nothing catches."""


def kill_after(steps, monkeypatch):
    """Let training be killed after so many steps, with a checkpoint at each."""
    left = iter(range(steps))

    def due(self):
        if next(left, None) is None:
            raise Kill
        return True

    monkeypatch.setattr(Checkpoints, "due", due)


def outcome(out):
    """Return what a run ends with, but for the time that it took."""
    metrics = json.loads((out / "metrics.json").read_text())
    del metrics["seconds"], metrics["stages"]
    weights = TextClassifier.load(out / "model.keras").get_weights()
    return weights, (out / "history.csv").read_text(), metrics


def assert_same(found, expected):
    for a, b in zip(found[0], expected[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert found[1:] == expected[1:]


def test_a_killed_run_continues_and_ends_like_one_that_was_not(
    train, done, tmp_path, monkeypatch
):
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        kill_after(7, patched)  # in the third epoch
        with pytest.raises(Kill):
            train(out)
    assert [p.name for p in out.iterdir()] == [UNFINISHED]
    checkpoints = out / UNFINISHED / "checkpoints"
    kept = sorted(checkpoints.iterdir())
    assert len(kept) == 2

    # Another run does not continue from there.
    for other in (
        {"dropout": 0.2},
        {"seed": 1, "units": 9},
        {"epochs": 7, "cell": "lstm", "unit": "word"},
    ):
        with pytest.raises(InputError, match="an unfinished run with other") as refused:
            train(out, **other)
        said = str(refused.value).partition(" with other ")[2].partition(";")[0]
        assert set(re.split(", | and ", said)) == set(other)
    assert sorted(checkpoints.iterdir()) == kept

    # The disk is full: no file may be larger than this.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(InputError) as full:
            train(out, checkpoint_every=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(full.value) == (
        f"{checkpoints}: cannot be written (File too large); the last checkpoint is "
        "kept, and the same command goes on from it"
    )
    assert sorted(checkpoints.iterdir()) == kept

    lines = []
    train(out, report=lines.append)
    assert lines[1] == "goes on with epoch 3, batch 2"
    assert {p.name for p in out.iterdir()} == set(FILES)
    assert_same(outcome(out), outcome(done[0]))


@pytest.mark.exhaustive
def test_force_replaces_an_older_run_and_still_continues_this_one(
    train, tmp_path, monkeypatch
):
    (tmp_path / "metrics.json").write_text("older")
    arguments = {"force": True, "epochs": 2, "linear": False}
    with monkeypatch.context() as patched:
        kill_after(3, patched)
        with pytest.raises(Kill):
            train(tmp_path, **arguments)
    assert (tmp_path / "metrics.json").read_text() == "older"
    lines = []
    metrics = train(tmp_path, report=lines.append, **arguments)
    assert any("goes on with epoch 2" in line for line in lines)
    assert metrics["epochs"] == 2
    assert {p.name for p in tmp_path.iterdir()} == set(FILES)


@pytest.fixture
def train_on_stream(made):
    texts = made()
    cells = [
        (texts.texts[i : i + 7], texts.labels[i : i + 7]) for i in range(0, 100, 7)
    ]

    def train(out, **arguments):
        stream = Stream("made", lambda: iter(cells), block_size=20)
        return runs.train(stream, out, source="made", settings=SETTINGS, **arguments)

    return train


def test_a_run_on_a_stream_reads_it_block_by_block(train_on_stream, tmp_path):
    metrics = train_on_stream(tmp_path, epochs=1, batch_size=8)
    assert metrics["streamed"]
    assert sum(metrics["texts"].values()) == 100
    assert sum(metrics["labels"].values()) == metrics["texts"]["train"]
    assert metrics["test"]["n"] == metrics["texts"]["test"]


@pytest.mark.exhaustive
def test_a_killed_run_on_a_stream_continues(train_on_stream, tmp_path, monkeypatch):
    """It is killed in the second of several blocks, in the second epoch."""
    arguments = {"epochs": 4, "batch_size": 8, "max_length": None}
    train_on_stream(tmp_path / "whole", **arguments)
    with monkeypatch.context() as patched:
        kill_after(17, patched)
        with pytest.raises(Kill):
            train_on_stream(tmp_path / "killed", **arguments)
    lines = []
    train_on_stream(tmp_path / "killed", report=lines.append, **arguments)
    assert lines[1] == "goes on with epoch 2, batch 6"
    assert_same(outcome(tmp_path / "killed"), outcome(tmp_path / "whole"))


@pytest.mark.exhaustive
def test_two_runs_with_one_seed_are_equal(train, tmp_path):
    arguments = {"cell": "gru", "bidirectional": True}
    first, second = (tmp_path / name for name in ("first", "second"))
    train(first, **arguments)
    train(second, **arguments)
    assert_same(outcome(first), outcome(second))


def test_the_seconds_of_a_run_are_divided_among_its_stages(done):
    _, metrics, _ = done
    stages = metrics["stages"]
    assert list(stages) == list(STAGES)
    assert min(stages.values()) >= 0
    for name in ("compiling", "network", "linear models", "scoring", "figures"):
        assert stages[name] > 0, name
    assert sum(stages.values()) >= metrics["seconds"] - 0.1


def test_a_run_that_diverges_writes_its_best_epoch_and_says_so(
    train, tmp_path, monkeypatch
):
    real = loop._check_finite

    def check(logs, name, when):
        if name == "loss" and when.startswith("epoch 3"):
            logs = {name: float("nan")}
        real(logs, name, when)

    monkeypatch.setattr(loop, "_check_finite", check)
    with pytest.raises(loop.Diverged, match="loss is nan in epoch 3, batch 1"):
        train(tmp_path / "run")
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["epochs"] == 2
    assert metrics["ngrams"] > 0
    assert {p.name for p in (tmp_path / "run").iterdir()} == set(FILES)


def test_a_run_that_never_was_finite_leaves_nothing(made, tmp_path):
    with pytest.raises(loop.Diverged, match=r"in epoch 1.*below 1e\+38"):
        runs.train(
            made().split(),
            tmp_path / "run",
            source="made",
            settings=replace(SETTINGS, learning_rate=1e38),
        )
    assert not (tmp_path / "run").exists()
