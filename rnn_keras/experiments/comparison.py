"""Cells compared fairly: several seeds, matched sizes, and what else one would try.

One division of the texts serves all. Beside the cells stand always the majority
class, TF-IDF with logistic regression, and a network that averages the embeddings
and has no recurrence. Every run is kept as it ends, and an interrupted comparison
goes on where it stopped.

The folder of a comparison: every run a file, written as it ends, whole or not.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.classification.recipe import recipe_for
from rnn_keras.datasets.labelled import Splits, class_indices, classes_to_learn
from rnn_keras.experiments.candidates import (
    FIT_SETTINGS,
    WITH_NGRAMS,
    Contestant,
    Run,
    contestants,
    run,
)
from rnn_keras.experiments.size_matching import (
    Match,
    match_parameters,
    match_seconds,
    step_seconds,
)
from rnn_keras.plots.curves import plot_comparison
from rnn_keras.scoring import METRICS, Scores
from rnn_keras.utils.choices import CELL_NAMES, CellName
from rnn_keras.utils.errors import InputError, check_choice
from rnn_keras.utils.files import not_written, write_whole
from rnn_keras.utils.progress import progress_bar
from rnn_keras.utils.quiet import use_one_thread
from rnn_keras.utils.version import __version__

MANIFEST, RUNS = "comparison.json", "runs"


class Store:
    """Reads and writes the runs of one comparison.

    `comparison.json` says what is compared, so that the runs of other texts or
    settings are not taken for those of this one.

    Args:
        out: the folder; made when the first file is written.
        splits: the texts.
        settings: of all networks.
        force: throw away the runs of another comparison.

    Raises:
        InputError: if `out` holds another comparison and `force` is not given, or
            cannot be read.
    """

    def __init__(
        self,
        out: str | Path,
        splits: Splits,
        settings: dict[str, Any],
        force: bool = False,
    ):
        self.out = Path(out)
        # What is `None` is left to the recipe, but for `patience`.
        given = {k: v for k, v in settings.items() if v is not None or k == "patience"}
        self.manifest = {
            "texts": splits.digest(),
            "settings": json.loads(_dump({"linear": True, **given})),
            "version": __version__,
        }
        self.found = self._find(force)
        other = [k for k, v in self.manifest.items() if self.found.get(k) != v]
        self.replaced = bool(self.found and other)
        if self.replaced and not force:
            raise InputError(
                f"{self.out}: holds a comparison of other {' and '.join(other)}; "
                "choose another folder, or give --force to replace it"
            )
        if other:
            self.found = {}

    def _find(self, force: bool) -> dict[str, Any]:
        """The manifest that is there; `{}` where there is none."""
        path = self.out / MANIFEST
        try:
            if not path.exists():
                return {}
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError("expected an object")
        except (OSError, ValueError) as error:
            if force and isinstance(error, ValueError):
                return {"texts": None}
            raise InputError(f"{path}: cannot be read ({error})") from error
        return found

    def sizes(
        self, cells: Sequence[str], match: str, units: int
    ) -> dict[str, int] | None:
        """The units of each cell that are in use, if they were matched so."""
        asked = {"match": match, "units": units, "cells": list(cells)}
        if any(self.found.get(k) != v for k, v in asked.items()):
            return None
        return self.found["sizes"]

    def begin(self, match: str, units: int, sizes: dict[str, int]) -> None:
        """Write down what is compared."""
        self.manifest |= {"match": match, "units": units}
        self.manifest |= {"cells": list(sizes), "sizes": sizes}
        if self.replaced:
            try:
                for path in (self.out / RUNS).glob("*-*-*.json"):
                    path.unlink()
            except OSError as error:
                reason = error.strerror
                raise InputError(f"{path}: cannot be deleted ({reason})") from error
        self._write(self.out / MANIFEST, self.manifest)

    def read(self, key: str) -> list[Run] | None:
        """The runs kept as `key`, or `None`."""
        path = self.out / RUNS / f"{key}.json"
        if not path.exists():
            return None
        try:
            return [Run(**r) for r in json.loads(path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error

    def write(self, key: str, runs: list[Run]) -> None:
        """Keep runs as `key`."""
        self._write(self.out / RUNS / f"{key}.json", [asdict(r) for r in runs])

    def _write(self, path: Path, content: Any) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, (_dump(content) + "\n").encode())
        except OSError as error:
            raise not_written(path, error) from error


def _dump(content: Any) -> str:
    """As JSON, the numbers of NumPy too."""
    return json.dumps(content, ensure_ascii=False, default=lambda value: value.item())


REFERENCE = "tfidf_2"
Job = tuple[Contestant, int]  # and its seed


@dataclass(frozen=True)
class Comparison:
    """The runs of all models on the same texts.

    Attributes:
        runs: in the order of the models, then of the seeds.
        true: class index of every test text.
        class_names: in the order of the indices.
    """

    runs: tuple[Run, ...]
    true: np.ndarray
    class_names: tuple[str, ...]

    @property
    def models(self) -> list[str]:
        """The names of the models, in order."""
        return list(dict.fromkeys(r.model for r in self.runs))

    def predicted(self) -> dict[str, np.ndarray]:
        """Model to class indices `(runs, texts)`."""
        return {
            model: np.array([r.predicted for r in self.runs if r.model == model])
            for model in self.models
        }

    def table(self) -> pd.DataFrame:
        """A row a run: model, seed, units, parameters, epochs, seconds, scores."""
        frame = pd.DataFrame([asdict(r) for r in self.runs])
        predicted = np.array(frame.pop("predicted").to_list())
        weights = np.ones((1, len(self.true)))
        for name, metric in METRICS.items():
            scores = metric(self.true, predicted, len(self.class_names))
            frame[name] = scores(weights)[0]
        return frame

    def summary(
        self, reference: str = REFERENCE, metric: str = "accuracy"
    ) -> pd.DataFrame:
        """A row a model: sizes, seconds, the score, its difference to `reference`.

        Args:
            reference: a model.
            metric: `"accuracy"` or `"macro_f1"`.

        Returns:
            By model: `runs`, `units`, `parameters`, `seconds` (mean), the mean of
            the metric, `low` and `high` of its 95 % interval, and `difference`,
            `difference_low`, `difference_high`; see `rnn_keras.intervals`.

        Raises:
            ValueError: if there is no such model or metric.
        """
        for given, known in ((reference, self.models), (metric, list(METRICS))):
            if given not in known:
                raise ValueError(f"{given!r} is none of {', '.join(known)}")
        groups = self.table().groupby("model", sort=False)
        frame = groups[["units", "parameters", "seconds"]].mean()
        # Of a path of n-grams the number of parameters may differ between seeds.
        frame[["units", "parameters"]] = frame[["units", "parameters"]].astype(int)
        frame.insert(0, "runs", groups.size())
        classes = len(self.class_names)
        scores = Scores(self.true, self.predicted(), metric, classes=classes)
        frame[[metric, "low", "high"]] = [scores.interval(m) for m in frame.index]
        columns = ["difference", "difference_low", "difference_high"]
        frame[columns] = [scores.difference(m, reference) for m in frame.index]
        return frame


def compare(
    splits: Splits,
    out: str | Path | None = None,
    *,
    cells: Sequence[CellName] = CELL_NAMES,
    seeds: int = 5,
    match: Match = "parameters",
    units: int = 64,
    executor: Executor | None = None,
    force: bool = False,
    report: Callable[[str], None] = lambda line: None,
    **settings: Any,
) -> Comparison:
    """Train every cell with every seed, and the models beside them.

    Args:
        splits: the three parts, the same for all.
        out: folder that keeps every run as it ends; the runs that it has are not
            made again.
        cells: to be compared.
        seeds: how many, from 0 on: of weights, dropout and order.
        match: what the cells have alike: see `rnn_keras.matching`.
        units: size of the state of the cell that has the most of it.
        executor: where the runs are made: any `concurrent.futures.Executor`, that
            of a cluster too, such as Dask's `Client.get_executor()`. By default one
            process a core on this machine, of one thread each; a script that is not
            a notebook needs `if __name__ == "__main__":` then.
        force: throw away the comparison of other texts or settings in `out`.
        report: is given lines on what goes on.
        **settings: of `TextClassifier.from_texts` and `fit`, for all networks.

    Raises:
        InputError: if `out` holds a comparison of other texts or settings, or the
            texts cannot be learned from, or none are left to be tested.
    """
    names = tuple(classes_to_learn(splits.train.texts, splits.train.labels))
    if not len(splits.test):
        raise InputError(f"{splits.train.source}: too few texts to test any")
    check_choice("match", match, get_args(Match))
    true = class_indices(splits.test.labels, names)
    store = Store(out, splits, settings, force) if out else None
    sizes = store.sizes(cells, match, units) if store else None
    sizes = sizes or _sizes(splits, cells, match, units, settings)
    report("units: " + ", ".join(f"{cell} {n}" for cell, n in sizes.items()))
    if store:
        store.begin(match, units, sizes)
    every = contestants(splits.train.texts, sizes, settings)
    jobs = [(c, s) for c in every for s in range(seeds if c.is_network else 1)]
    runs = {_key(job): store.read(_key(job)) if store else None for job in jobs}
    missing = [job for job in jobs if runs[_key(job)] is None]
    if len(missing) < len(jobs):
        report(f"{len(jobs) - len(missing)} of {len(jobs)} runs are there already")
    for job, result in _make(missing, splits, executor):
        runs[_key(job)] = result
        if store:
            store.write(_key(job), result)
    in_order = [r for result in runs.values() for r in result]
    place = {m: i for i, m in enumerate(dict.fromkeys(r.model for r in in_order))}
    in_order.sort(key=lambda r: place[r.model])  # stable: the seeds stay in order
    return Comparison(tuple(in_order), true, names)


def write_summary(
    compared: Comparison, out: Path, reference: str, metric: str
) -> pd.DataFrame:
    """Write runs.csv, summary.csv and comparison.png to `out`; the summary."""
    table, summary = compared.table(), compared.summary(reference, metric)
    figure = Figure(figsize=(6.5, 1.2 + 0.4 * len(summary)), layout="constrained")
    plot_comparison(summary, table, figure.subplots())
    try:
        table.to_csv(out / "runs.csv", index=False)
        summary.round(6).to_csv(out / "summary.csv")
        figure.savefig(out / "comparison.png", dpi=150)
    except OSError as error:
        raise not_written(out, error) from error
    return summary


def models_of(
    splits: Splits, cells: Sequence[CellName], settings: dict[str, Any]
) -> list[str]:
    """The names of all models that `compare` would train."""
    every = contestants(splits.train.texts, dict.fromkeys(cells, 1), settings)
    names = [c.model for c in every]
    if settings.get("linear", True):
        names += [WITH_NGRAMS.format(cell) for cell in cells]
    return names


def _key(job: Job) -> str:
    """The name of the job's file: of another size it is another run."""
    contestant, seed = job
    units = contestant.settings.get("units", 0)
    return f"{contestant.model}-{units}-{seed}"


