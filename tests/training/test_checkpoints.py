"""Training that is stopped anywhere ends as if it had never been interrupted."""

import os
import shutil
import signal
import threading

import keras
import numpy as np
import pytest

from rnn_keras.models.builders import build_classifier
from rnn_keras.training import compile_network, restart
from rnn_keras.training import train as train_network
from rnn_keras.training.batches import IdsInMemory
from rnn_keras.training.checkpoints import (
    CheckpointFiles,
    Checkpoints,
    CheckpointTimer,
    NextBatch,
    Stopped,
    StopSignals,
)
from rnn_keras.utils.errors import InputError

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(1, 9, (40, 6)).astype("int32")
IDS[::3, 4:] = 0
LABELS = RANDOM.integers(0, 2, 40).astype("int32")
HELD_OUT = IdsInMemory(RANDOM.integers(1, 9, (16, 6)).astype("int32"), LABELS[:16])
GRU = {"cell": "gru", "num_layers": 2, "token_dropout": 0.2, "pooling": "max_mean"}


def build(cell="simple_rnn", **arguments):
    keras.utils.set_random_seed(0)
    network = build_classifier(
        9, 2, cell=cell, units=4, embedding_dim=3, dropout=0.3, **arguments
    )
    compile_network(network)
    return network


@pytest.fixture(scope="module")
def compiled():
    """One network, whose graphs serve every test that restarts it."""
    return build()


@pytest.fixture
def fresh(compiled):
    """A function that brings the network back to its initial state."""

    def restarted():
        restart(compiled, 0)
        return compiled

    return restarted


def train(network, epochs=4, patience=9, **arguments):
    """Four steps an epoch."""
    return train_network(
        network,
        IdsInMemory(IDS, LABELS),
        HELD_OUT,
        epochs=epochs,
        batch_size=10,
        learning_rate=0.05,
        patience=patience,
        seed=1,
        **arguments,
    )


def outcome(network, history):
    variables = (*network.variables, *network.optimizer.variables)
    return [np.asarray(variable) for variable in variables], history.history


