"""Figures of comparisons, explanations and texts: what `plots` has no room for."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_keras.plots.style import BLUE, VERMILION, text_fonts
from rnn_keras.utils.files import not_written

if TYPE_CHECKING:
    from rnn_keras.classification.explanation import Explanation
    from rnn_keras.models.translation import Translation


_WIDEST_LINE = 80


def plot_contributions(explanation: "Explanation", ax: Axes | None = None) -> Axes:
    """What each token adds to the decision, from the first at the top to the last.

    Args:
        explanation: of `TextClassifier.explain`.
        ax: to draw on; a new figure by default.
    """
    ax = ax or _tall(explanation)
    values = explanation.contributions
    colours = np.where(values > 0, BLUE, VERMILION)
    ax.barh(range(len(values)), values, color=colours)
    ax.axvline(0, color="black", lw=0.8)
    _name_tokens(explanation, ax)
    ax.set_xlabel(
        f"to {explanation.against}  \N{LEFTWARDS ARROW}  nats  "
        f"\N{RIGHTWARDS ARROW}  to {explanation.label}",
        family=text_fonts(),
        parse_math=False,
    )
    ax.set_title(
        f"sum {explanation.difference:+.2f}, of which {explanation.rest:+.2f} "
        "without a token",
        fontsize="medium",
    )
    return ax


def plot_reading(explanation: "Explanation", ax: Axes | None = None) -> Axes:
    """The class probabilities after each token, from the top down.

    Args:
        explanation: of `TextClassifier.explain`; its two classes are drawn.
        ax: to draw on; a new figure by default.
    """
    ax = ax or _tall(explanation)
    rows = np.arange(len(explanation.tokens))
    styles = ((explanation.label, BLUE, "o-"), (explanation.against, VERMILION, "s--"))
    for name, colour, style in styles:
        column = explanation.class_names.index(name)
        # A class name may hold dollar signs, which would begin a formula.
        label = name.replace("$", r"\$")
        values = explanation.probabilities[:, column]
        ax.plot(values, rows, style, color=colour, ms=4, label=label)
    _name_tokens(explanation, ax)
    ax.set(xlim=(-0.03, 1.03), xlabel="probability of the text so far")
    ax.legend(prop={"family": text_fonts()})
    return ax


def plot_attention(translation: "Translation", ax: Axes | None = None) -> Axes:
    """What the decoder weighed at each step: a row for each token that it gave.

    Tokens that were read run along the top, those that were written down the left.

    Args:
        translation: of `rnn_keras.translate`, by a network with attention.
        ax: to draw on; a new figure by default.

    Raises:
        ValueError: if it has no attention.
    """
    weights = translation.attention
    rows, columns = weights.shape
    if not columns:
        raise ValueError("`translation` must have attention. Received: none")
    if ax is None:
        size = (1.6 + 0.45 * columns, 1.2 + 0.35 * rows)
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    image = ax.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="weight")
    style = {"family": text_fonts(), "parse_math": False}
    written = [*translation.tokens, "(end)"]
    ax.set_xticks(range(columns), translation.source_tokens, rotation=60, **style)
    ax.set_yticks(range(rows), written[:rows], **style)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set(xlabel="read", ylabel="written")
    return ax


def plot_on_text(
    text: str, values: Sequence[float], label: str = "state", ax: Axes | None = None
) -> Axes:
    """A text, each character on a background coloured by its value, -1 to 1.

    Blue is -1, red is 1, white 0. A line break shows as a sign of its own, and a line
    longer than 80 characters goes on below.

    Args:
        text: as it was read.
        values: of its characters, what a unit's state was after each, say.
        label: what the values are.
        ax: to draw on; a new figure by default.

    Raises:
        ValueError: if there are not as many values as characters.
    """
    if len(values) != len(text):
        raise ValueError(
            f"`values` must have one for each of {len(text):,} characters. Received: "
            f"{len(values):,}"
        )
    lines: list[list[tuple[str, float]]] = [[]]
    for character, value in zip(text, values, strict=True):
        if len(lines[-1]) >= _WIDEST_LINE and character != "\n":
            lines.append([])
        lines[-1].append((character, value))
        if character == "\n":
            lines.append([])
    lines = [line for line in lines if line]
    width = max(map(len, lines), default=1)
    grid = np.full((len(lines), width), np.nan)
    if ax is None:
        size = (0.6 + 0.105 * width, 0.7 + 0.2 * len(lines))
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    style = {"family": "monospace", "fontsize": 8, "parse_math": False}
    for row, line in enumerate(lines):
        for column, (character, value) in enumerate(line):
            grid[row, column] = value
            shown = "↵" if character == "\n" else character
            ax.text(column, row, shown, ha="center", va="center", **style)
    image = ax.imshow(grid, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", alpha=0.7)
    ax.figure.colorbar(image, ax=ax, label=label, fraction=0.03)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def plot_alignment(
    frames: np.ndarray,
    positions: np.ndarray,
    names: Sequence[str],
    seconds: float = 1.0,
    ax: Axes | None = None,
) -> Axes:
    """Frames of sound, and over them which belong to which word.

    Args:
        frames: `(frames, bands)`, of `rnn_keras.audio.LogMel`; the lowest band is
            drawn at the bottom.
        positions: of each frame's word among the names, -1 for none, `(frames,)`, of
            `rnn_keras.speech.align`.
        names: of the words.
        seconds: from one frame to the next.
        ax: to draw on; a new figure by default.

    Raises:
        ValueError: if there are not as many positions as frames.
    """
    if len(positions) != len(frames):
        raise ValueError(
            f"`positions` must have one for each of {len(frames):,} frames. Received: "
            f"{len(positions):,}"
        )
    if ax is None:
        ax = plt.subplots(figsize=(9, 2.6), layout="constrained")[1]
    # A frame is drawn around its middle.
    ends = (-0.5 * seconds, (len(frames) - 0.5) * seconds)
    image = ax.imshow(
        frames.T,
        origin="lower",
        aspect="auto",
        extent=(*ends, 0.5, frames.shape[1] + 0.5),
        cmap="Greys",
    )
    ax.figure.colorbar(image, ax=ax, label="log energy (spreads)", fraction=0.03)
    for position, name in enumerate(names):
        of_word = np.flatnonzero(positions == position)
        if not len(of_word):
            continue
        begin, end = (of_word[0] - 0.5) * seconds, (of_word[-1] + 0.5) * seconds
        ax.axvspan(begin, end, color=VERMILION, alpha=0.35, lw=0)
        ax.annotate(
            name,
            ((begin + end) / 2, 1.02),
            xycoords=("data", "axes fraction"),
            ha="center",
            color=VERMILION,
            parse_math=False,
        )
    ax.set(xlabel="time (s)", ylabel="mel band")
    return ax


def save_explanation(explanation: "Explanation", path: Path) -> None:
    """Draw both figures of an explanation side by side in a file.

    Raises:
        InputError: if it cannot be written.
    """
    figure = Figure((9, _height(explanation)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    plot_contributions(explanation, left)
    plot_reading(explanation, right)
    try:
        with warnings.catch_warnings():
            # Where no font on the machine has a token's characters.
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        # ValueError: an ending that is no format of pictures.
        raise not_written(path, error) from error


def _height(explanation: "Explanation") -> float:
    return min(1.2 + 0.22 * max(4, len(explanation.tokens)), 60)


def _tall(explanation: "Explanation") -> Axes:
    size = (5, _height(explanation))
    return plt.subplots(figsize=size, layout="constrained")[1]


def _name_tokens(explanation: "Explanation", ax: Axes) -> None:
    tokens = explanation.tokens
    ax.set_yticks(range(len(tokens)), tokens, family=text_fonts(), parse_math=False)
    ax.set_ylim(len(tokens) - 0.4, -0.6)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)
