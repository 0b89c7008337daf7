"""What the diagrams of networks show."""

from rnn_keras.plots.diagrams import draw_unrolled


def test_the_unrolled_network_shows_each_step_with_the_same_weights():
    texts = [text.get_text() for text in draw_unrolled(steps=3).texts]
    for t in "123t":
        for letter in "xhy":
            assert f"${letter}_{{{t}}}$" in texts
    assert [texts.count(weight) for weight in "WUV"] == [4, 4, 4]
