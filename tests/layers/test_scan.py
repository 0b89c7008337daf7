"""The loop over time: how a batch is split, and that splitting changes nothing."""

import re

import numpy as np
import pytest
import tensorflow as tf

from rnn_keras import layers
from rnn_keras.layers.recurrence import Recurrence
from rnn_keras.layers.scan import num_parts, recur, split_batch


@pytest.mark.parametrize(
    ("batch", "cores", "parts"),
    [
        (1, 4, 1),
        (31, 4, 1),
        (32, 1, 1),
        (32, 2, 2),
        (32, 4, 2),  # no part has under 16 rows
        (33, 2, 1),
        (34, 4, 2),
        (64, 2, 2),
        (64, 3, 2),
        (64, 4, 4),
        (96, 64, 4),  # 96 = 4 * 24; 8 parts would have 12 rows
    ],
)
def test_a_batch_is_split_evenly_into_parts_that_are_worth_a_core(batch, cores, parts):
    assert num_parts(batch, cores) == parts


class RunningSum(Recurrence):
    """h_t = h_{t-1} + x_t, whose gradient is a running sum from the other end."""

    blocks = (1,)
    gradients = (1,)
    unrolled = 4

    def __init__(self):
        self.shapes = []

    def step(self, ops, inputs, states, weights):
        self.shapes.append(states[0].shape)
        return [states[0] + inputs[0]], []

    def step_back(self, ops, dstates, saved, h):
        return dstates, dstates

    def through_kernel(self, ops, da, u_transposed):
        return tf.zeros_like(da[0])

    def weight_gradients(self, ops, h_before, da):
        return [tf.zeros((2, 2), h_before.dtype)]


@pytest.mark.parametrize(
    ("steps", "cores", "bodies"),
    [(1, 2, 2), (3, 4, 4), (4, 1, 4), (6, 2, 4), (8, 2, 8)],
)
def test_parts_and_steps_stand_side_by_side_in_a_graph(set_cores, steps, cores, bodies):
    set_cores(cores)
    rng = np.random.default_rng(0)
    x, share = rng.normal(size=(2, steps, 64, 2))
    running_sum = RunningSum()

    @tf.function
    def sums_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            each, (last,) = recur(
                running_sum,
                [[part] for part in split_batch(x)],
                (tf.zeros_like(x[0]),),
                [tf.eye(2, dtype=x.dtype)],
                None,
                return_sequences=True,
            )
            loss = tf.reduce_sum(each * share)
        return each, last, tape.gradient(loss, x)

    each, last, gradient = sums_and_gradient(tf.constant(x))
    np.testing.assert_allclose(each, x.cumsum(axis=0), atol=1e-12)
    np.testing.assert_allclose(last, x.sum(axis=0), atol=1e-12)
    np.testing.assert_allclose(gradient, share[::-1].cumsum(axis=0)[::-1], atol=1e-12)
    assert running_sum.shapes == [(64 // cores, 2)] * bodies


# Both ways of keeping what a step saves: in the place of its inputs, or elsewhere.
COPY_FREE = [("GRU", "tanh", True), ("LSTM", "relu", False)]
ALL_LOOPS = [
    (cell, activation, sequences)
    for cell in ("SimpleRNN", "GRU", "LSTM")
    for activation in ("tanh", "relu")
    for sequences in (False, True)
]


@pytest.mark.parametrize(
    ("cell", "activation", "sequences"),
    [
        pytest.param(*loop, marks=[] if loop in COPY_FREE else pytest.mark.exhaustive)
        for loop in ALL_LOOPS
    ],
)
def test_no_compiled_loop_copies_a_whole_sequence(
    set_cores, cell, activation, sequences
):
    """XLA copies it at every step if it may be written before it is read."""
    set_cores(2)
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
