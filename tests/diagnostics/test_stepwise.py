"""A network run step by step gives the same as the network itself, or is refused."""

from itertools import product

import keras
import numpy as np
import pytest

from rnn_keras.diagnostics.stepwise import run_by_step
from rnn_keras.models.builders import build_classifier

# The last text is empty.
IDS = np.array([[3, 5, 2, 7, 4], [6, 2, 0, 0, 0], [9, 8, 3, 1, 0], [0, 0, 0, 0, 0]])
CELLS = ("simple_rnn", "gru", "lstm")
POOLINGS = ("last", "max", "mean", "max_mean")
exhaustive = pytest.mark.exhaustive
FEW_NETWORKS = [
    ("simple_rnn", False, "last"),
    ("gru", True, "last"),
    ("lstm", True, "max_mean"),
]


@pytest.mark.parametrize(
    ("cell", "bidirectional", "pooling"),
    [
        pytest.param(
            *each, marks=[] if each in FEW_NETWORKS else pytest.mark.exhaustive
        )
        for each in product(CELLS, (False, True), POOLINGS)
    ],
)
def test_step_by_step_the_network_gives_the_same(cell, bidirectional, pooling):
    model = build_classifier(
        10,
        2,
        cell=cell,
        units=4,
        embedding_dim=3,
        num_layers=2,
        bidirectional=bidirectional,
        pooling=pooling,
        dropout=0.5,
        token_dropout=0.5,
    )
    logits, traces = run_by_step(model, IDS)
    np.testing.assert_allclose(logits, model(IDS), atol=1e-6)
    assert len(traces) == (4 if bidirectional else 2)


def test_a_trace_holds_the_states_in_the_order_of_reading():
    model = build_classifier(
        10, 2, units=4, embedding_dim=3, bidirectional=True, pooling="max"
    )
    forward, backward = run_by_step(model, IDS)[1]
    assert list(forward.order) == [0, 1, 2, 3, 4]
    assert list(backward.order) == [4, 3, 2, 1, 0]
    for trace in (forward, backward):
        states = np.stack([h for (h,) in trace.states[1:]])  # (timesteps, texts, units)
        by_position = trace.by_position(states)
        np.testing.assert_array_equal(np.isnan(by_position[:, :, 0]), IDS == 0)
        np.testing.assert_array_equal(by_position[0, trace.order[0]], states[0, 0])
        np.testing.assert_array_equal(
            trace.as_read(trace.real), (IDS > 0).T[trace.order]
        )
        for before, after, x in zip(
            trace.states[:-1], trace.states[1:], trace.inputs, strict=True
        ):
            expected = trace.cell(x, before)[0]
            np.testing.assert_allclose(after[0][0], expected[0], atol=1e-6)


def stateful(x):
    return keras.layers.SimpleRNN(4, stateful=True)(x)


def backwards(x):
    y = keras.layers.SimpleRNN(3, return_sequences=True, go_backwards=True)(x)
    return keras.layers.SimpleRNN(4)(y)


@pytest.mark.parametrize("layers", [stateful, backwards, keras.layers.Flatten()])
def test_a_network_that_is_no_chain_is_refused(layers):
    inputs = keras.Input((5,), batch_size=4)
    x = keras.layers.Embedding(10, 3)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(layers(x)), name="other")
    model(IDS)  # a stateful layer has a state now
    with pytest.raises(ValueError, match="'other' must be a chain of layers"):
        run_by_step(model, IDS)


@pytest.mark.parametrize("ids", [IDS[:0], IDS[:, :0], IDS[0]])
def test_an_input_without_texts_or_steps_is_refused(ids):
    model = build_classifier(10, 2, units=4, embedding_dim=3)
    with pytest.raises(ValueError, match="at least one of each"):
        run_by_step(model, ids)
