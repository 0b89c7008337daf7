import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnn_keras.classification import classifier
from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.datasets.streaming import Stream
from rnn_keras.experiments import run as runs
from rnn_keras.experiments import run_folder as folders
from rnn_keras.training.checkpoints import Checkpoints
from rnn_keras.utils.errors import InputError

GOOD = ["good", "fine", "nice", "great", "lovely"]
BAD = ["bad", "poor", "awful", "nasty", "dull"]


def made():
    texts = [f"{a} {b} day {i}" for i in range(2) for a in GOOD for b in GOOD]
    worse = [f"{a} {b} day {i}" for i in range(2) for a in BAD for b in BAD]
    labels = ["pos"] * len(texts) + ["neg"] * len(worse)
    return LabelledTexts(texts + worse, labels, "made")


def train(out, **arguments):
    settings = {"units": 8, "embedding_dim": 8, "epochs": 8, "learning_rate": 0.02}
    return runs.train(made().split(), out, source="made", **settings | arguments)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder, the metrics and the lines of one run."""
    out, lines = tmp_path_factory.mktemp("done") / "run", []
    return out, train(out, max_length=2, dropout=0.3, report=lines.append), lines


def test_a_run_leaves_its_five_files_and_nothing_else(done):
    out, metrics, lines = done
    assert {p.name for p in out.iterdir()} == set(folders.FILES)
    assert json.loads((out / "metrics.json").read_text()) == metrics
    assert metrics["test"]["n"] == metrics["baseline"]["n"] == 20
    assert set(metrics["test"]) == {"accuracy", "macro_f1", "f1", "n"}
    assert set(metrics["test"]["f1"]) == {"neg", "pos"}
    assert (metrics["seed"], metrics["source"]) == (0, "made")
    assert metrics["class_names"] == ["neg", "pos"]
    assert metrics["texts"] == {"train": 70, "validation": 10, "test": 20}
    assert lines[0] == "train 70, validation 10, test 20"
    assert "70 of 70 training texts were longer than 2 tokens and were cut" in lines[1]


def test_the_scores_are_those_of_the_saved_classifier(done):
    out, metrics, _ = done
    assert metrics["test"]["accuracy"] == metrics["baseline"]["accuracy"] == 1.0
    classifier = TextClassifier.load(out / "model.keras")
    test = made().split().test
    assert classifier.evaluate(test.texts, test.labels) == metrics["test"]
    assert classifier.network.count_params() == metrics["parameters"]
    assert classifier.linear.rows == metrics["ngrams"] > 0
    scales = np.asarray(classifier.linear.scales)
    np.testing.assert_allclose(metrics["scales"], scales, atol=1e-3)


def test_the_network_is_scored_without_the_linear_path_too(tmp_path):
    # One step: the network has learned next to nothing, the linear path everything.
    quick = {"epochs": 1, "batch_size": 70, "learning_rate": 1e-5, "patience": None}
    both = train(tmp_path / "both", **quick)
    assert both["test"]["accuracy"] == 1.0 > both["network"]["accuracy"]
    alone = train(tmp_path / "alone", linear=False, **quick)
    assert alone["test"] == alone["network"] == both["network"]
    assert (alone["ngrams"], alone["scales"]) == (0, [1.0, 0.0])


def test_the_history_has_a_row_an_epoch(done):
    out, metrics, _ = done
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == metrics["epochs"]
    assert {"epoch", "loss", "accuracy", "val_loss", "val_accuracy"} <= set(rows[0])
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert rows[0]["epoch"] == "1"


def test_the_settings_are_those_of_the_run(tmp_path):
    settings = train(tmp_path, epochs=1, learning_rate=0.0, max_length=3)["settings"]
    assert (settings["learning_rate"], settings["max_length"]) == (0.0, 3)
    assert (settings["epochs"], settings["units"]) == (1, 8)
    # What nobody chose is what the texts led to.
    assert (settings["unit"], settings["min_count"]) == ("word", 1)
    assert settings["token_dropout"] == 0.3


def test_two_runs_with_one_seed_are_equal(done, tmp_path):
    out, metrics, _ = done
    again = train(tmp_path / "run", max_length=2, dropout=0.3)
    weights = [
        TextClassifier.load(folder / "model.keras").get_weights()
        for folder in (out, tmp_path / "run")
    ]
    for a, b in zip(*weights, strict=True):
        assert (a == b).all()
    assert again["test"] == metrics["test"]


def test_an_older_run_is_kept_unless_forced(tmp_path):
    (tmp_path / "metrics.json").write_text("older")
    with pytest.raises(InputError, match=r"holds an older run \(metrics.json\)"):
        train(tmp_path)
    assert (tmp_path / "metrics.json").read_text() == "older"
    train(tmp_path, force=True, epochs=1)
    assert json.loads((tmp_path / "metrics.json").read_text())["source"] == "made"


def test_a_failure_leaves_what_was_there(tmp_path):
    out = tmp_path / "run"
    with pytest.raises(ValueError, match="cell"):
        train(out, cell="none")
    assert not out.exists()
    out.mkdir()
    (out / "metrics.json").write_text("older")
    with pytest.raises(ValueError, match="cell"):
        train(out, cell="none", force=True)
    assert [p.name for p in out.iterdir()] == ["metrics.json"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/run: cannot be written"):
        train(tmp_path / "file" / "run")


@pytest.mark.parametrize("names", [("正面", "负面"), ("US$_$", "$\\foo$")])
def test_no_class_name_stops_a_run(names, tmp_path):
    texts = made()
    renamed = dict(zip(("pos", "neg"), names, strict=True))
    others = LabelledTexts(texts.texts, [renamed[label] for label in texts.labels])
    metrics = runs.train(others.split(), tmp_path, source="made", units=4, epochs=1)
    assert metrics["class_names"] == sorted(names)
    assert (tmp_path / "confusion.png").exists()


def test_texts_need_not_be_cut(tmp_path):
    lines = []
    train(tmp_path, max_length=0, epochs=1, report=lines.append)
    assert lines[1] == "vocabulary of 15 tokens"


def test_a_failure_while_writing_leaves_what_was_there(tmp_path):
    (tmp_path / "metrics.json").write_text("older")

    def write_and_fail():
        with (
            folders.run_folder(tmp_path, force=True) as folder,
            folder.results() as results,
        ):
            (results / "metrics.json").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"cannot be written .No space left"):
        write_and_fail()
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]
    assert (tmp_path / "metrics.json").read_text() == "older"


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
    """What a run ends with, but for the time it took."""
    metrics = json.loads((out / "metrics.json").read_text())
    del metrics["seconds"]
    weights = TextClassifier.load(out / "model.keras").get_weights()
    return weights, (out / "history.csv").read_text(), metrics


def assert_same(found, expected):
    for a, b in zip(found[0], expected[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert found[1:] == expected[1:]


@pytest.fixture
def killed(tmp_path, monkeypatch):
    """The folder of a run that was killed in its third epoch."""
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        kill_after(7, patched)
        with pytest.raises(Kill):
            train(out, max_length=2, dropout=0.3)
    assert [p.name for p in out.iterdir()] == [folders.UNFINISHED]
    return out


def test_a_killed_run_goes_on_and_ends_like_the_others(done, killed):
    lines = []
    train(killed, max_length=2, dropout=0.3, report=lines.append)
    assert lines[1] == "goes on with epoch 3, batch 2"
    assert {p.name for p in killed.iterdir()} == set(folders.FILES)
    assert_same(outcome(killed), outcome(done[0]))


def test_another_run_does_not_go_on_where_this_one_was_killed(killed):
    for other, name in (
        ({"dropout": 0.2}, "dropout"),
        ({"seed": 1, "units": 9}, "units and seed"),
        ({"epochs": 7, "cell": "lstm", "unit": "word"}, "cell, unit and epochs"),
    ):
        arguments = {"max_length": 2, "dropout": 0.3} | other
        with pytest.raises(InputError, match=f"an unfinished run with other {name};"):
            train(killed, **arguments)
    assert len(list((killed / folders.UNFINISHED / "checkpoints").iterdir())) == 2
    lines = []
    train(killed, max_length=2, dropout=0.2, force=True, report=lines.append)
    assert not any("goes on" in line for line in lines)
    assert {p.name for p in killed.iterdir()} == set(folders.FILES)


def test_what_has_finished_is_not_trained_again(done):
    out, metrics, _ = done
    before = {p: p.stat().st_mtime_ns for p in out.iterdir()}
    lines = []
    assert train(out, max_length=2, dropout=0.3, report=lines.append) == metrics
    assert lines == ["had finished already"]
    assert {p: p.stat().st_mtime_ns for p in out.iterdir()} == before
    with pytest.raises(InputError, match="holds an older run"):
        train(out, max_length=2, dropout=0.2)


def test_a_killed_run_on_a_stream_goes_on(tmp_path, monkeypatch):
    """In the second of several windows, of the second epoch."""
    monkeypatch.setattr(classifier, "WINDOW", 20)
    texts = made()
    cells = [
        (texts.texts[i : i + 7], texts.labels[i : i + 7]) for i in range(0, 100, 7)
    ]

    def run(out, lines):
        stream = Stream("made", lambda: iter(cells))
        settings = {"units": 8, "embedding_dim": 8, "epochs": 4, "batch_size": 8}
        runs.train(stream, out, source="made", report=lines.append, **settings)

    run(tmp_path / "whole", [])
    with monkeypatch.context() as patched:
        kill_after(17, patched)
        with pytest.raises(Kill):
            run(tmp_path / "killed", [])
    lines = []
    run(tmp_path / "killed", lines)
    assert lines[1] == "goes on with epoch 2, batch 6"
    assert_same(outcome(tmp_path / "killed"), outcome(tmp_path / "whole"))
    assert outcome(tmp_path / "whole")[2]["streamed"]


def test_force_throws_away_an_older_run_but_not_what_this_one_has_done(
    done, tmp_path, monkeypatch
):
    (tmp_path / "metrics.json").write_text("older")
    arguments = {"max_length": 2, "dropout": 0.3, "force": True}
    with monkeypatch.context() as patched:
        kill_after(3, patched)
        with pytest.raises(Kill):
            train(tmp_path, **arguments)
    assert (tmp_path / "metrics.json").read_text() == "older"
    lines = []
    train(tmp_path, report=lines.append, **arguments)
    assert any("goes on with epoch 2" in line for line in lines)
    assert_same(outcome(tmp_path), outcome(done[0]))


@pytest.mark.parametrize("moves", range(1, 6))
def test_killed_while_its_files_are_moved_the_run_is_finished(
    moves, tmp_path, monkeypatch
):
    """Folder by folder, as nothing else of a run takes so short a time."""
    run, replace, left = {"seed": 1}, folders.os.replace, iter(range(moves))

    def write(folder):
        with folder.results() as results:
            for name in folders.FILES:
                (results / name).write_text(f"new {name}")

    def fail(source, target):
        if source.parent.name == "done" and next(left, None) is None:
            raise Kill
        replace(source, target)

    def begin(run=run, force=False):
        with folders.run_folder(tmp_path / "out", force, run) as folder:
            if not folder.finished:
                write(folder)
            return folder.finished

    with monkeypatch.context() as patched:
        # What a kill leaves undone, too.
        patched.setattr(folders.os, "replace", fail)
        patched.setattr(folders.RunFolder, "_close", lambda self: None)
        if moves < 5:
            with pytest.raises(Kill):
                begin()
        else:
            begin()
    with pytest.raises(InputError, match="holds an older run"):
        begin(run={"seed": 2})
    assert {p.name for p in (tmp_path / "out").iterdir()} == set(folders.FILES)
    for name in folders.FILES:
        assert (tmp_path / "out" / name).read_text() == f"new {name}"


def test_killed_while_its_files_are_moved_the_same_run_is_over(tmp_path, monkeypatch):
    replace = folders.os.replace

    def fail(source, target):
        if source.name == "metrics.json" and source.parent.name == "done":
            raise Kill
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(folders.os, "replace", fail)
        patched.setattr(folders.RunFolder, "_close", lambda self: None)
        with pytest.raises(Kill):
            train(tmp_path, epochs=1)
    assert not (tmp_path / "metrics.json").exists()
    lines = []
    metrics = train(tmp_path, epochs=1, report=lines.append)
    assert lines == ["had finished already"]
    assert metrics["source"] == "made"
    assert {p.name for p in tmp_path.iterdir()} == set(folders.FILES)


def test_a_second_run_into_the_folder_is_refused(tmp_path):
    out = tmp_path / "run"
    with folders.run_folder(out):
        before = sorted(out.rglob("*"))
        for force in (False, True):
            with pytest.raises(InputError, match="run: another run is writing there"):
                train(out, force=force)
        assert sorted(out.rglob("*")) == before
    assert not out.exists()


def test_a_full_disk_is_one_line_and_the_last_good_state_is_kept(done, tmp_path):
    """No file may grow beyond a size: as if that were all the room there is."""
    code = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import test_runs
from rnn_keras.checkpoints import Checkpoints
from rnn_keras.errors import InputError

save = Checkpoints.save

def save_where_there_is_room(self, running, position):
    if position == (2, 1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
    save(self, running, position)

Checkpoints.save = save_where_there_is_room
try:
    test_runs.train(sys.argv[2], max_length=2, dropout=0.3, checkpoint_every=0)
except InputError as error:
    print(error)
"""
    shown = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert shown.stdout == (
        f"{tmp_path}/.unfinished/checkpoints: cannot be written (File too large); the "
        "last checkpoint is kept, and the same command goes on from it\n"
    ), shown.stderr
    lines = []
    train(tmp_path, max_length=2, dropout=0.3, report=lines.append)
    assert lines[1] == "goes on with epoch 3, batch 1"
    assert_same(outcome(tmp_path), outcome(done[0]))


def test_a_folder_in_the_way_is_not_replaced(tmp_path):
    (tmp_path / "model.keras").mkdir()
    with pytest.raises(InputError, match=r"model.keras: is no file"):
        folders.check_free(tmp_path, force=True)
