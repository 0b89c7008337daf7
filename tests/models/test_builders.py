"""Padding invariance, equations and parameter counts of the text networks."""

import itertools

import numpy as np
import pytest

from rnn_keras.models.builders import CELLS, build_classifier, build_language_model
from rnn_keras.utils.choices import CELL_NAMES, POOLINGS

# Together they have every value of every argument; the rest is exhaustive.
USUAL = [
    ("simple_rnn", False, 1, "last"),
    ("simple_rnn", True, 2, "max"),
    ("lstm", True, 2, "last"),
    ("lstm", False, 1, "max_mean"),
    ("gru", True, 1, "mean"),
    ("gru", False, 2, "last"),
    ("gru", True, 2, "max_mean"),
]
NETWORKS = [
    pytest.param(
        *network,
        marks=[] if network in USUAL else pytest.mark.exhaustive,
        id="-".join(map(str, network)),
    )
    for network in itertools.product(CELLS, (False, True), (1, 2), POOLINGS)
]


def test_every_cell_name_has_its_layer():
    assert tuple(CELLS) == CELL_NAMES


@pytest.mark.parametrize(("cell", "bidirectional", "num_layers", "pooling"), NETWORKS)
def test_padding_never_changes_an_answer(cell, bidirectional, num_layers, pooling):
    """The logits are the same without padding, in a batch, and with much padding."""
    model = build_classifier(
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
    texts = [[7, 3, 9, 2, 1, 4], [5], [8, 8, 2], [0]]  # the last one is empty
    alone = np.concatenate([model(np.array([text])) for text in texts])
    for length in (6, 7, 40):
        batch = np.zeros((len(texts), length), "int32")
        for row, text in zip(batch, texts, strict=True):
            row[: len(text)] = text
        np.testing.assert_allclose(model(batch), alone, atol=1e-5)
    assert np.isfinite(alone).all()


@pytest.mark.parametrize("cell", CELLS)
def test_padding_never_changes_what_comes_next(cell):
    """Padded on either side, the logits at the real steps are those of the text."""
    model = build_language_model(30, cell=cell, units=5, num_layers=2)
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


def test_last_state_follows_elmans_equation():
    """h_t = tanh(x_t W + h_{t-1} U + b) in NumPy gives the logits of the last state."""
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
    """Two layers, of the classifier in both directions, of the language model in one.

    Each gate has a matrix for the inputs, one for the states, and a bias; Keras's GRU
    has a bias for each of the two products.
    """
    v, d, n, classes = 10, 6, 5, 3
    biases = 2 if cell == "gru" else 1

    def count(inputs):
        return gates * (inputs * n + n * n + biases * n)

    options = {"cell": cell, "units": n, "embedding_dim": d, "num_layers": 2}
    classifier = build_classifier(
        v, classes, bidirectional=True, pooling="max_mean", **options
    )
    pooled = 2 * 2 * n
    layers = 2 * count(d) + 2 * count(2 * n)
    assert classifier.count_params() == v * d + layers + pooled * classes + classes
    language_model = build_language_model(v, dropout=0.1, **options)
    layers = count(d) + count(n)
    assert language_model.count_params() == v * d + layers + n * v + v


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
        ({"dropout": 1.5}, "rate"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_classifier(10, 2, **arguments)
    if "pooling" not in arguments:
        with pytest.raises(ValueError, match=message.partition(", or 0")[0]):
            build_language_model(10, **arguments)
