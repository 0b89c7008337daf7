"""The fast recurrent layers with the JAX backend do what Keras's do there.

`test_scan_jax.py` runs this file in a process of its own, because a process has one
backend. Keras computes with 32 bits on JAX; `test_recurrence.py` tests with 64 bits.
"""

import re
from contextlib import nullcontext
from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from rnn_keras import layers
from rnn_keras.training import IdsInMemory, train

CELLS = ["SimpleRNN", "GRU", "LSTM"]
FEATURES, UNITS, STEPS = 2, 3, 4
exhaustive = pytest.mark.exhaustive
pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="run by test_scan_jax.py, with JAX"
)


def pair_of_layers(cell, **options):
    """Return Keras's layer and the fast one, with the same random weights."""
    pair = [
        getattr(module, cell)(UNITS, **options) for module in (keras.layers, layers)
    ]
    for layer in pair:
        rng = np.random.default_rng(1)
        layer.build((3, None, FEATURES))
        for weight in layer.trainable_weights:
            weight.assign(rng.normal(size=weight.shape, scale=0.4))
    return pair


def random_inputs(cell, batch=3):
    rng = np.random.default_rng(2)
    states = [rng.normal(size=(batch, UNITS)) for _ in range(1 + (cell == "LSTM"))]
    inputs = rng.normal(size=(batch, STEPS, FEATURES))
    return jnp.array(inputs, "float32"), [jnp.array(s, "float32") for s in states]


def padded(kind, batch=3):
    """Return a mask of one kind, in which row i has about i steps of padding."""
    if kind == "none":
        return None
    rows, columns = np.arange(batch)[:, None] % STEPS, np.arange(STEPS)
    return {
        "right": columns < STEPS - rows,
        "left": columns >= rows,
        "interior": (columns + rows) % 3 != 1,
        "empty": (columns < STEPS - rows) & (rows != 0),
    }[kind]


def outcome(layer, inputs, states, mask, training=False, order=1):
    """Return outputs and states, and gradients of a loss that depends on them all."""
    others = [variable.value for variable in layer.non_trainable_variables]

    def outputs(inputs, states, weights):
        call = {"initial_state": states, "mask": mask, "training": training}
        return keras.tree.flatten(
            layer.stateless_call(weights, others, inputs, **call)[0]
        )

    def loss(*given):
        return sum(jnp.sum(jnp.sin(y + jnp.arange(UNITS))) for y in outputs(*given))

    def loss_of_gradients(*given):
        gradients = jax.grad(loss, argnums=(0, 1, 2))(*given)
        return sum(jnp.sum(jnp.sin(g)) for g in jax.tree.leaves(gradients))

    @jax.jit
    def both(*given):
        total = loss if order == 1 else loss_of_gradients
        return outputs(*given), jax.grad(total, argnums=(0, 1, 2))(*given)

    weights = [variable.value for variable in layer.trainable_variables]
    return jax.tree.leaves(both(inputs, states, weights))


def assert_equal(actual, expected, tolerance=1e-5):
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


def assert_equals_keras(cell, options, kind, **call):
    stock, fast = pair_of_layers(cell, **options)
    inputs, states = random_inputs(cell)
    given = (inputs, states, padded(kind))
    with mock.patch.object(getattr(keras.layers, cell), "inner_loop") as keras_loop:
        actual = outcome(fast, *given, **call)
    assert not keras_loop.called
    assert_equal(actual, outcome(stock, *given, **call))


ALL_OUTPUTS = {"return_sequences": True, "return_state": True}
ZERO_BACKWARDS = {"zero_output_for_mask": True, "go_backwards": True, **ALL_OUTPUTS}
FEW = [
    ("SimpleRNN", ALL_OUTPUTS, "left"),
    ("GRU", ZERO_BACKWARDS, "interior"),
    ("LSTM", {}, "empty"),
]
OPTIONS = [
    ALL_OUTPUTS,
    ZERO_BACKWARDS,
    {"zero_output_for_mask": True},
    {"use_bias": False, "activation": "relu"},
    {"activation": None, "return_sequences": True},
]


@pytest.mark.parametrize(("cell", "options", "kind"), FEW)
def test_a_layer_equals_that_of_keras(cell, options, kind):
    assert_equals_keras(cell, options, kind)


# Every option with every cell, and every kind of padding with every cell.
EACH = [
    (cell, options, ["none", "right", "left", "interior", "empty"][(i + j) % 5])
    for j, cell in enumerate(CELLS)
    for i, options in enumerate(OPTIONS)
]


@exhaustive
@pytest.mark.parametrize(("cell", "options", "kind"), EACH)
def test_every_configuration_equals_keras(cell, options, kind):
    assert_equals_keras(cell, options, kind)


