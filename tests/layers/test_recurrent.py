import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_keras import layers
from rnn_keras.layers import recurrence
from rnn_keras.layers.masked import POOLING_MODES, MaskedPooling1D


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


@pytest.mark.parametrize("mode", POOLING_MODES)
@pytest.mark.parametrize("padding", MASKS)
def test_pools_real_steps_only(mode, padding):
    mask = np.array(MASKS[padding], bool)
    inputs = np.random.default_rng(0).normal(size=(*mask.shape, 3)) - 5
    outputs = MaskedPooling1D(mode)(inputs.astype("float32"), mask=mask)
    np.testing.assert_allclose(outputs, pooled_by_hand(inputs, mask, mode), rtol=1e-5)


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_without_a_mask_every_step_is_real(mode):
    inputs = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    layer = MaskedPooling1D(mode)
    masked = layer(inputs, mask=np.ones((2, 4), bool))
    np.testing.assert_array_equal(layer(inputs), masked)


@pytest.mark.parametrize("padding", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("mode", POOLING_MODES)
def test_nothing_in_the_padding_comes_through(mode, padding):
    inputs = np.full((1, 3, 2), padding, "float32")
    inputs[0, 0] = [1, -2]
    outputs = MaskedPooling1D(mode)(inputs, mask=np.array([[True, False, False]]))
    assert np.asarray(outputs).tolist() == [[1, -2] * len(mode.split("_"))]


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_gradient_reaches_real_steps_only_and_is_finite(mode):
    inputs = tf.Variable(np.random.default_rng(0).normal(size=(2, 3, 2)))
    mask = tf.constant([[True, True, False], [False, False, False]])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(MaskedPooling1D(mode, dtype="float64")(inputs, mask=mask))
    gradient = tape.gradient(loss, inputs).numpy()
    assert not gradient[0, 2].any()
    assert not gradient[1].any()
    # Each half's gradient sums to 1 a feature.
    np.testing.assert_allclose(gradient[0].sum(axis=0), len(mode.split("_")))


@pytest.mark.parametrize("mode", POOLING_MODES)
def test_shape_and_configuration(mode):
    layer = MaskedPooling1D(mode, name="pooling")
    symbolic = layer(keras.KerasTensor((None, None, 5)))
    assert symbolic.shape == (None, 10 if mode == "max_mean" else 5)
    assert MaskedPooling1D.from_config(layer.get_config()).mode == mode


def test_unknown_mode_is_named():
    with pytest.raises(ValueError, match=r"`mode` must be one of .*Received: 'sum'"):
        MaskedPooling1D("sum")


RECURRENT = {"SimpleRNN": "simple_rnn", "GRU": "gru", "LSTM": "lstm"}


def assert_close(actual, expected):
    actual, expected = keras.tree.flatten(actual), keras.tree.flatten(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=1e-5)


def random_sequences(batch=3, steps=4, features=2):
    values = np.random.default_rng(0).normal(size=(batch, steps, features))
    return values.astype("float32")


def keras_and_fast(cell, **options):
    """Keras's layer and the fast one, whose weights Keras's were."""
    stock = getattr(keras.layers, cell)(3, **options)
    fast = getattr(layers, cell)(3, **options)
    for layer in (stock, fast):
        layer.build((None, None, 2))
    fast.set_weights(stock.get_weights())
    return stock, fast


def takes_the_fast_loop(monkeypatch, layer, **call):
    taken = []
    name = RECURRENT[type(layer).__name__]
    function = getattr(recurrence, name)

    def counted(*args, **kwargs):
        taken.append(name)
        return function(*args, **kwargs)

    monkeypatch.setattr(recurrence, name, counted)
    layer(random_sequences(), **call)
    return taken == [name]


GATED = ["GRU", "LSTM"]


@pytest.mark.parametrize(
    ("cells", "options", "training"),
    [
        (RECURRENT, {}, False),
        (RECURRENT, {}, True),
        (RECURRENT, {"dropout": 0.5}, True),
        (RECURRENT, {"recurrent_dropout": 0.5}, False),
        (RECURRENT, {"activation": None, "use_bias": False}, False),
        (RECURRENT, {"activation": "relu", "dtype": "float64"}, False),
        (GATED, {"recurrent_activation": "tanh"}, False),
        (GATED, {"implementation": 1}, False),
        (GATED, {"use_cudnn": False}, True),
    ],
)
def test_the_fast_loop_is_taken(monkeypatch, cells, options, training):
    for cell in cells:
        layer = getattr(layers, cell)(3, **options)
        assert takes_the_fast_loop(monkeypatch, layer, training=training)


@pytest.mark.parametrize(
    ("cells", "options", "training"),
    [
        (RECURRENT, {"recurrent_dropout": 0.5}, True),
        (RECURRENT, {"dropout": 1.0}, True),
        (RECURRENT, {"activation": "softsign"}, False),
        (RECURRENT, {"activation": lambda a: a}, False),
        (RECURRENT, {"unroll": True}, False),
        (RECURRENT, {"dtype": "mixed_float16"}, False),
        (RECURRENT, {"dtype": "mixed_bfloat16"}, False),
        (GATED, {"recurrent_activation": "hard_sigmoid"}, False),
        (GATED, {"implementation": 1}, True),
        (["GRU"], {"reset_after": False}, False),
    ],
)
def test_what_the_fast_loop_does_not_cover_is_left_to_keras(
    monkeypatch, cells, options, training
):
    for cell in cells:
        layer = getattr(layers, cell)(3, **options)
        assert not takes_the_fast_loop(monkeypatch, layer, training=training)


@pytest.mark.parametrize("cell", GATED)
def test_cudnn_is_not_replaced_where_it_is_asked_for(monkeypatch, cell):
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: [])
    with pytest.raises(ValueError, match=r"use_cudnn=True was specified"):
        getattr(layers, cell)(3, use_cudnn=True)(random_sequences())


