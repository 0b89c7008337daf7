import csv
import json

import numpy as np
import pytest

from rnn_keras import folders, runs
from rnn_keras.classifier import TextClassifier
from rnn_keras.errors import InputError
from rnn_keras.labelled import LabelledTexts

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
        with folders.run_folder(tmp_path, force=True) as aside:
            (aside / "metrics.json").write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"cannot be written .No space left"):
        write_and_fail()
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]
    assert (tmp_path / "metrics.json").read_text() == "older"


def test_a_folder_in_the_way_is_not_replaced(tmp_path):
    (tmp_path / "model.keras").mkdir()
    with pytest.raises(InputError, match=r"model.keras: is no file"):
        folders.check_free(tmp_path, force=True)
