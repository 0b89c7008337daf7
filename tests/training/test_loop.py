"""The loop over epochs and batches does what `keras.Model.fit` does."""

import ctypes
import gc
import os
import platform
import resource
import subprocess
import sys
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager.polymorphic_function import polymorphic_function

from rnn_keras import layers
from rnn_keras.models.builders import build_classifier
from rnn_keras.training import loop
from rnn_keras.training.batches import Batches
from rnn_keras.training.loop import keep_freed_memory
from rnn_keras.training.trainer import make_optimizer

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(1, 9, (40, 6)).astype("int32")
LABELS = RANDOM.integers(0, 2, 40)


def network(optimizer=None, metrics=("accuracy",), **compiled):
    keras.utils.set_random_seed(0)
    model = build_classifier(9, 2, cell="gru", units=4, embedding_dim=3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    model.compile(optimizer, loss, metrics=list(metrics), **compiled)
    return model


def batches():
    """In one order for all epochs: Keras would begin with the order of the second."""
    return Batches(IDS, LABELS, batch_size=10)


def fit(model, *, compiled=False, epochs=3, callbacks=()):
    return loop.fit(
        model,
        batches(),
        batches(),
        epochs=epochs,
        callbacks=callbacks,
        compiled=compiled,
    )


def fit_by_keras(model, *, epochs=3, callbacks=()):
    return model.fit(
        batches(),
        validation_data=batches(),
        epochs=epochs,
        callbacks=list(callbacks),
        shuffle=False,
        verbose=0,
    )


@keras.saving.register_keras_serializable("tests")
class SharesOfClasses(keras.metrics.Metric):
    """A metric whose result is a vector."""

    def __init__(self, name="shares", **kwargs):
        super().__init__(name=name, **kwargs)
        self.shares = self.add_weight(shape=(2,), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.shares.assign_add(keras.ops.mean(keras.ops.softmax(y_pred), axis=0))

    def result(self):
        return self.shares / keras.ops.sum(self.shares)


class Log(keras.callbacks.Callback):
    """Records every call, in order."""

    def __init__(self):
        super().__init__()
        self.told = []
        for hook in dir(keras.callbacks.Callback):
            if hook.startswith("on_"):
                setattr(self, hook, self.teller(hook))

    def teller(self, hook):
        def tell(*args, logs=None):
            *args, last = args if isinstance(args[-1], dict) else (*args, logs)
            self.told.append((hook, args, sorted(last or {})))

        return tell


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9),
        pytest.param(lambda: keras.optimizers.Adam(0.01), marks=pytest.mark.exhaustive),
    ],
    ids=["averaged weights", "adam"],
)
def test_weights_and_history_are_those_of_keras(make_optimizer):
    stock = network(make_optimizer(), ["accuracy", SharesOfClasses()])
    expected = fit_by_keras(stock).history
    for compiled in (False, True):
        ours = network(make_optimizer(), ["accuracy", SharesOfClasses()])
        history = fit(ours, compiled=compiled).history
        assert list(history) == list(expected)
        for name, values in expected.items():
            np.testing.assert_allclose(np.array(history[name]), values, atol=1e-4)
        for one, other in zip(ours.get_weights(), stock.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_callbacks_are_told_what_keras_tells_them():
    ours, stock = Log(), Log()
    fit(network(), callbacks=[ours])
    fit_by_keras(network(), callbacks=[stock])
    assert ours.told == stock.told
    assert ours.params == stock.params


def test_after_an_interrupt_training_is_taken_up_where_keras_would(tmp_path):
    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    model = network()
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(model, epochs=4, callbacks=[backup, Interrupt()])
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    assert fit(model, epochs=4, callbacks=[backup]).epoch == [2, 3]


def test_texts_held_out_may_be_of_any_lengths():
    """Keras would allow only the length that the first two batches share."""
    ids = np.triu(np.ones((40, 40), "int32"))[::-1]
    ids[:20, 1:] = 0
    held_out = Batches(ids, LABELS, batch_size=5)
    lengths = [held_out[i][0].shape[1] for i in range(len(held_out))]
    assert lengths[0] == lengths[1] < lengths[-1]
    model = network()
    arguments = {"epochs": 1, "callbacks": [], "compiled": False}
    history = loop.fit(model, batches(), held_out, **arguments).history
    whole = model.evaluate(ids, LABELS, verbose=0, return_dict=True)
    assert history["val_loss"] == [pytest.approx(whole["loss"], rel=1e-4)]
    assert history["val_accuracy"] == [pytest.approx(whole["accuracy"])]


def test_no_epochs_leave_the_weights_alone():
    model = network()
    before = model.get_weights()
    assert fit(model, epochs=0).history == {}
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.exhaustive)]
)
def test_graphs_are_traced_once_until_the_network_is_compiled_again(compiled):
    traced = []

    def counted_loss(y_true, y_pred):
        traced.append(1)  # Python runs this only while a graph is traced
        return keras.losses.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=True
        )

    model = network()
    model.compile(keras.optimizers.Adam(0.01), counted_loss)
    fit(model, compiled=compiled)
    first = len(traced)
    fit(model, compiled=compiled)
    assert len(traced) == first > 0
    model.compile(keras.optimizers.SGD(0.0), counted_loss)
    before = model.get_weights()
    fit(model, compiled=compiled)
    assert len(traced) > first
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_metric_in_python_is_not_compiled_but_works():
    def share_right(y_true, y_pred):
        def right(a, b):
            return np.float32(np.mean(a.reshape(-1) == b.argmax(axis=1)))

        shares = tf.numpy_function(right, [y_true, y_pred], tf.float32)
        return tf.fill([10], tf.ensure_shape(shares, ()))

    model = network(metrics=["accuracy", share_right])
    history = fit(model, compiled=True).history
    np.testing.assert_allclose(history["share_right"], history["accuracy"], rtol=1e-5)


