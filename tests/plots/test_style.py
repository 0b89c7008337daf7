"""What all figures have in common."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from rnn_keras import plots
from rnn_keras.models.translation import Translation
from rnn_keras.plots.style import curve_style

TRANSLATION = Translation("a", ["a"], ["b"], np.ones((2, 1)), -1.0, True)
FIGURES = {
    "draw_unrolled": lambda ax: plots.draw_unrolled(ax=ax),
    "plot_alignment": lambda ax: plots.plot_alignment(
        np.ones((1, 2)), np.zeros(1, int), ["a"], ax=ax
    ),
    "plot_attention": lambda ax: plots.plot_attention(TRANSLATION, ax),
    "plot_by_length": lambda ax: plots.plot_by_length({"a": {10: [1]}}, ax=ax),
    "plot_confusion": lambda ax: plots.plot_confusion([*"ab"], [*"ab"], "ab", ax),
    "plot_curves": lambda ax: plots.plot_curves({"loss": [1]}, ax),
    "plot_dendrogram": lambda ax: plots.plot_dendrogram(
        np.array([[0, 1, 1.0, 2]]), "ab", ax=ax
    ),
    "plot_errors": lambda ax: plots.plot_errors([1], "a", ax=ax),
    "plot_losses": lambda ax: plots.plot_losses({"a": [1]}, ax=ax),
    "plot_norms": lambda ax: plots.plot_norms({"a": np.ones(2)}, ax=ax),
    "plot_on_text": lambda ax: plots.plot_on_text("a", [1], ax=ax),
    "plot_states": lambda ax: plots.plot_states({"a": np.ones((1, 2))}, ["a"], ax=ax),
}
# Their tests are beside those of what they draw.
ELSEWHERE = {"plot_comparison", "plot_contributions", "plot_reading"}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_on_the_axes_given(name):
    _, ax = plt.subplots()
    assert FIGURES[name](ax) is ax
    assert len(plt.get_fignums()) == 1


def test_every_figure_is_tested():
    names = {name for name in plots.__all__ if name.startswith(("plot_", "draw_"))}
    assert names == FIGURES.keys() | ELSEWHERE


def test_seven_curves_differ_in_colour_in_line_and_in_marker():
    styles = [curve_style(i) for i in range(7)]
    for key in ("color", "ls", "marker"):
        assert len({style[key] for style in styles}) == 7
    assert curve_style(7) == styles[0]
    assert curve_style(1, marker="") == styles[1] | {"marker": ""}
    lines = plots.plot_norms({str(i): np.ones(3) for i in range(7)}).get_lines()
    assert [line.get_color() for line in lines] == [style["color"] for style in styles]
    assert [line.get_marker() for line in lines] == [s["marker"] for s in styles]
