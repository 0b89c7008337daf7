"""The files of a finished run: written here, and read back with every value checked.

`model.keras` is the classifier, `metrics.json` holds a `RunMetrics`, `history.csv` has
a row for each epoch, and there are two figures. The texts are not in the folder: they
are loaded and divided again with the same seed, which gives the same parts, or else
they are other texts. Nothing here imports TensorFlow, so that a damaged run is
reported at once.

Where and when the files are written is in `rnn_keras.experiments.run_folder`.
"""

import csv
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from matplotlib.figure import Figure

from rnn_keras.datasets.corpora import CORPORA
from rnn_keras.datasets.labelled import LabelledTexts, Splits
from rnn_keras.datasets.loaders import load_dataset
from rnn_keras.datasets.streaming import is_large
from rnn_keras.experiments.run_folder import (
    CONFUSION,
    CURVES,
    HISTORY,
    METRICS,
    MODEL,
)
from rnn_keras.plots.curves import confusion_size, plot_confusion, plot_curves
from rnn_keras.scoring import Answers
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.stages import StageTimes, stage

if TYPE_CHECKING:
    from rnn_keras.classification.classifier import TextClassifier

# The models whose scores are in `metrics.json`, and what each of them must have.
_SCORED, _SCORES = ("test", "network", "baseline"), ("accuracy", "f1", "n")
# What must be in `metrics.json`, and of which type.
_REQUIRED = {
    **dict.fromkeys(_SCORED, dict),
    "ngrams": int,
    "seed": int,
    "source": str,
    "class_names": list,
    "texts": dict,
    "settings": dict,
}
# More texts or n-grams than exist anywhere.
_MANY = 10**12
_LARGEST_SEED = 2**32 - 1  # scikit-learn, which divides the texts, takes no larger one


@dataclass(frozen=True, kw_only=True)
class RunMetrics:
    """What `metrics.json` holds.

    Attributes:
        test: scores of the classifier on the test texts: `accuracy`, `macro_f1`, `f1`
            by class name, and the number of texts `n`.
        network: scores of the network without the linear model of n-grams.
        baseline: scores of TF-IDF with logistic regression.
        parameters: number of parameters of the network.
        ngrams: number of n-grams of the linear model; 0 if there is none.
        scales: how much the network and the linear model count.
        class_names: names of the classes, in order.
        texts: number of texts in "train", "validation" and "test".
        labels: number of training texts of each class; older files lack it.
        seconds: duration of the training.
        stages: seconds of the whole job by stage, as `rnn_keras.utils.stages` names
            them, from the start of the process if the command ran it; older files lack
            it.
        seed: seed of weights, dropout and order.
        source: name of the data.
        run: `digest_of` everything that the results follow from.
        streamed: whether the texts were read piece by piece.
        epochs: number of epochs that were trained.
        settings: all settings by name, also those that were chosen from the texts.
    """

    test: dict[str, Any]
    network: dict[str, Any]
    baseline: dict[str, Any]
    parameters: int = 0
    ngrams: int
    scales: list[float] = field(default_factory=lambda: [1.0, 0.0])
    class_names: list[str]
    texts: dict[str, int]
    labels: dict[str, int] | None = None
    seconds: float = 0.0
    stages: dict[str, float] | None = None
    seed: int
    source: str
    run: str | None = None
    streamed: bool = False
    epochs: int = 0
    settings: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `metrics.json`.

        Raises:
            InputError: if it is damaged, or lacks a value, or has one that no run
                can have.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: cannot be read as JSON ({error})") from error
        if not isinstance(content, dict):
            raise InputError(
                f"{path}: expected an object, as rnn-keras train writes it"
            )
        for message in _mistakes(content):
            raise InputError(f"{path}: {message}")
        known = {f.name for f in fields(cls)} & set(content)
        return cls(**{name: content[name] for name in known})

    def write(self, path: Path) -> None:
        """Write `metrics.json`.

        Raises:
            OSError: if it cannot be written.
        """
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")


class RunFiles(NamedTuple):
    """What a run left beside its model.

    Attributes:
        metrics: the scores, sizes and settings.
        history: a list of numbers for each column of `history.csv` but the epoch.
    """

    metrics: RunMetrics
    history: dict[str, list[float]]


def is_run(path: Path) -> bool:
    """Return whether a folder holds a run, or part of one."""
    return any((path / name).is_file() for name in (MODEL, METRICS, HISTORY))


