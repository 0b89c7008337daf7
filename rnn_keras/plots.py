"""Every figure, each one function that returns a matplotlib Axes.

Curves differ in line style as well as in colour, and shades are printed with
their numbers, so that all of them can be read in grey and by colour-blind readers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import dendrogram
from sklearn.metrics import confusion_matrix

# Okabe and Ito's palette: distinguishable with any colour vision.
BLUE, VERMILION = "#0072B2", "#D55E00"
_COLOURS = (BLUE, VERMILION, "#009E73", "black", "#CC79A7", "#56B4E9", "#E69F00")
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 3)))
_MARKERS = "os^DvPX"
# matplotlib's own font has no Chinese, Japanese or Korean characters.
_EAST_ASIAN = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "PingFang SC",
    "Hiragino Sans GB",
    "Microsoft YaHei",
    "SimHei",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
)


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


def plot_norms(
    norms: Mapping[str, np.ndarray],
    bounds: Mapping[str, np.ndarray] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Norms of gradients or Jacobians by distance in time, on a logarithmic scale.

    Args:
        norms: name to `(timesteps,)`, the last of which is at distance 0; what is
            0 or `nan` is left out.
        bounds: of some of the names, as thin lines of the same style without marks.
        ax: to draw on; a new figure by default.
    """
    ax = ax or plt.subplots(figsize=(6, 4), layout="constrained")[1]
    for i, (name, values) in enumerate(norms.items()):
        distance = np.arange(len(values))[::-1]
        shown = np.where(np.asarray(values) > 0, values, np.nan)
        every = max(1, len(shown) // 8)
        ax.plot(distance, shown, **_style(i), markevery=every, ms=5, label=name)
        if bounds and name in bounds:
            ax.plot(distance, bounds[name], **_style(i, marker=""), lw=0.8)
    ax.set(xlabel="distance in time (steps before the last)", ylabel="norm")
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend()
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


def plot_errors(
    errors: Sequence[float],
    symbols: Sequence[str],
    starts: Sequence[bool] | None = None,
    ylabel: str = "root mean square error",
    ax: Axes | None = None,
) -> Axes:
    """The error at each symbol of a stream, with the symbol written at its point.

    Args:
        errors: one for each symbol, in predicting it.
        symbols: in the same order.
        starts: which of them begin something (a word, say): filled points.
        ylabel: what the error is, with its unit.
        ax: to draw on; a new figure by default.
    """
    ax = ax or plt.subplots(figsize=(9, 3), layout="constrained")[1]
    ax.plot(errors := np.asarray(errors), color=BLUE, lw=1)
    chosen = np.zeros(len(errors), bool) if starts is None else np.asarray(starts)
    steps = np.arange(len(errors))
    ax.plot(steps[~chosen], errors[~chosen], "o", color=BLUE, mfc="white", ms=4)
    ax.plot(steps[chosen], errors[chosen], "s", color=VERMILION, ms=5)
    for step, symbol in enumerate(symbols):
        ax.annotate(
            symbol,
            (step, errors[step]),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            parse_math=False,
        )
    ax.set(xlabel="step", ylabel=ylabel)
    ax.set_ylim(0, 1.15 * errors.max())
    return ax


def plot_dendrogram(
    linkage: np.ndarray,
    names: Sequence[str],
    xlabel: str = "distance at which two groups are joined",
    ax: Axes | None = None,
) -> Axes:
    """A tree of groups, its leaves on the left, as in Elman's figure 7.

    Args:
        linkage: of `scipy.cluster.hierarchy.linkage`.
        names: of the leaves.
        xlabel: what the distance is.
        ax: to draw on; a new figure by default.
    """
    size = (5.5, 0.19 * len(names) + 1)
    ax = ax or plt.subplots(figsize=size, layout="constrained")[1]
    dendrogram(
        linkage,
        labels=list(names),
        orientation="right",
        color_threshold=0,
        above_threshold_color="black",
        leaf_font_size=9,
        ax=ax,
    )
    ax.set(xlabel=xlabel)
    ax.spines[["top", "right", "left"]].set_visible(False)
    return ax


def plot_states(
    paths: Mapping[str, np.ndarray],
    symbols: Sequence[Sequence[str]],
    ax: Axes | None = None,
) -> Axes:
    """How a state of two units moves: a point a step, from the origin on.

    Args:
        paths: name to `(timesteps, 2)`, the states after each step.
        symbols: of each path, what was read at each step.
        ax: to draw on; a new figure by default.
    """
    ax = ax or plt.subplots(figsize=(5, 4.5), layout="constrained")[1]
    for i, ((name, states), read) in enumerate(
        zip(paths.items(), symbols, strict=True)
    ):
        points = np.vstack([np.zeros(2), states])
        ax.plot(*points.T, **_style(i), ms=5, label=name)
        for point, symbol in zip(points[1:], read, strict=True):
            ax.annotate(
                symbol,
                point,
                xytext=(5, 5 - 14 * (i % 2)),
                textcoords="offset points",
                color=_style(i)["color"],
                parse_math=False,
            )
    ax.plot(0, 0, "k+", ms=12)
    ax.set(xlabel="unit 1 of the state", ylabel="unit 2 of the state")
    ax.margins(0.15)
    ax.legend()
    return ax


def confusion_size(num_classes: int) -> tuple[float, float]:
    """Width and height in inches of a readable, or else a bounded, figure."""
    side = min(max(3.5, 0.5 * num_classes + 2), 20)
    return side + 0.5, side


def text_fonts() -> list[str]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _EAST_ASIAN if name in installed)]


def _style(i: int, **changes: str) -> dict[str, Any]:
    """Colour, line and marker of the i-th curve."""
    own = {"color": _COLOURS[i % 7], "ls": _LINES[i % 7], "marker": _MARKERS[i % 7]}
    return own | changes