@pytest.fixture(scope="module")
def crashed_once(compiled, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crashed")
    restart(compiled, 0)
    crash(folder, 7, compiled)
    return folder


@pytest.fixture
def crashed(crashed_once, tmp_path):
    """A folder of checkpoints after six and after seven steps."""
    return shutil.copytree(crashed_once, tmp_path / "crashed")


@pytest.fixture(scope="module")
def uninterrupted(compiled):
    restart(compiled, 0)
    return outcome(compiled, train(compiled))


def assert_same(found, expected):
    for one, other in zip(found[0], expected[0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert found[1] == expected[1]


class Crash(BaseException):
    """As sudden as a signal that nothing catches."""


class CrashAfter(keras.callbacks.Callback):
    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def on_train_batch_begin(self, batch, logs=None):
        self.left -= 1
        if self.left < 0:
            raise Crash


def crash(folder, steps, network):
    """Train, with a checkpoint after each step, until so many steps are done."""
    with pytest.raises(Crash):
        train(
            network,
            callbacks=[CrashAfter(steps)],
            checkpoints=Checkpoints(folder, every=0),
        )


def resume(folder, network):
    """What training ends with that goes on from a folder, and what is reported."""
    lines = []
    history = train(network, checkpoints=Checkpoints(folder, report=lines.append))
    return outcome(network, history), lines


@pytest.mark.parametrize(
    ("arguments", "stops"),
    [
        ({"cell": "simple_rnn", "token_dropout": 0.2}, [6]),
        pytest.param(GRU, [1, 4, 10], marks=pytest.mark.exhaustive),
        pytest.param({"cell": "simple_rnn"}, [1, 4, 10], marks=pytest.mark.exhaustive),
        pytest.param(
            {"cell": "lstm", "bidirectional": True},
            [1, 4, 10],
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_a_network_built_anew_goes_on_and_ends_with_the_same_bits(
    arguments, stops, tmp_path
):
    """Stopped within the first epoch, at the end of one, or within a later one."""
    network = build(**arguments)
    restart(network, 0)
    expected = outcome(network, train(network))
    assert len(expected[1]["loss"]) == 4
    for steps in stops:
        folder = tmp_path / str(steps)
        restart(network, 0)
        crash(folder, steps, network)
        assert_same(resume(folder, build(**arguments))[0], expected)


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_stopped_after_any_step_it_ends_with_the_same_bits(
    steps, fresh, uninterrupted, tmp_path
):
    crash(tmp_path, steps, fresh())
    assert_same(resume(tmp_path, fresh())[0], uninterrupted)


@pytest.mark.exhaustive
def test_half_precision_is_restored_too(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = build()
        expected = outcome(network, train(network))
        crash(tmp_path, 6, build())
        assert_same(resume(tmp_path, build())[0], expected)
    finally:
        keras.config.set_dtype_policy("float32")


def test_training_goes_on_at_the_batch_of_the_crash(fresh, tmp_path):
    crash(tmp_path, 6, fresh())
    lines, trained = [], []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: trained.append(batch)
    )
    checkpoints = Checkpoints(tmp_path, report=lines.append)
    history = train(fresh(), callbacks=[count], checkpoints=checkpoints)
    assert lines == ["goes on with epoch 2, batch 3"]
    assert trained == [2, 3, *range(4), *range(4)]
    assert history.epoch == [0, 1, 2, 3]
    assert checkpoints.seconds > 0


def test_patience_and_the_best_weights_are_not_forgotten(fresh, tmp_path):
    """The labels are noise: the validation loss rises, and training stops early."""
    network = fresh()
    expected = outcome(network, train(network, epochs=30, patience=2))
    stopped = len(expected[1]["loss"])
    best = int(np.argmin(expected[1]["val_loss"])) + 1
    assert best + 2 == stopped < 30

    class CrashAfterSaving(Checkpoints):
        """Writes one checkpoint, at the end of `epochs` epochs."""

        def __init__(self, folder, epochs):
            super().__init__(folder, every=0)
            self.epochs = epochs

        def save(self, state, next_batch):
            if next_batch == (self.epochs, 0):
                super().save(state, next_batch)
                raise Crash

    # While early stopping waits, and when only the best weights are to be restored.
    for epochs in (stopped - 1, stopped):
        folder = tmp_path / str(epochs)
        with pytest.raises(Crash):
            train(
                fresh(),
                epochs=30,
                patience=2,
                checkpoints=CrashAfterSaving(folder, epochs),
            )
        network = fresh()
        history = train(network, epochs=30, patience=2, checkpoints=Checkpoints(folder))
        assert_same(outcome(network, history), expected)


def test_a_crash_while_one_is_written_leaves_the_older_ones(
    fresh, uninterrupted, tmp_path, monkeypatch
):
    crash(tmp_path, 5, fresh())
    before = {path.name for path in tmp_path.iterdir()}

    def crash_while_writing(descriptor):
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", crash_while_writing)
        with pytest.raises(Crash):
            train(fresh(), checkpoints=Checkpoints(tmp_path, every=0))
    assert {path.name for path in tmp_path.iterdir()} == before
    assert_same(resume(tmp_path, fresh())[0], uninterrupted)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_one_is_reported_and_the_one_before_it_is_used(
    damage, fresh, uninterrupted, crashed
):
    older, newest = Checkpoints(crashed).files()
    assert older.name.startswith("00001-00000002-")
    content = bytearray(newest.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    newest.write_bytes(content[: {"cut": 1000, "empty": 0}.get(damage)])
    found, lines = resume(crashed, fresh())
    assert lines == [
        f"{newest}: damaged (its bytes have changed); the one before it is used",
        "goes on with epoch 2, batch 3",
    ]
    assert_same(found, uninterrupted)


def test_where_all_are_damaged_training_starts_over(fresh, uninterrupted, crashed):
    for path in Checkpoints(crashed).files():
        path.write_bytes(b"")
    crash(crashed, 3, fresh())
    # New ones, whose names come before those of the damaged ones, are kept.
    assert [path.name[:14] for path in Checkpoints(crashed).files()] == [
        "00000-00000002",
        "00000-00000003",
    ]
    found, lines = resume(crashed, fresh())
    assert lines == ["goes on with epoch 1, batch 4"]
    assert_same(found, uninterrupted)


def test_the_last_damaged_one_says_that_none_is_left(fresh, crashed):
    older, newest = Checkpoints(crashed).files()
    older.write_bytes(b"")
    newest.unlink()
    newest.mkdir()  # cannot be read at all
    lines = []
    checkpoints = Checkpoints(crashed, report=lines.append)
    train(fresh(), epochs=1, checkpoints=checkpoints)
    assert lines == [
        f"{newest}: damaged (Is a directory); the one before it is used",
        f"{older}: damaged (its bytes have changed); training starts over",
    ]


def test_two_are_kept_and_half_written_ones_are_deleted(crashed):
    names = sorted(path.name[:14] for path in crashed.iterdir())
    assert names == ["00001-00000002", "00001-00000003"]
    files = CheckpointFiles(crashed, print)
    (crashed / ".00001-00000002-abc.npz.part").write_bytes(b"half")
    files.write(b"content", NextBatch(2, 0))
    assert files.read_newest() == b"content"
    names = sorted(path.name[:14] for path in crashed.iterdir())
    assert names == ["00001-00000003", "00002-00000000"]


def test_the_state_of_another_network_is_refused(crashed):
    with pytest.raises(InputError, match="holds the state of another network; choose"):
        train(build(cell="lstm"), checkpoints=Checkpoints(crashed))


def handlers():
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_step_finish_and_a_checkpoint_be_written(
    number, fresh, uninterrupted, tmp_path
):
    seen = []

    def send(batch, logs):
        seen.append(batch)
        if len(seen) == 6:
            os.kill(os.getpid(), number)

    before = handlers()
    sender = keras.callbacks.LambdaCallback(on_train_batch_begin=send)
    with pytest.raises(Stopped, match="epoch 2, batch 3; the same command") as stopped:
        train(fresh(), callbacks=[sender], checkpoints=Checkpoints(tmp_path))
    assert stopped.value.signal == number
    assert len(seen) == 6
    assert handlers() == before
    assert_same(resume(tmp_path, fresh())[0], uninterrupted)


def test_a_second_interrupt_stops_at_once(fresh, tmp_path):
    def send_twice(batch, logs):
        if batch == 1:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    sender = keras.callbacks.LambdaCallback(on_train_batch_begin=send_twice)
    with pytest.raises(KeyboardInterrupt) as raised:
        train(fresh(), callbacks=[sender], checkpoints=Checkpoints(tmp_path))
    assert not isinstance(raised.value, Stopped)
    assert not Checkpoints(tmp_path).files()


def test_a_signal_after_the_last_step_is_not_forgotten(fresh, tmp_path):
    sender = keras.callbacks.LambdaCallback(
        on_train_end=lambda logs: os.kill(os.getpid(), signal.SIGINT)
    )
    with pytest.raises(KeyboardInterrupt):
        train(fresh(), epochs=1, callbacks=[sender], checkpoints=Checkpoints(tmp_path))


def test_signals_are_noted_once_and_only_in_the_main_thread():
    lines, inside = [], []
    signals, before = StopSignals(lines.append), handlers()
    with signals.noted():
        assert signals.received is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.received == signal.SIGTERM
    assert lines == ["finishing this step; once more to stop at once"]

    def look():
        with signals.noted():
            inside.append(handlers())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert inside == [before] == [handlers()]


def test_a_timer_is_due_after_its_interval():
    assert CheckpointTimer(0).is_due()
    timer = CheckpointTimer(3600)
    assert not timer.is_due()
    assert 0 <= timer.seconds() < 60


def test_the_next_batch_is_shown_counted_from_one():
    assert str(NextBatch(2, 4)) == "epoch 3, batch 5"
