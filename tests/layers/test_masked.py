"""Pooling of real steps, against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_keras.layers.masked import POOLING_MODES, MaskedPooling1D

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
