"""Networks made to be ill in one way, beside the same network in health."""

import keras
import numpy as np
import pytest

from rnn_keras.doctor import network_checks as checks
from rnn_keras.models.builders import build_classifier

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(12, 41, 8)
IDS = np.where(np.arange(40) < LENGTHS[:, None], RNG.integers(1, 20, (8, 40)), 0)
LABELS = np.arange(8) % 2


def plain(mask_zero=True, length=None, *layers):
    network = keras.Sequential(
        [
            keras.Input((length,), dtype="int32"),
            keras.layers.Embedding(20, 4, mask_zero=mask_zero),
            *(layers or (keras.layers.SimpleRNN(4),)),
            keras.layers.Dense(2),
        ]
    )
    return compiled(network)


def compiled(network, optimizer="adam"):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(optimizer, loss, run_eagerly=True)  # a graph takes seconds
    return network


def recurrent(scale, inputs=1.0, **arguments):
    """With a recurrent kernel that is `scale` times a rotation."""
    layer = keras.layers.SimpleRNN(4, name="rnn", **arguments)
    network = plain(True, None, layer)
    rotation, _ = np.linalg.qr(RNG.normal(size=(4, 4)))
    kernel, _, bias = layer.get_weights()
    layer.set_weights([inputs * kernel, (scale * rotation).astype("float32"), bias])
    return network


@pytest.mark.parametrize("cell", ["simple_rnn", "gru", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "max_mean"])
def test_this_packages_networks_pass_all_checks(cell, pooling):
    network = build_classifier(
        20, 2, cell=cell, units=4, embedding_dim=4, pooling=pooling, bidirectional=True
    )
    compiled(network).fit(IDS, LABELS, epochs=1, verbose=0)
    few = IDS[:4, :20]
    assert checks.padding_changes_answers(network, few) is None
    assert checks.saturated_units(network, few) is None
    assert checks.lost_gradients(network, few, LABELS[:4]) is None


def test_padding_that_is_read_is_an_error():
    assert checks.padding_changes_answers(plain(), IDS) is None
    found = checks.padding_changes_answers(plain(mask_zero=False), IDS)
    assert (found.name, found.severity) == ("padding-changes-answers", "error")
    assert "100 % of 8 texts get other logits" in found.says
    assert "mask_zero=True" in found.cure


def test_a_mask_that_a_layer_drops_is_found_too():
    average = keras.layers.Lambda(lambda x: keras.ops.mean(x, axis=1))
    rnn = keras.layers.SimpleRNN(4, return_sequences=True)
    with pytest.warns(UserWarning, match="destroy the mask"):
        found = checks.padding_changes_answers(plain(True, None, rnn, average), IDS)
    assert found.name == "padding-changes-answers"


def test_a_network_for_one_length_is_known_by_its_embedding():
    assert checks.padding_changes_answers(plain(True, 40), IDS) is None
    found = checks.padding_changes_answers(plain(False, 40), IDS)
    assert (found.name, found.severity) == ("padding-not-masked", "warning")
    assert "up to 40 steps" in found.says


def test_half_precision_is_not_taken_for_padding_that_is_read():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network, ill = plain(), plain(mask_zero=False)
    finally:
        keras.config.set_dtype_policy("float32")
    assert checks.padding_changes_answers(network, IDS) is None
    assert checks.padding_changes_answers(ill, IDS).severity == "error"


@pytest.mark.parametrize("cell", ["simple_rnn", "gru", "lstm"])
def test_units_at_their_limits_are_found(cell):
    network = build_classifier(20, 2, cell=cell, units=4, embedding_dim=4)
    assert checks.saturated_units(network, IDS) is None
    layer = network.get_layer(f"{cell}_1")
    layer.set_weights([1000 * weight for weight in layer.get_weights()])
    found = checks.saturated_units(network, IDS)
    assert (found.name, found.severity) == ("saturated-units", "warning")
    assert f"In '{cell}_1', 100 % of the units" in found.says


