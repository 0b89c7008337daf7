import json
import random
import threading
from concurrent.futures import Executor, Future

import numpy as np
import pytest

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.experiments import comparison
from rnn_keras.experiments.comparison import compare
from rnn_keras.experiments.size_matching import (
    match_parameters,
    match_seconds,
    step_seconds,
)
from rnn_keras.models.builders import build_classifier
from rnn_keras.plots.curves import plot_comparison
from rnn_keras.scoring import score
from rnn_keras.utils.errors import InputError

GOOD = ["good", "fine", "nice", "great", "lovely"]
BAD = ["bad", "poor", "awful", "nasty", "dull"]
QUICK = {"embedding_dim": 4, "epochs": 2, "learning_rate": 0.02}
SIZE = {"cells": ("simple_rnn", "gru"), "seeds": 2, "units": 4}
SCORES = ["model", "seed", "units", "parameters", "epochs", "accuracy", "macro_f1"]


def splits(noise=0):
    texts = [f"{a} {b} day {i}" for i in range(2) for a in GOOD for b in GOOD]
    worse = [f"{a} {b} day {i}" for i in range(2) for a in BAD for b in BAD]
    labels = ["pos"] * len(texts) + ["neg"] * len(worse)
    labels[:noise] = ["neg"] * noise
    return LabelledTexts(texts + worse, labels, "made").split()


class Here(Executor):
    """Runs a job when it is submitted, in this process; keeps count."""

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
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("compared")
    return compare(splits(10), out, executor=Here(), **SIZE, **QUICK), out


def test_every_cell_has_every_seed_and_what_anyone_would_try_stands_beside(done):
    table = done[0].table()
    assert table.groupby("model", sort=False).size().to_dict() == {
        "simple_rnn": 2,
        "simple_rnn+ngrams": 2,
        "gru": 2,
        "gru+ngrams": 2,
        "mean_embedding": 2,
        "tfidf_2": 1,
        "tfidf_1": 1,
        "majority": 1,
    }
    assert table["accuracy"].between(0, 1).all()
    assert (table.loc[table["model"] == "majority", "accuracy"] == 0.6).all()
    assert table.loc[table["model"] == "tfidf_1", "accuracy"].item() > 0.8


def test_models_of_characters_stand_beside_characters():
    every = comparison.contestants(["ada", "eve"] * 10, {"gru": 4}, {})
    linear = {c.model: c.settings for c in every if c.model.startswith("tfidf")}
    assert list(linear) == ["tfidf_3", "tfidf_2", "tfidf_1"]
    assert all(s["unit"] == "character" for s in linear.values())


def test_a_run_is_the_training_that_a_person_would_make(done):
    data = splits(10)
    classifier = TextClassifier.from_texts(
        data.train.texts,
        data.train.labels,
        cell="gru",
        units=4,
        seed=1,
        embedding_dim=4,
    )
    classifier.fit(
        data.train.texts,
        data.train.labels,
        validation_data=(data.validation.texts, data.validation.labels),
        epochs=2,
        learning_rate=0.02,
        seed=1,
    )
    predicted = [p.label for p in classifier.predict(data.test.texts)]
    scores = score(data.test.labels, predicted, classifier.class_names)
    table = done[0].table().set_index(["model", "seed"])
    row = table.loc[("gru+ngrams", 1)]
    assert row["accuracy"] == pytest.approx(scores["accuracy"])
    assert row["macro_f1"] == pytest.approx(scores["macro_f1"])
    alone = table.loc[("gru", 1), "parameters"]
    assert alone == classifier.network.count_params()
    path = classifier.linear
    assert row["parameters"] == alone + path.rows * path.num_classes


