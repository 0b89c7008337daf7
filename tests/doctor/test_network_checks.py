"""Each check on a network that is made to have one fault, and on a healthy one."""

import keras
import numpy as np
import pytest

from rnn_keras.doctor import network_checks as checks
from rnn_keras.models.builders import build_classifier

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(12, 41, 8)
IDS = np.where(np.arange(40) < LENGTHS[:, None], RNG.integers(1, 20, (8, 40)), 0)
WORDS = np.random.default_rng(0).integers(1, 20, (8, 20))  # without padding
LABELS = np.arange(8) % 2
TOKENS = ["", "[UNK]", *(f"t{i}" for i in range(2, 20))]


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
    """A network whose recurrent kernel is `scale` times a rotation."""
    layer = keras.layers.SimpleRNN(4, name="rnn", **arguments)
    network = plain(True, None, layer)
    rotation, _ = np.linalg.qr(RNG.normal(size=(4, 4)))
    kernel, _, bias = layer.get_weights()
    layer.set_weights([inputs * kernel, (scale * rotation).astype("float32"), bias])
    return network


@pytest.mark.parametrize(
    ("cell", "pooling"),
    [
        ("simple_rnn", "last"),
        ("lstm", "max_mean"),
        pytest.param("simple_rnn", "max_mean", marks=pytest.mark.exhaustive),
        pytest.param("lstm", "last", marks=pytest.mark.exhaustive),
        pytest.param("gru", "last", marks=pytest.mark.exhaustive),
        pytest.param("gru", "max_mean", marks=pytest.mark.exhaustive),
    ],
)
def test_networks_of_this_package_pass_all_checks(cell, pooling):
    network = build_classifier(
        20, 2, cell=cell, units=4, embedding_dim=4, pooling=pooling, bidirectional=True
    )
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


def test_a_layer_that_drops_the_mask_is_found():
    average = keras.layers.Lambda(lambda x: keras.ops.mean(x, axis=1))
    rnn = keras.layers.SimpleRNN(4, return_sequences=True)
    with pytest.warns(UserWarning, match="destroy the mask"):
        found = checks.padding_changes_answers(plain(True, None, rnn, average), IDS)
    assert found.name == "padding-changes-answers"


def test_a_network_for_one_length_is_judged_by_its_embedding():
    assert checks.padding_changes_answers(plain(True, 40), IDS) is None
    found = checks.padding_changes_answers(plain(False, 40), IDS)
    assert (found.name, found.severity) == ("padding-not-masked", "warning")
    assert "zeros up to 40 steps" in found.says


def test_rounding_in_half_precision_is_not_taken_for_padding():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network, ill = plain(), plain(mask_zero=False)
    finally:
        keras.config.set_dtype_policy("float32")
    assert checks.padding_changes_answers(network, IDS) is None
    assert checks.padding_changes_answers(ill, IDS).severity == "error"


@pytest.mark.parametrize("cell", ["simple_rnn", "gru", "lstm"])
def test_saturated_units_are_found(cell):
    network = build_classifier(20, 2, cell=cell, units=4, embedding_dim=4)
    assert checks.saturated_units(network, IDS) is None
    layer = network.get_layer(f"{cell}_1")
    layer.set_weights([1000 * weight for weight in layer.get_weights()])
    found = checks.saturated_units(network, IDS)
    assert (found.name, found.severity) == ("saturated-units", "warning")
    assert f"In '{cell}_1', 100 % of the units" in found.says


def test_saturated_gates_are_no_finding():
    network = build_classifier(20, 2, cell="lstm", units=4, embedding_dim=4)
    layer = network.get_layer("lstm_1")
    kernel, recurrent_kernel, bias = layer.get_weights()
    bias[:8] = 10  # i and f wide open
    layer.set_weights([kernel, recurrent_kernel, bias])
    assert checks.saturated_units(network, IDS) is None


def test_a_vanishing_gradient_is_found():
    found = checks.lost_gradients(recurrent(0.3), IDS, LABELS)
    assert (found.name, found.severity) == ("vanishing-gradients", "warning")
    # 0.3 to the 10th is 6e-6, and tanh shrinks it more: some ten steps are left.
    said = float(found.says.split("reach ")[1].split(" %")[0])
    expected = 100 * np.mean(1 - 10 / LENGTHS)
    assert said == pytest.approx(expected, abs=6)
    assert "--pooling max_mean" in found.cure