def read_run(folder: Path) -> RunFiles:
    """Read the scores and the history of a run.

    Raises:
        InputError: if a file is missing, damaged, or lacks what is needed.
    """
    for name in (MODEL, METRICS, HISTORY):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder / name}: no such file; expected what rnn-keras train wrote"
            )
    return RunFiles(RunMetrics.read(folder / METRICS), _read_history(folder / HISTORY))


def texts_of_run(metrics: RunMetrics, corpus: LabelledTexts) -> Splits | None:
    """Return the parts that a run was trained and scored on, if `corpus` holds them.

    Dividing `corpus` with the seed of the run must give parts of the same sizes, with
    the same classes. That is taken as a proof that the texts are the same, too. The
    result is `None` if they are not, or if the run read a stream, whose parts are made
    in another way.
    """
    if metrics.streamed:
        return None
    try:
        splits = corpus.split(seed=metrics.seed)
        names = splits.class_names()
    except InputError:
        return None
    sizes = {name: metrics.texts.get(name) for name in splits.sizes}
    same = splits.sizes == sizes and names == metrics.class_names
    return splits if same else None


def load_source(metrics: RunMetrics) -> LabelledTexts | None:
    """Return the data that a run names, if they are here and can be read.

    The result is `None` if the run read a stream, if the data would hardly fit into
    memory, if they would have to be downloaded, or if reading them needs options.
    """
    if metrics.streamed or is_large(metrics.source):
        return None
    known = CORPORA.get(metrics.source)
    if known is not None and known.url and not known.cached.exists():
        return None
    try:
        return load_dataset(metrics.source)
    except InputError:
        return None


