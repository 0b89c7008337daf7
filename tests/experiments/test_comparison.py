import json
import shutil
from concurrent.futures import Executor, Future
from dataclasses import asdict

import numpy as np
import pytest

from rnn_keras.classification.settings import Settings
from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.experiments.comparison import compare, models_of, write_summary
from rnn_keras.plots.curves import plot_comparison
from rnn_keras.scoring import score
from rnn_keras.utils.errors import InputError

QUICK = {
    "embedding_dim": 4,
    "epochs": 2,
    "learning_rate": 0.02,
    "bidirectional": False,
}
SIZE = {"cells": ("simple_rnn",), "seeds": 2, "units": 4}
SCORES = ["model", "seed", "units", "parameters", "epochs", "accuracy", "macro_f1"]


class Here(Executor):
    """Runs a job in this process when it is submitted, and keeps count.

    After so many jobs as `fail_after` says, each is interrupted before it begins.
    """

    def __init__(self, fail_after=None):
        self.jobs, self.fail_after = [], fail_after

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        self.jobs.append(args[:2])
        if self.fail_after is not None and len(self.jobs) > self.fail_after:
            future.set_exception(KeyboardInterrupt())
        else:
            future.set_result(fn(*args, **kwargs))
        return future


@pytest.fixture(scope="module")
def done(made, tmp_path_factory):
    """Return a comparison of one cell and its folder."""
    out = tmp_path_factory.mktemp("compared")
    return compare(made(10).split(), out, executor=Here(), **SIZE, **QUICK), out


@pytest.fixture
def copy(done, tmp_path):
    """Return a copy of the folder, to change something in it."""
    return shutil.copytree(done[1], tmp_path / "copy")


def rows(compared):
    return compared.table()[SCORES].to_dict("records")


def test_every_cell_has_every_seed_and_the_baselines_stand_beside(done, made):
    table = done[0].table()
    assert table.groupby("model", sort=False).size().to_dict() == {
        "simple_rnn": 2,
        "simple_rnn+ngrams": 2,
        "mean_embedding": 2,
        "tfidf_2": 1,
        "tfidf_1": 1,
        "majority": 1,
    }
    assert table["accuracy"].between(0, 1).all()
    assert (table.loc[table["model"] == "majority", "accuracy"] == 0.6).all()
    assert table.loc[table["model"] == "tfidf_1", "accuracy"].item() > 0.8
    splits = made(10).split()
    assert set(models_of(splits, SIZE["cells"], **QUICK)) == set(done[0].models)
    without = models_of(splits, SIZE["cells"], Settings(linear=False))
    assert "simple_rnn+ngrams" not in without


def test_the_scores_are_those_of_the_predictions(done, made):
    names = done[0].class_names
    true = made(10).split().test.labels
    for (_, row), result in zip(done[0].table().iterrows(), done[0].runs, strict=True):
        scores = score(true, [names[i] for i in result.predicted], names)
        assert row["accuracy"] == pytest.approx(scores["accuracy"])
        assert row["macro_f1"] == pytest.approx(scores["macro_f1"])


def test_the_summary_is_of_the_table(done):
    compared = done[0]
    table, summary = compared.table(), compared.summary("simple_rnn", "macro_f1")
    assert list(summary.index) == compared.models
    means = table.groupby("model")["macro_f1"].mean()
    for model, row in summary.iterrows():
        assert row["macro_f1"] == pytest.approx(means[model])
        assert row["low"] <= row["macro_f1"] <= row["high"]
        difference = means[model] - means["simple_rnn"]
        assert row["difference"] == pytest.approx(difference)
        assert row["difference_low"] <= difference <= row["difference_high"]
    with pytest.raises(ValueError, match="'lstm' is none of simple_rnn, "):
        compared.summary("lstm")
    with pytest.raises(ValueError, match="'recall' is none of accuracy, macro_f1"):
        compared.summary(metric="recall")


