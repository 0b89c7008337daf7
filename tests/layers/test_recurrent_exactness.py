"""The fast recurrent layers give what Keras's give: outputs, states, gradients."""

from contextlib import contextmanager
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_keras import layers
from rnn_keras.layers import recurrence, scan

CELLS = ["SimpleRNN", "GRU", "LSTM"]
FUNCTIONS = {"SimpleRNN": "simple_rnn", "GRU": "gru", "LSTM": "lstm"}
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}
FEATURES, UNITS = 2, 3


def pair_of_layers(cell, batch=None, dtype="float32", **options):
    """Keras's layer and the fast one, with the same random weights."""
    stock = getattr(keras.layers, cell)(UNITS, dtype=dtype, **options)
    fast = getattr(layers, cell)(UNITS, dtype=dtype, **options)
    for layer in (stock, fast):
        rng = np.random.default_rng(1)
        layer.build((batch, None, FEATURES))
        for weight in layer.trainable_weights:
            weight.assign(rng.normal(size=weight.shape, scale=0.4))
    return stock, fast


def random_inputs(cell, batch, steps, dtype="float32"):
    rng = np.random.default_rng(2)
    states = [rng.normal(size=(batch, UNITS)) for _ in range(1 + (cell == "LSTM"))]
    inputs = rng.normal(size=(batch, steps, FEATURES))
    return tf.constant(inputs, dtype), [tf.constant(s, dtype) for s in states]


def padded(kind, batch, steps):
    """Masks of one kind: row i has about i steps of padding."""
    if kind == "none":
        return None
    rows = np.arange(batch)[:, np.newaxis] % steps
    columns = np.arange(steps)
    mask = {
        "right": columns < steps - rows,
        "left": columns >= rows,
        "interior": (columns + rows) % 3 != 1,
        "empty": (columns < steps - rows) & (rows != 0),
    }[kind]
    return tf.constant(mask)


