import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import linkage

from rnn_keras.models.translation import Translation
from rnn_keras.plots.curves import (
    plot_by_length,
    plot_confusion,
    plot_curves,
    plot_losses,
)
from rnn_keras.plots.sequences import (
    draw_unrolled,
    plot_dendrogram,
    plot_errors,
    plot_norms,
    plot_states,
)
from rnn_keras.plots.text import plot_alignment, plot_attention, plot_on_text

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_curves_show_both_losses_and_mark_the_lowest():
    ax = plot_curves({"loss": [3, 2, 1], "val_loss": [3, 1, 2]})
    training, validation, best = ax.get_lines()
    assert training.get_ydata().tolist() == [3, 2, 1]
    assert validation.get_ydata().tolist() == [3, 1, 2]
    assert validation.get_xdata().tolist() == [1, 2, 3]
    assert best.get_xdata() == [2, 2]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (
        "epoch",
        "cross-entropy (nats a text)",
    )


def test_curves_differ_without_their_colours():
    training, validation, _ = plot_curves({"loss": [1], "val_loss": [1]}).get_lines()
    assert training.get_linestyle() != validation.get_linestyle()
    assert training.get_marker() != validation.get_marker()


def test_curves_without_validation():
    assert len(plot_curves({"loss": [2, 1]}).get_lines()) == 1


def test_confusion_counts_true_classes_by_row():
    ax = plot_confusion(list("aaabb"), list("aabba"), ["a", "b"])
    assert [text.get_text() for text in ax.texts] == ["2", "1", "1", "1"]
    shares = ax.images[0].get_array().tolist()
    assert shares == [pytest.approx([2 / 3, 1 / 3]), pytest.approx([1 / 2, 1 / 2])]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")


def test_confusion_of_a_class_without_texts():
    ax = plot_confusion(["a"], ["a"], ["a", "b"])
    assert ax.images[0].get_array().tolist() == [[1, 0], [0, 0]]


def test_figures_are_drawn_on_the_axes_given():
    _, (left, right) = plt.subplots(1, 2)
    assert plot_curves({"loss": [1]}, left) is left
    assert plot_confusion(["a"], ["a"], ["a", "b"], right) is right


@pytest.mark.parametrize("first", ["no", "negative review"])
def test_long_class_names_do_not_run_into_each_other(first):
    names = [first, first.replace("n", "p", 1)]
    ax = plot_confusion(names, names, names)
    ax.figure.draw_without_rendering()
    left, right = ax.get_xticklabels()
    turned = left.get_rotation() == 45
    assert turned == (first != "no")
    boxes = left.get_window_extent(), right.get_window_extent()
    # Turned names lie side by side, their ends at their own ticks.
    assert turned or boxes[0].x1 < boxes[1].x0


@pytest.mark.parametrize("names", [["ham", "spam"], [f"class {i}" for i in range(12)]])
def test_the_names_of_a_confusion_matrix_lie_inside_the_picture(names):
    figure = Figure(figsize=(4.8, 4), layout="constrained")
    ax = plot_confusion(names, names, names, figure.subplots())
    figure.draw_without_rendering()
    for text in (ax.yaxis.label, ax.xaxis.label, *ax.get_yticklabels()):
        box = text.get_window_extent()
        assert box.x0 > -1  # pixels
        assert box.y0 > -1


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


def test_losses_are_drawn_by_step():
    ax = plot_losses({"one": [3, 2], "two": [3, 1]}, "loss (nats)")
    assert [line.get_ydata().tolist() for line in ax.get_lines()] == [[3, 2], [3, 1]]
    assert ax.get_lines()[0].get_xdata().tolist() == [1, 2]
    assert ax.get_ylabel() == "loss (nats)"


def test_scores_by_length_show_every_seed_and_the_mean():
    ax = plot_by_length({"gru": {10: [1, 0.5], 20: [0.25, 0.25]}}, chance=0.25)
    mean, ten, _, chance = ax.get_lines()
    assert mean.get_ydata().tolist() == [0.75, 0.25]
    assert ten.get_ydata().tolist() == [1, 0.5]
    assert chance.get_ydata() == [0.25, 0.25]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["10", "20"]


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


