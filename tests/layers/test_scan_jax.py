"""The loop for JAX: split batches, gradients of gradients, and what XLA makes of it.

JAX is called directly here, beside TensorFlow; `on_jax.py` tests the layers with the
JAX backend, in a process of its own.
"""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from rnn_keras.layers.recurrence import (
    GRURecurrence,
    LSTMRecurrence,
    SimpleRNNRecurrence,
)

jax = pytest.importorskip("jax")
jnp = jax.numpy

# The class, the number of blocks, of states and of biases.
RECURRENCES = {
    "simple_rnn": (SimpleRNNRecurrence, 1, 1, 1),
    "gru": (GRURecurrence, 3, 1, 2),
    "lstm": (LSTMRecurrence, 4, 2, 1),
}


def arguments(cell, steps, batch, features, units, dtype):
    """Return inputs, a mask, initial states and weights."""
    _, blocks, num_states, num_biases = RECURRENCES[cell]
    rng = np.random.default_rng(3)

    def draw(*shape):
        return jnp.array(rng.normal(size=shape, scale=0.5), dtype)

    mask = (np.arange(steps)[:, None] + np.arange(batch)) % 3 != 1
    width = blocks * units
    return (
        draw(steps, batch, features),
        jnp.array(mask[:, :, None]),
        tuple(draw(batch, units) for _ in range(num_states)),
        [draw(features, width), draw(units, width)]
        + [draw(width) for _ in range(num_biases)],
    )


def loss(recurrence, x, mask, states, weights):
    """A sum in which every element of every output has a weight of its own."""
    from rnn_keras.layers.scan_jax import run_recurrence

    each, last = run_recurrence(recurrence, x, mask, states, weights)
    return sum(jnp.sum(jnp.sin(y + jnp.arange(y.shape[-1]))) for y in (each, *last))


def first_order(recurrence, *given):
    return jax.grad(partial(loss, recurrence), argnums=(0, 2, 3))(*given)


def assert_close(actual, expected, tolerance):
    """Compare trees of arrays, leaf by leaf."""
    pairs = zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True)
    for a, e in pairs:
        np.testing.assert_allclose(a, e, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("cell", "batch", "steps", "cores"),
    [
        ("gru", 34, 3, 2),
        ("simple_rnn", 64, 4, 4),
        pytest.param("lstm", 32, 2, 2, marks=pytest.mark.exhaustive),
        pytest.param("lstm", 64, 1, 4, marks=pytest.mark.exhaustive),
    ],
)
def test_splitting_a_batch_changes_nothing(set_cores, cell, batch, steps, cores):
    recurrence = RECURRENCES[cell][0]()
    with jax.enable_x64(True):
        given = arguments(cell, steps, batch, 2, 3, "float64")
        found = []
        for number in (1, cores):
            set_cores(number)
            found.append(jax.jit(partial(first_order, recurrence))(*given))
        assert_close(*found, 1e-12)


def second_order(recurrence, mask, x, states, weights):
    """The gradients of a loss made of gradients."""

    def of_gradients(x, states, weights):
        gradients = first_order(recurrence, x, mask, states, weights)
        return sum(jnp.sum(jnp.sin(g)) for g in jax.tree.leaves(gradients))

    return of_gradients(x, states, weights), jax.grad(of_gradients, argnums=(0, 1, 2))(
        x, states, weights
    )


@pytest.mark.parametrize(
    "cell",
    [
        "lstm",
        pytest.param("simple_rnn", marks=pytest.mark.exhaustive),
        pytest.param("gru", marks=pytest.mark.exhaustive),
    ],
)
def test_gradients_of_gradients_are_finite_differences_of_gradients(cell):
    with jax.enable_x64(True):
        x, mask, states, weights = arguments(cell, 3, 3, 2, 2, "float64")
        compute = jax.jit(partial(second_order, RECURRENCES[cell][0](), mask))
        _, gradients = compute(x, states, weights)
        rng = np.random.default_rng(4)
        # The slope along a random direction says whether all elements are right.
        direction = jax.tree.map(
            lambda t: jnp.array(rng.normal(size=t.shape)), (x, states, weights)
        )

        def moved(by):
            return jax.tree.map(
                lambda t, d: t + by * d, (x, states, weights), direction
            )

        slope = (compute(*moved(1e-5))[0] - compute(*moved(-1e-5))[0]) / 2e-5
        products = jax.tree.map(lambda g, d: jnp.sum(g * d), gradients, direction)
        assert_close(sum(jax.tree.leaves(products)), slope, 1e-7)


def test_hessian_and_vmap_work_and_jvp_alone_does_not():
    recurrence = SimpleRNNRecurrence()
    x, mask, states, weights = arguments("simple_rnn", 2, 2, 1, 1, "float32")

    def of_u(u):
        return loss(recurrence, x, mask, states, [weights[0], u, weights[2]])

    slope = jax.jit(jax.grad(of_u))
    us = jnp.array([[[0.2]], [[0.7]]])
    assert_close([*jax.jit(jax.vmap(slope))(us)], [slope(u) for u in us], 1e-5)
    difference = (slope(us[0] + 1e-2) - slope(us[0] - 1e-2)) / 2e-2
    hessian = jax.jit(jax.hessian(of_u))(us[0])
    assert_close(hessian.reshape(1, 1), difference, 1e-3)
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(of_u, (us[0],), (us[0],))


@pytest.mark.parametrize(
    ("cell", "activation"),
    [
        ("gru", "tanh"),
        pytest.param("lstm", "relu", marks=pytest.mark.exhaustive),
        pytest.param("lstm", "tanh", marks=pytest.mark.exhaustive),
        pytest.param("simple_rnn", "tanh", marks=pytest.mark.exhaustive),
    ],
)
def test_no_loop_copies_a_whole_sequence(set_cores, cell, activation):
    """XLA copies it at every step if it may be written before it is read."""
    set_cores(2)
    recurrence = RECURRENCES[cell][0](activation=activation)
    given = arguments(cell, 24, 64, 32, 32, "float32")
    compiled = jax.jit(partial(first_order, recurrence)).lower(*given).compile()
    *others, _ = re.split(r"\n(?=ENTRY)", compiled.as_text())
    loops = [c for c in "".join(others).split("\n\n") if " dynamic-update-slice" in c]
    assert loops
    assert not re.findall(r"= f32\[24,.* copy\(.*", "".join(loops))


def test_outside_of_jit_a_second_call_compiles_nothing(set_cores):
    set_cores(1)
    given = arguments("gru", 3, 2, 2, 2, "float32")
    compilations = []

    def count(name, *_, **__):
        if name == "/jax/core/compile/backend_compile_duration":
            compilations.append(name)

    loss(GRURecurrence(), *given)
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        loss(GRURecurrence(), *given)
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    assert not compilations


def run_on_jax(*options):
    """Run `on_jax.py` with the JAX backend and two devices, one for all its tests."""
    file = Path(__file__).with_name("on_jax.py")
    shown = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options, str(file)],
        env={
            **os.environ,
            "KERAS_BACKEND": "jax",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        },
        capture_output=True,
        text=True,
    )
    assert shown.returncode == 0, shown.stdout + shown.stderr


def test_the_layers_equal_those_of_keras_on_jax():
    run_on_jax()


@pytest.mark.exhaustive
def test_all_layers_equal_those_of_keras_on_jax():
    run_on_jax("-m", "exhaustive")
