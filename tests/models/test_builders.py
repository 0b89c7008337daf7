import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_keras.layers.masked import Dropout
from rnn_keras.models.builders import CELLS, build_classifier, build_language_model

POOLINGS = ("last", "max", "mean", "max_mean")
NETWORKS = list(itertools.product(CELLS, (False, True), (1, 2), POOLINGS))


def build(cell, bidirectional, num_layers, pooling):
    return build_classifier(
        30,
        3,
        cell=cell,
        units=5,
        embedding_dim=4,
        num_layers=num_layers,
        bidirectional=bidirectional,
        pooling=pooling,
        dropout=0.5,
    )


@pytest.mark.parametrize("network", NETWORKS, ids=lambda n: "-".join(map(str, n)))
def test_padding_never_changes_an_answer(network):
    """Alone without padding, in a batch, and padded far: the same logits."""
    model = build(*network)
    texts = [[7, 3, 9, 2, 1, 4], [5], [8, 8, 2], [0]]  # the last one is empty
    alone = np.concatenate([model(np.array([text])) for text in texts])
    for length in (6, 7, 40):
        batch = np.zeros((len(texts), length), "int32")
        for row, text in zip(batch, texts, strict=True):
            row[: len(text)] = text
        np.testing.assert_allclose(model(batch), alone, atol=1e-5)
    assert np.isfinite(alone).all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_padding_never_changes_what_comes_next(cell, num_layers):
    """Padded on either side, the logits at the real steps are those of the text."""
    model = build_language_model(30, cell=cell, units=5, num_layers=num_layers)
    texts = [[7, 3, 9, 2, 1, 4], [5], [8, 8, 2]]
    before, after = np.zeros((2, len(texts), 9), "int32")
    for row, text in enumerate(texts):
        before[row, -len(text) :] = after[row, : len(text)] = text
    before, after = model(before), model(after)
    for row, text in enumerate(texts):
        alone = model(np.array([text]))[0]
        np.testing.assert_allclose(after[row, : len(text)], alone, atol=1e-5)
        np.testing.assert_allclose(before[row, -len(text) :], alone, atol=1e-5)


def test_what_comes_next_follows_from_what_came_before():
    """A changed token changes the logits from its own step on, and none before."""
    model = build_language_model(30, units=5, num_layers=2)
    ids = np.array([[7, 3, 9, 2, 1, 4]])
    changed = np.array([[7, 3, 9, 5, 1, 4]])
    same = np.isclose(model(ids), model(changed), atol=1e-6).all(axis=2)
    assert same.tolist() == [[True, True, True, False, False, False]]


@pytest.mark.parametrize(
    ("cell", "gates"), [("simple_rnn", 1), ("gru", 3), ("lstm", 4)]
)
def test_parameters_of_a_language_model_by_derivation(cell, gates):
    v, d, n = 11, 6, 5
    model = build_language_model(
        v, cell=cell, units=n, embedding_dim=d, num_layers=2, dropout=0.1
    )
    biases = 2 if cell == "gru" else 1
    first = gates * (d * n + n * n + biases * n)
    second = gates * (2 * n * n + biases * n)
    assert model.count_params() == v * d + first + second + n * v + v


def test_last_state_follows_elmans_equation():
    """h_t = tanh(x_t W + h_{t-1} U + b) in NumPy, logits from the last state."""
    model = build_classifier(16, 2, units=8, embedding_dim=8)
    for weight in model.trainable_variables:
        weight.assign(np.random.default_rng(1).normal(0, 0.5, weight.shape))
    table, w, u, b, v, c = (weight.numpy() for weight in model.trainable_variables)
    ids = [1, 9, 10, 11]
    h = np.zeros(8)
    for i in ids:
        h = np.tanh(table[i] @ w + h @ u + b)
    logits = model(np.array([[*ids, 0, 0]]))
    np.testing.assert_allclose(logits[0], h @ v + c, atol=1e-5)


def test_the_seed_network_has_282_parameters():
    model = build_classifier(16, 2, units=8, embedding_dim=8)
    embedding, recurrent, dense = 16 * 8, 8 * 8 + 8 * 8 + 8, 8 * 2 + 2
    assert model.count_params() == embedding + recurrent + dense == 282


@pytest.mark.parametrize(
    ("cell", "gates"), [("simple_rnn", 1), ("gru", 3), ("lstm", 4)]
)
def test_parameters_by_derivation(cell, gates):
    d, n, classes = 6, 5, 3
    model = build_classifier(
        10,
        classes,
        cell=cell,
        units=n,
        embedding_dim=d,
        num_layers=2,
        bidirectional=True,
        pooling="max_mean",
    )
    biases = 2 if cell == "gru" else 1  # Keras's GRU has one for each product
    first = gates * (d * n + n * n + biases * n)
    second = gates * (2 * n * n + n * n + biases * n)
    pooled = 2 * 2 * n
    expected = 10 * d + 2 * first + 2 * second + pooled * classes + classes
    assert model.count_params() == expected


def test_dropout_acts_in_training_only():
    model = build_classifier(30, 2, dropout=0.5)
    ids = np.array([[4, 5, 6]])
    np.testing.assert_array_equal(model(ids), model(ids))
    assert not np.allclose(model(ids, training=True), model(ids, training=True))


def test_token_dropout_drops_whole_tokens():
    model = build_classifier(30, 2, token_dropout=0.5)
    dropped = model.get_layer("token_dropout")(np.ones((20, 10, 8)), training=True)
    kept = np.asarray(dropped) != 0
    assert (kept.all(axis=2) | ~kept.any(axis=2)).all()
    assert 0.3 < kept.mean() < 0.7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "rnn"}, "`cell` must be one of .*simple_rnn.* Received: 'rnn'"),
        ({"pooling": "sum"}, "`pooling` must be one of .*last.* Received: 'sum'"),
        ({"units": 0}, "`units` must be at least 1. Received: 0"),
        ({"num_layers": 0}, "`num_layers` must be at least 1, or 0 with"),
        ({"dropout": 1.5}, "dropout|rate"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_classifier(10, 2, **arguments)
    if "pooling" not in arguments:
        with pytest.raises(ValueError, match=message.partition(", or 0")[0]):
            build_language_model(10, **arguments)


def test_dropout_is_as_keras_describes_it():
    """Share dropped, what is kept scaled up, gradients likewise; also compiled."""
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
