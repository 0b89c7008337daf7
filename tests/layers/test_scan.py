"""The loop over time: how a batch is cut, and that cutting changes nothing."""

import os
import re

import numpy as np
import pytest
import tensorflow as tf

from rnn_keras import layers
from rnn_keras.layers import scan


@pytest.mark.parametrize(
    ("batch", "cores", "parts"),
    [
        (1, 4, 1),
        (31, 4, 1),
        (32, 1, 1),
        (32, 2, 2),
        (32, 4, 2),  # parts of 16 rows are the smallest
        (33, 2, 1),
        (34, 4, 2),
        (64, 2, 2),
        (64, 3, 2),
        (64, 4, 4),
        (96, 64, 4),  # 96 = 4 * 24, and 8 parts would have 12 rows
    ],
)
def test_a_batch_is_cut_evenly_into_parts_that_are_worth_a_core(
    monkeypatch, batch, cores, parts
):
    monkeypatch.setattr(scan, "_num_cores", lambda: cores)
    assert scan._num_parts(batch) == parts


def test_cores_are_those_that_this_process_may_use():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("the system has no such setting")
    usable = os.sched_getaffinity(0)
    assert scan._num_cores() == len(usable)
    os.sched_setaffinity(0, {min(usable)})
    try:
        assert scan._num_cores() == 1
    finally:
        os.sched_setaffinity(0, usable)


def running_sum(calls):
    """h_t = h_{t-1} + x_t, whose gradient is a running sum from the other end."""

    def step(inputs, states, u):
        calls.append(states[0].shape)
        return (states[0] + inputs[0],), ()

    def back(dstates, saved, h):
        return dstates, dstates

    return scan.Cell(
        step,
        back,
        through=lambda da, u_transposed: tf.zeros_like(da[0]),
        weight_gradients=lambda h, da: [tf.zeros((2, 2), h.dtype)],
    )


@pytest.mark.parametrize(
    ("steps", "cores", "bodies"),
    [(1, 2, 2), (3, 4, 4), (4, 1, 4), (6, 2, 4), (8, 2, 8)],
)
def test_parts_and_steps_stand_side_by_side_in_a_graph(
    monkeypatch, steps, cores, bodies
):
    monkeypatch.setattr(scan, "_num_cores", lambda: cores)
    rng = np.random.default_rng(0)
    x, share = rng.normal(size=(2, steps, 64, 2))
    calls = []

    @tf.function
    def sums_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            each, (last,) = scan.recur(
                running_sum(calls),
                [[part] for part in scan.cut(x)],
                (tf.zeros_like(x[0]),),
                [tf.eye(2, dtype=x.dtype)],
                None,
                gradients=[1],
                unrolled=4,
                return_sequences=True,
            )
            loss = tf.reduce_sum(each * share)
        return each, last, tape.gradient(loss, x)

    each, last, gradient = sums_and_gradient(tf.constant(x))
    np.testing.assert_allclose(each, x.cumsum(axis=0), atol=1e-12)
    np.testing.assert_allclose(last, x.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(gradient, share[::-1].cumsum(axis=0)[::-1], atol=1e-12)
    assert calls == [(64 // cores, 2)] * bodies


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("cell", ["SimpleRNN", "GRU", "LSTM"])
def test_no_loop_copies_a_whole_sequence(monkeypatch, cell, activation, sequences):
    """Which XLA does at every step, where a place may be written before it is read."""
    monkeypatch.setattr(scan, "_num_cores", lambda: 2)
    layer = getattr(layers, cell)(32, activation=activation, return_sequences=sequences)
    layer.build((64, 24, 32))

    @tf.function(jit_compile=True)
    def gradients(x, mask):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, mask=mask))
        return tape.gradient(loss, [v.value for v in layer.trainable_variables])

    arguments = tf.ones((64, 24, 32)), tf.ones((64, 24), "bool")
    program = gradients.experimental_get_compiler_ir(*arguments)("optimized_hlo")
    *others, _ = re.split(r"\n(?=ENTRY)", program)
    loops = [c for c in "".join(others).split("\n\n") if " dot(" in c]
    assert len(loops) == 2
    assert not re.findall(r"= f32\[24,.* copy\(.*", "".join(loops))
