"""The network in NumPy against its equations, one text and one step at a time."""

import itertools

import numpy as np
import pytest

from rnn_keras.exported import network as network_module
from rnn_keras.exported.network import NUM_BLOCKS, Direction, Network, RecurrentLayer
from rnn_keras.utils.choices import CELL_NAMES, POOLINGS

VOCABULARY, FEATURES, UNITS, CLASSES = 9, 3, 4, 2
LENGTHS = [3, 0, 7, 1, 3]


def make_layer(cell, num_directions, features, random):
    width = NUM_BLOCKS[cell] * UNITS
    bias = (2, width) if cell == "gru" else (width,)
    shapes = (features, width), (UNITS, width), bias
    draw = (
        Direction(*(random.normal(size=s).astype(np.float32) for s in shapes))
        for _ in range(num_directions)
    )
    return RecurrentLayer(cell, list(draw))


def make_network(cell, num_layers=1, num_directions=1, pooling="last"):
    random = np.random.default_rng(0)
    widths = [FEATURES] + [num_directions * UNITS] * (num_layers - 1)
    layers = [make_layer(cell, num_directions, width, random) for width in widths]
    pooled = num_directions * UNITS * (2 if pooling == "max_mean" else 1)
    shapes = (VOCABULARY, FEATURES), (pooled, CLASSES), (CLASSES,)
    arrays = (random.normal(size=shape).astype(np.float32) for shape in shapes)
    embedding, kernel, bias = arrays
    return Network(embedding, layers, pooling, kernel, bias)


@pytest.fixture(scope="module")
def ids():
    """Token ids of texts of several lengths, one of them 0."""
    random = np.random.default_rng(1)
    ids = random.integers(1, VOCABULARY, (len(LENGTHS), max(LENGTHS)))
    return np.where(np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None], ids, 0)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def states_of(cell, direction, x):
    """The states after each step, `(timesteps, units)`, by the equations."""
    w, u, b = (weight.astype(float) for weight in direction)
    h, c, states = np.zeros(UNITS), np.zeros(UNITS), [np.zeros((0, UNITS))]
    for x_t in x:
        if cell == "simple_rnn":
            h = np.tanh(x_t @ w + h @ u + b)
        elif cell == "gru":
            xz, xr, xc = np.split(x_t @ w + b[0], 3)
            hz, hr, hc = np.split(h @ u + b[1], 3)
            z, candidate = sigmoid(xz + hz), np.tanh(xc + sigmoid(xr + hr) * hc)
            h = z * h + (1 - z) * candidate
        else:
            i, f, g, o = np.split(x_t @ w + h @ u + b, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        states.append(h[None])
    return np.concatenate(states)


def logits_of(network, row):
    """The logits of one text, which has no padding."""
    x = network.embedding[row]
    for layer in network.layers:
        forward, *backward = layer.directions
        both = [
            states_of(layer.cell, forward, x),
            *(states_of(layer.cell, b, x[::-1])[::-1] for b in backward),
        ]
        x = np.concatenate(both, axis=1)
    if not len(row):
        pooled = np.zeros(len(network.kernel))
    elif network.pooling == "last":
        pooled = np.concatenate([both[0][-1], *(states[0] for states in both[1:])])
    else:
        named = {"max": x.max(axis=0), "mean": x.mean(axis=0)}
        pooled = np.concatenate([named[name] for name in network.pooling.split("_")])
    return pooled @ network.kernel + network.bias


@pytest.mark.parametrize(
    ("cell", "num_layers", "num_directions", "pooling"),
    list(itertools.product(CELL_NAMES, (1, 3), (1, 2), POOLINGS)),
)
def test_logits_follow_the_equations(cell, num_layers, num_directions, pooling, ids):
    network = make_network(cell, num_layers, num_directions, pooling)
    expected = [logits_of(network, row[row != 0]) for row in ids]
    found = network.logits(ids)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_logits_do_not_depend_on_padding_order_and_number_of_texts(ids):
    network = make_network("gru", 2, 2, "max_mean")
    expected = network.logits(ids)
    wider = np.pad(ids, ((0, 0), (0, 4)))
    np.testing.assert_allclose(network.logits(wider), expected, atol=1e-6)
    np.testing.assert_allclose(network.logits(ids[::-1])[::-1], expected, atol=1e-6)
    for row, logits in zip(ids, expected, strict=True):
        np.testing.assert_allclose(network.logits(row[None])[0], logits, atol=1e-6)
    assert network.logits(np.zeros((2, 1), int)).shape == (2, CLASSES)


def test_texts_that_take_too_much_memory_are_divided(ids, monkeypatch):
    network = make_network("lstm", 2)
    expected = network.logits(ids)
    monkeypatch.setattr(network_module, "_MOST_NUMBERS", 50)
    np.testing.assert_allclose(network.logits(ids), expected, atol=1e-6)
