"""Figures of comparisons, where `plots` has those of networks and their training."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes

from rnn_keras.plots import BLUE, VERMILION


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
