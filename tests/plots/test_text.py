"""What the figures of texts and speech show."""

import numpy as np
import pytest

from rnn_keras.models.translation import Translation
from rnn_keras.plots.text import plot_alignment, plot_attention, plot_on_text


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
