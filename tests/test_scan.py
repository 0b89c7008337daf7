"""The loop over time: how a batch is cut, and that cutting changes nothing."""

import os

import numpy as np
import pytest
import tensorflow as tf

from rnn_keras import scan


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


def running_sum(x, reverse, calls):
    def step(state, now):
        calls.append(state[0].shape)
        total = state[0] + now[0]
        return (total,), (total,)

    start = tf.zeros_like(x[0])
    return scan._scan(step, [start], [x], [x.shape[2]], unrolled=4, reverse=reverse)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("steps", "cores", "bodies"),
    [(1, 2, 2), (3, 4, 4), (4, 1, 4), (6, 2, 4), (8, 2, 8)],
)
def test_parts_and_steps_stand_side_by_side_in_a_graph(
    monkeypatch, steps, cores, bodies, reverse
):
    monkeypatch.setattr(scan, "_num_cores", lambda: cores)
    x = np.random.default_rng(0).normal(size=(steps, 64, 2))
    calls = []
    graph = tf.function(lambda x: running_sum(x, reverse, calls))
    (last,), (kept,) = graph(tf.constant(x))
    backwards = slice(None, None, -1 if reverse else 1)
    expected = x[backwards].cumsum(axis=0)[backwards]
    np.testing.assert_allclose(kept, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(last, x.sum(axis=0), rtol=1e-12, atol=1e-12)
    assert calls == [(64 // cores, 2)] * bodies
