import keras
import numpy as np
import pytest

from rnn_keras.layers import POOLINGS, MaskedPooling1D


def pooled_by_hand(inputs, mask, mode):
    rows = []
    for states, real in zip(inputs, mask, strict=True):
        states = states[real] if real.any() else np.zeros((1, inputs.shape[2]))
        parts = {"max": states.max(axis=0), "mean": states.mean(axis=0)}
        rows.append(np.concatenate([parts[name] for name in mode.split("_")]))
    return np.array(rows)


MASKS = {
    "right": [[1, 1, 0, 0]],
    "left": [[0, 0, 1, 1]],
    "interior": [[1, 0, 0, 1]],
    "none": [[1, 1, 1, 1]],
    "all": [[0, 0, 0, 0]],
    "mixed": [[1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]],
}


@pytest.mark.parametrize("mode", POOLINGS)
@pytest.mark.parametrize("padding", MASKS)
def test_pools_real_steps_only(mode, padding):
    mask = np.array(MASKS[padding], bool)
    inputs = np.random.default_rng(0).normal(size=(*mask.shape, 3)) - 5
    outputs = MaskedPooling1D(mode)(inputs.astype("float32"), mask=mask)
    np.testing.assert_allclose(outputs, pooled_by_hand(inputs, mask, mode), rtol=1e-5)


@pytest.mark.parametrize("mode", POOLINGS)
def test_without_a_mask_every_step_is_real(mode):
    inputs = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    layer = MaskedPooling1D(mode)
    masked = layer(inputs, mask=np.ones((2, 4), bool))
    np.testing.assert_array_equal(layer(inputs), masked)


@pytest.mark.parametrize("padding", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("mode", POOLINGS)
def test_nothing_in_the_padding_comes_through(mode, padding):
    inputs = np.full((1, 3, 2), padding, "float32")
    inputs[0, 0] = [1, -2]
    outputs = MaskedPooling1D(mode)(inputs, mask=np.array([[True, False, False]]))
    assert np.asarray(outputs).tolist() == [[1, -2] * len(mode.split("_"))]


@pytest.mark.parametrize("mode", POOLINGS)
def test_gradient_reaches_real_steps_only_and_is_finite(mode):
    import tensorflow as tf

    inputs = tf.Variable(np.random.default_rng(0).normal(size=(2, 3, 2)))
    mask = tf.constant([[True, True, False], [False, False, False]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(MaskedPooling1D(mode, dtype="float64")(inputs, mask=mask))
    gradient = tape.gradient(loss, inputs).numpy()
    assert not gradient[0, 2].any()
    assert not gradient[1].any()
    # Each half's gradient sums to 1 a feature.
    np.testing.assert_allclose(gradient[0].sum(axis=0), len(mode.split("_")))


@pytest.mark.parametrize("mode", POOLINGS)
def test_shape_and_configuration(mode):
    layer = MaskedPooling1D(mode, name="pooling")
    symbolic = layer(keras.KerasTensor((None, None, 5)))
    assert symbolic.shape == (None, 10 if mode == "max_mean" else 5)
    assert MaskedPooling1D.from_config(layer.get_config()).mode == mode


def test_unknown_mode_is_named():
    with pytest.raises(ValueError, match=r"`mode` must be one of .*Received: 'sum'"):
        MaskedPooling1D("sum")
