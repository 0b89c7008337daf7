"""Cells compared fairly: several seeds, matched sizes, and the baselines beside them.

All models are trained and tested on the same division of the texts. Beside the cells
there are always the baselines of `rnn_keras.experiments.candidates`. A comparison may
have a folder: it keeps the result of every training as soon as there is one, and an
interrupted comparison continues where it stopped.

How intervals are computed is in `rnn_keras.scoring`, how sizes are matched in
`rnn_keras.experiments.size_matching`.
"""

import json
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.classification.recipe import recipe_for_parts
from rnn_keras.classification.settings import Settings
from rnn_keras.datasets.labelled import LabelledTexts, Splits
from rnn_keras.experiments.candidates import (
    WITH_NGRAMS,
    Candidate,
    TrainingResult,
    candidates_for,
    train_candidate,
)
from rnn_keras.experiments.size_matching import (
    HeldEqual,
    match_parameters,
    match_seconds,
    step_seconds,
)
from rnn_keras.plots.curves import plot_comparison
from rnn_keras.scoring import METRICS, Scores
from rnn_keras.utils import __version__
from rnn_keras.utils.choices import CELL_NAMES, CellName
from rnn_keras.utils.errors import InputError, check_choice
from rnn_keras.utils.files import refuse_unwritable, write_whole
from rnn_keras.utils.predictions import class_indices
from rnn_keras.utils.progress import progress_bar
from rnn_keras.utils.threads import use_one_thread

MANIFEST, RUNS = "comparison.json", "runs"
RUNS_TABLE, SUMMARY_TABLE, FIGURE = "runs.csv", "summary.csv", "comparison.png"
REFERENCE = "tfidf_2"


@dataclass(frozen=True)
class Comparison:
    """The results of all models on the same texts.

    Attributes:
        runs: one result for each training, in the order of the models, then of the
            seeds.
        true: class index of every test text.
        class_names: names of the classes, in the order of the indices.
    """

    runs: tuple[TrainingResult, ...]
    true: np.ndarray
    class_names: tuple[str, ...]

    @property
    def models(self) -> list[str]:
        """The names of the models, in order."""
        return list(dict.fromkeys(result.model for result in self.runs))

    def predicted(self) -> dict[str, np.ndarray]:
        """Return class indices `(runs, texts)` by model."""
        return {
            model: np.array([r.predicted for r in self.runs if r.model == model])
            for model in self.models
        }

    def table(self) -> pd.DataFrame:
        """Return a row for each run: model, seed, sizes, epochs, seconds and scores."""
        frame = pd.DataFrame([asdict(result) for result in self.runs])
        predicted = np.array(frame.pop("predicted").to_list())
        weights = np.ones((1, len(self.true)))
        for name, metric in METRICS.items():
            scores = metric(self.true, predicted, len(self.class_names))
            frame[name] = scores(weights)[0]
        return frame

    def summary(
        self, reference: str = REFERENCE, metric: str = "accuracy"
    ) -> pd.DataFrame:
        """Return a row for each model: sizes, seconds, score and difference.

        Args:
            reference: model to which the differences are computed.
            metric: `"accuracy"` or `"macro_f1"`.

        Returns:
            A table with the models as index. Its columns are `runs`, `units`,
            `parameters` and `seconds` (means), the mean of the metric, `low` and
            `high` of its 95 % interval, and `difference`, `difference_low` and
            `difference_high`.

        Raises:
            ValueError: if there is no such model or metric.
        """
        for given, known in ((reference, self.models), (metric, list(METRICS))):
            if given not in known:
                raise ValueError(f"{given!r} is none of {', '.join(known)}")
        groups = self.table().groupby("model", sort=False)
        frame = groups[["units", "parameters", "seconds"]].mean()
        # The number of n-grams may differ between the seeds of one model.
        frame[["units", "parameters"]] = frame[["units", "parameters"]].astype(int)
        frame.insert(0, "runs", groups.size())
        classes = len(self.class_names)
        scores = Scores(self.true, self.predicted(), metric, classes=classes)
        frame[[metric, "low", "high"]] = [scores.interval(m) for m in frame.index]
        columns = ["difference", "difference_low", "difference_high"]
        frame[columns] = [scores.difference(m, reference) for m in frame.index]
        return frame