def test_curves_of_a_picture_differ_in_line_and_mark():
    curves = {str(i): np.ones(3) for i in range(7)}
    lines = plot_norms(curves).get_lines()
    assert len({line.get_marker() for line in lines}) == 7
    assert len({line.get_color() for line in lines}) == 7
    assert len({line._unscaled_dash_pattern for line in lines}) == 7


def test_the_unrolled_network_shows_each_step_with_the_same_weights():
    texts = [text.get_text() for text in draw_unrolled(steps=3).texts]
    for t in "123t":
        for letter in "xhy":
            assert f"${letter}_{{{t}}}$" in texts
    assert [texts.count(weight) for weight in "WUV"] == [4, 4, 4]


@pytest.mark.parametrize(
    "plot",
    [
        lambda ax: plot_norms({"a": np.ones(2)}, ax=ax),
        lambda ax: plot_losses({"a": [1]}, ax=ax),
        lambda ax: plot_by_length({"a": {10: [1]}}, ax=ax),
        lambda ax: plot_errors([1], "a", ax=ax),
        lambda ax: plot_dendrogram(np.array([[0, 1, 1.0, 2]]), "ab", ax=ax),
        lambda ax: plot_states({"a": np.ones((1, 2))}, ["a"], ax=ax),
        lambda ax: draw_unrolled(ax=ax),
    ],
)
def test_every_figure_takes_axes(plot):
    _, ax = plt.subplots()
    assert plot(ax) is ax
    assert len(plt.get_fignums()) == 1


def test_attention_has_a_row_for_each_token_and_one_for_the_end():
    weights = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    ax = plot_attention(
        Translation("J'", ["J", "$"], ["I", "$x$"], weights, -1.0, True)
    )
    np.testing.assert_array_equal(ax.images[0].get_array(), weights)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["J", "$", "(end)"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["I", "$x$"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("read", "written")
    ax.figure.canvas.draw()  # a dollar begins no formula
    cut = Translation("J'", ["J", "$"], ["I", "$x$"], weights[:2], -1.0, False)
    rows = plot_attention(cut).get_yticklabels()
    assert [t.get_text() for t in rows] == ["J", "$"]
    with pytest.raises(ValueError, match="must have attention"):
        plot_attention(Translation("", [], ["I"], np.zeros((1, 0)), -1.0, True))


def test_an_alignment_has_each_word_where_its_frames_are():
    positions = np.array([-1, 0, 0, -1, 1, -1])
    ax = plot_alignment(np.zeros((6, 3)), positions, ["one", "$t$"], seconds=0.5)
    spans = [(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches]
    # A frame is drawn around its middle: the first word is frames 1 and 2.
    assert spans == [(0.25, 1.25), (1.75, 2.25)]
    assert [t.get_text() for t in ax.texts] == ["one", "$t$"]
    assert [t.xy[0] for t in ax.texts] == [0.75, 2.0]
    assert ax.images[0].get_array().shape == (3, 6)
    ax.figure.canvas.draw()
    with pytest.raises(ValueError, match=r"one for each of 6 frames\. Received: 5"):
        plot_alignment(np.zeros((6, 3)), positions[:5], ["one", "two"])


def test_a_text_is_drawn_character_by_character_with_its_values():
    text = "To be,\n$or" + "x" * 81
    values = np.linspace(-1, 1, len(text))
    ax = plot_on_text(text, values)
    shown = [t.get_text() for t in ax.texts]
    assert "".join(shown) == text.replace("\n", "↵")
    rows = [round(t.get_position()[1]) for t in ax.texts]
    assert rows == [0] * 7 + [1] * 80 + [2] * 4  # broken after 80
    grid = ax.images[0].get_array()
    np.testing.assert_allclose(grid[~np.isnan(grid)], values)
    ax.figure.canvas.draw()  # a dollar begins no formula
    with pytest.raises(ValueError, match="for each of 2 characters"):
        plot_on_text("ab", [0.5])
