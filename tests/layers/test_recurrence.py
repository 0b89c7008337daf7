"""The three recurrences against their equations in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from rnn_keras.layers import recurrence

STEPS, BATCH, FEATURES, UNITS = 5, 3, 2, 3
BLOCKS = {"simple_rnn": 1, "gru": 3, "lstm": 4}
CELLS = list(BLOCKS)
MASKS = {
    "right": [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]],
    "left": [[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 0, 0, 1]],
    "interior": [[1, 0, 1, 0, 1], [0, 1, 0, 1, 1], [1, 1, 0, 1, 1]],
    "an empty row": [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [1, 1, 0, 0, 0]],
    "none": None,
}
FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
    "linear": lambda a: a,
}


def simple_rnn_step(x, h, w, u, b, *, f, gate):
    return (f(x @ w + h @ u + b),)


def gru_step(x, h, w, u, b, b_recurrent, *, f, gate):
    xz, xr, xc = np.split(x @ w + b, 3, axis=-1)
    hz, hr, hc = np.split(h @ u + b_recurrent, 3, axis=-1)
    z, r = gate(xz + hz), gate(xr + hr)
    return (z * h + (1 - z) * f(xc + r * hc),)


def lstm_step(x, h, c, w, u, b, *, f, gate):
    i, forget, g, o = np.split(x @ w + h @ u + b, 4, axis=-1)
    c = gate(forget) * c + gate(i) * f(g)
    return gate(o) * f(c), c


NUMPY = {"simple_rnn": simple_rnn_step, "gru": gru_step, "lstm": lstm_step}


def by_hand(cell, tensors, mask, activation="tanh", recurrent_activation="sigmoid"):
    """All h_t, then the last states, one step after another."""
    x, states, weights = tensors[0], *split_states(cell, tensors[1:])
    functions = {"f": FUNCTIONS[activation], "gate": FUNCTIONS[recurrent_activation]}
    each = []
    for t in range(len(x)):
        new = NUMPY[cell](x[t], *states, *weights, **functions)
        if mask is not None:
            real = mask[t]
            new = [np.where(real, n, s) for n, s in zip(new, states, strict=True)]
        states = new
        each.append(states[0])
    return [np.array(each), *states]


def split_states(cell, tensors):
    num_states = 2 if cell == "lstm" else 1
    return tensors[:num_states], tensors[num_states:]


def run(cell, tensors, mask, **options):
    """What `by_hand` gives, of the package; without h_t where it gives none."""
    states, weights = split_states(cell, tensors[1:])
    each, last = getattr(recurrence, cell)(
        tensors[0], mask, tuple(states), weights, **options
    )
    return [*([] if each is None else [each]), *last]


def random_tensors(cell):
    """The inputs, the initial states and the weights, in the order of the call."""
    rng = np.random.default_rng(7)
    width = BLOCKS[cell] * UNITS
    shapes = [(STEPS, BATCH, FEATURES), (BATCH, UNITS)]
    if cell == "lstm":
        shapes.append((BATCH, UNITS))
    shapes += [(FEATURES, width), (UNITS, width), (width,)]
    if cell == "gru":
        shapes.append((width,))
    return [rng.normal(size=shape, scale=0.5) for shape in shapes]


def assert_same(actual, expected, tolerance=1e-12):
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


def time_major(padding):
    mask = MASKS[padding]
    return None if mask is None else np.array(mask, bool).T[:, :, np.newaxis]


def numerical_gradients(function, tensors, step=1e-5):
    """Central differences, whose error is of the order of step squared."""
    gradients = []
    for tensor in tensors:
        gradient = np.zeros_like(tensor)
        for index in np.ndindex(tensor.shape):
            value = tensor[index]
            tensor[index] = value + step
            above = function()
            tensor[index] = value - step
            gradient[index] = (above - function()) / (2 * step)
            tensor[index] = value
        gradients.append(gradient)
    return gradients


def assert_as_by_hand(cell, mask, return_sequences, **options):
    """States, and the gradients of a loss of them, by finite differences."""
    tensors = random_tensors(cell)
    skipped = 0 if return_sequences else 1
    rng = np.random.default_rng(8)
    # Every element of every output has a part of its own in the loss.
    shares = [
        rng.normal(size=out.shape) for out in by_hand(cell, tensors, mask)[skipped:]
    ]

    def loss():
        outputs = by_hand(cell, tensors, mask, **options)[skipped:]
        return sum((s * o).sum() for s, o in zip(shares, outputs, strict=True))

    variables = [tf.constant(t) for t in tensors]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        outputs = run(
            cell, variables, mask, return_sequences=return_sequences, **options
        )
        total = sum(tf.reduce_sum(s * o) for s, o in zip(shares, outputs, strict=True))
    assert_same(outputs, by_hand(cell, tensors, mask, **options)[skipped:])
    actual = tape.gradient(total, variables)
    assert_same(actual, numerical_gradients(loss, tensors), tolerance=1e-7)


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("padding", MASKS)
@pytest.mark.parametrize("cell", CELLS)
def test_states_and_gradients_are_as_by_hand(cell, padding, return_sequences):
    assert_as_by_hand(cell, time_major(padding), return_sequences)


@pytest.mark.parametrize("activation", FUNCTIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_activations_and_their_slopes_are_those_named(cell, activation):
    assert_as_by_hand(cell, time_major("right"), True, activation=activation)


@pytest.mark.parametrize("gate", FUNCTIONS)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_gates_and_their_slopes_are_those_named(cell, gate):
    assert_as_by_hand(cell, time_major("right"), True, recurrent_activation=gate)


@pytest.mark.parametrize("cell", CELLS)
def test_a_loss_of_one_state_alone_has_gradients(cell):
    """The other outputs' gradients are then absent, not zero."""
    tensors = random_tensors(cell)
    for index in range(len(by_hand(cell, tensors, None))):
        variables = [tf.constant(t) for t in tensors]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            total = tf.reduce_sum(run(cell, variables, None)[index])
        expected = numerical_gradients(
            lambda chosen=index: by_hand(cell, tensors, None)[chosen].sum(), tensors
        )
        assert_same(tape.gradient(total, variables), expected, tolerance=1e-7)
