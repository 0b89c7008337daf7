"""Every figure, each one function that returns a matplotlib Axes.

Curves differ in line style as well as in colour, and shades are printed with
their numbers, so that all of them can be read in grey and by colour-blind readers.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import confusion_matrix

# Okabe and Ito's palette: distinguishable with any colour vision.
BLUE, VERMILION = "#0072B2", "#D55E00"
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
) -> Axes:
    """How many texts of each class were given to each class.

    A row is a true class, shaded by its shares, so that a rare class is as
    visible as a common one; the numbers are counts of texts.

    Args:
        true: labels, one a text.
        predicted: labels in the same order.
        class_names: order of rows and columns.
        ax: to draw on; a new figure by default.
    """
    names = list(class_names)
    size = confusion_size(len(names))
    ax = ax or plt.subplots(figsize=size, layout="constrained")[1]
    counts = confusion_matrix(true, predicted, labels=names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    # Numbers that nobody could read are left out.
    for row, column in np.ndindex(*counts.shape) if len(names) <= 30 else ():
        colour = "white" if shares[row, column] > 0.5 else "black"
        ax.text(
            column, row, f"{counts[row, column]:,}", ha="center", va="center", c=colour
        )
    ticks, fonts = range(len(names)), _fonts()
    crowded = len(names) > 4 or len(names) * max(map(len, names)) > 16
    turned = {"rotation": 45, "ha": "right"} if crowded else {}
    # A class name may hold dollar signs, which would begin a formula.
    ax.set_xticks(ticks, names, family=fonts, parse_math=False, **turned)
    ax.set_yticks(ticks, names, family=fonts, parse_math=False)
    ax.set(xlabel="predicted class", ylabel="true class")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="share of the true class")
    return ax


def confusion_size(num_classes: int) -> tuple[float, float]:
    """Width and height in inches of a readable, or else a bounded, figure."""
    side = min(max(3.5, 0.5 * num_classes + 2), 20)
    return side + 0.5, side


def _fonts() -> list[str]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _EAST_ASIAN if name in installed)]