def test_gates_that_are_open_or_shut_are_no_finding():
    network = build_classifier(20, 2, cell="lstm", units=4, embedding_dim=4)
    layer = network.get_layer("lstm_1")
    kernel, recurrent_kernel, bias = layer.get_weights()
    bias[:8] = 10  # i and f wide open
    layer.set_weights([kernel, recurrent_kernel, bias])
    assert checks.saturated_units(network, IDS) is None


def test_a_gradient_that_vanishes_is_found():
    found = checks.lost_gradients(recurrent(0.3), IDS, LABELS)
    assert (found.name, found.severity) == ("vanishing-gradients", "warning")
    # 0.3 to the 10th is 6e-6, and tanh takes its share: all but some ten steps.
    said = float(found.says.split("reach ")[1].split(" %")[0])
    expected = 100 * np.mean(1 - 10 / LENGTHS)
    assert said == pytest.approx(expected, abs=6)
    assert "--pooling max_mean" in found.cure


@pytest.mark.parametrize("backwards", [False, True])
def test_a_gradient_that_explodes_is_found_in_its_direction(backwards):
    healthy = recurrent(1.0, activation="linear", go_backwards=backwards)
    assert checks.lost_gradients(healthy, IDS, LABELS) is None
    # A rotation keeps norms, so three times one makes them 3 ** (steps - 1).
    # What is read is next to nothing, or the loss would be exact, 0 or huge.
    network = recurrent(3.0, 1e-20, activation="linear", go_backwards=backwards)
    found = checks.lost_gradients(network, IDS, LABELS)
    assert (found.name, found.severity) == ("exploding-gradients", "warning")
    said = float(found.says.split(" is ")[1].split(" ")[0])
    assert said == pytest.approx(np.median(3.0 ** (LENGTHS - 1)), rel=0.1)


def test_short_texts_have_no_way_to_vanish_on():
    assert checks.lost_gradients(recurrent(0.3), IDS[:, :5], LABELS) is None


class Convolved(keras.layers.Layer):
    """Three neighbours added up, and the mask dropped without a warning."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, x):
        return x[:, :-2] + x[:, 1:-1] + x[:, 2:]

    def compute_mask(self, inputs, mask=None):
        return None


@pytest.mark.parametrize("length", [40, None])
@pytest.mark.parametrize("pooling", ["Average", "Max"])
def test_a_convolution_that_reads_padding_is_found(length, pooling):
    pool = getattr(keras.layers, f"Global{pooling}Pooling1D")()
    network = plain(True, length, Convolved(), pool)
    before = network.get_weights()
    found = checks.padding_changes_answers(network, IDS)
    assert found.name.startswith("padding-")
    fixed = ("padding-not-masked", "warning")
    assert length is None or (found.name, found.severity) == fixed
    for one, other in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    full = np.maximum(IDS, 1)
    assert length is None or checks.padding_changes_answers(network, full) is None


def test_a_maximum_hides_more_padding_but_not_another_vector_for_it():
    network = plain(True, None, Convolved(), keras.layers.GlobalMaxPooling1D())
    # Texts that have padding already: as many zeros more are no new maximum.
    found = checks.padding_changes_answers(network, IDS[LENGTHS < 38])
    assert (found.name, found.severity) == ("padding-not-masked", "warning")
    assert "Another vector for padding changes the logits of" in found.says


def test_a_layer_that_gets_no_gradient_is_found_beside_one_that_does():
    first = keras.layers.SimpleRNN(4, return_sequences=True, name="first")
    second = keras.layers.SimpleRNN(4, return_sequences=True, name="second")
    average = keras.layers.GlobalAveragePooling1D()
    network = plain(True, None, first, second, average)
    assert checks.lost_gradients(network, IDS, LABELS) is None
    kernel, recurrent_kernel, bias = second.get_weights()
    second.set_weights([0 * kernel, recurrent_kernel, bias + 0.1])
    found = checks.lost_gradients(network, IDS, LABELS)
    assert (found.name, found.severity) == ("vanishing-gradients", "warning")
    assert found.says.startswith("'first' gets no gradient of the loss at any step")
