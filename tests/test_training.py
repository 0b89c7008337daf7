import io

import keras
import numpy as np
import pytest
from rich.console import Console

from rnn_keras import training
from rnn_keras.errors import InputError
from rnn_keras.models import build_classifier
from rnn_keras.training import Batches, make_callbacks, make_optimizer


def callbacks(patience):
    return make_callbacks(
        learning_rate=0.0, epochs=5, patience=patience, validated=True
    )


def some_ids(n=100, longest=12):
    random = np.random.default_rng(0)
    ids = np.zeros((n, longest), np.int32)
    for i, row in enumerate(ids):
        row[: random.integers(0, longest + 1)] = i + 1
    return ids


def drawn(batches):
    return [batches[i] for i in range(len(batches))]


def test_every_text_comes_once_an_epoch_with_its_label_and_no_useless_padding():
    ids = some_ids()
    batches = Batches(ids, np.arange(100), batch_size=8, seed=0)
    for _ in range(2):
        seen = []
        for x, y in drawn(batches):
            assert x.shape[1] == max(1, (x != 0).sum(axis=1).max())
            np.testing.assert_array_equal(x, ids[y, : x.shape[1]])
            assert not ids[y, x.shape[1] :].any()
            seen.extend(y)
        assert sorted(seen) == list(range(100))
        batches.on_epoch_end()


def test_the_seed_fixes_the_order_and_epochs_differ():
    def epochs(seed):
        batches = Batches(some_ids(), np.arange(100), batch_size=8, seed=seed)
        first = [y.tolist() for _, y in drawn(batches)]
        batches.on_epoch_end()
        return first, [y.tolist() for _, y in drawn(batches)]

    assert epochs(1) == epochs(1)
    assert epochs(1) != epochs(2)
    first, second = epochs(1)
    assert first != second


def test_sorting_by_length_saves_padding():
    random = np.random.default_rng(0)
    ids = np.zeros((1000, 100), np.int32)
    for row in ids:
        row[: min(100, 1 + int(random.exponential(15)))] = 1
    batches = Batches(ids, np.zeros(1000), batch_size=10, seed=0)
    real = (ids != 0).sum()
    padded = sum(x.size for x, _ in drawn(batches))
    assert real <= padded < 1.5 * real < ids.size


def test_the_gradients_norm_is_clipped_to_one():
    """One step of Adam's first moment is (1 - beta_1) times the clipped gradient."""
    weights = [keras.Variable(np.zeros(3)), keras.Variable(np.zeros(4))]
    optimizer = make_optimizer()
    optimizer.build(weights)
    gradients = [np.full(3, 30.0), np.full(4, -40.0)]
    optimizer.apply([keras.ops.convert_to_tensor(g, "float32") for g in gradients])
    norm = np.sqrt(3 * 30.0**2 + 4 * 40.0**2)
    for moment, gradient in zip(optimizer._momentums, gradients, strict=True):
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
    data = (np.array([[1, 2], [3, 4]]), np.array([0, 1]))
    arguments = {"epochs": 4, "batch_size": 2, "learning_rate": 0.4}
    history = training.train(model, data, patience=9, **arguments).history
    assert history["learning_rate"] == pytest.approx([0.4, 0.3, 0.2, 0.1])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.4)


def test_an_optimizer_keeps_a_schedule_of_its_own():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    model = build_classifier(5, 2, units=2, embedding_dim=2)
    model.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    data = (np.array([[1, 2], [3, 4]]), np.array([0, 1]))
    history = training.train(model, data, patience=2, epochs=2, batch_size=2)
    assert "learning_rate" not in history.history
    assert len(history.epoch) == 2


def test_after_an_interrupt_the_bar_is_gone_and_the_rate_is_back():
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    model = build_classifier(5, 2, units=2, embedding_dim=2)
    model.compile(make_optimizer(0.4), "sparse_categorical_crossentropy")
    data = (np.array([[1, 2], [3, 4]]), np.array([0, 1]))
    stopped = []
    arguments = {"epochs": 4, "batch_size": 2, "patience": 9}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            training.ProgressBar,
            "on_train_end",
            lambda bar, logs=None: stopped.append(bar),
        )
        with pytest.raises(KeyboardInterrupt):
            training.train(
                model, data, callbacks=[Interrupt()], progress=True, **arguments
            )
    assert len(stopped) == 1
    assert float(model.optimizer.learning_rate) == pytest.approx(0.4)


def test_no_texts_are_refused():
    with pytest.raises(InputError, match="no texts to train on"):
        training.train(None, (np.zeros((0, 1)), []), epochs=1, batch_size=2)


def test_without_patience_all_epochs_are_trained_at_one_rate():
    assert callbacks(patience=None) == []


@pytest.mark.parametrize("terminal", [True, False])
def test_the_bar_is_seen_on_a_terminal_only(terminal, monkeypatch):
    written = io.StringIO()

    def console(**_):
        return Console(file=written, force_terminal=terminal, width=80)

    monkeypatch.setattr("rnn_keras.progress.Console", console)
    bar = training.ProgressBar()
    bar.set_params({"epochs": 3, "steps": 2})
    bar.on_train_begin()
    bar.on_train_batch_end(0)
    bar.on_epoch_end(0, {"loss": 0.5})
    bar.progress.refresh()
    bar.on_train_end()
    assert ("epoch 1/3  loss 0.500" in written.getvalue()) == terminal
    assert bool(written.getvalue()) == terminal
