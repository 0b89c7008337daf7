"""The files of a finished run.

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
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rnn_keras.classifier import TextClassifier
from rnn_keras.plots import confusion_size, plot_confusion, plot_curves
from rnn_keras.scoring import Answers


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