def _mistakes(metrics: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the content of `metrics.json`, in words."""
    for key, kind in _REQUIRED.items():
        if not isinstance(metrics.get(key), kind) or metrics[key] is True:
            what = "missing" if key not in metrics else "of another kind"
            yield f"{key!r} is {what}; expected a {kind.__name__}"
    for part in _SCORED:
        for key in _SCORES:
            if key not in metrics[part]:
                yield f"{part!r} has no {key!r}"
    names = metrics["class_names"]
    if len(names) < 2 or not all(isinstance(name, str) for name in names):
        yield f"'class_names' is {names!r:.80}; expected two names or more"
    if len(set(names)) < len(names):
        yield "'class_names' has a name twice"
    by_class = {f"{part}.f1": metrics[part]["f1"] for part in _SCORED}
    by_class["labels"] = metrics.get("labels", dict.fromkeys(names, 1))
    for key, value in by_class.items():
        if not isinstance(value, dict) or set(value) != set(names):
            yield f"{key!r} is {value!r:.80}; expected a number for each class"
    yield from _wrong_numbers(metrics, by_class.pop("labels"))


def _wrong_numbers(metrics: dict[str, Any], labels: dict[str, Any]) -> Iterator[str]:
    """Yield the numbers that no run can have, in words."""
    whole = {
        "seed": (metrics["seed"], 0, _LARGEST_SEED),
        "ngrams": (metrics["ngrams"], 0, _MANY),
        "texts.train": (metrics["texts"].get("train"), 1, _MANY),
        "texts.validation": (metrics["texts"].get("validation"), 0, _MANY),
        "texts.test": (metrics["texts"].get("test"), 0, _MANY),
    }
    whole |= {f"{part}.n": (metrics[part]["n"], 1, _MANY) for part in _SCORED}
    whole |= {f"labels.{name}": (n, 0, _MANY) for name, n in labels.items()}
    for key, (value, low, high) in whole.items():
        if type(value) is not int or not low <= value <= high:
            expected = f"a whole number from {low} to {high}"
            yield f"{key!r} is {value!r:.80}; expected {expected}"
    shares: dict[str, Any] = {
        f"{part}.accuracy": metrics[part]["accuracy"] for part in _SCORED
    }
    for part in _SCORED:
        f1 = metrics[part]["f1"]
        shares |= {f"{part}.f1.{name}": value for name, value in f1.items()}
    for key, value in shares.items():
        if type(value) not in (int, float) or not 0 <= value <= 1:
            yield f"{key!r} is {value!r:.80}; expected a number from 0 to 1"


def _read_history(path: Path) -> dict[str, list[float]]:
    """Read the columns of `history.csv` but the epoch."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = list(csv.reader(file)) or [[]]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if "epoch" not in head or "loss" not in head:
        raise InputError(
            f"{path}: expected columns 'epoch' and 'loss' in its first row"
        )
    if len(set(head)) < len(head):
        raise InputError(f"{path}: has a column twice in its first row")
    if not rows:
        raise InputError(f"{path}: holds no epoch")
    history = _columns(path, head, rows)
    del history["epoch"]
    for name in ("accuracy", "val_accuracy"):
        wrong = [value for value in history.get(name, ()) if not 0 <= value <= 1]
        if wrong:
            raise InputError(
                f"{path}: column {name!r} has {wrong[0]}; expected numbers from 0 to 1"
            )
    if "val_accuracy" in history and "accuracy" not in history:
        raise InputError(f"{path}: has 'val_accuracy', but no column 'accuracy'")
    return checked_history(history, str(path))


def _columns(
    path: Path, head: list[str], rows: list[list[str]]
) -> dict[str, list[float]]:
    """Return the rows below the first as columns of numbers."""
    columns: dict[str, list[float]] = {name: [] for name in head}
    for i, row in enumerate(rows, 2):
        if len(row) != len(head):
            raise InputError(
                f"{path}: row {i} has {len(row)} fields, but the first has {len(head)}"
            )
        for name, cell in zip(head, row, strict=True):
            try:
                columns[name].append(float(cell))
            except ValueError:
                raise InputError(
                    f"{path}: row {i}, column {name!r}: {cell!r:.40} is no number"
                ) from None
    return columns


def checked_history(history: Any, where: str) -> dict[str, list[float]]:
    """Return a history whose losses are lists of numbers, one for each epoch.

    Args:
        history: lists by name, or an object with such a `history`, for example a
            `keras.callbacks.History`.
        where: name of the place that it comes from, for messages.

    Raises:
        InputError: if there is no loss, or not one number for each epoch.
    """
    found = getattr(history, "history", history)
    if not isinstance(found, Mapping):
        raise InputError(f"{where}: expected a dictionary of lists, or a Keras History")
    result = dict(found)
    for name in ("loss", "val_loss"):
        if name not in found and name == "val_loss":
            continue
        try:
            result[name] = [float(value) for value in found[name]]
        except KeyError:
            raise InputError(f"{where}: has no 'loss'") from None
        except (TypeError, ValueError):
            raise InputError(f"{where}: {name!r} is no list of numbers") from None
    if not result["loss"]:
        raise InputError(f"{where}: holds no epoch")
    if len(result.get("val_loss", result["loss"])) != len(result["loss"]):
        raise InputError(f"{where}: 'loss' and 'val_loss' differ in length")
    return result


def write_results(
    folder: Path,
    model: "TextClassifier",
    metrics: RunMetrics,
    history: dict[str, list[float]],
    answers: Answers,
    times: StageTimes,
) -> RunMetrics:
    """Write the files of a run; return the metrics with the seconds of each stage.

    Args:
        folder: where to write them.
        model: trained classifier.
        metrics: content of `metrics.json`, except for `stages`.
        history: scores of each epoch, as Keras's `History.history`.
        answers: answers to the test texts.
        times: the seconds of each stage so far.

    Raises:
        OSError: if a file cannot be written.
    """
    model.save(folder / MODEL)
    _write_history(folder / HISTORY, history)
    with stage("figures"):
        _draw(folder, history, answers, model.class_names)
    stages: dict[str, float] = {
        name: round(seconds, 2) for name, seconds in times.seconds().items()
    }
    metrics = replace(metrics, stages=stages)
    metrics.write(folder / METRICS)
    return metrics


def _write_history(path: Path, history: dict[str, list[float]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *history])
        writer.writerows(
            [epoch, *values]
            for epoch, values in enumerate(zip(*history.values(), strict=True), 1)
        )


def _draw(
    folder: Path,
    history: dict[str, list[float]],
    answers: Answers,
    class_names: tuple[str, ...],
) -> None:
    # These figures are not pyplot's: no window opens, whatever the backend.
    curves = Figure(figsize=(5, 3.5), layout="constrained")
    plot_curves(history, curves.subplots())
    confusion = Figure(confusion_size(len(class_names)), layout="constrained")
    true, predicted, counts = answers
    plot_confusion(true, predicted, class_names, confusion.subplots(), counts)
    with warnings.catch_warnings():
        # No font on this machine may have the characters of a class name.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        curves.savefig(folder / CURVES, dpi=150)
        confusion.savefig(folder / CONFUSION, dpi=150)