def test_an_interrupted_comparison_continues_where_it_stopped(done, made, copy):
    expected = {path.name for path in (copy / "runs").iterdir()}
    for name in ("simple_rnn-4-1", "tfidf_2-0-0", "tfidf_1-0-0", "majority-0-0"):
        (copy / "runs" / f"{name}.json").unlink()
    arguments = {**SIZE, **QUICK}
    with pytest.raises(KeyboardInterrupt):
        compare(made(10).split(), copy, executor=Here(fail_after=2), **arguments)
    assert len(list((copy / "runs").iterdir())) == len(expected) - 2
    lines, again = [], Here()
    compared = compare(
        made(10).split(), copy, executor=again, report=lines.append, **arguments
    )
    assert len(again.jobs) == 2
    assert lines == ["units: simple_rnn 4", "5 of 7 runs are there already"]
    assert rows(compared) == rows(done[0])
    assert {path.name for path in (copy / "runs").iterdir()} == expected
    # Of more seeds only the new ones are missing.
    more = Here(fail_after=0)
    with pytest.raises(KeyboardInterrupt):
        compare(made(10).split(), copy, executor=more, **{**arguments, "seeds": 3})
    assert {seed for _, seed in more.jobs} == {2}


def test_settings_that_are_the_default_may_be_given_or_left_out(done, made, copy):
    same = {"linear": True, "unit": None, "patience": 3, "epochs": np.int64(2)}
    here = Here()
    compare(made(10).split(), copy, executor=here, **{**SIZE, **QUICK, **same})
    assert here.jobs == []
    manifest = json.loads((copy / "comparison.json").read_text())
    assert manifest["settings"] == {"linear": True, **QUICK}
    # An earlier version wrote them if they were given.
    manifest["settings"] |= {"patience": 3, "batch_size": 32}
    (copy / "comparison.json").write_text(json.dumps(manifest))
    compare(made(10).split(), copy, executor=here, **SIZE, **QUICK)
    assert here.jobs == []


def test_the_folder_of_another_comparison_is_refused_or_replaced(made, copy):
    arguments = {**SIZE, **QUICK}
    for texts, changed, other in (
        (made(), {}, "texts"),
        (made(10), {"epochs": 1}, "settings"),
        (made(), {"linear": False}, "texts and settings"),
    ):
        with pytest.raises(
            InputError, match=f"holds a comparison of other {other}; choose"
        ):
            compare(texts.split(), copy, **{**arguments, **changed})
    assert len(list((copy / "runs").iterdir())) == 7
    mine = copy / "runs" / "notes.txt"
    mine.write_text("mine")
    here = Here(fail_after=0)
    with pytest.raises(KeyboardInterrupt):
        compare(made().split(), copy, executor=here, force=True, **arguments)
    assert len(here.jobs) == 7
    assert list((copy / "runs").iterdir()) == [mine]
    manifest = json.loads((copy / "comparison.json").read_text())
    assert manifest["texts"] == made().split().digest()
    assert manifest["cells"] == ["simple_rnn"]


def test_damaged_files_are_named(made, copy):
    splits, arguments = made(10).split(), {**SIZE, **QUICK}
    (copy / "runs" / "tfidf_1-0-0.json").write_text("[{")
    with pytest.raises(InputError, match=r"tfidf_1-0-0\.json: cannot be read"):
        compare(splits, copy, **arguments)
    for damaged in ("{", "[]", '{"settings": []}'):
        (copy / "comparison.json").write_text(damaged)
        with pytest.raises(InputError, match=r"comparison\.json: cannot be read"):
            compare(splits, copy, **arguments)
    anew = Here(fail_after=0)
    with pytest.raises(KeyboardInterrupt):
        compare(splits, copy, executor=anew, force=True, **arguments)
    assert len(anew.jobs) == 7


