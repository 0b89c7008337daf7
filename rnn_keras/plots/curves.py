"""Figures of training and of scores: losses, confusion matrices, comparisons.

Curves differ in line style as well as in colour, and shades have their numbers
printed on them, so that all figures can be read in grey.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import confusion_matrix

from rnn_keras.plots.style import (
    BLUE,
    VERMILION,
    curve_style,
    new_axes,
    text_fonts,
)


def plot_curves(history: Mapping[str, Sequence[float]], ax: Axes | None = None) -> Axes:
    """Plot the training loss by epoch, and the validation loss if there is one.

    A dotted line marks the epoch of the lowest validation loss.

    Args:
        history: `loss` and perhaps `val_loss` of each epoch in nats a text, as in
            Keras's `History.history`.
        ax: axes to draw on; a new figure by default.
    """
    ax = ax or new_axes(5, 3.5)
    epochs = np.arange(1, len(history["loss"]) + 1)
    ax.plot(epochs, history["loss"], "o-", color=BLUE, label="training", ms=4)
    if "val_loss" in history:
        losses = history["val_loss"]
        ax.plot(epochs, losses, "s--", color=VERMILION, label="validation", ms=4)
        best = int(np.argmin(losses)) + 1
        ax.axvline(best, color="grey", ls=":", label=f"best epoch: {best}")
    ax.set(xlabel="epoch", ylabel="cross-entropy (nats a text)")
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
    return ax


def plot_losses(
    losses: Mapping[str, Sequence[float]],
    ylabel: str = "cross-entropy (nats)",
    ax: Axes | None = None,
) -> Axes:
    """Plot the losses of several runs by training step.

    Args:
        losses: for each name the loss of each step.
        ylabel: name and unit of the loss.
        ax: axes to draw on; a new figure by default.
    """
    ax = ax or new_axes(6, 3.5)
    for i, (name, values) in enumerate(losses.items()):
        steps = np.arange(1, len(values) + 1)
        ax.plot(steps, values, **curve_style(i, marker=""), label=name)
    ax.set(xlabel="step of training", ylabel=ylabel)
    ax.legend()
    return ax


def plot_by_length(
    scores: Mapping[str, Mapping[int, Sequence[float]]],
    ylabel: str = "accuracy",
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot scores by sequence length: a marker for each seed, a line for the mean.

    Args:
        scores: for each name and each length in steps the scores of all seeds.
        ylabel: name of the score.
        chance: score of a guess, drawn as a dotted line.
        ax: axes to draw on; a new figure by default.
    """
    ax = ax or new_axes(6, 3.8)
    for i, (name, by_length) in enumerate(scores.items()):
        # A small shift, so that no marker hides another.
        shift = 1.02 ** (i - (len(scores) - 1) / 2)
        lengths = np.array(list(by_length)) * shift
        means = [np.mean(values) for values in by_length.values()]
        ax.plot(lengths, means, **curve_style(i, marker=""), label=name)
        for length, values in zip(lengths, by_length.values(), strict=True):
            markers = {**curve_style(i), "ls": "", "mfc": "none", "ms": 5}
            ax.plot([length] * len(values), values, **markers)
    if chance is not None:
        ax.axhline(chance, color="grey", ls=":", label="a guess")
    ticks = sorted({length for by_length in scores.values() for length in by_length})
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="length (steps)", ylabel=ylabel)
    ax.legend()
    return ax


def plot_confusion(
    true: Sequence[str],
    predicted: Sequence[str],
    class_names: Sequence[str],
    ax: Axes | None = None,
    counts: Sequence[int] | None = None,
) -> Axes:
    """Plot how many texts of each true class were predicted as each class.

    Each row is a true class, shaded by its shares, so that a rare class is as visible
    as a common one. The numbers count texts; with more than 30 classes they would be
    illegible and are left out.

    Args:
        true: true label of each text.
        predicted: predicted label of each text, in the same order.
        class_names: class names in the order of rows and columns.
        ax: axes to draw on; a new figure by default.
        counts: how many texts each pair of labels stands for; 1 by default.
    """
    names = list(class_names)
    ax = ax or new_axes(*confusion_size(len(names)))
    table = confusion_matrix(true, predicted, labels=names, sample_weight=counts)
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*table.shape) if len(names) <= 30 else ():
        c = "white" if shares[row, column] > 0.5 else "black"
        ax.text(column, row, f"{table[row, column]:,}", c=c, ha="center", va="center")
    ticks, fonts = range(len(names)), text_fonts()
    # A class name may have dollar signs, which would begin a formula.
    ax.set_xticks(ticks, names, family=fonts, parse_math=False)
    ax.set_yticks(ticks, names, family=fonts, parse_math=False)
    if len(names) > 4 or len(names) * max(map(len, names)) > 16:
        for label in ax.get_xticklabels():
            label.set(rotation=45, ha="right")
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="share of the true class")
    return ax


def confusion_size(num_classes: int) -> tuple[float, float]:
    """Width and height of a confusion matrix in inches, at most 20.5 by 20."""
    side = min(max(3.5, 0.5 * num_classes + 2), 20)
    return side + 0.5, side


def plot_comparison(
    summary: pd.DataFrame, table: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Plot the score of every model with its 95 % interval, the best at the top.

    Recurrent models have filled markers, the others hollow ones; each run is a grey
    stroke. The score of the majority class is written below the axis. A marker far
    away from the others would leave them little room.

    Args:
        summary: `Comparison.summary`; its metric is drawn.
        table: `Comparison.table`, which adds the single runs.
        ax: axes to draw on; a new figure by default.
    """
    metric = summary.columns[summary.columns.get_loc("low") - 1]
    drawn = summary.drop(index="majority", errors="ignore").sort_values(metric)
    ax = ax or new_axes(6.5, 1.2 + 0.4 * len(drawn))
    for y, (model, row) in enumerate(drawn.iterrows()):
        recurrent = row["units"] > 0
        colour = BLUE if recurrent else VERMILION
        ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=1.5)
        face = colour if recurrent else "white"
        marker = "o" if recurrent else "s"
        ax.plot(row[metric], y, marker, mec=colour, mfc=face, ms=7, zorder=3)
        if table is not None and row["runs"] > 1:
            runs = table.loc[table["model"] == model, metric]
            ax.plot(runs, [y - 0.22] * len(runs), "|", color="grey", ms=7)
    labels = [f"{m} ({int(n):,})" for m, n in drawn["parameters"].items()]
    ax.set_yticks(range(len(drawn)), labels)
    xlabel = metric.replace("macro_f1", "macro F1")
    if "majority" in summary.index:
        xlabel += f" (majority class: {summary.loc['majority', metric]:.3f})"
    ax.set(xlabel=xlabel, ylabel="model (parameters)")
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    return ax
