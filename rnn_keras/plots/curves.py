"""Every figure, each one function that returns a matplotlib Axes.

Curves differ in line style as well as in colour, and shades are printed with
their numbers, so that all of them can be read in grey and by colour-blind readers.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import confusion_matrix

from rnn_keras.plots.style import BLUE, VERMILION, _style, text_fonts

if TYPE_CHECKING:
    pass


def plot_curves(history: Mapping[str, Sequence[float]], ax: Axes | None = None) -> Axes:
    """Loss by epoch, on the training and, if there is one, the validation part.

    A dotted line marks the epoch of the lowest validation loss.

    Args:
        history: `History.history` of Keras: `loss` and perhaps `val_loss`, in
            nats a text.
        ax: to draw on; a new figure by default.
    """
    ax = ax or plt.subplots(figsize=(5, 3.5), layout="constrained")[1]
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


def plot_confusion(
    true: Sequence[str],
    predicted: Sequence[str],
    class_names: Sequence[str],
    ax: Axes | None = None,
    counts: Sequence[int] | None = None,
) -> Axes:
    """How many texts of each class were given to each class.

    A row is a true class, shaded by its shares, so that a rare class is as
    visible as a common one; the numbers are counts of texts.

    Args:
        true: labels, one a text.
        predicted: labels in the same order.
        class_names: order of rows and columns.
        ax: to draw on; a new figure by default.
        counts: how many texts each pair of labels stands for; by default one.
    """
    names = list(class_names)
    ax = ax or plt.subplots(figsize=confusion_size(len(names)), layout="constrained")[1]
    counts = confusion_matrix(true, predicted, labels=names, sample_weight=counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    # Numbers that nobody could read are left out.
    for row, column in np.ndindex(*counts.shape) if len(names) <= 30 else ():
        c = "white" if shares[row, column] > 0.5 else "black"
        ax.text(column, row, f"{counts[row, column]:,}", c=c, ha="center", va="center")
    ticks, fonts = range(len(names)), text_fonts()
    crowded = len(names) > 4 or len(names) * max(map(len, names)) > 16
    turned = {"rotation": 45, "ha": "right"} if crowded else {}
    # A class name may hold dollar signs, which would begin a formula.
    ax.set_xticks(ticks, names, family=fonts, parse_math=False, **turned)
    ax.set_yticks(ticks, names, family=fonts, parse_math=False)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="share of the true class")
    return ax


def plot_losses(
    losses: Mapping[str, Sequence[float]],
    ylabel: str = "cross-entropy (nats)",
    ax: Axes | None = None,
) -> Axes:
    """Losses by step of training, several runs in one picture.

    Args:
        losses: name to a loss for each step.
        ylabel: what the loss is, with its unit.
        ax: to draw on; a new figure by default.
    """
    ax = ax or plt.subplots(figsize=(6, 3.5), layout="constrained")[1]
    for i, (name, values) in enumerate(losses.items()):
        steps = np.arange(1, len(values) + 1)
        ax.plot(steps, values, **_style(i, marker=""), label=name)
    ax.set(xlabel="step of training", ylabel=ylabel)
    ax.legend()
    return ax


def plot_by_length(
    scores: Mapping[str, Mapping[int, Sequence[float]]],
    ylabel: str = "accuracy",
    chance: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Scores by length of the sequences: a mark for each seed, a line for the mean.

    Args:
        scores: name, then length in steps, to the scores of all seeds.
        ylabel: what the score is.
        chance: that of a guess, as a dotted line.
        ax: to draw on; a new figure by default.
    """
    ax = ax or plt.subplots(figsize=(6, 3.8), layout="constrained")[1]
    for i, (name, by_length) in enumerate(scores.items()):
        aside = 1.02 ** (i - (len(scores) - 1) / 2)  # so that no mark hides another
        lengths = np.array(list(by_length)) * aside
        means = [np.mean(values) for values in by_length.values()]
        ax.plot(lengths, means, **_style(i, marker=""), label=name)
        for length, values in zip(lengths, by_length.values(), strict=True):
            marks = {**_style(i), "ls": "", "mfc": "none", "ms": 5}
            ax.plot([length] * len(values), values, **marks)
    if chance is not None:
        ax.axhline(chance, color="grey", ls=":", label="a guess")
    ticks = sorted({length for by_length in scores.values() for length in by_length})
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="length (steps)", ylabel=ylabel)
    ax.legend()
    return ax


def confusion_size(num_classes: int) -> tuple[float, float]:
    """Width and height in inches of a readable, or else a bounded, figure."""
    side = min(max(3.5, 0.5 * num_classes + 2), 20)
    return side + 0.5, side


def plot_comparison(
    summary: pd.DataFrame, table: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """The score of every model with its 95 % interval, the best at the top.

    Recurrent models have filled marks, the others hollow ones; a run is a grey
    stroke. The majority class is written below the axis, not drawn: it would press
    all others together.

    Args:
        summary: of `Comparison.summary`; its metric is drawn.
        table: of `Comparison.table`, for the single runs.
        ax: to draw on; a new figure by default.
    """
    metric = summary.columns[summary.columns.get_loc("low") - 1]
    drawn = summary.drop(index="majority", errors="ignore").sort_values(metric)
    if ax is None:
        size = (6.5, 1.2 + 0.4 * len(drawn))
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    for y, (model, row) in enumerate(drawn.iterrows()):
        recurrent = row["units"] > 0
        colour = BLUE if recurrent else VERMILION
        ax.plot([row["low"], row["high"]], [y, y], color=colour, lw=1.5)
        face = colour if recurrent else "white"
        mark = "o" if recurrent else "s"
        ax.plot(row[metric], y, mark, mec=colour, mfc=face, ms=7, zorder=3)
        if table is not None and row["runs"] > 1:
            runs = table.loc[table["model"] == model, metric]
            ax.plot(runs, [y - 0.22] * len(runs), "|", color="grey", ms=7)
    labels = [f"{m} ({int(n):,})" for m, n in drawn["parameters"].items()]
    ax.set_yticks(range(len(drawn)), labels)
    words = metric.replace("macro_f1", "macro F1")
    if "majority" in summary.index:
        words += f" (majority class: {summary.loc['majority', metric]:.3f})"
    ax.set(xlabel=words, ylabel="model (parameters)")
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
    return ax
