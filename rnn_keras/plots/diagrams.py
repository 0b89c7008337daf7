"""Diagrams of networks: boxes for states and arrows for weights."""

from matplotlib.axes import Axes

from rnn_keras.plots.style import new_axes


def draw_unrolled(steps: int = 4, ax: Axes | None = None) -> Axes:
    """Draw a recurrent network folded, with its loop, and unrolled over time.

    The names of the weights are written on the arrows: W, U and V are the same at every
    step.

    Args:
        steps: number of steps of the unrolled network.
        ax: axes to draw on; a new figure by default.
    """
    ax = ax or new_axes(1.8 * (steps + 2), 3)
    _draw_step(ax, 0, "t")
    _draw_arrow(ax, (0.24, 0.88), (0.24, 1.12), connectionstyle="arc3,rad=-3")
    ax.text(0.72, 1, "U", ha="left", va="center", style="italic")
    ax.text(1.45, 1, "=", ha="center", va="center", fontsize=20)
    _draw_box(ax, 2.2, 1, "$h_0 = 0$")
    for t in range(1, steps + 1):
        x = 2.2 + 1.4 * t
        _draw_step(ax, x, str(t))
        _draw_arrow(ax, (x - 0.28, 1), (x - (1.12 if t > 1 else 0.95), 1))
        ax.text(x - 0.7, 1.1, "U", ha="center", va="bottom", style="italic")
    ax.set_xlim(-0.5, 2.7 + 1.4 * steps)
    ax.set_ylim(-0.4, 2.4)
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def _draw_step(ax: Axes, x: float, t: str) -> None:
    """Draw input, state and output of one step, from bottom to top."""
    for y, letter in enumerate("xhy"):
        _draw_box(ax, x, y, f"${letter}_{{{t}}}$")
    for y, weight in enumerate("WV"):
        _draw_arrow(ax, (x, y + 0.74), (x, y + 0.26))
        ax.text(x + 0.07, y + 0.5, weight, ha="left", va="center", style="italic")


def _draw_box(ax: Axes, x: float, y: float, label: str) -> None:
    box = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": "black"}
    ax.text(x, y, label, ha="center", va="center", bbox=box)


def _draw_arrow(
    ax: Axes, end: tuple[float, float], start: tuple[float, float], **style: str
) -> None:
    arrow = {"arrowstyle": "->", "lw": 1.2, "shrinkA": 0, "shrinkB": 0, **style}
    ax.annotate("", end, start, arrowprops=arrow)