def test_the_summary_is_of_the_table(done):
    compared = done[0]
    table, summary = compared.table(), compared.summary("gru", "macro_f1")
    assert list(summary.index) == compared.models
    means = table.groupby("model")["macro_f1"].mean()
    for model, row in summary.iterrows():
        assert row["macro_f1"] == pytest.approx(means[model])
        assert row["low"] <= row["macro_f1"] <= row["high"]
        difference = means[model] - means["gru"]
        assert row["difference"] == pytest.approx(difference)
        assert row["difference_low"] <= difference <= row["difference_high"]
    for wrong in (("lstm", "accuracy"), ("gru", "recall")):
        with pytest.raises(
            ValueError, match=f"'{wrong[wrong[0] == 'gru']}' is none of"
        ):
            compared.summary(*wrong)


def test_an_interrupted_comparison_goes_on_where_it_stopped(done, tmp_path):
    arguments = {**SIZE, **QUICK, "cells": ("gru",)}
    with pytest.raises(KeyboardInterrupt):
        compare(splits(10), tmp_path, executor=Here(fail_after=3), **arguments)
    kept = list((tmp_path / "runs").glob("*.json"))
    assert len(kept) == 3
    lines = []
    again = Here()
    compared = compare(
        splits(10), tmp_path, executor=again, report=lines.append, **arguments
    )
    assert len(again.jobs) == 7 - 3
    assert lines[-1] == "3 of 7 runs are there already"
    whole = done[0].table()
    whole = whole[~whole["model"].str.startswith("simple_rnn")]
    scores = [t[SCORES].to_dict("records") for t in (whole, compared.table())]
    assert scores[0] == scores[1]
    more = Here()
    compare(splits(10), tmp_path, executor=more, **{**arguments, "seeds": 3})
    assert {seed for _, seed in more.jobs} == {2}
    assert not list(tmp_path.rglob("tmp*"))


def test_the_folder_of_another_comparison_is_refused_or_replaced(done, tmp_path):
    out = tmp_path / "out"
    arguments = {"cells": ("gru",), "seeds": 1, "units": 2, **QUICK}
    compare(splits(), out, executor=Here(), **arguments)
    with pytest.raises(InputError, match="holds a comparison of other texts; choose"):
        compare(splits(5), out, executor=Here(), **arguments)
    with pytest.raises(InputError, match="holds a comparison of other settings; "):
        compare(splits(), out, executor=Here(), **{**arguments, "epochs": 1})
    assert len(list((out / "runs").iterdir())) == 5
    here = Here()
    compare(splits(5), out, executor=here, force=True, **arguments)
    assert len(here.jobs) == 5
    # What the texts settle by themselves may be said or left out.
    same = {**arguments, "linear": True, "unit": None, "epochs": np.int64(2)}
    again = Here()
    compare(splits(5), out, executor=again, **same)
    assert again.jobs == []
    broken = out / "runs" / "gru-2-0.json"
    broken.write_text("[{")
    with pytest.raises(InputError, match=r"gru-2-0\.json: cannot be read"):
        compare(splits(5), out, executor=Here(), **arguments)
    (out / "comparison.json").write_text("{")
    with pytest.raises(InputError, match=r"comparison\.json: cannot be read"):
        compare(splits(5), out, executor=Here(), **arguments)
    anew = Here()
    compare(splits(5), out, executor=anew, force=True, **arguments)
    assert len(anew.jobs) == 5


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "runs").mkdir()
    mine = tmp_path / "runs" / "a-b-c.json"
    mine.write_text("[]")
    arguments = {"cells": ("gru",), "seeds": 1, "units": 2, **QUICK}
    compare(splits(), tmp_path, executor=Here(), min_count=3, **arguments)
    assert mine.read_text() == "[]"
    with pytest.raises(
        ValueError, match=r"`match` must be one of .* Received: 'params'"
    ):
        compare(splits(), match="params")


def test_other_threads_that_draw_random_numbers_change_nothing(done):
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        (contestant,) = (
            c
            for c in comparison.contestants(splits(10).train.texts, {"gru": 4}, QUICK)
            if c.model == "gru"
        )
        runs = comparison.run(contestant, 1, splits(10))
    finally:
        stop.set()
        thread.join()
    expected = [r for r in done[0].runs if r.model in ("gru", "gru+ngrams")]
    expected = [r.predicted for r in expected if r.seed == 1]
    assert [r.predicted for r in runs] == expected