def _sizes(
    splits: Splits,
    cells: Sequence[CellName],
    match: Match,
    units: int,
    settings: dict[str, Any],
) -> dict[CellName, int]:
    texts, labels = splits.train.texts, splits.train.labels
    of_model = {k: v for k, v in settings.items() if k not in FIT_SETTINGS}

    def build(cell: CellName, n: int) -> TextClassifier:
        return TextClassifier.from_texts(
            texts, labels, **{**of_model, "cell": cell, "units": n}
        )

    if match == "units":
        return dict.fromkeys(cells, units)
    if match == "parameters":
        # The vocabulary is the same for all: one text of each class is enough.
        first = {label: i for i, label in reversed(list(enumerate(labels)))}
        texts, labels = [texts[i] for i in first.values()], list(first)
        of_model["min_count"] = 1
        return match_parameters(
            cells, units, lambda *size: build(*size).network.count_params()
        )
    recipe = recipe_for(texts, settings.get("unit"))
    epochs = settings.get("epochs") or recipe.epochs
    batch_size = settings.get("batch_size", 32)

    def seconds(cell: CellName, n: int) -> float:
        model = build(cell, n)
        data = (
            model.preprocessor.encode(texts).ids,
            class_indices(labels, model.class_names),
        )
        return step_seconds(model.network, *data, epochs, batch_size)

    return match_seconds(cells, units, seconds)


def _make(
    jobs: list[Job], splits: Splits, executor: Executor | None
) -> Iterator[tuple[Job, list[Run]]]:
    """The jobs with their runs, in the order in which they end."""
    if not jobs:
        return
    if executor is None:
        workers = min(os.cpu_count() or 1, len(jobs))
        pool = ProcessPoolExecutor(
            workers, mp_context=get_context("spawn"), initializer=use_one_thread
        )
    else:
        pool = nullcontext(executor)
    with pool as running, progress_bar() as bar:
        waiting = {running.submit(run, *job, splits): job for job in jobs}
        task = bar.add_task("training", total=len(jobs))
        failed = None
        try:
            for future in as_completed(waiting):
                if future.cancelled():
                    continue
                if future.exception() is None:
                    yield waiting[future], future.result()
                    bar.advance(task)
                elif failed is None:
                    # What is running may end and be kept; nothing else begins.
                    failed = future
                    _cancel(waiting)
        finally:
            _cancel(waiting)
        if failed is not None:
            failed.result()


def _cancel(futures: Iterable[Future]) -> None:
    for future in futures:
        future.cancel()
