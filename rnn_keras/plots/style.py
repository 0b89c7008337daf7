"""TODO."""

from typing import Any

from matplotlib import font_manager

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


def text_fonts() -> list[str]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in _EAST_ASIAN if name in installed)]


def _style(i: int, **changes: str) -> dict[str, Any]:
    """Colour, line and marker of the i-th curve."""
    own = {"color": _COLOURS[i % 7], "ls": _LINES[i % 7], "marker": _MARKERS[i % 7]}
    return own | changes