def test_two_dask_workers_give_the_table_of_one_process(done):
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
        compared = compare(splits(10), executor=executor, **SIZE, **QUICK)
        workers = len(client.scheduler_info()["workers"])
    assert workers == 2
    tables = [c.table()[SCORES].to_dict("records") for c in (done[0], compared)]
    assert tables[0] == tables[1]
    for mine, theirs in zip(done[0].runs, compared.runs, strict=True):
        assert mine.predicted == theirs.predicted


def test_by_default_processes_of_this_machine_make_the_runs(done):
    small = {"cells": ("simple_rnn",), "seeds": 1, "units": 4, "match": "units"}
    compared = compare(splits(10), **small, **QUICK)
    table = done[0].table()
    first = table[table["model"].isin(compared.models) & (table["seed"] == 0)]
    # Of a SimpleRNN matched to a GRU the units differ.
    first = first[~first["model"].str.startswith("simple_rnn")]
    mine = compared.table()
    mine = mine[~mine["model"].str.startswith("simple_rnn")]
    assert mine[SCORES].to_dict("records") == first[SCORES].to_dict("records")


@pytest.mark.parametrize("bidirectional", [False, True])
def test_matched_parameters_are_within_what_one_unit_makes(bidirectional):
    def count(cell, units):
        return build_classifier(
            50, 3, cell=cell, units=units, embedding_dim=16, bidirectional=bidirectional
        ).count_params()

    cells = ("simple_rnn", "lstm", "gru")
    sizes = match_parameters(cells, 12, count)
    assert sizes["lstm"] == 12 < sizes["gru"] < sizes["simple_rnn"]
    target = count("lstm", 12)
    for cell, units in sizes.items():
        nearest = abs(count(cell, units) - target)
        assert nearest <= abs(count(cell, units + 1) - target)
        assert nearest <= abs(count(cell, units - 1) - target)


def test_matched_seconds_follow_the_times_of_the_steps():
    """Steps of 1 + units^1.5 ms, four times that of an LSTM; a cell never slower."""
    cost = {"simple_rnn": 1, "lstm": 4, "gru": 3}
    times = {}

    def seconds(cell, units):
        times[cell, units] = cost[cell] * units**1.5
        return times[cell, units]

    sizes = match_seconds(tuple(cost), 10, seconds)
    assert sizes == {"simple_rnn": 25, "lstm": 10, "gru": 12}
    assert len(times) == 3 + 2 + 1


def test_a_step_is_timed_on_texts_of_the_usual_length():
    network = build_classifier(20, 2, units=4, embedding_dim=4)
    network.compile("adam", "sparse_categorical_crossentropy")
    ids = np.ones((40, 9), np.int32)
    assert 0 < step_seconds(network, ids, np.zeros(40, int), 1, 8) < 5


def test_texts_without_a_test_part_are_refused():
    none = splits()._replace(test=LabelledTexts([], []))
    with pytest.raises(InputError, match="made: too few texts to test any"):
        compare(none)


def test_a_kept_run_is_json_that_anyone_can_read(done):
    (run, *_) = json.loads((done[1] / "runs" / "tfidf_2-0-0.json").read_text())
    assert run["model"] == "tfidf_2"
    assert len(run["predicted"]) == len(splits(10).test)


def test_the_plot_shows_every_model_but_the_majority(done):
    compared = done[0]
    summary = compared.summary()
    ax = plot_comparison(summary, compared.table())
    names = [label.get_text().split(" ")[0] for label in ax.get_yticklabels()]
    best = summary.drop(index="majority").sort_values("accuracy").index
    assert names == list(best)
    ends = [tuple(line.get_xdata()) for line in ax.lines[: 2 * len(best)]]
    for _, row in summary.drop(index="majority").iterrows():
        assert (row["low"], row["high"]) in ends
    assert f"(majority class: {summary.loc['majority', 'accuracy']:.3f})" in (
        ax.get_xlabel()
    )
