"""Optimizer, callbacks, batches and progress bar, as `train` chooses them."""

import io
import re

import keras
import numpy as np
import pytest
from rich.console import Console

from rnn_keras import layers
from rnn_keras.models.builders import build_classifier
from rnn_keras.training import loop
from rnn_keras.training import trainer as training
from rnn_keras.training.batches import IdsInMemory
from rnn_keras.training.trainer import hold_out, make_callbacks, make_optimizer
from rnn_keras.utils.errors import InputError


def callbacks(patience):
    return make_callbacks(
        learning_rate=0.0, epochs=5, patience=patience, validated=True
    )


def test_the_gradients_norm_is_clipped_to_one():
    """One step of Adam's first moment is (1 - beta_1) times the clipped gradient."""
    weights = [keras.Variable(np.zeros(3)), keras.Variable(np.zeros(4))]
    optimizer = make_optimizer()
    optimizer.build(weights)
    gradients = [np.full(3, 30.0), np.full(4, -40.0)]
    optimizer.apply([keras.ops.convert_to_tensor(g, "float32") for g in gradients])
    norm = np.sqrt(3 * 30.0**2 + 4 * 40.0**2)
    moments = [v for v in optimizer.variables if "momentum" in v.path]
    for moment, gradient in zip(moments, gradients, strict=True):
        np.testing.assert_allclose(moment, 0.1 * gradient / norm, rtol=1e-5)


