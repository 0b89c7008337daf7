"""Pooling of real steps against NumPy, dropout against Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_keras.layers.masked import POOLING_MODES, Dropout, MaskedPooling1D

# Padding on the right, on the left, in between, nowhere, and an empty text.
MASK = np.array(
    [[1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]], bool
)


def pooled_by_hand(inputs, mask, mode):
    rows = []
    for states, real in zip(inputs, mask, strict=True):
        states = states[real] if real.any() else np.zeros((1, inputs.shape[2]))
        parts = {"max": states.max(axis=0), "mean": states.mean(axis=0)}
        rows.append(np.concatenate([parts[name] for name in mode.split("_")]))
    return np.array(rows)


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_only_real_steps_are_pooled(mode):
    inputs = np.random.default_rng(0).normal(size=(*MASK.shape, 3)) - 5
    inputs = inputs.astype("float32")
    layer = MaskedPooling1D(mode)
    expected = pooled_by_hand(inputs, MASK, mode)
    np.testing.assert_allclose(layer(inputs, mask=MASK), expected, rtol=1e-5)
    for row, real in enumerate(MASK):
        alone = layer(inputs[row : row + 1], mask=real[np.newaxis])
        np.testing.assert_allclose(alone[0], expected[row], rtol=1e-5)
    all_real = layer(inputs, mask=np.ones_like(MASK))
    np.testing.assert_array_equal(layer(inputs), all_real)


@pytest.mark.parametrize("padding", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("mode", POOLING_MODES)
def test_no_value_in_the_padding_reaches_the_output(mode, padding):
    inputs = np.full((1, 3, 2), padding, "float32")
    inputs[0, 0] = [1, -2]
    outputs = MaskedPooling1D(mode)(inputs, mask=np.array([[True, False, False]]))
    assert np.asarray(outputs).tolist() == [[1, -2] * len(mode.split("_"))]


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_the_gradient_reaches_real_steps_only_and_is_finite(mode):
    inputs = tf.Variable(np.random.default_rng(0).normal(size=(2, 3, 2)))
    mask = tf.constant([[True, True, False], [False, False, False]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(MaskedPooling1D(mode, dtype="float64")(inputs, mask=mask))
    gradient = tape.gradient(loss, inputs).numpy()
    assert not gradient[0, 2].any()
    assert not gradient[1].any()
    # The gradient of each half sums to 1 for every feature.
    np.testing.assert_allclose(gradient[0].sum(axis=0), len(mode.split("_")))


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_shape_and_configuration(mode):
    layer = MaskedPooling1D(mode, name="pooling")
    symbolic = layer(keras.KerasTensor((None, None, 5)))
    assert symbolic.shape == (None, 10 if mode == "max_mean" else 5)
    assert MaskedPooling1D.from_config(layer.get_config()).mode == mode


def test_an_unknown_mode_is_named():
    with pytest.raises(ValueError, match=r"`mode` must be one of .*Received: 'sum'"):
        MaskedPooling1D("sum")


def test_dropout_is_as_keras_describes_it():
    """The rate is dropped, the rest and its gradients are scaled up; also with XLA."""
    layer = Dropout(0.25, seed=1)
    inputs = tf.ones((100, 50, 4))

    @tf.function(jit_compile=True)
    def dropped_and_gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return y, tape.gradient(y, x)

    first, gradient = dropped_and_gradient(inputs)
    second, _ = dropped_and_gradient(inputs)
    np.testing.assert_allclose(np.unique(first), [0, 1 / 0.75])
    np.testing.assert_array_equal(first, gradient)
    assert 0.24 < np.mean(first == 0) < 0.26
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(layer(inputs), inputs)


def test_dropout_follows_its_seed_and_everything_goes_at_a_rate_of_one():
    inputs = np.ones((8, 9), "float32")
    first, second = (Dropout(0.5, seed=7)(inputs, training=True) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.any(Dropout(1.0)(inputs, training=True))


@pytest.mark.parametrize("noise_shape", [(None, 1, None), (8, 1, 5), (5,), (4, 1)])
def test_dropout_drops_whole_axes_as_that_of_keras(noise_shape):
    inputs = np.ones((8, 4, 5), "float32")
    for layer in (Dropout, keras.layers.Dropout):
        kept = np.asarray(layer(0.5, noise_shape, seed=1)(inputs, training=True)) != 0
        shape = [
            n or m
            for n, m in zip(noise_shape, inputs.shape[-len(noise_shape) :], strict=True)
        ]
        each = kept[(..., *[slice(n) for n in shape])]
        while each.ndim > len(shape):
            each = each[0]
        np.testing.assert_array_equal(kept, np.broadcast_to(each, kept.shape))
        assert 0 < each.mean() < 1