@pytest.mark.parametrize(
    "cell", ["GRU", *(pytest.param(c, marks=exhaustive) for c in ("SimpleRNN", "LSTM"))]
)
def test_dropout_in_training_equals_keras(cell):
    assert_equals_keras(cell, {"dropout": 0.4, "seed": 5}, "right", training=True)


@exhaustive
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_gradients_equal_keras(cell):
    assert_equals_keras(cell, {"return_sequences": True}, "interior", order=2)


@exhaustive
@pytest.mark.parametrize("cell", CELLS)
def test_stateful_layers_continue_where_they_stopped(cell):
    found = []
    for layer in pair_of_layers(cell, stateful=True):
        inputs, _ = random_inputs(cell)
        outputs = [layer(inputs, mask=padded("left")) for _ in range(2)]
        found.append([*outputs, *layer.states])
    assert_equal(*found)


@pytest.mark.parametrize(
    ("cells", "options", "training", "covered"),
    [
        (CELLS, {}, True, True),
        (CELLS, {"dropout": 0.5}, True, True),
        (CELLS, {"recurrent_dropout": 0.5}, False, True),
        (CELLS, {"recurrent_dropout": 0.5}, True, False),
        (CELLS, {"activation": "softsign"}, False, False),
        (CELLS, {"unroll": True}, False, False),
        (CELLS, {"dtype": "mixed_bfloat16"}, False, False),
        (["GRU", "LSTM"], {"implementation": 1}, True, False),
        (["GRU", "LSTM"], {"use_cudnn": True}, False, False),
        (["GRU"], {"reset_after": False}, False, False),
    ],
)
def test_what_the_fast_loop_does_not_cover_is_left_to_keras(
    cells, options, training, covered
):
    for cell in cells:
        layer = getattr(layers, cell)(UNITS, **options)
        layer.build((3, STEPS, FEATURES))
        error = RuntimeError("Keras's own loop")
        left = nullcontext() if covered else pytest.raises(RuntimeError, match="own")
        target = getattr(keras.layers, cell)
        with (
            mock.patch.object(target, "inner_loop", side_effect=error),
            keras.StatelessScope(),
            left,
        ):
            # Nothing is computed or compiled.
            call = partial(layer, training=training)
            jax.eval_shape(call, random_inputs(cell)[0])


def small_network(cell="GRU"):
    network = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(9, 4, mask_zero=True),
            layers.Dropout(0.1),
            getattr(layers, cell)(UNITS),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("adam", loss, metrics=["accuracy"])
    return network


def shared_step(cell):
    """Return the compiled training step, as text, of a batch on two devices."""
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(distribution)
    try:
        network = small_network(cell)
        network.optimizer.build(network.trainable_variables)
        batch = np.ones((4, 5), "int32"), np.zeros(4, "int32")
        placed = [
            jax.device_put(a, distribution.get_data_layout(a.shape).backend_layout)
            for a in batch
        ]
        network._symbolic_build(data_batch=batch)
        groups = (
            network.trainable_variables,
            network.non_trainable_variables,
            network.optimizer.variables,
            network.metrics_variables,
        )
        state = tuple([variable.value for variable in group] for group in groups)
        step = jax.jit(network.train_step)
        return step.lower(state, (*placed, None)).compile().as_text()
    finally:
        keras.distribution.set_distribution(None)


@pytest.mark.parametrize(
    "cell", ["LSTM", *(pytest.param(c, marks=exhaustive) for c in ("SimpleRNN", "GRU"))]
)
def test_devices_add_up_their_gradients_once_a_step_and_exchange_nothing_else(cell):
    program = shared_step(cell)
    *loops, whole = re.split(r"\n(?=ENTRY)", program)
    exchanges = r"\b(all-reduce|all-gather|all-to-all|collective-permute)(-start)?\("
    assert not re.findall(exchanges, "".join(loops))
    assert [name for name, _ in re.findall(exchanges, whole)] == ["all-reduce"]


def test_training_compiles_one_step_for_each_length():
    random = np.random.default_rng(0)
    ids = random.integers(1, 9, (24, 6)).astype("int32")
    data = IdsInMemory(ids, np.arange(24) % 2)
    compiled = []

    def note(name, *_, fun_name=None, **__):
        if name == "/jax/core/compile/backend_compile_duration":
            compiled.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        train(small_network(), data, data, epochs=3, batch_size=8)
    finally:
        jax.monitoring.unregister_event_duration_listener(note)
    assert compiled.count("jit(train_step)") == 1
    assert compiled.count("jit(test_step)") == 1