def test_early_stopping_brings_the_best_weights_back():
    """A loss that is lowest after the second epoch, by construction."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile("sgd", "mse")
    kernel = model.layers[0].kernel

    class Walk(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            kernel.assign([[[3.0, 1.0, 2.0, 4.0, 5.0][epoch]]])

    model.optimizer.learning_rate = 0.0
    x = np.ones((4, 1))
    stopping = callbacks(patience=2)
    history = model.fit(
        x,
        np.ones((4, 1)),
        validation_data=(x, np.ones((4, 1))),
        epochs=5,
        verbose=0,
        callbacks=[Walk(), *stopping],
    )
    assert len(history.epoch) == 4
    assert kernel.numpy().item() == 1.0


def test_the_learning_rate_falls_in_a_straight_line_and_comes_back():
    model = build_classifier(5, 2, units=2, embedding_dim=2)
    model.compile(make_optimizer(), "sparse_categorical_crossentropy")
    data = IdsInMemory(np.array([[1, 2], [3, 4]]), np.array([0, 1]))
    arguments = {"epochs": 4, "batch_size": 2, "learning_rate": 0.4}
    history = training.train(model, data, patience=9, **arguments).history
    assert history["learning_rate"] == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.4)


def test_an_optimizer_keeps_its_own_schedule_and_no_held_out_texts_are_no_validation():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model = build_classifier(5, 2, units=2, embedding_dim=2)
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    data = IdsInMemory(np.array([[1, 2], [3, 4]]), np.array([0, 1]))
    empty = data.select(slice(0))
    history = training.train(model, data, empty, patience=2, epochs=2, batch_size=2)
    assert "learning_rate" not in history.history
    assert "val_loss" not in history.history
    assert len(history.epoch) == 2


def test_after_an_interrupt_the_bar_is_gone_and_the_rate_is_back(monkeypatch):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    model = build_classifier(5, 2, units=2, embedding_dim=2)
    model.compile(make_optimizer(0.4), "sparse_categorical_crossentropy")
    data = IdsInMemory(np.array([[1, 2], [3, 4]]), np.array([0, 1]))
    written = show_bars_on(monkeypatch, terminal=True)
    arguments = {"epochs": 4, "batch_size": 2, "patience": 9}
    with pytest.raises(KeyboardInterrupt):
        training.train(model, data, callbacks=[Interrupt()], progress=True, **arguments)
    hide_cursor, show_cursor = "\x1b[?25l", "\x1b[?25h"
    assert written.getvalue().count(hide_cursor) == 1
    assert hide_cursor not in written.getvalue().rpartition(show_cursor)[2]
    assert show_cursor in written.getvalue()
    assert float(model.optimizer.learning_rate) == pytest.approx(0.4)


def test_no_texts_are_refused():
    with pytest.raises(InputError, match="no texts to train on"):
        training.train(
            None, IdsInMemory(np.zeros((0, 1)), np.zeros(0)), epochs=1, batch_size=2
        )


def test_without_patience_all_epochs_are_trained_at_one_rate():
    assert callbacks(patience=None) == []


def show_bars_on(monkeypatch, *, terminal):
    """Give progress bars a terminal, or another file, that keeps what is written."""
    written = io.StringIO()

    def console(**_):
        return Console(file=written, force_terminal=terminal, width=80)

    monkeypatch.setattr("rnn_keras.utils.progress.Console", console)
    return written


@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar_is_seen_on_a_terminal_only(terminal, monkeypatch):
    written = show_bars_on(monkeypatch, terminal=terminal)
    bar = training.ProgressBar()
    bar.set_params({"epochs": 3, "steps": 2})
    bar.on_train_begin()
    bar.on_train_batch_end(0)
    bar.on_epoch_end(0, {"loss": 0.5})
    bar.progress.refresh()
    bar.on_train_end()
    assert ("epoch 1/3  loss 0.500" in written.getvalue()) == terminal
    assert bool(written.getvalue()) == terminal


def small_network():
    keras.utils.set_random_seed(0)
    model = build_classifier(9, 2, cell="gru", units=4, embedding_dim=3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(make_optimizer(0.01), loss, metrics=["accuracy"])
    return model


def random_data():
    random = np.random.default_rng(0)
    ids = random.integers(1, 9, (40, 6)).astype("int32")
    return IdsInMemory(ids, random.integers(0, 2, 40))


def test_a_seed_gives_the_same_weights_bit_for_bit():
    def trained():
        model = small_network()
        training.train(model, random_data(), epochs=3, batch_size=20, seed=1)
        return model.get_weights()

    for one, other in zip(trained(), trained(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.exhaustive
def test_a_compiled_step_gives_the_same_weights_and_a_seed_the_same_bits():
    """Texts of six tokens, padded to eight where XLA compiles."""

    def trained(compiled, **lengths):
        model, data = small_network(), random_data()
        batches = data.batches(batch_size=20, seed=0, **lengths)
        held_out = data.batches_in_order(batch_size=20)
        history = loop.fit(
            model, batches, held_out, epochs=3, callbacks=[], compiled=compiled
        )
        return model.get_weights(), history.history

    plain, plain_scores = trained(False)
    compiled, scores = trained(True, num_lengths=1, multiple=4)
    again, _ = trained(True, num_lengths=1, multiple=4)
    for one, other in zip(plain, compiled, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    for name, values in plain_scores.items():
        np.testing.assert_allclose(scores[name], values, atol=1e-4)
    for one, other in zip(compiled, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_network_of_mixed_precision_is_trained():
    """Keras wraps its optimizer in one that scales the loss."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = small_network()
    finally:
        keras.config.set_dtype_policy(before)
    arguments = {"epochs": 4, "batch_size": 20, "patience": 4, "learning_rate": 0.04}
    history = training.train(model, random_data(), **arguments).history
    assert history["learning_rate"] == pytest.approx([0.04, 0.03, 0.02, 0.01])
    assert history["loss"][-1] < history["loss"][0]


ENOUGH = np.ones((1000, 100), np.int32)


def test_the_step_is_compiled_where_that_pays():
    model = small_network()
    lengths = [
        loop.num_compiled_lengths(model, ENOUGH, epochs, 10) for epochs in (1, 5, 10**4)
    ]
    assert lengths == [0, 2, 8]
    model.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    assert loop.num_compiled_lengths(model, ENOUGH, 10**4, 10) == 0


