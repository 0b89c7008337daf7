"""What the figures of sequences show."""

import numpy as np
from scipy.cluster.hierarchy import linkage

from rnn_keras.plots.sequences import (
    plot_dendrogram,
    plot_errors,
    plot_norms,
    plot_states,
)


def test_norms_are_drawn_by_distance_from_the_last_step_with_their_bounds():
    norms = {"a": np.array([0.25, 0.5, 1]), "b": np.array([np.nan, 0, 1])}
    ax = plot_norms(norms, {"a": np.array([0.5, 0.75, 1])})
    a, bound, b = ax.get_lines()
    assert a.get_xdata().tolist() == bound.get_xdata().tolist() == [2, 1, 0]
    assert a.get_ydata().tolist() == [0.25, 0.5, 1]
    assert bound.get_ydata().tolist() == [0.5, 0.75, 1]
    assert np.isnan(b.get_ydata()[:2]).all()
    assert ax.get_yscale() == "log"
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b"]


def test_a_gradient_that_is_zero_everywhere_can_be_drawn():
    plot_norms({"nothing": np.zeros(30)}).figure.draw_without_rendering()


def test_errors_carry_their_symbols_and_mark_starts():
    ax = plot_errors([0.5, 0.1, 0.4], "a$b", [True, False, True])
    assert [text.get_text() for text in ax.texts] == ["a", "$", "b"]
    ax.figure.draw_without_rendering()
    _, others, starts = ax.get_lines()
    assert starts.get_xdata().tolist() == [0, 2]
    assert others.get_ydata().tolist() == [0.1]


def test_a_tree_has_its_names_at_the_leaves():
    tree = linkage(np.array([[0.0], [1.0], [10.0]]))
    ax = plot_dendrogram(tree, ["near", "nearer", "far"])
    leaves = [tick.get_text() for tick in ax.get_yticklabels()]
    assert sorted(leaves) == ["far", "near", "nearer"]
    assert abs(leaves.index("near") - leaves.index("nearer")) == 1


def test_states_start_at_the_origin():
    ax = plot_states({"ab": np.array([[1.0, 2.0], [3.0, 4.0]])}, ["ab"])
    assert ax.get_lines()[0].get_xydata().tolist() == [[0, 0], [1, 2], [3, 4]]
    assert [text.get_text() for text in ax.texts] == ["a", "b"]