@dataclass(frozen=True)
class Manifest:
    """What a comparison compares: the content of `comparison.json`.

    Attributes:
        texts: `Splits.digest` of the texts.
        settings: settings of all networks by name: `linear`, and those that are not
            the default.
        version: version of this package.
        match: what is held equal across cells.
        units: size of the state of the largest cell.
        cells: cells that are compared.
        sizes: units of each cell, as they were matched.
    """

    texts: str
    settings: dict[str, Any]
    version: str
    match: str | None = None
    units: int | None = None
    cells: list[str] | None = None
    sizes: dict[CellName, int] | None = None

    def differing(self, other: "Manifest") -> list[str]:
        """Return in which ways the results of the two cannot be those of one."""
        names = ("texts", "settings", "version")
        return [n for n in names if getattr(self, n) != getattr(other, n)]

    @classmethod
    def read(cls, path: Path) -> "Manifest":
        """Read `comparison.json`.

        Raises:
            OSError: if it cannot be read.
            ValueError: if it is damaged.
        """
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not isinstance(
            content.get("settings", {}), dict
        ):
            raise ValueError("expected an object")
        known: dict[str, Any] = {
            field.name: content.get(field.name) for field in fields(cls)
        }
        # A setting may have been written although it was the default.
        known["settings"] = _without_defaults(known["settings"] or {})
        return cls(**known)