def outcome(layer, inputs, states, mask, training=False):
    """Outputs and states, then the gradients of a loss that depends on them all."""
    sources = [inputs, *(states or []), *layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([inputs, *(states or [])])
        outputs = keras.tree.flatten(
            layer(inputs, initial_state=states, mask=mask, training=training)
        )
        loss = sum(
            tf.reduce_sum(tf.sin(y + tf.cast(tf.range(tf.shape(y)[-1]), y.dtype)))
            for y in outputs
        )
    gradients = tape.gradient(loss, sources, unconnected_gradients="zero")
    return [*outputs, *gradients]


def assert_equal(actual, expected, dtype):
    tolerance = TOLERANCES[dtype]
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


@contextmanager
def recurrence_calls(cell):
    """How often the fast loop is called."""
    name = FUNCTIONS[cell]
    function = getattr(recurrence, name)
    with mock.patch.object(recurrence, name, wraps=function) as calls:
        yield calls


@st.composite
def configurations(draw):
    cell = draw(st.sampled_from(CELLS))
    yes_or_no = st.booleans()
    rarely = st.sampled_from([False, False, False, False, True])
    activations = st.sampled_from(["tanh", "relu", "sigmoid", "linear", None, "elu"])
    options = {
        "return_sequences": draw(yes_or_no),
        "return_state": draw(yes_or_no),
        "go_backwards": draw(yes_or_no),
        "zero_output_for_mask": draw(yes_or_no),
        "use_bias": draw(yes_or_no),
        "unroll": draw(rarely),
        "activation": draw(activations),
        "dropout": draw(st.sampled_from([0.0, 0.4])),
        "recurrent_dropout": draw(st.sampled_from([0.0, 0.0, 0.4])),
        "seed": 5,
    }
    if cell != "SimpleRNN":
        gates = ["sigmoid", "sigmoid", "relu", "tanh", "linear", "hard_sigmoid"]
        options["recurrent_activation"] = draw(st.sampled_from(gates))
    if cell == "GRU":
        options["reset_after"] = not draw(rarely)
    batch, steps = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    row = st.lists(yes_or_no, min_size=steps, max_size=steps)
    rows = st.lists(row, min_size=batch, max_size=batch)
    kind = draw(st.sampled_from(["none", "right", "left", "interior", "empty", "any"]))
    mask = tf.constant(draw(rows)) if kind == "any" else padded(kind, batch, steps)
    call = {"training": draw(yes_or_no), "has_state": draw(yes_or_no)}
    return cell, options, (batch, steps), mask, call


def is_covered(options, training):
    """Whether a configuration is one that the fast loop is for."""
    functions = {options["activation"], options.get("recurrent_activation", "tanh")}
    return (
        functions <= {"tanh", "sigmoid", "relu", "linear", None}
        and options.get("reset_after", True)
        and not options["unroll"]
        and not (training and options["recurrent_dropout"])
    )


def assert_equals_keras(configuration, dtype, run):
    """`run` takes a function and gives it as it shall be called."""
    cell, options, (batch, steps), mask, call = configuration
    inputs, states = random_inputs(cell, batch, steps, dtype)
    given_to = [inputs, states if call["has_state"] else None, mask, call["training"]]
    stock, fast = pair_of_layers(cell, dtype=dtype, **options)
    with recurrence_calls(cell) as calls:
        actual = run(lambda: outcome(fast, *given_to))()
    assert calls.call_count == is_covered(options, call["training"])
    assert_equal(actual, outcome(stock, *given_to), dtype)


@given(configurations(), st.sampled_from(list(TOLERANCES)))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_every_configuration_equals_keras(configuration, dtype):
    assert_equals_keras(configuration, dtype, run=lambda function: function)


@given(configurations(), st.sampled_from(list(TOLERANCES)))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_every_configuration_equals_keras_in_a_graph(configuration, dtype):
    assert_equals_keras(configuration, dtype, run=tf.function)


@pytest.mark.parametrize("zero_output_for_mask", [False, True])
@pytest.mark.parametrize("kind", ["none", "right", "left", "interior", "empty"])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_is_treated_as_keras_treats_it(cell, kind, zero_output_for_mask):
    stock, fast = pair_of_layers(
        cell,
        dtype="float64",
        return_sequences=True,
        return_state=True,
        zero_output_for_mask=zero_output_for_mask,
    )
    mask = padded(kind, 4, 4)
    inputs, states = random_inputs(cell, 4, 4, "float64")
    with recurrence_calls(cell) as calls:
        actual = outcome(fast, inputs, states, mask)
    assert calls.call_count == 1
    assert_equal(actual, outcome(stock, inputs, states, mask), "float64")


# Cell, batch, steps, cores, padding: the batch is cut into one, two or four parts.
FIXED_SHAPES = [
    ("SimpleRNN", 32, 4, 2, "right"),
    ("SimpleRNN", 34, 3, 4, "left"),
    ("SimpleRNN", 5, 1, 4, "none"),
    ("GRU", 34, 3, 2, "interior"),
    ("LSTM", 32, 2, 2, "empty"),
]
FOUR_PARTS = [
    ("SimpleRNN", 64, 2, 4, "interior"),
    ("GRU", 64, 1, 4, "none"),
    ("LSTM", 64, 3, 4, "right"),
]


def assert_fixed_shape_equals_keras(cell, batch, steps, kind, dtype, **function):
    stock, fast = pair_of_layers(
        cell, dtype=dtype, return_sequences=True, return_state=True
    )
    inputs, states = random_inputs(cell, batch, steps, dtype)
    mask = padded(kind, batch, steps)
    run = tf.function(outcome, **function)
    with recurrence_calls(cell) as calls:
        actual = run(fast, inputs, states, mask)
    assert calls.call_count == 1
    assert_equal(actual, outcome(stock, inputs, states, mask), dtype)


@pytest.mark.parametrize(
    ("cell", "batch", "steps", "cores", "kind"), FIXED_SHAPES + FOUR_PARTS
)
def test_a_batch_in_parts_equals_keras(monkeypatch, cell, batch, steps, cores, kind):
    monkeypatch.setattr(scan, "_num_cores", lambda: cores)
    assert_fixed_shape_equals_keras(cell, batch, steps, kind, "float64")


@pytest.mark.parametrize(("cell", "batch", "steps", "cores", "kind"), FIXED_SHAPES)
def test_compiled_by_xla_equals_keras(monkeypatch, cell, batch, steps, cores, kind):
    monkeypatch.setattr(scan, "_num_cores", lambda: cores)
    assert_fixed_shape_equals_keras(
        cell, batch, steps, kind, "float32", jit_compile=True
    )


@pytest.mark.parametrize(
    ("cell", "shape"),
    [
        ("SimpleRNN", (None, None)),
        ("SimpleRNN", (None, 4)),
        ("SimpleRNN", (3, None)),
        ("GRU", (None, None)),
        ("LSTM", (None, None)),
    ],
)
def test_unknown_batch_and_length_equal_keras(cell, shape):
    stock, fast = pair_of_layers(cell, dtype="float64", return_sequences=True)
    batch, steps = shape
    num_states = 2 if cell == "LSTM" else 1
    signature = [
        tf.TensorSpec((batch, steps, FEATURES), "float64"),
        [tf.TensorSpec((batch, UNITS), "float64")] * num_states,
        tf.TensorSpec((batch, steps), "bool"),
    ]
    run = tf.function(
        lambda inputs, states, mask: outcome(fast, inputs, states, mask),
        input_signature=signature,
    )
    for chosen in [(3, 4), (batch or 1, steps or 7)]:
        inputs, states = random_inputs(cell, *chosen, "float64")
        mask = padded("interior", *chosen)
        assert_equal(
            run(inputs, states, mask), outcome(stock, inputs, states, mask), "float64"
        )


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("cell", CELLS)
def test_stateful_layers_go_on_where_they_stopped(cell, dtype):
    stock, fast = pair_of_layers(cell, batch=3, dtype=dtype, stateful=True)
    inputs, _ = random_inputs(cell, 3, 4, dtype)
    mask = padded("left", 3, 4)
    with recurrence_calls(cell) as calls:
        for _ in range(2):
            expected = outcome(stock, inputs, None, mask)
            assert_equal(outcome(fast, inputs, None, mask), expected, dtype)
            assert_equal(fast.states, stock.states, dtype)
        for layer in (stock, fast):
            layer.reset_state()
        expected = outcome(stock, inputs, None, mask)
        assert_equal(outcome(fast, inputs, None, mask), expected, dtype)
    assert calls.call_count == 3


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("cell", CELLS)
def test_half_precision_is_left_to_keras(cell, policy):
    stock, fast = pair_of_layers(cell, dtype=policy, return_sequences=True)
    inputs, _ = random_inputs(cell, 3, 4)
    mask = padded("right", 3, 4)
    with recurrence_calls(cell) as calls:
        actual = outcome(fast, inputs, None, mask)
    assert calls.call_count == 0
    for a, e in zip(actual, outcome(stock, inputs, None, mask), strict=True):
        np.testing.assert_array_equal(a, e)


def second_order(layer, inputs, states, mask):
    """Gradients of a loss made of gradients."""
    sources = [inputs, *states, *layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([inputs, *states])
        first = outcome(layer, inputs, states, mask)
        loss = sum(tf.reduce_sum(tf.sin(g)) for g in first)
    return tape.gradient(loss, sources)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("run", "batch"),
    [(lambda function: function, 3), (tf.function, 32)],
    ids=["eager", "in parts"],
)
def test_gradients_of_gradients_equal_keras(monkeypatch, cell, run, batch):
    monkeypatch.setattr(scan, "_num_cores", lambda: 2)
    stock, fast = pair_of_layers(cell, dtype="float64", return_sequences=True)
    inputs, states = random_inputs(cell, batch, 4, "float64")
    mask = padded("interior", batch, 4)
    actual = run(second_order)(fast, inputs, states, mask)
    assert_equal(actual, second_order(stock, inputs, states, mask), "float64")
