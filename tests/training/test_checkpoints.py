"""Training that is stopped anywhere ends as if nothing had happened."""

import os
import signal

import keras
import numpy as np
import pytest

from rnn_keras.experiments import run_folder as folders
from rnn_keras.models.builders import build_classifier
from rnn_keras.training import trainer as training
from rnn_keras.training.checkpoints import Checkpoints, Position, Stopped
from rnn_keras.utils.errors import InputError

RANDOM = np.random.default_rng(0)
IDS = RANDOM.integers(1, 9, (40, 6)).astype("int32")
IDS[::3, 4:] = 0
LABELS = RANDOM.integers(0, 2, 40).astype("int32")
HELD_OUT = RANDOM.integers(1, 9, (16, 6)).astype("int32"), LABELS[:16]


def network(cell="gru", **arguments):
    keras.utils.set_random_seed(0)
    model = build_classifier(
        9, 2, cell=cell, units=4, embedding_dim=3, dropout=0.3, **arguments
    )
    training.compile_network(model)
    return model


def train(model, epochs=4, patience=9, **arguments):
    return training.train(
        model,
        (IDS, LABELS),
        HELD_OUT,
        epochs=epochs,
        batch_size=10,
        learning_rate=0.05,
        patience=patience,
        seed=1,
        **arguments,
    )


def state(model):
    return [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]


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


def crash(folder, steps, model=None, **arguments):
    """Train, with a checkpoint after each step, until so many steps are done."""
    model = model or network(**arguments)
    with pytest.raises(Crash):
        train(
            model,
            callbacks=[CrashAfter(steps)],
            checkpoints=Checkpoints(folder, every=0),
        )


def assert_same(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "arguments",
    [
        {"cell": "simple_rnn"},
        {"cell": "lstm", "bidirectional": True},
        {"cell": "gru", "num_layers": 2, "token_dropout": 0.2, "pooling": "max_mean"},
    ],
    ids=lambda arguments: arguments["cell"],
)
def test_stopped_after_any_step_it_ends_with_the_same_bits(arguments, tmp_path):
    whole = network(**arguments)
    history = train(whole).history
    assert len(history["loss"]) == 4
    # Four steps an epoch: within the first, at the end of one, within a later one.
    for steps in (1, 4, 10):
        folder = tmp_path / str(steps)
        crash(folder, steps, **arguments)
        again = network(**arguments)
        found = train(again, checkpoints=Checkpoints(folder))
        assert_same(state(again), state(whole))
        assert found.history == history
        assert found.epoch == [0, 1, 2, 3]


def test_the_place_is_that_of_the_crash_and_nothing_is_trained_twice(tmp_path):
    crash(tmp_path, 6)
    lines, counted = [], []
    count = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: counted.append(batch)
    )
    checkpoints = Checkpoints(tmp_path, report=lines.append)
    train(network(), callbacks=[count], checkpoints=checkpoints)
    assert lines == ["goes on with epoch 2, batch 3"]
    assert counted == [2, 3, *range(4), *range(4)]
    assert checkpoints.seconds > 0


def test_patience_and_the_best_weights_are_not_forgotten(tmp_path):
    """Labels of noise: the loss on others rises, and training stops early."""
    whole = network()
    history = train(whole, epochs=30, patience=2).history
    stopped = len(history["loss"])
    best = int(np.argmin(history["val_loss"])) + 1
    assert best + 2 == stopped < 30
    # While it waits, and when all that is missing is to go back to the best.
    for epochs in (stopped - 1, stopped):
        folder = tmp_path / str(epochs)
        model = network()
        checkpoints = Checkpoints(folder, every=0)
        save = checkpoints.save

        def keep(running, position, epochs=epochs, save=save):
            if position == (epochs, 0):
                save(running, position)
                raise Crash

        checkpoints.save = keep
        with pytest.raises(Crash):
            train(model, epochs=30, patience=2, checkpoints=checkpoints)
        again = network()
        found = train(
            again, epochs=30, patience=2, checkpoints=Checkpoints(folder)
        ).history
        assert_same(state(again), state(whole))
        assert found == history


