"""Rows of an embedding that have learned nothing, made so."""

import keras
import numpy as np
import pytest

from rnn_keras.doctor import network_checks as checks

IDS = np.random.default_rng(0).integers(1, 20, (8, 20))
LABELS = np.arange(8) % 2
TOKENS = ["", "[UNK]", *(f"t{i}" for i in range(2, 20))]


def compiled(network, optimizer="adam"):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, run_eagerly=True)  # a graph takes seconds
    return network


def plain():
    return compiled(
        keras.Sequential(
            [
                keras.Input((None,), dtype="int32"),
                keras.layers.Embedding(20, 4, mask_zero=True),
                keras.layers.SimpleRNN(4),
                keras.layers.Dense(2),
            ]
        )
    )


def table_of(network):
    return network.layers[0] if network.layers[0].weights else network.layers[1]


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_rows_that_are_alike_or_no_numbers_are_an_error(value):
    network = plain()
    table = table_of(network)
    rows = table.get_weights()[0]
    rows[5:7] = value
    table.set_weights([rows])
    (found,) = checks.dead_embeddings(network, TOKENS)
    assert (found.name, found.severity) == ("dead-embeddings", "error")
    assert found.says.startswith("The vectors of 2 of 19 tokens")
    assert found.examples == ("t5", "t6")


@pytest.mark.parametrize(
    ("number", "value", "severity"),
    [(2, 0.0, "note"), (20, 0.0, "note"), (21, 0.0, "error"), (1, np.nan, "error")],
)
def test_a_few_rows_alike_of_many_are_a_note(number, value, severity):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Embedding(1001, 4)])
    rows = network.layers[0].get_weights()[0]
    rows[5 : 5 + number] = value
    network.layers[0].set_weights([rows])
    tokens = [f"t{i}" for i in range(1001)]
    (found,) = checks.dead_embeddings(network, tokens)
    assert (found.name, found.severity) == ("dead-embeddings", severity)
    assert "--seed" in found.cure
    network.layers[0].trainable = False
    (found,) = checks.dead_embeddings(network, tokens)
    assert ("frozen" in found.cure) is (value == 0)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_rows_that_never_moved_are_found(optimizer):
    network = compiled(plain(), optimizer)
    seen = np.where(IDS > 10, 2, IDS)
    before = table_of(network).get_weights()[0]
    network.fit(seen, LABELS, epochs=2, verbose=0)
    still = (table_of(network).get_weights()[0] == before).all(axis=1)[2:].sum()
    counts = np.bincount(seen.ravel(), minlength=20)
    (found,) = checks.dead_embeddings(network, TOKENS, counts)
    assert (found.name, found.severity) == ("untrained-embeddings", "warning")
    assert found.says.startswith(f"The vectors of {still} of 18 tokens")
    assert found.examples == ("t11", "t12", "t13")
    assert "Take the vocabulary" in found.cure
    if optimizer == "adam":  # they were read, so something else kept them
        (found,) = checks.dead_embeddings(network, TOKENS, counts + 1)
        assert "the gradient did not reach them" in found.cure


def test_an_unknown_token_that_was_never_read_matters_where_new_texts_have_it():
    network, other = plain(), plain()
    network.fit(np.where(IDS == 1, 2, IDS), LABELS, epochs=1, verbose=0)
    found = checks.untrained_unknown(network, 50, 1000)
    assert (found.name, found.severity) == ("untrained-unknown", "note")
    assert found.says.startswith("5.0 % of the tokens of new texts are unknown")
    assert checks.untrained_unknown(network, 5, 1000) is None
    other.fit(np.where(IDS == 2, 1, IDS), LABELS, epochs=1, verbose=0)
    assert checks.untrained_unknown(other, 50, 1000) is None
    assert checks.untrained_unknown(plain(), 50, 1000) is None
    assert checks.dead_embeddings(network, TOKENS) == []


def test_an_untrained_network_without_counts_says_nothing_of_its_rows():
    assert checks.dead_embeddings(plain(), TOKENS) == []
    numbers = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert checks.dead_embeddings(numbers, TOKENS) == []
