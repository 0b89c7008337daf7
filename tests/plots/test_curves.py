"""What the figures of training and scores show."""

import pytest
from matplotlib.figure import Figure

from rnn_keras.plots.curves import (
    plot_by_length,
    plot_confusion,
    plot_curves,
    plot_losses,
)


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


@pytest.mark.parametrize("first", ["no", "negative review"])
def test_long_class_names_do_not_overlap(first):
    names = [first, first.replace("n", "p", 1)]
    ax = plot_confusion(names, names, names)
    ax.figure.draw_without_rendering()
    left, right = ax.get_xticklabels()
    turned = left.get_rotation() == 45
    assert turned == (first != "no")
    boxes = left.get_window_extent(), right.get_window_extent()
    # Turned names lie side by side; each one ends at its own tick.
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
