import numpy as np
import pytest

from rnn_keras.experiments.size_matching import (
    match_parameters,
    match_seconds,
    step_seconds,
)
from rnn_keras.models.builders import build_classifier


@pytest.mark.parametrize(
    "bidirectional", [True, pytest.param(False, marks=pytest.mark.exhaustive)]
)
def test_matched_parameters_are_within_what_one_unit_makes(bidirectional):
    def count(cell, units):
        return build_classifier(
            50, 3, cell=cell, units=units, embedding_dim=16, bidirectional=bidirectional
        ).count_params()

    cells = ("simple_rnn", "lstm", "gru")
    sizes = match_parameters(cells, 12, count)
    assert sizes["lstm"] == 12 < sizes["gru"] < sizes["simple_rnn"]
    target = count("lstm", 12)
    for cell, units in sizes.items():
        nearest = abs(count(cell, units) - target)
        assert nearest <= abs(count(cell, units + 1) - target)
        assert nearest <= abs(count(cell, units - 1) - target)


def test_matched_seconds_follow_the_times_of_the_steps():
    """A step takes units^1.5 ms, that of an LSTM four times as long."""
    cost = {"simple_rnn": 1, "lstm": 4, "gru": 3}
    times = {}

    def seconds(cell, units):
        times[cell, units] = cost[cell] * units**1.5
        return times[cell, units]

    sizes = match_seconds(tuple(cost), 10, seconds)
    assert sizes == {"simple_rnn": 25, "lstm": 10, "gru": 12}
    assert len(times) == 3 + 2 + 1


def test_a_step_is_timed_on_texts_of_the_usual_length():
    network = build_classifier(20, 2, units=4, embedding_dim=4)
    network.compile("adam", "sparse_categorical_crossentropy")
    ids = np.ones((40, 9), np.int32)
    assert 0 < step_seconds(network, ids, np.zeros(40, int), 1, 8) < 5