def test_with_jax_a_length_more_must_save_more_padding_than_compiling_takes(
    monkeypatch,
):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    # Half of the texts have 10 tokens, half 100: two lengths save 45 time steps a text.
    ids = np.arange(100) < np.repeat([10, 100], 500)[:, None]
    lengths = [
        loop.num_compiled_lengths(small_network(), ids, epochs, 10)
        for epochs in (1, 5, 6, 10**4)
    ]
    assert lengths == [1, 1, 2, 2]


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.GRU(2),
        keras.layers.Bidirectional(keras.layers.LSTM(2)),
        layers.GRU(2, recurrent_dropout=0.1),
        keras.layers.Dropout(0.1),
    ],
    ids=["GRU", "Bidirectional", "recurrent dropout", "Dropout"],
)
def test_what_xla_makes_slower_is_not_compiled(layer):
    pooling = layers.MaskedPooling1D()
    model = keras.Sequential([keras.layers.Embedding(3, 2), pooling])
    model.compile("adam", "sparse_categorical_crossentropy")
    assert loop.num_compiled_lengths(model, ENOUGH, 10**4, 10) == 8
    model = keras.Sequential([keras.layers.Embedding(3, 2), layer, pooling])
    model.compile("adam", "sparse_categorical_crossentropy")
    assert loop.num_compiled_lengths(model, ENOUGH, 10**4, 10) == 0


