"""Drawings of networks: boxes and arrows, where `plots` has curves."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import dendrogram

from rnn_keras.plots.style import BLUE, VERMILION, _style


def draw_unrolled(steps: int = 4, ax: Axes | None = None) -> Axes:
    """The recurrent network folded, with its loop, and unrolled over time.

    The weights are written on the arrows: W, U and V are the same at every step.

    Args:
        steps: drawn of the unrolled network.
        ax: to draw on; a new figure by default.
    """
    size = (1.8 * (steps + 2), 3)
    ax = ax or plt.subplots(figsize=size, layout="constrained")[1]
    _column(ax, 0, "t")
    _arrow(ax, (0.24, 0.88), (0.24, 1.12), connectionstyle="arc3,rad=-3")
    ax.text(0.72, 1, "U", ha="left", va="center", style="italic")
    ax.text(1.45, 1, "=", ha="center", va="center", fontsize=20)
    _box(ax, 2.2, 1, "$h_0 = 0$")
    for t in range(1, steps + 1):
        x = 2.2 + 1.4 * t
        _column(ax, x, str(t))
        _arrow(ax, (x - 0.28, 1), (x - (1.12 if t > 1 else 0.95), 1))
        ax.text(x - 0.7, 1.1, "U", ha="center", va="bottom", style="italic")
    ax.set_xlim(-0.5, 2.7 + 1.4 * steps)
    ax.set_ylim(-0.4, 2.4)
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def _column(ax: Axes, x: float, t: str) -> None:
    """Input, state and output of one step, from the bottom to the top."""
    for y, letter in enumerate("xhy"):
        _box(ax, x, y, f"${letter}_{{{t}}}$")
    for y, weight in enumerate("WV"):
        _arrow(ax, (x, y + 0.74), (x, y + 0.26))
        ax.text(x + 0.07, y + 0.5, weight, ha="left", va="center", style="italic")


def _box(ax: Axes, x: float, y: float, label: str) -> None:
    box = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": "black"}
    ax.text(x, y, label, ha="center", va="center", bbox=box)


def _arrow(ax: Axes, end: tuple, start: tuple, **style: str) -> None:
    arrow = {"arrowstyle": "->", "lw": 1.2, "shrinkA": 0, "shrinkB": 0, **style}
    ax.annotate("", end, start, arrowprops=arrow)


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
