"""Figures of what happens over time: gradients, errors, states, groups of states."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from scipy.cluster.hierarchy import dendrogram

from rnn_keras.plots.style import BLUE, VERMILION, curve_style, new_axes


def plot_norms(
    norms: Mapping[str, np.ndarray],
    bounds: Mapping[str, np.ndarray] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Plot norms of gradients or Jacobians by distance in time, on a log scale.

    Args:
        norms: for each name the norms `(timesteps,)`; the last one has distance 0.
            Values that are 0 or `nan` are left out.
        bounds: upper bounds for some of the names, drawn as thin lines of the same
            style without markers.
        ax: axes to draw on; a new figure by default.
    """
    ax = ax or new_axes(6, 4)
    for i, (name, values) in enumerate(norms.items()):
        distance = np.arange(len(values))[::-1]
        shown = np.where(np.asarray(values) > 0, values, np.nan)
        every = max(1, len(shown) // 8)
        ax.plot(distance, shown, **curve_style(i), markevery=every, ms=5, label=name)
        if bounds and name in bounds:
            ax.plot(distance, bounds[name], **curve_style(i, marker=""), lw=0.8)
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
    """Plot the error at each symbol of a stream, with the symbol above its point.

    Args:
        errors: error of predicting each symbol.
        symbols: the symbols, in the same order.
        starts: whether each symbol is the start of something, such as a word; those
            that are have filled points.
        ylabel: name and unit of the error.
        ax: axes to draw on; a new figure by default.
    """
    ax = ax or new_axes(9, 3)
    values = np.asarray(errors)
    ax.plot(values, color=BLUE, lw=1)
    chosen = np.zeros(len(values), bool) if starts is None else np.asarray(starts)
    steps = np.arange(len(values))
    ax.plot(steps[~chosen], values[~chosen], "o", color=BLUE, mfc="white", ms=4)
    ax.plot(steps[chosen], values[chosen], "s", color=VERMILION, ms=5)
    for step, symbol in enumerate(symbols):
        ax.annotate(
            symbol,
            (step, values[step]),
            xytext=(0, 6),
            textcoords="offset points",
            ha="center",
            parse_math=False,
        )
    ax.set(xlabel="step", ylabel=ylabel)
    ax.set_ylim(0, 1.15 * values.max())
    return ax


def plot_dendrogram(
    linkage: np.ndarray,
    names: Sequence[str],
    xlabel: str = "distance at which two groups are joined",
    ax: Axes | None = None,
) -> Axes:
    """Plot a tree of groups with its leaves on the left, like figure 7 of Elman (1990).

    Args:
        linkage: the tree, as `scipy.cluster.hierarchy.linkage` returns it.
        names: names of the leaves.
        xlabel: name of the distance.
        ax: axes to draw on; a new figure by default.
    """
    ax = ax or new_axes(5.5, 0.19 * len(names) + 1)
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
    """Plot how a state of two units moves: one point a step, starting at the origin.

    Args:
        paths: for each name the states after each step, `(timesteps, 2)`.
        symbols: for each path the symbols that were read, `(timesteps,)`.
        ax: axes to draw on; a new figure by default.
    """
    ax = ax or new_axes(5, 4.5)
    for i, ((name, states), read) in enumerate(
        zip(paths.items(), symbols, strict=True)
    ):
        points = np.vstack([np.zeros(2), states])
        ax.plot(*points.T, **curve_style(i), ms=5, label=name)
        for point, symbol in zip(points[1:], read, strict=True):
            ax.annotate(
                symbol,
                point,
                xytext=(5, 5 - 14 * (i % 2)),
                textcoords="offset points",
                color=curve_style(i)["color"],
                parse_math=False,
            )
    ax.plot(0, 0, "k+", ms=12)
    ax.set(xlabel="unit 1 of the state", ylabel="unit 2 of the state")
    ax.margins(0.15)
    ax.legend()
    return ax