@pytest.mark.exhaustive
def test_many_lengths_and_networks_raise_no_warning(caplog, monkeypatch):
    # TensorFlow counts by function, which is Keras's own in every test before, and
    # after two warnings it is silent.
    manager = polymorphic_function._FrequentTracingDetectorManager()
    monkeypatch.setattr(
        polymorphic_function, "_frequent_tracing_detector_manager", manager
    )
    ids = np.triu(np.ones((12, 12), "int32"))
    for compiled in (True, *[False] * 6):
        model = keras.Sequential(
            [
                keras.layers.Embedding(3, 2, mask_zero=True),
                layers.SimpleRNN(2),
                keras.layers.Dense(2),
            ]
        )
        model.compile("sgd", "mse")
        many = Batches(ids, np.zeros((12, 2)), batch_size=2, seed=0)
        loop.fit(model, many, many, epochs=1, callbacks=[], compiled=compiled)
    assert "retracing" not in caplog.text


@pytest.mark.parametrize(
    "compiled", [False, pytest.param(True, marks=pytest.mark.exhaustive)]
)
def test_a_network_can_be_saved_and_is_freed_with_its_graphs_and_data(
    compiled, tmp_path, graphs
):
    # With a norm to clip to, an optimizer of Keras registers a gradient in TensorFlow.
    model = network(make_optimizer())
    held_out = batches()
    loop.fit(model, batches(), held_out, epochs=2, callbacks=[], compiled=compiled)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IDS), model(IDS))
    alive = [weakref.ref(thing) for thing in (model, loaded, held_out)]
    assert graphs()
    del model, loaded, held_out
    keras.utils.clear_session()
    assert not graphs()
    assert [thing() for thing in alive] == [None] * 3


@pytest.fixture
def graphs():
    """Return a function that returns TensorFlow's graphs made since, if still alive."""

    def all_graphs():
        gc.collect()
        found = (o for o in gc.get_objects() if isinstance(o, tf.Graph))
        return weakref.WeakSet(found)

    keras.utils.clear_session()
    before = all_graphs()
    return lambda: all_graphs() - before


@pytest.mark.exhaustive
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_train_as_keras_does(backend):
    """Metrics, too, which `train_on_batch` alone would reset with every batch."""
    pytest.importorskip(backend)
    code = """
import keras
import numpy as np
from rnn_keras.models import build_classifier
from rnn_keras.training import IdsInMemory, compile_network, loop

random = np.random.default_rng(0)
data = IdsInMemory(random.integers(1, 9, (40, 6)).astype("int32"), np.arange(40) % 2)
results = []
for by_keras in (True, False):
    keras.utils.set_random_seed(0)
    network = build_classifier(9, 2, cell="gru", units=4, embedding_dim=3)
    compile_network(network, 0.01)
    batches, held_out = (data.batches_in_order(batch_size=10) for _ in range(2))
    if by_keras:
        history = network.fit(
            batches, validation_data=held_out, epochs=3, shuffle=False, verbose=0
        )
    else:
        history = loop.fit(
            network, batches, held_out, epochs=3, callbacks=[], compiled=False
        )
    results.append((history.history, network.get_weights()))
(expected, weights), (found, other_weights) = results
assert set(found) == set(expected), found
for name in expected:
    np.testing.assert_allclose(found[name], expected[name], atol=1e-5)
for one, other in zip(weights, other_weights, strict=True):
    np.testing.assert_allclose(one, other, atol=1e-5)
"""
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "KERAS_BACKEND": backend},
        check=True,
    )


def faults_of_a_block():
    """Page faults when the second of two blocks of 64 MB is filled."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(64 << 20)))
        ctypes.memset(block, 1, 64 << 20)
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_a_freed_block_is_used_again_and_given_back_afterwards():
    outside = faults_of_a_block()
    with keep_freed_memory():
        within = faults_of_a_block()
    assert outside > 1000
    assert within < outside / 10
    assert faults_of_a_block() > 1000


def test_an_error_within_comes_through():
    with pytest.raises(KeyError), keep_freed_memory():
        raise KeyError
