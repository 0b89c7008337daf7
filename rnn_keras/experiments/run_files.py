"""The folder of a run, read back: its scores, its history, and its texts.

What `rnn_keras.runs` wrote, checked as anything else that comes from a file. The
texts are not in the folder: they are loaded and divided again, which gives the same
parts, or are said to be others. No TensorFlow.

The files of a finished run.

`metrics.json` holds `test`, `network` and `baseline`: the scores on the test texts
(`accuracy`, `macro_f1`, `f1` by class name, `n`) of the classifier, of its network
without the linear path, and of the linear baseline; `parameters` of the network,
`ngrams` of the linear path, `scales` of the two, `seconds` of training, `epochs`,
`seed`, `source`, `run` (a name for all that the run follows from), `class_names`, the
sizes of the parts (`texts`), the training texts of each class (`labels`), whether they
were `streamed`, and the `settings`.
"""

import csv
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.datasets.corpora import CORPORA
from rnn_keras.datasets.labelled import LabelledTexts, Splits, class_names_of
from rnn_keras.datasets.loaders import load_dataset
from rnn_keras.datasets.streaming import is_large
from rnn_keras.plots.curves import confusion_size, plot_confusion, plot_curves
from rnn_keras.scoring import Answers
from rnn_keras.utils.errors import InputError

# What is read of `metrics.json`, and what it has to be.
_KEYS = {
    "test": dict,
    "network": dict,
    "baseline": dict,
    "ngrams": int,
    "seed": int,
    "source": str,
    "class_names": list,
    "texts": dict,
    "settings": dict,
}
_SCORES = ("accuracy", "f1", "n")
_PARTS = ("train", "validation", "test")
# More texts, or n-grams, than there are anywhere.
_MANY = 10**12
_LARGEST_SEED = 2**32 - 1  # of scikit-learn, which divides


class RunFiles(NamedTuple):
    """What a run left beside its model.

    Attributes:
        metrics: as `rnn_keras.runs` describes them.
        history: a list of numbers a column of `history.csv`, without the epoch.
    """

    metrics: dict[str, Any]
    history: dict[str, list[float]]


def is_run(path: Path) -> bool:
    """Whether a folder holds a run, or what is left of one."""
    names = ("model.keras", "metrics.json", "history.csv")
    return any((path / name).is_file() for name in names)


def read_run(folder: Path) -> RunFiles:
    """The scores and the history of a run.

    Raises:
        InputError: if a file is missing, damaged, or lacks what is needed.
    """
    for name in ("model.keras", "metrics.json", "history.csv"):
        if not (folder / name).is_file():
            raise InputError(
                f"{folder / name}: no such file; expected what rnn-keras train wrote"
            )
    metrics = _read_metrics(folder / "metrics.json")
    return RunFiles(metrics, _read_history(folder / "history.csv"))


def texts_of_run(metrics: dict[str, Any], corpus: LabelledTexts) -> Splits | None:
    """The parts that a run was trained and scored on, where `corpus` holds them.

    Dividing it with the run's seed must give parts of the same sizes and classes;
    that these are the same texts is taken from that. Of a run that read a stream the
    parts were made in another way.
    """
    if was_streamed(metrics):
        return None
    try:
        splits = corpus.split(seed=metrics["seed"])
    except InputError:
        return None
    sizes = {name: len(getattr(splits, name)) for name in _PARTS}
    same = sizes == {name: metrics["texts"].get(name) for name in _PARTS}
    names = class_names_of(splits.train.labels)
    return splits if same and names == metrics["class_names"] else None


def was_streamed(metrics: dict[str, Any]) -> bool:
    """Whether the run read its texts piece by piece (`rnn_keras.streaming`)."""
    return metrics.get("streamed") is True


def load_source(metrics: dict[str, Any]) -> LabelledTexts | None:
    """The data that a run names, if they are here and can be read without options.

    Not those of a run that read a stream, nor others that hardly fit into memory.
    """
    source = metrics["source"]
    if was_streamed(metrics) or is_large(source):
        return None
    known = CORPORA.get(source)
    if known is not None and known.url and not known.cached.exists():
        return None  # to look at a run is no reason for a download
    try:
        return load_dataset(source)
    except InputError:
        return None