def _without_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that are not the default, and `linear`."""
    default = asdict(Settings())
    return {
        name: value
        for name, value in settings.items()
        if name == "linear" or name not in default or value != default[name]
    }


class ComparisonFolder:
    """The folder of a comparison, which keeps each result as soon as there is one.

    `comparison.json` says what is compared, so that results of other texts or settings
    are not taken for results of these.

    Args:
        out: the folder; made when the first file is written.
        manifest: what is compared; its sizes need not be known yet.
        force: delete the results of another comparison.

    Raises:
        InputError: if `out` holds another comparison and `force` is not given, or
            cannot be read.
    """

    def __init__(self, out: str | Path, manifest: Manifest, force: bool = False):
        self.out, self.manifest = Path(out), manifest
        found, self._replaces = self._read_manifest(force), False
        if found is not None:
            other = found.differing(manifest)
            self._replaces = bool(other)
            if other and not force:
                raise InputError(
                    f"{self.out}: holds a comparison of other {' and '.join(other)}; "
                    "choose another folder, or give --force to replace it"
                )
        self._found = None if self._replaces else found

    def _read_manifest(self, force: bool) -> Manifest | None:
        path = self.out / MANIFEST
        try:
            if not path.exists():
                return None
            return Manifest.read(path)
        except (OSError, ValueError) as error:
            if force and isinstance(error, ValueError):
                return Manifest("", {}, "")  # another comparison, to be replaced
            raise InputError(f"{path}: cannot be read ({error})") from error

    def sizes(
        self, cells: Sequence[CellName], match: str, units: int
    ) -> dict[CellName, int] | None:
        """Return the units of each cell if they were matched in the same way."""
        found = self._found
        asked = (match, units, list(cells))
        if found is None or (found.match, found.units, found.cells) != asked:
            return None
        return found.sizes

    def begin(self, match: str, units: int, sizes: dict[CellName, int]) -> None:
        """Write down what is compared; delete results of another comparison."""
        if self._replaces:
            for path in (self.out / RUNS).glob("*-*-*.json"):
                try:
                    path.unlink()
                except OSError as error:
                    reason = error.strerror
                    raise InputError(f"{path}: cannot be deleted ({reason})") from error
        self.manifest = replace(
            self.manifest, match=match, units=units, cells=list(sizes), sizes=sizes
        )
        self._write(self.out / MANIFEST, asdict(self.manifest))

    def read(self, key: str) -> list[TrainingResult] | None:
        """Return the results that were kept as `key`, or `None`."""
        path = self.out / RUNS / f"{key}.json"
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return [TrainingResult(**result) for result in content]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error

    def write(self, key: str, results: list[TrainingResult]) -> None:
        """Keep results as `key`."""
        path = self.out / RUNS / f"{key}.json"
        self._write(path, [asdict(result) for result in results])

    def _write(self, path: Path, content: Any) -> None:
        # NumPy's numbers, too, are written as numbers.
        text = json.dumps(content, ensure_ascii=False, default=lambda n: n.item())
        with refuse_unwritable(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, (text + "\n").encode())


class _Job(NamedTuple):
    """A training that is to be made."""

    candidate: Candidate
    seed: int

    @property
    def key(self) -> str:
        """Name of the file of its results: another size is another training."""
        return f"{self.candidate.name}-{self.candidate.units}-{self.seed}"


def compare(
    splits: Splits,
    out: str | Path | None = None,
    *,
    cells: Sequence[CellName] = CELL_NAMES,
    seeds: int = 5,
    match: HeldEqual = "parameters",
    units: int = 64,
    settings: Settings | None = None,
    executor: Executor | None = None,
    force: bool = False,
    report: Callable[[str], None] = lambda line: None,
    **chosen: Any,
) -> Comparison:
    """Train every cell with every seed, and the baselines beside them.

    Args:
        splits: texts in three parts, the same for all models.
        out: folder that keeps every result as soon as there is one. What it holds
            already is not trained again.
        cells: cells to compare.
        seeds: number of runs of each network, with seeds from 0 on, of weights,
            dropout and order.
        match: what to hold equal across cells: the size of the state, the number of
            parameters, or the seconds of a training step.
        units: state size of the largest cell; the others are sized to match.
        settings: settings of all networks.
        executor: where the training is done: any `concurrent.futures.Executor`, also
            that of a cluster, for example Dask's `Client.get_executor()`. The default
            is one process for each core of this machine, with one thread each; a
            script that is not a notebook then needs `if __name__ == "__main__":`.
        force: delete the comparison of other texts or settings in `out`.
        report: receives lines that tell what goes on.
        **chosen: single settings by name, instead of those in `settings`.

    Raises:
        InputError: if `out` holds a comparison of other texts or settings, or the
            texts cannot be learned from, or there is no test part.
    """
    settings = replace(settings or Settings(), **chosen)
    names = tuple(splits.class_names())
    if not len(splits.test):
        raise InputError(f"{splits.source}: too few texts to test any")
    check_choice("match", match, get_args(HeldEqual))
    true = class_indices(splits.test.labels, names)
    folder = None
    if out:
        manifest = Manifest(
            splits.digest(), _without_defaults(asdict(settings)), __version__
        )
        folder = ComparisonFolder(out, manifest, force)
    sizes = folder.sizes(cells, match, units) if folder else None
    sizes = sizes or _matched_sizes(splits, cells, match, units, settings)
    report("units: " + ", ".join(f"{cell} {n}" for cell, n in sizes.items()))
    if folder:
        folder.begin(match, units, sizes)
    jobs = [
        _Job(candidate, seed)
        for candidate in candidates_for(splits.train.texts, sizes, settings)
        for seed in range(seeds if candidate.is_random else 1)
    ]
    results = _results(jobs, splits, folder, executor, report)
    in_order = [result for job in jobs for result in results[job.key]]
    models = list(dict.fromkeys(result.model for result in in_order))
    in_order.sort(key=lambda r: models.index(r.model))  # stable: seeds stay in order
    return Comparison(tuple(in_order), true, names)


def _results(
    jobs: list[_Job],
    splits: Splits,
    folder: ComparisonFolder | None,
    executor: Executor | None,
    report: Callable[[str], None],
) -> dict[str, list[TrainingResult]]:
    """Return the results of all jobs by key: those that are kept, and new ones."""
    kept = {job.key: folder.read(job.key) for job in jobs} if folder else {}
    results = {key: found for key, found in kept.items() if found is not None}
    missing = [job for job in jobs if job.key not in results]
    if results:
        report(f"{len(results)} of {len(jobs)} runs are there already")
    for job, new in _train_all(missing, splits, executor):
        results[job.key] = new
        if folder:
            folder.write(job.key, new)
    return results


def write_summary(
    compared: Comparison, out: Path, reference: str, metric: str
) -> pd.DataFrame:
    """Write runs.csv, summary.csv and comparison.png to `out`; return the summary.

    Raises:
        InputError: if they cannot be written.
        ValueError: if there is no such model or metric.
    """
    table, summary = compared.table(), compared.summary(reference, metric)
    figure = Figure(figsize=(6.5, 1.2 + 0.4 * len(summary)), layout="constrained")
    plot_comparison(summary, table, figure.subplots())
    with refuse_unwritable(out):
        table.to_csv(out / RUNS_TABLE, index=False)
        summary.round(6).to_csv(out / SUMMARY_TABLE)
        figure.savefig(out / FIGURE, dpi=150)
    return summary


def models_of(
    splits: Splits,
    cells: Sequence[CellName],
    settings: Settings | None = None,
    **chosen: Any,
) -> list[str]:
    """Return the names of all models that `compare` would train."""
    settings = replace(settings or Settings(), **chosen)
    sizes = dict.fromkeys(cells, 1)
    names = [c.name for c in candidates_for(splits.train.texts, sizes, settings)]
    with_ngrams = map(WITH_NGRAMS.format, cells) if settings.linear else ()
    return [*names, *with_ngrams]


def _matched_sizes(
    splits: Splits,
    cells: Sequence[CellName],
    match: HeldEqual,
    units: int,
    settings: Settings,
) -> dict[CellName, int]:
    """Return the units of each cell at which `match` is equal."""
    if match == "units":
        return dict.fromkeys(cells, units)
    if match == "parameters":
        return _sizes_of_equal_parameters(splits.train, cells, units, settings)
    return _sizes_of_equal_seconds(splits, cells, units, settings)


def _sizes_of_equal_parameters(
    train: LabelledTexts, cells: Sequence[CellName], units: int, settings: Settings
) -> dict[CellName, int]:
    # All networks have the same vocabulary, of whatever size: a text of each class is
    # enough to learn how the number of parameters depends on the units.
    first = {label: i for i, label in reversed(list(enumerate(train.labels)))}
    few = train[list(first.values())]

    def count(cell: CellName, units: int) -> int:
        of_cell = replace(settings, cell=cell, units=units, min_count=1)
        classifier = TextClassifier.from_texts(few.texts, few.labels, settings=of_cell)
        return classifier.network.count_params()

    return match_parameters(cells, units, count)


def _sizes_of_equal_seconds(
    splits: Splits, cells: Sequence[CellName], units: int, settings: Settings
) -> dict[CellName, int]:
    train = splits.train
    recipe = recipe_for_parts(splits, settings.unit).override(settings)

    def seconds(cell: CellName, units: int) -> float:
        model = TextClassifier.from_texts(
            splits, settings=replace(settings, cell=cell, units=units), recipe=recipe
        )
        ids = model.preprocessor.encode(train.texts).ids
        labels = class_indices(train.labels, model.class_names)
        batch_size = settings.batch_size
        return step_seconds(model.network, ids, labels, recipe.epochs, batch_size)

    return match_seconds(cells, units, seconds)


def _train_all(
    jobs: list[_Job], splits: Splits, executor: Executor | None
) -> Iterator[tuple[_Job, list[TrainingResult]]]:
    """Yield the jobs with their results, in the order in which they end.

    After a failure, jobs that are running may end and are yielded; no other begins.
    """
    if not jobs:
        return
    with _pool_for(jobs, executor) as pool, progress_bar() as bar:
        waiting = {pool.submit(train_candidate, *job, splits): job for job in jobs}
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
                    failed = future
                    _cancel(waiting)
        finally:
            _cancel(waiting)
        if failed is not None:
            failed.result()


def _pool_for(
    jobs: list[_Job], executor: Executor | None
) -> AbstractContextManager[Executor]:
    """Return the executor to use, which is shut down only if it was made here."""
    if executor is not None:
        return nullcontext(executor)
    return ProcessPoolExecutor(
        min(os.cpu_count() or 1, len(jobs)),
        mp_context=get_context("spawn"),
        initializer=_begin_worker,
    )


def _begin_worker() -> None:
    # Ctrl-C reaches all processes of a terminal. This one's parent decides what ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use_one_thread()


def _cancel(futures: Iterable[Future]) -> None:
    for future in futures:
        future.cancel()