@pytest.mark.parametrize(
    "optimizer",
    [
        "adam",
        *(
            pytest.param(name, marks=pytest.mark.exhaustive)
            for name in ("sgd", "nadam", "adagrad", "ftrl")
        ),
    ],
)
def test_a_restarted_network_trains_as_one_built_anew(optimizer):
    def make():
        network = build_classifier(10, 2, cell="gru", units=4, embedding_dim=3)
        network.compile(optimizer, "sparse_categorical_crossentropy")
        return network

    keras.utils.set_random_seed(7)
    expected = fit_for_a_while(make())
    network = make()
    fit_for_a_while(network)
    training.restart(network, 7)
    for one, other in zip(fit_for_a_while(network), expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
    training.restart(network, 8)
    assert not np.allclose(network.get_weights()[0], expected[0])


def fit_for_a_while(network):
    data = np.array([[2, 3, 4], [5, 6, 7]]), np.array([0, 1])
    network.fit(*data, epochs=3, shuffle=False, verbose=0)
    return network.get_weights()


@pytest.mark.parametrize(
    "policy",
    ["float32", pytest.param("mixed_float16", marks=pytest.mark.exhaustive)],
)
def test_a_restarted_network_repeats_itself_with_all_that_is_drawn(policy):
    keras.config.set_dtype_policy(policy)
    try:
        network = build_classifier(
            10, 2, units=4, dropout=0.5, token_dropout=0.2, bidirectional=True
        )
    finally:
        keras.config.set_dtype_policy("float32")
    network.compile("adam", "sparse_categorical_crossentropy")
    weights = []
    for _ in range(2):
        training.restart(network, 7)
        weights.append(fit_for_a_while(network))
    for one, other in zip(*weights, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_array_equal(one, other)


def test_restart_keeps_the_learning_rate():
    network = build_classifier(10, 2, units=4)
    network.compile(keras.optimizers.Adam(0.25), "sparse_categorical_crossentropy")
    network.optimizer.build(network.trainable_variables)
    network.optimizer.learning_rate = 0.125
    training.restart(network, 0)
    assert float(network.optimizer.learning_rate) == 0.125


def pairs(n=200, classes=4):
    """Texts of one token each, some of them equal, and their classes."""
    ids = np.arange(n, dtype=np.int32)[:, np.newaxis] % 150 + 1
    return IdsInMemory(ids, ids[:, 0] % classes)


def test_held_out_texts_are_others_with_the_same_classes():
    kept, held = hold_out(pairs(), 0.2, seed=0)
    assert kept.count + held.count == 200
    assert not set(kept.ids[:, 0]) & set(held.ids[:, 0])
    for part in (kept, held):
        np.testing.assert_array_equal(part.ids[:, 0] % 4, part.labels)
    # A fifth of the 150 distinct texts.
    distinct, first = np.unique(held.ids[:, 0], return_index=True)
    assert len(distinct) == 30
    assert set(np.bincount(held.labels[first])) <= {7, 8}
    again = hold_out(pairs(), 0.2, seed=0)[1].ids
    other = hold_out(pairs(), 0.2, seed=1)[1].ids
    np.testing.assert_array_equal(held.ids, again)
    assert not np.array_equal(held.ids, other)


def test_a_class_of_one_text_is_trained_on():
    data = pairs()
    labels = data.labels.copy()
    labels[149] = 9  # the only text with 150
    for seed in range(5):
        kept, held = hold_out(IdsInMemory(data.ids, labels), 0.3, seed)
        assert 9 in kept.labels
        assert 9 not in held.labels


def test_few_texts_are_all_trained_on():
    few = pairs(90)
    for share, has_validation in (
        (0.1, False),
        (0.12, True),
        (0.0, False),
        (0.98, False),
    ):
        kept, held = hold_out(few, share, seed=0)
        assert (held is not None) == has_validation
        assert has_validation or kept is few
    rare = np.concatenate([np.arange(75), np.full(15, 75)])
    assert hold_out(IdsInMemory(few.ids, rare), 0.2, seed=0)[1] is None
    many_classes = IdsInMemory(few.ids, np.arange(90) // 2)
    assert hold_out(many_classes, 0.4, seed=0)[1] is None
    with pytest.raises(ValueError, match=r"`validation_split` must be 0 to below 1"):
        hold_out(few, 1.0, seed=0)


def test_as_many_labels_as_texts_are_needed():
    with pytest.raises(InputError, match="3 texts, but 2 labels"):
        IdsInMemory(np.zeros((3, 1)), np.zeros(2))


def diverging(rates, patience, validation=True):
    """Train with one rate for each epoch; return the network and what was raised."""
    network, data = small_network(), random_data()
    held_out = data.select(slice(16)) if validation else None
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, _: rates[epoch])
    with pytest.raises(loop.Diverged) as raised:
        training.train(
            network,
            data,
            held_out,
            epochs=len(rates),
            batch_size=16,
            patience=patience,
            callbacks=[schedule],
        )
    return network, raised.value


@pytest.mark.parametrize("patience", [None, 3])
def test_a_loss_that_is_not_finite_ends_training_with_the_weights_of_before(patience):
    network, error = diverging([1e-3, 1e-3, 1e38, 1e-3], patience)
    assert re.fullmatch(
        r"training diverged: (val_)?loss is (nan|inf) in epoch 3.*; the weights of "
        r"epoch [12] are kept; try a learning rate below 1e\+38",
        str(error),
    )
    losses = error.history.history["loss"]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert all(np.isfinite(weight).all() for weight in network.get_weights())
    # The optimizer's moments are finite again, too.
    history = training.train(network, random_data(), epochs=1, batch_size=16)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize("validation", [True, False])
def test_where_no_epoch_was_finite_nothing_is_kept(validation):
    _, error = diverging([1e38], None, validation)
    assert error.history.epoch == []
    assert "kept" not in str(error)


def test_weights_that_are_not_finite_after_the_last_step_are_noticed():
    network, one_step = small_network(), random_data().select(slice(16))
    network.compile(keras.optimizers.SGD(1e38), network.loss, loss_weights=[1e4])
    with pytest.raises(loop.Diverged, match="the weights are not finite after epoch 1"):
        training.train(network, one_step, epochs=1, batch_size=16)