def test_a_crash_while_it_is_written_leaves_the_one_before(tmp_path, monkeypatch):
    whole = network()
    train(whole)
    crash(tmp_path, 5)
    before = {p.name for p in tmp_path.iterdir()}

    def crash_with_half_of_it(descriptor):
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(folders.os, "fsync", crash_with_half_of_it)
        with pytest.raises(Crash):
            train(network(), checkpoints=Checkpoints(tmp_path, every=0))
    assert {p.name for p in tmp_path.iterdir()} == before
    again = network()
    train(again, checkpoints=Checkpoints(tmp_path))
    assert_same(state(again), state(whole))


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_one_is_named_and_the_one_before_it_used(damage, tmp_path):
    whole = network()
    train(whole)
    crash(tmp_path, 7)
    older, newest = Checkpoints(tmp_path).files()
    content = bytearray(newest.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    newest.write_bytes(content[: {"cut": 1000, "empty": 0}.get(damage)])
    lines, again = [], network()
    train(again, checkpoints=Checkpoints(tmp_path, report=lines.append))
    assert lines == [
        f"{newest}: damaged (other bytes than were written); the one before it is used",
        "goes on with epoch 2, batch 3",
    ]
    assert_same(state(again), state(whole))
    assert older.name.startswith("00001-00000002-")


def test_where_all_are_damaged_it_begins_again_and_is_kept_again(tmp_path):
    whole = network()
    train(whole)
    crash(tmp_path, 7)
    older, newest = Checkpoints(tmp_path).files()
    for path in (older, newest):
        path.write_bytes(b"")
    crash(tmp_path, 3)
    # The new ones come before the damaged ones, and stay.
    assert [p.name[:14] for p in Checkpoints(tmp_path).files()] == [
        "00000-00000002",
        "00000-00000003",
    ]
    lines, again = [], network()
    train(again, checkpoints=Checkpoints(tmp_path, report=lines.append))
    assert lines == ["goes on with epoch 1, batch 4"]
    assert_same(state(again), state(whole))


def test_the_last_damaged_one_says_that_nothing_is_left(tmp_path):
    crash(tmp_path, 7)
    older, newest = Checkpoints(tmp_path).files()
    older.write_bytes(b"")
    newest.unlink()
    newest.mkdir()  # cannot be read at all
    lines = []
    train(network(), epochs=1, checkpoints=Checkpoints(tmp_path, report=lines.append))
    assert lines == [
        f"{newest}: damaged (Is a directory); the one before it is used",
        f"{older}: damaged (other bytes than were written); training begins anew",
    ]


def test_half_of_one_is_swept_away(tmp_path):
    crash(tmp_path, 2)
    (tmp_path / ".00001-00000002-abc.npz.part").write_bytes(b"half")
    crash(tmp_path, 2)
    assert not list(tmp_path.glob(".*"))


def test_two_are_kept_and_nothing_else(tmp_path):
    crash(tmp_path, 7)
    names = [p.name for p in sorted(tmp_path.iterdir())]
    assert [name[:14] for name in names] == ["00001-00000002", "00001-00000003"]
    assert len(names) == 2


def test_the_state_of_another_network_is_refused(tmp_path):
    crash(tmp_path, 2)
    with pytest.raises(InputError, match="the state of another network"):
        train(network(cell="lstm"), checkpoints=Checkpoints(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_the_step_end_and_the_state_be_written(number, tmp_path):
    whole = network()
    train(whole)
    seen = []

    def send(batch, logs):
        seen.append(batch)
        if len(seen) == 6:
            os.kill(os.getpid(), number)

    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    sender = keras.callbacks.LambdaCallback(on_train_batch_begin=send)
    with pytest.raises(Stopped, match="epoch 2, batch 3; the same command") as stopped:
        train(network(), callbacks=[sender], checkpoints=Checkpoints(tmp_path))
    assert stopped.value.signal == number
    assert len(seen) == 6
    after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    assert after == handlers
    again = network()
    train(again, checkpoints=Checkpoints(tmp_path))
    assert_same(state(again), state(whole))


def test_a_second_interrupt_ends_it_at_once(tmp_path):
    def send_twice(batch, logs):
        if batch == 1:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    sender = keras.callbacks.LambdaCallback(on_train_batch_begin=send_twice)
    with pytest.raises(KeyboardInterrupt) as raised:
        train(network(), callbacks=[sender], checkpoints=Checkpoints(tmp_path))
    assert not isinstance(raised.value, Stopped)
    assert not Checkpoints(tmp_path).files()


def test_a_signal_after_the_last_step_is_not_forgotten(tmp_path):
    sender = keras.callbacks.LambdaCallback(
        on_train_end=lambda logs: os.kill(os.getpid(), signal.SIGINT)
    )
    with pytest.raises(KeyboardInterrupt):
        train(network(), callbacks=[sender], checkpoints=Checkpoints(tmp_path))


def test_half_precision_is_taken_up_too(tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        whole = network()
        train(whole)
        crash(tmp_path, 6)
        again = network()
        train(again, checkpoints=Checkpoints(tmp_path))
        assert_same(state(again), state(whole))
    finally:
        keras.config.set_dtype_policy("float32")


def test_a_position_says_what_comes_next_counted_from_one():
    assert str(Position(2, 4)) == "epoch 3, batch 5"
