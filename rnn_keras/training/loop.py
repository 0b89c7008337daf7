"""The loop over epochs and batches, where `keras.Model.fit` is too slow.

A compiled step of a small network takes some 20 ms. The input pipeline and the
dispatch of `fit` add a quarter to it, and Keras traces its step for shapes left open
once it has seen two, where XLA wants them known. Nor can `fit` be taken up again in the
middle of an epoch.

Memory that a training step frees is kept for the next step.

A compiled step takes one block for all that it computes, 20 to 200 MB, and gives it
back at its end. The C library hands blocks above 32 MB back to the system each
time, which then gives the next step fresh, zeroed pages, one fault for each 4 KB:
of a step of the LSTM of `benchmarks/speed.py` that is a fifth of the time.
"""

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.layers import GRU, LSTM, Dropout, SimpleRNN
from rnn_keras.training.batches import Batches, of_any_length
from rnn_keras.training.checkpoints import Checkpoints, Position, Running
from rnn_keras.training.distributed import share_of

# Options of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGEST = 32 << 20  # of _MMAP_THRESHOLD


@contextlib.contextmanager
def freed_memory_is_kept() -> Iterator[None]:
    """Within, the process keeps freed memory; after it, that goes back.

    Does nothing where the C library is not glibc.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "gnu_get_libc_version"):
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_MMAP_MAX, 0)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_MAX, 1 << 16)
        # Where glibc itself arrives after a block of 32 MB has been freed.
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)
        libc.malloc_trim(0)


# To compile the step for one more length takes as long as it then saves in so many
# steps of the recurrence (two cores; GRU in both directions, 64 units, batches of 32).
_WORTH_A_LENGTH = 24_000
_MOST_LENGTHS = 8


def fit(
    network: keras.Model,
    batches: Batches,
    held_out: Batches | None,
    *,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    compiled: bool,
    checkpoints: Checkpoints | None = None,
) -> keras.callbacks.History:
    """`network.fit(batches, validation_data=held_out)`, which can be taken up again.

    Args:
        network: compiled, in Keras's sense.
        batches: in an order of their own, which they change after each epoch.
        held_out: to be scored after each epoch, or `None`.
        epochs: at most.
        callbacks: called as by Keras.
        compiled: whether by XLA, once for each length; with TensorFlow.
        checkpoints: where the state is written down, and read from at the start.

    Returns:
        Keras's `History`.

    Raises:
        Stopped: with `checkpoints`, after a signal.
    """
    step = _step_of(network, compiled)
    calls = keras.callbacks.CallbackList(
        callbacks,
        add_history=True,
        model=network,
        verbose=0,
        epochs=epochs,
        steps=len(batches),
    )
    network.stop_training = False
    running = Running(network, batches, calls.callbacks)
    listening = checkpoints.listening() if checkpoints else nullcontext()
    logs: dict[str, Any] = {}
    with freed_memory_is_kept(), listening:
        calls.on_train_begin()
        # Where BackupAndRestore takes training up again.
        position = Position(network._initial_epoch or 0)
        if checkpoints:
            position = checkpoints.restore(running) or position
        while position.epoch < epochs and not network.stop_training:
            epoch, first = position
            if not first:
                network.reset_metrics()
            calls.on_epoch_begin(epoch)
            for i in range(first, len(batches)):
                calls.on_train_batch_begin(i)
                logs = step(*batches[i])
                calls.on_train_batch_end(i, logs)
                if network.stop_training:
                    break
                # After the last, that of the epoch's end is the next.
                if checkpoints and i + 1 < len(batches) and checkpoints.due():
                    checkpoints.save(running, Position(epoch, i + 1))
            batches.on_epoch_end()
            logs = dict(logs)
            if held_out is not None:
                scores = network.evaluate(
                    of_any_length(held_out),
                    callbacks=calls,
                    return_dict=True,
                    verbose=0,
                )
                logs |= {f"val_{name}": score for name, score in scores.items()}
            calls.on_epoch_end(epoch, logs)
            position = Position(epoch + 1)
            if checkpoints and checkpoints.due():
                checkpoints.save(running, position)
        if epochs > 0:
            network.optimizer.finalize_variable_values(network.trainable_weights)
        calls.on_train_end(logs)
    return network.history


class _Step:
    """`network.train_step`: one graph for all lengths or, compiled, one for each."""

    def __init__(self, network: keras.Model, compiled: bool):
        self.network, self.compiled = network, compiled
        # Another object after each call of `network.compile`.
        self.setting = getattr(network, "_compile_config", None)
        self.graphs: dict[tuple, Callable] = {}

    def __call__(self, *batch: np.ndarray) -> dict[str, Any]:
        if keras.backend.backend() != "tensorflow":
            return _train_on_batch(self.network, share_of(batch))
        data = tuple(map(tf.constant, batch))
        if self.network.run_eagerly:
            return self.network.train_step(data)
        if self.compiled:
            try:
                return self._graph(data)(data)
            except tf.errors.InvalidArgumentError:
                # Something in this network is not for XLA, a metric in Python say.
                # Otherwise it is raised again below.
                self.compiled, self.graphs = False, {}
        return self._graph(data)(data)

    def _graph(self, data: tuple[tf.Tensor, ...]) -> Callable:
        shapes = tuple(
            tuple(tensor.shape) if self.compiled else (None,) * len(tensor.shape)
            for tensor in data
        )
        if shapes not in self.graphs:
            # A concrete one: TensorFlow would warn of a function traced so often.
            step = tf.function(self.network.train_step, jit_compile=self.compiled)
            self.graphs[shapes] = step.get_concrete_function(
                tuple(
                    tf.TensorSpec(shape, tensor.dtype)
                    for shape, tensor in zip(shapes, data, strict=True)
                )
            )
        return self.graphs[shapes]


def _train_on_batch(
    network: keras.Model, batch: tuple[np.ndarray, ...]
) -> dict[str, float]:
    """Keras's, but that the metrics go on from batch to batch."""
    network.reset_metrics = lambda: None
    try:
        return network.train_on_batch(*batch, return_dict=True)
    finally:
        del network.reset_metrics


