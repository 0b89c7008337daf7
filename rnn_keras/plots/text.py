"""Figures of what a network does with a text or with speech.

Contributions of tokens to a decision, probabilities while a text is read, attention,
the values of a unit on the text itself, and the words in a recording.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_keras.plots.style import BLUE, VERMILION, new_axes, text_fonts
from rnn_keras.utils.files import refuse_unwritable

if TYPE_CHECKING:
    from rnn_keras.classification.explanation import Explanation
    from rnn_keras.models.translation import Translation

# Characters in a line of `plot_on_text`.
_WIDEST_LINE = 80


def plot_contributions(explanation: "Explanation", ax: Axes | None = None) -> Axes:
    """Plot what each token adds to the decision, the first token at the top.

    Args:
        explanation: from `TextClassifier.explain`.
        ax: axes to draw on; a new figure by default.
    """
    ax = ax or new_axes(5, _height(explanation))
    values = explanation.contributions
    colours = np.where(values > 0, BLUE, VERMILION)
    ax.barh(range(len(values)), values, color=colours)
    ax.axvline(0, color="black", lw=0.8)
    _label_tokens(explanation, ax)
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
    """Plot the class probabilities after each token, the first token at the top.

    Args:
        explanation: from `TextClassifier.explain`; its two classes are drawn.
        ax: axes to draw on; a new figure by default.
    """
    ax = ax or new_axes(5, _height(explanation))
    rows = np.arange(len(explanation.tokens))
    styles = ((explanation.label, BLUE, "o-"), (explanation.against, VERMILION, "s--"))
    for name, colour, style in styles:
        column = explanation.class_names.index(name)
        # A class name may have dollar signs, which would begin a formula.
        label = name.replace("$", r"\$")
        values = explanation.probabilities[:, column]
        ax.plot(values, rows, style, color=colour, ms=4, label=label)
    _label_tokens(explanation, ax)
    ax.set(xlim=(-0.03, 1.03), xlabel="probability of the text so far")
    ax.legend(prop={"family": text_fonts()})
    return ax


def save_explanation(explanation: "Explanation", path: Path) -> None:
    """Save contributions and reading of an explanation side by side in a file.

    Raises:
        InputError: if the file cannot be written.
    """
    figure = Figure((9, _height(explanation)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    plot_contributions(explanation, left)
    plot_reading(explanation, right)
    # Matplotlib raises ValueError for an ending that is no format of pictures.
    with (
        refuse_unwritable(path, errors=(OSError, ValueError)),
        warnings.catch_warnings(),
    ):
        # Perhaps no font on the machine has a token's characters.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, dpi=150)


def _height(explanation: "Explanation") -> float:
    """Height in inches of a figure with one row for each token, at most 60."""
    return min(1.2 + 0.22 * max(4, len(explanation.tokens)), 60)


def _label_tokens(explanation: "Explanation", ax: Axes) -> None:
    """Write the tokens at the rows of a figure, the first one at the top."""
    tokens = explanation.tokens
    ax.set_yticks(range(len(tokens)), tokens, family=text_fonts(), parse_math=False)
    ax.set_ylim(len(tokens) - 0.4, -0.6)
    ax.grid(axis="x", color="0.9")
    ax.set_axisbelow(True)


def plot_attention(translation: "Translation", ax: Axes | None = None) -> Axes:
    """Plot the attention weights of a translation.

    The source tokens are at the top, the tokens of the translation on the left. Each
    row shows where the decoder looked when it wrote that token.

    Args:
        translation: from `rnn_keras.translate`, by a network with attention.
        ax: axes to draw on; a new figure by default.

    Raises:
        ValueError: if the translation has no attention weights.
    """
    weights = translation.attention
    rows, columns = weights.shape
    if not columns:
        raise ValueError("`translation` must have attention. Received: none")
    ax = ax or new_axes(1.6 + 0.45 * columns, 1.2 + 0.35 * rows)
    image = ax.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    ax.figure.colorbar(image, ax=ax, label="weight")
    written = [*translation.tokens, "(end)"][:rows]
    fonts = text_fonts()
    ax.set_xticks(
        range(columns),
        translation.source_tokens,
        rotation=60,
        family=fonts,
        parse_math=False,
    )
    ax.set_yticks(range(rows), written, family=fonts, parse_math=False)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set(xlabel="read", ylabel="written")
    return ax


def plot_on_text(
    text: str, values: Sequence[float], label: str = "state", ax: Axes | None = None
) -> Axes:
    """Print a text with a background that shows a value for each character.

    The values range from -1 (blue) over 0 (white) to 1 (red). A line break is shown
    as a sign, and lines are broken after 80 characters.

    Args:
        text: the text.
        values: value of each character, such as a unit's state after it.
        label: name of the values.
        ax: axes to draw on; a new figure by default.

    Raises:
        ValueError: if there are more or fewer values than characters.
    """
    if len(values) != len(text):
        raise ValueError(
            f"`values` must have one for each of {len(text):,} characters. Received: "
            f"{len(values):,}"
        )
    lines = _break_lines(text, values)
    width = max(map(len, lines), default=1)
    ax = ax or new_axes(0.6 + 0.105 * width, 0.7 + 0.2 * len(lines))
    grid = np.full((len(lines), width), np.nan)
    for row, line in enumerate(lines):
        for column, (character, value) in enumerate(line):
            grid[row, column] = value
            ax.text(
                column,
                row,
                "↵" if character == "\n" else character,
                ha="center",
                va="center",
                family="monospace",
                fontsize=8,
                parse_math=False,
            )
    image = ax.imshow(grid, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", alpha=0.7)
    ax.figure.colorbar(image, ax=ax, label=label, fraction=0.03)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def _break_lines(text: str, values: Sequence[float]) -> list[list[tuple[str, float]]]:
    """Characters with their values, line by line; a line break ends its line."""
    lines: list[list[tuple[str, float]]] = [[]]
    for character, value in zip(text, values, strict=True):
        if len(lines[-1]) >= _WIDEST_LINE and character != "\n":
            lines.append([])
        lines[-1].append((character, value))
        if character == "\n":
            lines.append([])
    return [line for line in lines if line]


def plot_alignment(
    frames: np.ndarray,
    positions: np.ndarray,
    names: Sequence[str],
    seconds: float = 1.0,
    ax: Axes | None = None,
) -> Axes:
    """Plot the frames of a recording, and which of them belong to which word.

    Args:
        frames: `(frames, bands)` from `rnn_keras.layers.LogMel`; the lowest band is
            drawn at the bottom.
        positions: for each frame the index of its word in `names`, or -1 for none,
            `(frames,)`, as `rnn_keras.models.align` returns it.
        names: the words.
        seconds: time from one frame to the next.
        ax: axes to draw on; a new figure by default.

    Raises:
        ValueError: if there are more or fewer positions than frames.
    """
    if len(positions) != len(frames):
        raise ValueError(
            f"`positions` must have one for each of {len(frames):,} frames. Received: "
            f"{len(positions):,}"
        )
    ax = ax or new_axes(9, 2.6)
    # Each frame is drawn around its middle.
    image = ax.imshow(
        frames.T,
        origin="lower",
        aspect="auto",
        extent=(
            -0.5 * seconds,
            (len(frames) - 0.5) * seconds,
            0.5,
            frames.shape[1] + 0.5,
        ),
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
