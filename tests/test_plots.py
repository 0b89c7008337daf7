import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from rnn_keras.plots import plot_confusion, plot_curves

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
