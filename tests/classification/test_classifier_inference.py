import numpy as np

from rnn_keras.classification.classifier import make_forward, predict_probabilities
from rnn_keras.models.builders import build_classifier


def test_the_graph_equals_the_network_for_every_shape_and_after_training():
    network = build_classifier(20, 3, units=4, embedding_dim=4)
    forward = make_forward(network)
    for _ in range(2):
        for shape in ((1, 1), (3, 7), (5, 2)):
            ids = np.random.default_rng(0).integers(0, 20, shape).astype(np.int32)
            np.testing.assert_allclose(forward(ids), network(ids), atol=1e-6)
        network.compile("sgd", "mse")
        network.fit(ids, np.ones((5, 3)), verbose=0)


def test_probabilities_are_in_the_order_of_the_texts():
    """A network of one table: the logits are the first token's row."""
    table = np.random.default_rng(0).normal(size=(10, 3))
    ids = np.array(
        [[3, 1, 1, 1], [2, 0, 0, 0], [9, 8, 0, 0], [0, 0, 0, 0], [5, 5, 5, 0]]
    )
    powers = np.exp(table[ids[:, 0]])
    expected = powers / powers.sum(axis=1, keepdims=True)
    for batch_size in (1, 2, 100):
        found = predict_probabilities(lambda x: table[x[:, 0]], ids, 3, batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_large_logits_do_not_overflow():
    found = predict_probabilities(
        lambda ids: np.array([[1000.0, -1000.0]]), np.array([[1]]), 2, 1
    )
    assert found.tolist() == [[1.0, 0.0]]


def test_no_texts():
    assert predict_probabilities(None, np.zeros((0, 1), int), 3, 8).shape == (0, 3)
