"""The three recurrences and their gradients against their equations in NumPy.

TensorFlow and JAX run the same equations, each in a loop of its own. JAX is called
directly, beside TensorFlow in one process.
"""

import numpy as np
import pytest
import tensorflow as tf

from rnn_keras.layers import scan
from rnn_keras.layers.recurrence import (
    GRURecurrence,
    LSTMRecurrence,
    SimpleRNNRecurrence,
)

STEPS, FEATURES, UNITS = 4, 2, 2
# Padding on the right, on the left, in between, nowhere, and an empty row.
MASK = np.array(
    [[1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]], bool
).T[:, :, np.newaxis]
BATCH = MASK.shape[1]
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


# The class, its step in NumPy, the number of blocks, of states and of biases.
RECURRENCES = {
    "simple_rnn": (SimpleRNNRecurrence, simple_rnn_step, 1, 1, 1),
    "gru": (GRURecurrence, gru_step, 3, 1, 2),
    "lstm": (LSTMRecurrence, lstm_step, 4, 2, 1),
}


def by_hand(cell, tensors, mask, activation="tanh", recurrent_activation="sigmoid"):
    """Return all h_t, then the last states, computed step by step."""
    _, step, _, num_states, _ = RECURRENCES[cell]
    x, states, weights = tensors[0], tensors[1:][:num_states], tensors[1 + num_states :]
    functions = {"f": FUNCTIONS[activation], "gate": FUNCTIONS[recurrent_activation]}
    each = []
    for t in range(len(x)):
        new = step(x[t], *states, *weights, **functions)
        if mask is not None:
            pairs = zip(new, states, strict=True)
            new = [np.where(mask[t], after, before) for after, before in pairs]
        states = new
        each.append(states[0])
    return [np.array(each), *states]


def run(loop, cell, tensors, mask, return_sequences=True, **activations):
    """Return the same as `by_hand`, computed by the package; h_t only if asked for."""
    recurrence, _, _, num_states, _ = RECURRENCES[cell]
    each, last = loop.run_recurrence(
        recurrence(**activations),
        tensors[0],
        mask,
        tuple(tensors[1:][:num_states]),
        tensors[1 + num_states :],
        return_sequences=return_sequences,
    )
    return [*([] if each is None else [each]), *last]


def outputs_and_gradients(backend, cell, tensors, shares, *arguments, **activations):
    """Return the outputs, and the gradients of the sum of shares of them."""
    if backend == "tensorflow":
        variables = [tf.constant(t) for t in tensors]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            outputs = run(scan, cell, variables, *arguments, **activations)
            pairs = zip(shares, outputs, strict=True)
            total = sum(tf.reduce_sum(s * o) for s, o in pairs)
        return outputs, tape.gradient(total, variables)
    jax = pytest.importorskip("jax")
    from rnn_keras.layers import scan_jax

    def total_and_outputs(tensors):
        outputs = run(scan_jax, cell, tensors, *arguments, **activations)
        return sum((s * o).sum() for s, o in zip(shares, outputs, strict=True)), outputs

    with jax.enable_x64(True):
        compiled = jax.jit(jax.grad(total_and_outputs, has_aux=True))
        gradients, outputs = compiled([jax.numpy.array(t) for t in tensors])
        return jax.tree.map(np.asarray, (outputs, gradients))


def random_tensors(cell):
    """Return the inputs, the initial states and the weights, in this order."""
    _, _, blocks, num_states, num_biases = RECURRENCES[cell]
    width = blocks * UNITS
    shapes = [
        (STEPS, BATCH, FEATURES),
        *[(BATCH, UNITS)] * num_states,
        (FEATURES, width),
        (UNITS, width),
        *[(width,)] * num_biases,
    ]
    rng = np.random.default_rng(7)
    return [rng.normal(size=shape, scale=0.5) for shape in shapes]


def assert_same(actual, expected, tolerance=1e-12):
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


def numerical_gradients(function, tensors, step=1e-5):
    """Return central differences, whose error is of the order of step squared."""
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


def assert_as_by_hand(backend, cell, mask, return_sequences=True, **activations):
    """Compare states, and gradients of a loss of them with finite differences."""
    tensors = random_tensors(cell)
    skipped = 0 if return_sequences else 1
    rng = np.random.default_rng(8)
    # Every element of every output has a weight of its own in the loss.
    shares = [
        rng.normal(size=out.shape) for out in by_hand(cell, tensors, mask)[skipped:]
    ]

    def loss():
        outputs = by_hand(cell, tensors, mask, **activations)[skipped:]
        return sum((s * o).sum() for s, o in zip(shares, outputs, strict=True))

    outputs, gradients = outputs_and_gradients(
        backend, cell, tensors, shares, mask, return_sequences, **activations
    )
    assert_same(outputs, by_hand(cell, tensors, mask, **activations)[skipped:])
    assert_same(gradients, numerical_gradients(loss, tensors), tolerance=1e-7)


def on_both_backends(*cases, few_with_jax):
    """Each case with each backend. JAX compiles for seconds: most are exhaustive."""
    chosen = [pytest.param("tensorflow", *case) for case in cases]
    for case in cases:
        marks = [] if case in few_with_jax else pytest.mark.exhaustive
        chosen.append(pytest.param("jax", *case, marks=marks))
    return chosen


LOOPS = [(c, s, m) for c in RECURRENCES for s in (True, False) for m in (True, False)]
OTHERS = [("sigmoid", "tanh"), ("relu", "linear"), ("linear", "relu")]


@pytest.mark.parametrize(
    ("backend", "cell", "return_sequences", "masked"),
    on_both_backends(
        *LOOPS,
        few_with_jax=[
            ("simple_rnn", False, True),
            ("gru", True, True),
            ("lstm", False, True),
            ("lstm", True, False),
        ],
    ),
)
def test_states_and_gradients_are_as_by_hand(backend, cell, return_sequences, masked):
    assert_as_by_hand(backend, cell, MASK if masked else None, return_sequences)


# Each function once as the activation, and once for the gates.
@pytest.mark.parametrize(
    ("backend", "cell", "activation", "gate"),
    on_both_backends(
        *[(cell, *other) for cell in RECURRENCES for other in OTHERS],
        few_with_jax=[("gru", "relu", "linear"), ("lstm", "linear", "relu")],
    ),
)
def test_activations_and_their_slopes_are_those_named(backend, cell, activation, gate):
    activations = {"activation": activation}
    if cell != "simple_rnn":
        activations["recurrent_activation"] = gate
    assert_as_by_hand(backend, cell, MASK, **activations)


@pytest.mark.parametrize("cell", RECURRENCES)
def test_a_loss_of_one_output_alone_has_gradients(cell):
    """TensorFlow then passes no gradient, rather than zero, for the other outputs."""
    tensors = random_tensors(cell)
    for index in range(len(by_hand(cell, tensors, None))):
        variables = [tf.constant(t) for t in tensors]
        with tf.GradientTape() as tape:
            tape.watch(variables)
            total = tf.reduce_sum(run(scan, cell, variables, None)[index])
        expected = numerical_gradients(
            lambda chosen=index: by_hand(cell, tensors, None)[chosen].sum(), tensors
        )
        assert_same(tape.gradient(total, variables), expected, tolerance=1e-7)
