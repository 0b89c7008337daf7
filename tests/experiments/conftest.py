"""Texts that can be learned, in three parts."""

import pytest

from rnn_keras.datasets.labelled import LabelledTexts

GOOD = ["good", "fine", "nice", "great", "lovely"]
BAD = ["bad", "poor", "awful", "nasty", "dull"]


@pytest.fixture(scope="session")
def made():
    """Return 100 texts of two classes, with a word that tells the class twice in each.

    That many of the first texts have the wrong label as `noise` says.
    """

    def make(noise=0):
        texts = [f"{a} {b} day {i}" for i in range(2) for a in GOOD for b in GOOD]
        worse = [f"{a} {b} day {i}" for i in range(2) for a in BAD for b in BAD]
        labels = ["pos"] * len(texts) + ["neg"] * len(worse)
        labels[:noise] = ["neg"] * noise
        return LabelledTexts(texts + worse, labels, "made")

    return make
