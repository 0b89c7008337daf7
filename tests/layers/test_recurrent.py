"""The fast recurrent layers do what Keras's do: outputs, states, gradients, files."""

import os
import subprocess
import sys
from contextlib import contextmanager
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_keras import layers

CELLS = ["SimpleRNN", "GRU", "LSTM"]
GATED = ["GRU", "LSTM"]
TOLERANCES = {"float32": 1e-5, "float64": 1e-10}
FEATURES, UNITS = 2, 3
exhaustive = pytest.mark.exhaustive


def pair_of_layers(cell, batch=None, dtype="float32", **options):
    """Return Keras's layer and the fast one, with the same random weights."""
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


def random_sequences(batch=3, steps=4):
    return random_inputs("SimpleRNN", batch, steps)[0]


def padded(kind, batch, steps):
    """Return a mask of one kind, in which row i has about i steps of padding."""
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
    """Return outputs and states, then gradients of a loss that depends on them all."""
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


def assert_equal(actual, expected, dtype="float32"):
    tolerance = TOLERANCES[dtype]
    actual, expected = keras.tree.flatten(actual), keras.tree.flatten(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


@contextmanager
def loops_of_keras(cell):
    """Count how often Keras's own loop runs inside."""
    stock = getattr(keras.layers, cell)
    with mock.patch.object(
        stock, "inner_loop", autospec=True, side_effect=stock.inner_loop
    ) as calls:
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
    """Return whether the fast loop is meant for a configuration."""
    functions = {options["activation"], options.get("recurrent_activation", "tanh")}
    return (
        functions <= {"tanh", "sigmoid", "relu", "linear", None}
        and options.get("reset_after", True)
        and not options["unroll"]
        and not (training and options["recurrent_dropout"])
    )


def assert_equals_keras(configuration, dtype, run=lambda function: function):
    """Compare both layers; `run` may make a graph of the call of the fast one."""
    cell, options, (batch, steps), mask, call = configuration
    inputs, states = random_inputs(cell, batch, steps, dtype)
    given_to = [inputs, states if call["has_state"] else None, mask, call["training"]]
    stock, fast = pair_of_layers(cell, dtype=dtype, **options)
    with loops_of_keras(cell) as calls:
        actual = run(lambda: outcome(fast, *given_to))()
    assert calls.call_count == (not is_covered(options, call["training"]))
    assert_equal(actual, outcome(stock, *given_to), dtype)


@given(configurations(), st.sampled_from(list(TOLERANCES)))
@settings(max_examples=20)
def test_any_configuration_equals_keras(configuration, dtype):
    assert_equals_keras(configuration, dtype)


@exhaustive
@given(configurations(), st.sampled_from(list(TOLERANCES)))
@settings(max_examples=100)
def test_many_configurations_equal_keras(configuration, dtype):
    assert_equals_keras(configuration, dtype)


@exhaustive
@given(configurations(), st.sampled_from(list(TOLERANCES)))
@settings(max_examples=10)
def test_any_configuration_equals_keras_in_a_graph(configuration, dtype):
    assert_equals_keras(configuration, dtype, run=tf.function)


@pytest.mark.parametrize("zero_output_for_mask", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_is_treated_as_keras_treats_it(cell, zero_output_for_mask):
    stock, fast = pair_of_layers(
        cell,
        dtype="float64",
        return_sequences=True,
        return_state=True,
        zero_output_for_mask=zero_output_for_mask,
    )
    kinds = ["right", "left", "interior", "empty"]
    mask = tf.concat([padded(kind, 4, 4) for kind in kinds], axis=0)
    inputs, states = random_inputs(cell, 16, 4, "float64")
    with loops_of_keras(cell) as calls:
        actual = [outcome(fast, inputs, states, m) for m in (mask, None)]
    assert not calls.called
    expected = [outcome(stock, inputs, states, m) for m in (mask, None)]
    assert_equal(actual, expected, "float64")


# Cell, batch, steps, cores, padding: the batch is split into one, two or four parts.
SPLIT_BATCHES = [
    ("SimpleRNN", 64, 2, 4, "interior"),
    ("GRU", 34, 3, 2, "interior"),
    pytest.param("LSTM", 32, 2, 2, "empty", marks=exhaustive),
    pytest.param("SimpleRNN", 32, 4, 2, "right", marks=exhaustive),
    pytest.param("SimpleRNN", 34, 3, 4, "left", marks=exhaustive),
    pytest.param("SimpleRNN", 5, 1, 4, "none", marks=exhaustive),
    pytest.param("GRU", 64, 1, 4, "none", marks=exhaustive),
    pytest.param("LSTM", 64, 3, 4, "right", marks=exhaustive),
]
COMPILED_BATCHES = [
    ("LSTM", 32, 2, 2, "empty"),
    pytest.param("SimpleRNN", 32, 4, 2, "right", marks=exhaustive),
    pytest.param("SimpleRNN", 34, 3, 4, "left", marks=exhaustive),
    pytest.param("SimpleRNN", 5, 1, 4, "none", marks=exhaustive),
    pytest.param("GRU", 34, 3, 2, "interior", marks=exhaustive),
]


def assert_fixed_shape_equals_keras(cell, batch, steps, kind, dtype, **function):
    stock, fast = pair_of_layers(
        cell, dtype=dtype, return_sequences=True, return_state=True
    )
    inputs, states = random_inputs(cell, batch, steps, dtype)
    mask = padded(kind, batch, steps)
    run = tf.function(outcome, **function)
    with loops_of_keras(cell) as calls:
        actual = run(fast, inputs, states, mask)
    assert not calls.called
    assert_equal(actual, outcome(stock, inputs, states, mask), dtype)


@pytest.mark.parametrize(("cell", "batch", "steps", "cores", "kind"), SPLIT_BATCHES)
def test_a_split_batch_equals_keras(set_cores, cell, batch, steps, cores, kind):
    set_cores(cores)
    assert_fixed_shape_equals_keras(cell, batch, steps, kind, "float64")


@pytest.mark.parametrize(("cell", "batch", "steps", "cores", "kind"), COMPILED_BATCHES)
def test_compiled_by_xla_it_equals_keras(set_cores, cell, batch, steps, cores, kind):
    set_cores(cores)
    assert_fixed_shape_equals_keras(
        cell, batch, steps, kind, "float32", jit_compile=True
    )


@pytest.mark.parametrize(
    ("cell", "shape"),
    [
        ("SimpleRNN", (None, None)),
        pytest.param("SimpleRNN", (None, 4), marks=exhaustive),
        pytest.param("SimpleRNN", (3, None), marks=exhaustive),
        pytest.param("GRU", (None, None), marks=exhaustive),
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


@pytest.mark.parametrize(
    "dtype", ["float64", pytest.param("float32", marks=exhaustive)]
)
@pytest.mark.parametrize("cell", CELLS)
def test_stateful_layers_continue_where_they_stopped(cell, dtype):
    stock, fast = pair_of_layers(cell, batch=3, dtype=dtype, stateful=True)
    inputs, _ = random_inputs(cell, 3, 4, dtype)
    mask = padded("left", 3, 4)

    def continued_and_reset(layer):
        found = []
        for _ in range(2):
            found += [*outcome(layer, inputs, None, mask), *layer.states]
        layer.reset_state()
        return [*found, *outcome(layer, inputs, None, mask)]

    with loops_of_keras(cell) as calls:
        actual = continued_and_reset(fast)
    assert not calls.called
    assert_equal(actual, continued_and_reset(stock), dtype)


@pytest.mark.parametrize(
    "policy", ["mixed_float16", pytest.param("mixed_bfloat16", marks=exhaustive)]
)
@pytest.mark.parametrize("cell", CELLS)
def test_half_precision_is_left_to_keras(cell, policy):
    stock, fast = pair_of_layers(cell, dtype=policy, return_sequences=True)
    inputs, _ = random_inputs(cell, 3, 4)
    mask = padded("right", 3, 4)
    with loops_of_keras(cell) as calls:
        actual = outcome(fast, inputs, None, mask)
    assert calls.call_count == 1
    for a, e in zip(actual, outcome(stock, inputs, None, mask), strict=True):
        np.testing.assert_array_equal(a, e)


def second_order(layer, inputs, states, mask):
    """Return the gradients of a loss made of gradients."""
    sources = [inputs, *states, *layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([inputs, *states])
        first = outcome(layer, inputs, states, mask)
        loss = sum(tf.reduce_sum(tf.sin(g)) for g in first)
    return tape.gradient(loss, sources)


@pytest.mark.parametrize(
    ("run", "batch"),
    [
        pytest.param(lambda function: function, 3, id="eager"),
        pytest.param(tf.function, 32, id="split", marks=exhaustive),
    ],
)
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_gradients_equal_keras(set_cores, cell, run, batch):
    set_cores(2)
    stock, fast = pair_of_layers(cell, dtype="float64", return_sequences=True)
    inputs, states = random_inputs(cell, batch, 4, "float64")
    mask = padded("interior", batch, 4)
    actual = run(second_order)(fast, inputs, states, mask)
    assert_equal(actual, second_order(stock, inputs, states, mask), "float64")


@pytest.mark.parametrize(
    ("cells", "options", "training"),
    [
        (CELLS, {}, False),
        (CELLS, {}, True),
        (CELLS, {"dropout": 0.5}, True),
        (CELLS, {"recurrent_dropout": 0.5}, False),
        (CELLS, {"activation": None, "use_bias": False}, False),
        (CELLS, {"activation": "relu", "dtype": "float64"}, False),
        (GATED, {"recurrent_activation": "tanh"}, False),
        (GATED, {"implementation": 1}, False),
        (GATED, {"use_cudnn": False}, True),
    ],
)
def test_the_fast_loop_is_used(cells, options, training):
    for cell in cells:
        layer = getattr(layers, cell)(3, **options)
        with loops_of_keras(cell) as calls:
            layer(random_sequences(), training=training)
        assert not calls.called


@pytest.mark.parametrize(
    ("cells", "options", "training"),
    [
        (CELLS, {"recurrent_dropout": 0.5}, True),
        (CELLS, {"dropout": 1.0}, True),
        (CELLS, {"activation": "softsign"}, False),
        (CELLS, {"activation": lambda a: a}, False),
        (CELLS, {"unroll": True}, False),
        (CELLS, {"dtype": "mixed_bfloat16"}, False),
        (GATED, {"recurrent_activation": "hard_sigmoid"}, False),
        (GATED, {"implementation": 1}, True),
        (["GRU"], {"reset_after": False}, False),
    ],
)
def test_what_the_fast_loop_does_not_cover_is_left_to_keras(cells, options, training):
    for cell in cells:
        layer = getattr(layers, cell)(3, **options)
        with loops_of_keras(cell) as calls:
            layer(random_sequences(), training=training)
        assert calls.call_count == 1


@pytest.mark.parametrize("cell", GATED)
def test_cudnn_is_not_replaced_if_the_user_asks_for_it(monkeypatch, cell):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: [])
    with pytest.raises(ValueError, match=r"use_cudnn=True was specified"):
        getattr(layers, cell)(3, use_cudnn=True)(random_sequences())


@pytest.mark.parametrize("cell", CELLS)
def test_class_and_configuration_are_those_of_keras(cell):
    options = {"return_state": True, "dropout": 0.25, "activation": "relu"}
    options |= {"name": "recurrent", "go_backwards": True, "use_bias": False}
    fast = getattr(layers, cell)(3, **options)
    assert isinstance(fast, getattr(keras.layers, cell))
    config = fast.get_config()
    assert config == getattr(keras.layers, cell)(3, **options).get_config()
    assert getattr(layers, cell).from_config(config).get_config() == config
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(fast)
    )
    assert type(again) is type(fast)


@pytest.mark.parametrize("cell", CELLS)
def test_weights_move_to_keras_and_back(cell):
    inputs = random_sequences()
    for use_bias in (True, False):
        stock = getattr(keras.layers, cell)(UNITS, use_bias=use_bias)
        fast = getattr(layers, cell)(UNITS, use_bias=use_bias)
        for layer in (stock, fast):
            layer.build(inputs.shape)
        fast.set_weights(stock.get_weights())
        assert_equal(fast(inputs), stock(inputs))
        fast.set_weights([w + 0.1 for w in fast.get_weights()])
        stock.set_weights(fast.get_weights())
        assert_equal(fast(inputs), stock(inputs))


@pytest.mark.parametrize("cell", CELLS)
def test_bidirectional_equals_that_of_keras(cell):
    both = [
        keras.layers.Bidirectional(layer, merge_mode="concat")
        for layer in pair_of_layers(cell, return_sequences=True, return_state=True)
    ]
    inputs = random_sequences()
    mask = np.arange(4) < np.array([[4], [2], [1]])
    for layer in both:
        layer.build(inputs.shape)
    stock, fast = both
    fast.set_weights(stock.get_weights())
    assert_equal(fast(inputs, mask=mask), stock(inputs, mask=mask))
    assert type(fast.backward_layer) is getattr(layers, cell)


def test_a_file_holds_a_model_of_these_layers(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(7, 2, mask_zero=True),
            keras.layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.GRU(3, return_sequences=True, go_backwards=True),
            layers.SimpleRNN(3),
        ]
    )
    ids = np.array([[1, 2, 3, 4], [5, 6, 0, 0], [0, 0, 0, 0]])
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(ids), model(ids))
    assert [type(layer) for layer in again.layers[2:]] == [layers.GRU, layers.SimpleRNN]
    assert type(again.layers[1].backward_layer) is layers.LSTM


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_a_functional_model_returns_states_of_the_computed_shapes(
    cell, return_sequences
):
    options = {"return_sequences": return_sequences, "return_state": True}
    stock, fast = pair_of_layers(cell, **options)
    shape = (None, 4, 2)
    assert fast.compute_output_shape(shape) == stock.compute_output_shape(shape)
    symbolic = keras.Input(shape[1:])
    states = [keras.Input((3,)) for _ in stock.state_size]
    model = keras.Model(
        [symbolic, *states], keras.tree.flatten(fast(symbolic, initial_state=states))
    )
    inputs, values = random_inputs(cell, 3, 4)
    outputs = model([inputs, *values])
    assert_equal(outputs, stock(inputs, initial_state=values))
    computed = fast.compute_output_shape((3, 4, 2))
    assert [tuple(output.shape) for output in outputs] == list(computed)


@pytest.mark.parametrize(
    ("dtype", "autocast"),
    [
        ("float16", True),
        ("float64", True),
        ("int32", True),
        ("bool", True),
        ("float64", False),
    ],
)
def test_inputs_of_another_type_are_taken_as_keras_takes_them(dtype, autocast):
    inputs = random_sequences().numpy().astype(dtype)
    for cell in CELLS:
        stock, fast = pair_of_layers(cell, autocast=autocast)
        assert_equal(fast(inputs), stock(inputs))


def test_a_subclass_may_call_the_inner_loop_first():
    """Keras allows it before any call of the layer, with a state that is not zero."""
    x, h = np.ones((2, 3, 4), "float32"), np.full((2, 5), 0.5, "float32")
    mask = np.array([[False, True, True], [True, True, False]])
    fast, stock = layers.GRU(5), keras.layers.GRU(5, use_cudnn=False)
    for layer in (fast, stock):
        layer.build(x.shape)
    fast.set_weights(stock.get_weights())
    actual = fast.inner_loop(tf.constant(x), [tf.constant(h)], tf.constant(mask))
    expected = stock.inner_loop(tf.constant(x), [tf.constant(h)], tf.constant(mask))
    np.testing.assert_allclose(actual[0], expected[0], atol=1e-6)


WITH_JAX = """
import keras
from rnn_keras import TextClassifier

assert keras.backend.backend() == "jax"
texts, labels = ["a good one", "a bad one", "one"], ["yes", "no", "no"]
classifier = TextClassifier.from_texts(texts, labels)
assert classifier.preprocessor.encode(["a good day"]).ids.tolist() == [[3, 5, 1]]
options = {"epochs": 30, "patience": None, "learning_rate": 0.01}
classifier.fit(texts, labels, validation_data=(texts, labels), **options)
assert [answer.label for answer in classifier.predict(texts)] == labels
alone = [classifier.predict_proba([text])[0] for text in texts]
assert abs(classifier.predict_proba(texts) - alone).max() < 1e-5
"""


@exhaustive
def test_a_classifier_is_trained_with_jax():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", WITH_JAX], check=True, env=environment)