@pytest.mark.parametrize("backwards", [False, True])
def test_an_exploding_gradient_is_found_in_its_direction(backwards):
    healthy = recurrent(1.0, activation="linear", go_backwards=backwards)
    assert checks.lost_gradients(healthy, IDS, LABELS) is None
    # A rotation keeps norms, so three times a rotation makes them 3 ** (steps - 1).
    # Tiny inputs keep the logits small; otherwise the loss would be 0 or huge.
    network = recurrent(3.0, 1e-20, activation="linear", go_backwards=backwards)
    found = checks.lost_gradients(network, IDS, LABELS)
    assert (found.name, found.severity) == ("exploding-gradients", "warning")
    said = float(found.says.split(" is ")[1].split(" ")[0])
    assert said == pytest.approx(np.median(3.0 ** (LENGTHS - 1)), rel=0.1)


def test_no_gradient_vanishes_in_short_texts():
    assert checks.lost_gradients(recurrent(0.3), IDS[:, :5], LABELS) is None


class Convolved(keras.layers.Layer):
    """Adds up three neighbours, and drops the mask without a warning."""

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


def test_padding_that_a_maximum_hides_is_found_by_another_vector():
    network = plain(True, None, Convolved(), keras.layers.GlobalMaxPooling1D())
    # These texts have padding already, and more zeros give no new maximum.
    found = checks.padding_changes_answers(network, IDS[LENGTHS < 38])
    assert (found.name, found.severity) == ("padding-not-masked", "warning")
    assert "Another vector for padding changes the logits of" in found.says


def test_a_layer_without_gradient_is_found_below_one_that_has_it():
    first = keras.layers.SimpleRNN(4, return_sequences=True, name="first")
    second = keras.layers.SimpleRNN(4, return_sequences=True, name="second")
    average = keras.layers.GlobalAveragePooling1D()
    network = plain(True, None, first, second, average)
    assert checks.lost_gradients(network, IDS, LABELS) is None
    kernel, recurrent_kernel, bias = second.get_weights()
    second.set_weights([0 * kernel, recurrent_kernel, bias + 0.1])
    found = checks.lost_gradients(network, IDS, LABELS)
    assert (found.name, found.severity) == ("vanishing-gradients", "warning")
    assert found.says.startswith("'first' gets no gradient of the loss: at every step")


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_equal_or_infinite_rows_are_an_error(value):
    network = plain()
    table = network.layers[0]
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
def test_a_few_equal_rows_of_many_are_a_note(number, value, severity):
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
def test_rows_that_were_never_trained_are_found(optimizer):
    network = compiled(plain(), optimizer)
    seen = np.where(WORDS > 10, 2, WORDS)
    before = network.layers[0].get_weights()[0]
    network.fit(seen, LABELS, epochs=2, verbose=0)
    still = (network.layers[0].get_weights()[0] == before).all(axis=1)[2:].sum()
    counts = np.bincount(seen.ravel(), minlength=20)
    (found,) = checks.dead_embeddings(network, TOKENS, counts)
    assert (found.name, found.severity) == ("untrained-embeddings", "warning")
    assert found.says.startswith(f"The vectors of {still} of 18 tokens")
    assert found.examples == ("t11", "t12", "t13")
    assert "Take the vocabulary" in found.cure
    if optimizer == "adam":  # if they were read, something else is the cause
        (found,) = checks.dead_embeddings(network, TOKENS, counts + 1)
        assert "the gradient did not reach them" in found.cure


def test_an_untrained_unknown_token_is_a_note_if_new_texts_have_it():
    network, other = plain(), plain()
    network.fit(np.where(WORDS == 1, 2, WORDS), LABELS, epochs=1, verbose=0)
    found = checks.untrained_unknown(network, 50, 1000)
    assert (found.name, found.severity) == ("untrained-unknown", "note")
    assert found.says.startswith("5.0 % of the tokens of new texts are unknown")
    assert checks.untrained_unknown(network, 5, 1000) is None
    other.fit(np.where(WORDS == 2, 1, WORDS), LABELS, epochs=1, verbose=0)
    assert checks.untrained_unknown(other, 50, 1000) is None
    assert checks.untrained_unknown(plain(), 50, 1000) is None
    assert checks.dead_embeddings(network, TOKENS) == []


def test_nothing_is_said_of_rows_without_a_training_or_counts():
    assert checks.dead_embeddings(plain(), TOKENS) == []
    numbers = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert checks.dead_embeddings(numbers, TOKENS) == []
