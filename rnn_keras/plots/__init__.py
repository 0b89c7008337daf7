"""Figures, each a function that draws on matplotlib's Axes and returns them.

`curves` shows training and scores, `sequences` what happens over time, `text` what a
network does with a text, and `diagrams` the networks themselves. `style` is the look
that they share.
"""

from rnn_keras.plots.curves import (
    confusion_size,
    plot_by_length,
    plot_comparison,
    plot_confusion,
    plot_curves,
    plot_losses,
)
from rnn_keras.plots.diagrams import draw_unrolled
from rnn_keras.plots.sequences import (
    plot_dendrogram,
    plot_errors,
    plot_norms,
    plot_states,
)
from rnn_keras.plots.text import (
    plot_alignment,
    plot_attention,
    plot_contributions,
    plot_on_text,
    plot_reading,
    save_explanation,
)

__all__ = [
    "confusion_size",
    "draw_unrolled",
    "plot_alignment",
    "plot_attention",
    "plot_by_length",
    "plot_comparison",
    "plot_confusion",
    "plot_contributions",
    "plot_curves",
    "plot_dendrogram",
    "plot_errors",
    "plot_losses",
    "plot_norms",
    "plot_on_text",
    "plot_reading",
    "plot_states",
    "save_explanation",
]