def _step_of(network: keras.Model, compiled: bool) -> _Step:
    """The one of an earlier `fit`, if the network was not compiled afresh since."""
    step = getattr(network, "_rnn_keras_step", None)
    if (
        step is None
        or step.setting is None
        or step.setting is not getattr(network, "_compile_config", None)
        or step.compiled != compiled
    ):
        step = network._rnn_keras_step = _Step(network, compiled)
    return step


def lengths_to_compile(
    network: keras.Model,
    ids: np.ndarray,
    epochs: int,
    batch_size: int,
    count: int | None = None,
) -> int:
    """For how many lengths compiling the training step pays; 0 for none.

    Args:
        network: to be trained.
        ids: `(texts, timesteps)`, of all texts or of a sample.
        epochs: passes over all texts.
        batch_size: texts in a step.
        count: of all texts, where `ids` are a sample.
    """
    if (
        keras.backend.backend() != "tensorflow"
        or network.run_eagerly
        or tf.config.list_physical_devices("GPU")
        or any(map(_is_slow_compiled, network._flatten_layers()))
    ):
        return 0
    count = count or len(ids)
    tokens = (ids != 0).sum() / len(ids) * count
    steps = epochs * tokens / min(batch_size, count)
    return min(_MOST_LENGTHS, int(steps / _WORTH_A_LENGTH))


def _is_slow_compiled(layer: keras.layers.Layer) -> bool:
    """Whether XLA makes this layer slower: recurrence and dropout of Keras's."""
    if isinstance(layer, SimpleRNN | GRU | LSTM):
        return layer.recurrent_dropout > 0
    ours = isinstance(layer, Dropout)
    return isinstance(layer, keras.layers.RNN | keras.layers.Dropout) and not ours