def test_what_cannot_be_compared_is_refused(made):
    none = made().split()._replace(test=LabelledTexts([], []))
    with pytest.raises(InputError, match="made: too few texts to test any"):
        compare(none)
    message = r"`match` must be one of .* Received: 'params'"
    with pytest.raises(ValueError, match=message):
        compare(made().split(), match="params")
    with pytest.raises(TypeError, match="unitz"):
        compare(made().split(), unitz=3)


def test_a_kept_result_is_json_that_anyone_can_read(done):
    (kept,) = json.loads((done[1] / "runs" / "tfidf_2-0-0.json").read_text())
    assert kept["model"] == "tfidf_2"
    assert kept == asdict(next(r for r in done[0].runs if r.model == "tfidf_2"))


def test_tables_and_a_figure_are_written(done, tmp_path):
    summary = write_summary(done[0], tmp_path, "tfidf_1", "macro_f1")
    assert summary.equals(done[0].summary("tfidf_1", "macro_f1"))
    assert {path.name for path in tmp_path.iterdir()} == {
        "runs.csv",
        "summary.csv",
        "comparison.png",
    }
    with pytest.raises(InputError, match="gone: cannot be written"):
        write_summary(done[0], tmp_path / "gone", "tfidf_1", "accuracy")


def test_the_plot_shows_every_model_but_the_majority(done):
    compared = done[0]
    summary = compared.summary()
    ax = plot_comparison(summary, compared.table())
    names = [label.get_text().split(" ")[0] for label in ax.get_yticklabels()]
    best = summary.drop(index="majority").sort_values("accuracy").index
    assert names == list(best)
    ends = [tuple(line.get_xdata()) for line in ax.lines]
    for _, row in summary.drop(index="majority").iterrows():
        assert (row["low"], row["high"]) in ends
    assert f"(majority class: {summary.loc['majority', 'accuracy']:.3f})" in (
        ax.get_xlabel()
    )


@pytest.fixture(scope="module")
def two_cells(made):
    cells = {"cells": ("simple_rnn", "gru"), "seeds": 2, "units": 4}
    arguments = {**cells, **QUICK, "bidirectional": True}
    return arguments, compare(made(10).split(), executor=Here(), **arguments)


@pytest.mark.exhaustive
def test_cells_are_matched_in_parameters(two_cells):
    table = two_cells[1].table().set_index("model")
    assert table.loc["gru", "units"].eq(4).all()
    assert table.loc["simple_rnn", "units"].gt(4).all()
    first, second = (table.loc[c, "parameters"].max() for c in ("gru", "simple_rnn"))
    assert abs(first - second) < 0.2 * first


@pytest.mark.exhaustive
def test_two_dask_workers_give_the_table_of_one_process(two_cells, made):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            memory_limit=None,
        ) as cluster,
        distributed.Client(cluster) as client,
        client.get_executor() as executor,
    ):
        compared = compare(made(10).split(), executor=executor, **two_cells[0])
        workers = len(client.scheduler_info()["workers"])
    assert workers == 2
    assert rows(compared) == rows(two_cells[1])
    for mine, theirs in zip(two_cells[1].runs, compared.runs, strict=True):
        assert mine.predicted == theirs.predicted


@pytest.mark.exhaustive
def test_by_default_processes_of_this_machine_do_the_training(done, made):
    arguments = {**SIZE, **QUICK, "seeds": 1, "match": "units"}
    compared = compare(made(10).split(), **arguments)
    first = [row for row in rows(done[0]) if row["seed"] == 0]
    assert rows(compared) == first


@pytest.mark.exhaustive
def test_cells_can_be_matched_in_seconds(made):
    arguments = {**QUICK, "units": 4, "seeds": 1, "match": "seconds"}
    lines = []
    with pytest.raises(KeyboardInterrupt):
        compare(
            made(10).split(),
            executor=Here(fail_after=0),
            report=lines.append,
            **arguments,
        )
    assert lines[0].startswith("units: simple_rnn ")