def _read_metrics(path: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(metrics, dict):
        raise InputError(f"{path}: expected an object, as rnn-keras train writes it")
    for key, kind in _KEYS.items():
        if not isinstance(metrics.get(key), kind) or metrics[key] is True:
            what = "missing" if key not in metrics else "of another kind"
            raise InputError(f"{path}: {key!r} is {what}; expected a {kind.__name__}")
    for part in ("test", "network", "baseline"):
        missing = [key for key in _SCORES if key not in metrics[part]]
        if missing:
            raise InputError(f"{path}: {part!r} has no {missing[0]!r}")
    wrong = _wrong_value(metrics)
    if wrong:
        raise InputError(f"{path}: {wrong}")
    return metrics


def _wrong_value(metrics: dict[str, Any]) -> str | None:
    """The first value that no run can have, in words."""
    names = metrics["class_names"]
    if len(names) < 2 or not all(isinstance(name, str) for name in names):
        return f"'class_names' is {names!r:.80}; expected two names or more"
    if len(set(names)) < len(names):
        return "'class_names' has a name twice"
    whole = {
        "seed": (metrics["seed"], 0, _LARGEST_SEED),
        "ngrams": (metrics["ngrams"], 0, _MANY),
        "texts.train": (metrics["texts"].get("train"), 1, _MANY),
        "texts.validation": (metrics["texts"].get("validation"), 0, _MANY),
        "texts.test": (metrics["texts"].get("test"), 0, _MANY),
    }
    shares = {}
    for part in ("test", "network", "baseline"):
        scores = metrics[part]
        f1 = scores["f1"]
        if not isinstance(f1, dict) or set(f1) != set(names):
            return f"'{part}.f1' is {f1!r:.80}; expected a number for each class"
        whole[f"{part}.n"] = scores["n"], 1, _MANY
        shares[f"{part}.accuracy"] = scores["accuracy"]
        shares |= {f"{part}.f1.{name}": value for name, value in f1.items()}
    labels = metrics.get("labels", dict.fromkeys(names, 1))
    if not isinstance(labels, dict) or set(labels) != set(names):
        return f"'labels' is {labels!r:.80}; expected a number for each class"
    whole |= {f"labels.{name}": (n, 0, _MANY) for name, n in labels.items()}
    for key, (value, low, high) in whole.items():
        if type(value) is not int or not low <= value <= high:
            expected = f"a whole number from {low} to {high}"
            return f"{key!r} is {value!r:.80}; expected {expected}"
    for key, value in shares.items():
        if type(value) not in (int, float) or not 0 <= value <= 1:
            return f"{key!r} is {value!r:.80}; expected a number from 0 to 1"
    return None


def _read_history(path: Path) -> dict[str, list[float]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    head = rows[0] if rows else []
    if "epoch" not in head or "loss" not in head:
        raise InputError(
            f"{path}: expected columns 'epoch' and 'loss' in its first row"
        )
    if len(set(head)) < len(head):
        raise InputError(f"{path}: has a column twice in its first row")
    if len(rows) < 2:
        raise InputError(f"{path}: holds no epoch")
    history: dict[str, list[float]] = {name: [] for name in head}
    for i, row in enumerate(rows[1:], 2):
        if len(row) != len(head):
            raise InputError(
                f"{path}: row {i} has {len(row)} fields, but the first has {len(head)}"
            )
        for name, cell in zip(head, row, strict=True):
            try:
                history[name].append(float(cell))
            except ValueError:
                raise InputError(
                    f"{path}: row {i}, column {name!r}: {cell!r:.40} is no number"
                ) from None
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


def checked_history(history: Any, where: str) -> dict[str, list[float]]:
    """The losses of a training, as numbers, beside what else there is.

    Args:
        history: lists by name, or what has them as its `history`, as
            `keras.callbacks.History` does.
        where: it comes from, for the message.

    Raises:
        InputError: if there is no loss, or not a number an epoch.
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
    model: TextClassifier,
    metrics: dict[str, Any],
    history: dict[str, list[float]],
    answers: Answers,
) -> None:
    """Write model, numbers and figures.

    Args:
        folder: where to.
        model: trained.
        metrics: for `metrics.json`.
        history: Keras's, of the training.
        answers: to the test texts.
    """
    model.save(folder / "model.keras")
    _write_json(folder / "metrics.json", metrics)
    _write_history(folder / "history.csv", history)
    _draw(folder, history, answers, model.class_names)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


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
    # Figures of their own, not pyplot's: no window, whatever the backend.
    curves = Figure(figsize=(5, 3.5), layout="constrained")
    plot_curves(history, curves.subplots())
    confusion = Figure(confusion_size(len(class_names)), layout="constrained")
    true, predicted, counts = answers
    plot_confusion(true, predicted, class_names, confusion.subplots(), counts)
    with warnings.catch_warnings():
        # Where no font on the machine has a class name's characters.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        curves.savefig(folder / "curves.png", dpi=150)
        confusion.savefig(folder / "confusion.png", dpi=150)
