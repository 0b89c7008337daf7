"""The look that all figures share: colours, line styles, markers, fonts.

The colours are the palette of M. Okabe and K. Ito, "Color universal design", 2008,
which can be told apart with any colour vision. Curves also differ in line style and
marker, so that they can be read in grey.
"""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.axes import Axes

BLUE, VERMILION = "#0072B2", "#D55E00"

# One of each for every curve of a figure, in this order.
COLOURS = (BLUE, VERMILION, "#009E73", "black", "#CC79A7", "#56B4E9", "#E69F00")
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 3)))
MARKERS = "os^DvPX"

# Matplotlib's own font has no Chinese, Japanese or Korean characters.
EAST_ASIAN_FONTS = (
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


def new_axes(width: float, height: float) -> Axes:
    """The axes of a new figure of this size in inches."""
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def curve_style(index: int, **changes: str) -> dict[str, Any]:
    """Colour, line style and marker of curve number `index`, from 0.

    Args:
        index: number of the curve in its figure; the eighth looks like the first.
        **changes: arguments of `Axes.plot` that replace these.
    """
    style = {
        "color": COLOURS[index % len(COLOURS)],
        "ls": LINE_STYLES[index % len(LINE_STYLES)],
        "marker": MARKERS[index % len(MARKERS)],
    }
    return style | changes


def text_fonts() -> list[str]:
    """Names of fonts for texts in any script, as far as they are installed."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in EAST_ASIAN_FONTS if name in installed)]