@pytest.mark.parametrize("cell", RECURRENT)
def test_layers_are_keras_layers(cell):
    assert isinstance(getattr(layers, cell)(3), getattr(keras.layers, cell))


@pytest.mark.parametrize("cell", RECURRENT)
def test_configuration_is_that_of_keras_and_comes_back(cell):
    options = {"return_state": True, "dropout": 0.25, "activation": "relu"}
    options |= {"name": "recurrent", "go_backwards": True, "use_bias": False}
    fast = getattr(layers, cell)(3, **options)
    config = fast.get_config()
    assert config == getattr(keras.layers, cell)(3, **options).get_config()
    assert getattr(layers, cell).from_config(config).get_config() == config
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(fast)
    )
    assert type(again) is type(fast)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("cell", RECURRENT)
def test_weights_go_to_keras_and_back(cell, use_bias):
    stock, fast = keras_and_fast(cell, use_bias=use_bias)
    inputs = random_sequences()
    assert_close(fast(inputs), stock(inputs))
    other = [w + 0.1 for w in fast.get_weights()]
    fast.set_weights(other)
    stock.set_weights(fast.get_weights())
    assert_close(fast(inputs), stock(inputs))


@pytest.mark.parametrize("cell", RECURRENT)
def test_bidirectional_equals_that_of_keras(cell):
    both = [
        keras.layers.Bidirectional(layer, merge_mode="concat")
        for layer in keras_and_fast(cell, return_sequences=True, return_state=True)
    ]
    inputs = random_sequences()
    mask = np.arange(4) < np.array([[4], [2], [1]])
    for layer in both:
        layer.build(inputs.shape)
    stock, fast = both
    fast.set_weights(stock.get_weights())
    assert_close(fast(inputs, mask=mask), stock(inputs, mask=mask))
    assert type(fast.backward_layer) is getattr(layers, cell)


def test_a_file_keeps_a_model_of_these_layers(tmp_path):
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
    np.testing.assert_array_equal(
        again.predict(ids, verbose=0), model.predict(ids, verbose=0)
    )
    assert [type(layer) for layer in again.layers[2:]] == [layers.GRU, layers.SimpleRNN]
    assert type(again.layers[1].backward_layer) is layers.LSTM


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize("cell", RECURRENT)
def test_functional_model_gives_states_of_the_shapes_told(cell, return_sequences):
    options = {"return_sequences": return_sequences, "return_state": True}
    stock, fast = keras_and_fast(cell, **options)
    shape = (None, 4, 2)
    assert fast.compute_output_shape(shape) == stock.compute_output_shape(shape)
    symbolic = keras.Input(shape[1:])
    states = [keras.Input((3,)) for _ in stock.state_size]
    model = keras.Model(
        [symbolic, *states], keras.tree.flatten(fast(symbolic, initial_state=states))
    )
    values = [np.full((3, 3), 0.1 * n, "float32") for n in range(1, len(states) + 1)]
    outputs = model([random_sequences(), *values])
    assert_close(outputs, stock(random_sequences(), initial_state=values))
    told = fast.compute_output_shape((3, 4, 2))
    assert [tuple(output.shape) for output in outputs] == list(told)


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
@pytest.mark.parametrize("cell", RECURRENT)
def test_inputs_of_another_type_are_taken_as_keras_takes_them(cell, dtype, autocast):
    stock, fast = keras_and_fast(cell, autocast=autocast)
    inputs = random_sequences().astype(dtype)
    assert_close(fast(inputs), stock(inputs))


def test_the_inner_loop_may_be_called_by_a_subclass():
    """As Keras's may: before any call of the layer, with a state that is not zero."""
    x, h = np.ones((2, 3, 4), "float32"), np.full((2, 5), 0.5, "float32")
    mask = np.array([[False, True, True], [True, True, False]])
    fast, stock = layers.GRU(5), keras.layers.GRU(5, use_cudnn=False)
    for layer in (fast, stock):
        layer.build(x.shape)
    fast.set_weights(stock.get_weights())
    actual = fast.inner_loop(tf.constant(x), [tf.constant(h)], tf.constant(mask))
    expected = stock.inner_loop(tf.constant(x), [tf.constant(h)], tf.constant(mask))
    np.testing.assert_allclose(actual[0], expected[0], atol=1e-6)


ANOTHER_BACKEND = """
import keras, numpy as np
from rnn_keras import TextClassifier, layers

assert keras.backend.backend() == "jax"
inputs = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
mask = np.arange(4) < np.array([[4], [2], [1]])
for cell in ("SimpleRNN", "GRU", "LSTM"):
    stock = getattr(keras.layers, cell)(3)
    fast = getattr(layers, cell)(3)
    expected = stock(inputs, mask=mask)
    fast.build(inputs.shape)
    fast.set_weights(stock.get_weights())
    np.testing.assert_array_equal(fast(inputs, mask=mask), expected)
texts, labels = ["a good one", "a bad one", "one"], ["yes", "no", "no"]
classifier = TextClassifier.from_texts(texts, labels)
assert classifier.preprocessor.encode(["a good day"]).ids.tolist() == [[3, 5, 1]]
options = {"epochs": 30, "patience": None, "learning_rate": 0.01}
classifier.fit(texts, labels, validation_data=(texts, labels), **options)
assert [answer.label for answer in classifier.predict(texts)] == labels
"""


def test_another_backend_is_left_to_keras():
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", ANOTHER_BACKEND], check=True, env=environment)
