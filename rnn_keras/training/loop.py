"""The loop over epochs and batches, for small networks faster than `keras.Model.fit`.

A compiled step of a small network takes about 20 ms. The input pipeline and the
dispatch of `keras.Model.fit` add a quarter to that; Keras traces its step for shapes
left open once it has seen two shapes, whereas XLA needs them known; and `fit` cannot be
continued in the middle of an epoch. `fit` here calls the same callbacks with the same
values and ends with the same weights. What to train, and with which settings, is chosen
in `rnn_keras.training.trainer`.

`keep_freed_memory` saves another part of the time. A compiled step allocates one block
for all that it computes, 20 to 200 MB, and frees it at its end. The C library returns
blocks above 32 MB to the system each time, which then gives the next step zeroed pages,
with one page fault for each 4 KB: a fifth of the time of an LSTM's step in
`benchmarks/speed.py`.
"""

import contextlib
import ctypes
import math
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.layers import GRU, LSTM, Dropout, SimpleRNN
from rnn_keras.layers.keras_internals import (
    compile_config,
    flatten_layers,
    initial_epoch,
)
from rnn_keras.layers.tensorflow_internals import (
    FunctionOfContent,
    tie_gradients_to_graphs,
)
from rnn_keras.training.batches import (
    Batches,
    ResumableBatches,
    as_dataset,
    choose_lengths,
)
from rnn_keras.training.checkpoints import Checkpoints, NextBatch, TrainingState
from rnn_keras.training.distributed import (
    distribute_rows,
    process_index,
    share_of,
)
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.stages import stage

# Options of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
# The largest value that glibc accepts for M_MMAP_THRESHOLD.
_MAX_MMAP_THRESHOLD = 32 << 20

# Compiling the step for one more length takes as long as compiled steps save over so
# many time steps of a recurrence (two cores; bidirectional GRU, 64 units, batches of
# 32).
_TIME_STEPS_A_LENGTH = 24_000
_MAX_LENGTHS = 8


@contextlib.contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Inside, the process keeps the memory that it frees; afterwards it returns it.

    Does nothing where the C library is not glibc.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "gnu_get_libc_version"):
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _MAX_MMAP_THRESHOLD)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_MMAP_MAX, 0)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_MAX, 1 << 16)
        # The value at which glibc itself arrives once a block of 32 MB has been freed.
        libc.mallopt(_TRIM_THRESHOLD, 2 * _MAX_MMAP_THRESHOLD)
        libc.malloc_trim(0)


class Diverged(InputError):
    """The loss became infinite or `nan`, and training ended.

    Attributes:
        history: Keras's `History` of the epochs before, whose losses are finite. If
            there are any, the network has the weights of the best of them again.
    """

    def __init__(self, message: str, history: keras.callbacks.History):
        super().__init__(message)
        self.history = history


def history_so_far(
    train: Callable[[], keras.callbacks.History],
) -> tuple[keras.callbacks.History, Diverged | None]:
    """Train; return the history of the finite epochs, and the error that ended them.

    Args:
        train: trains a network and returns the history.

    Raises:
        Diverged: if no epoch was finite.
    """
    try:
        return train(), None
    except Diverged as error:
        if not error.history.epoch:
            raise
        return error.history, error


class _NotFinite(Exception):
    """A loss is infinite or `nan`; the message says when."""


def fit(
    network: keras.Model,
    batches: ResumableBatches,
    held_out: Batches | None,
    *,
    epochs: int,
    callbacks: Sequence[keras.callbacks.Callback],
    compiled: bool,
    checkpoints: Checkpoints | None = None,
) -> keras.callbacks.History:
    """Do what `network.fit(batches, validation_data=held_out)` does; can be continued.

    Args:
        network: a network with optimizer, loss and metrics.
        batches: the training batches.
        held_out: batches on which the network is scored after each epoch, or `None`.
        epochs: passes over the batches at most.
        callbacks: called as by Keras.
        compiled: whether XLA compiles the step, once for each length (TensorFlow).
        checkpoints: where the state is stored, and restored from at the start.

    Returns:
        Keras's `History`.

    Raises:
        Stopped: with `checkpoints`, after a signal.
        Diverged: if a loss is infinite or `nan`.
    """
    step = _cached_step(network, compiled)
    calls = keras.callbacks.CallbackList(
        callbacks,
        add_history=True,
        model=network,
        verbose=0,
        epochs=epochs,
        steps=len(batches),
    )
    network.stop_training = False
    state = TrainingState(network, batches, calls.callbacks)
    stoppable = checkpoints.stopped_by_signals() if checkpoints else nullcontext()
    logs: dict[str, Any] = {}
    finite = _FiniteWeights(network, callbacks)
    scored_on = None if held_out is None else as_dataset(held_out)
    with keep_freed_memory(), stoppable:
        calls.on_train_begin()
        # `BackupAndRestore` has chosen by now where training begins.
        epoch, first = NextBatch(initial_epoch(network))
        if checkpoints:
            epoch, first = checkpoints.restore(state) or (epoch, first)
        while epoch < epochs and not network.stop_training:
            try:
                logs = _train_epoch(
                    step, state, calls, NextBatch(epoch, first), checkpoints
                )
                if scored_on is not None:
                    logs |= _evaluate(network, scored_on, calls)
                    _check_finite(logs, "val_loss", f"epoch {epoch + 1}")
                finite.note(epoch)
            except _NotFinite as error:
                kept = finite.restore()
                calls.on_train_end()
                raise Diverged(f"{error}{kept}", network.history) from None
            calls.on_epoch_end(epoch, logs)
            epoch, first = epoch + 1, 0
            # What follows the last epoch may be interrupted, too, and training need not
            # be repeated then.
            has_ended = epoch == epochs or network.stop_training
            if checkpoints and (
                checkpoints.due() or (has_ended and process_index() == 0)
            ):
                checkpoints.save(state, NextBatch(epoch))
        if epochs > 0:
            network.optimizer.finalize_variable_values(network.trainable_weights)
        calls.on_train_end(logs)
    tie_gradients_to_graphs()
    return network.history


def _train_epoch(
    step: "TrainingStep",
    state: TrainingState,
    calls: keras.callbacks.CallbackList,
    start: NextBatch,
    checkpoints: Checkpoints | None,
) -> dict[str, Any]:
    """Train on the batches of an epoch from `start` on; return the metrics."""
    network, batches, logs = state.network, state.batches, {}
    if start.batch == 0:
        network.reset_metrics()
    calls.on_epoch_begin(start.epoch)
    for i in range(start.batch, len(batches)):
        calls.on_train_batch_begin(i)
        logs = step(batches[i], is_first=i == 0)
        _check_finite(logs, "loss", str(NextBatch(start.epoch, i)))
        calls.on_train_batch_end(i, logs)
        if network.stop_training:
            break
        # After the last batch, the checkpoint of the epoch's end follows.
        if checkpoints and i + 1 < len(batches) and checkpoints.due():
            checkpoints.save(state, NextBatch(start.epoch, i + 1))
    batches.on_epoch_end()
    return dict(logs)


def _check_finite(logs: dict[str, Any], name: str, when: str) -> None:
    loss = logs.get(name)
    if loss is not None and not math.isfinite(loss):
        raise _NotFinite(f"training diverged: {name} is {float(loss)} in {when}")


class _FiniteWeights:
    """The weights to go back to when the loss is not finite any more.

    They are those that early stopping holds for the best epoch, or else a copy of those
    after the last epoch.

    Args:
        network: the network that is trained.
        callbacks: its callbacks, among which may be early stopping.
    """

    def __init__(
        self, network: keras.Model, callbacks: Sequence[keras.callbacks.Callback]
    ):
        self._network = network
        stopping = (
            callback
            for callback in callbacks
            if isinstance(callback, keras.callbacks.EarlyStopping)
            and callback.restore_best_weights
        )
        self._stopping = next(stopping, None)
        self._last: tuple[int, list[np.ndarray]] | None = None

    def note(self, epoch: int) -> None:
        """Remember the weights after an epoch, which counts from 0.

        Raises:
            _NotFinite: if they are not finite, as after the last step of all.
        """
        weights = self._network.get_weights()
        if not all(np.isfinite(weight.astype(float)).all() for weight in weights):
            raise _NotFinite(
                f"training diverged: the weights are not finite after epoch {epoch + 1}"
            )
        if self._stopping is None:
            self._last = epoch, weights

    def restore(self) -> str:
        """Go back to the weights, if there are any; return the end of a message."""
        best = self._last
        if self._stopping is not None and self._stopping.best_weights is not None:
            best = self._stopping.best_epoch, self._stopping.best_weights
        advice = f"try a learning rate below {_rate_of(self._network):g}"
        if best is None:
            return f"; {advice}"
        self._network.set_weights(best[1])
        return f"; the weights of epoch {best[0] + 1} are kept; {advice}"


def _rate_of(network: keras.Model) -> float:
    return float(keras.ops.convert_to_numpy(network.optimizer.learning_rate))


def _evaluate(
    network: keras.Model, dataset: tf.data.Dataset, calls: keras.callbacks.CallbackList
) -> dict[str, Any]:
    is_first = network.test_function is None
    with stage("compiling" if is_first else "network"):
        scores = network.evaluate(dataset, callbacks=calls, return_dict=True, verbose=0)
    return {f"val_{name}": score for name, score in scores.items()}


class TrainingStep:
    """Trains a network on one batch, with the graph that suits the batch's shape.

    With TensorFlow there is one graph for all lengths or, where XLA compiles, one for
    each length. Other backends use the function that Keras makes.

    Args:
        network: a network with optimizer, loss and metrics.
        compiled: whether XLA compiles the step (TensorFlow).
    """

    def __init__(self, network: keras.Model, compiled: bool):
        # Weak references: a step must not keep its network alive (see `_STEPS`).
        self._network = weakref.proxy(network)
        config = compile_config(network)
        self._config = None if config is None else weakref.ref(config)
        self.compiled = compiled
        self._graphs: dict[tuple[Any, ...], Callable[..., dict[str, Any]]] = {}
        self._shapes: set[tuple[Any, ...]] = set()  # of batches that came before

    def fits(self, network: keras.Model, compiled: bool) -> bool:
        """Whether the step is still that of `network`, as it is compiled now."""
        if self._config is None or self.compiled != compiled:
            return False
        return self._config() is compile_config(network)

    def __call__(self, batch: tuple[np.ndarray, ...], is_first: bool) -> dict[str, Any]:
        """Train on a batch.

        Args:
            batch: inputs and targets, each with a row for each example.
            is_first: whether it is the first batch of its epoch.

        Returns:
            The metrics over all batches of the epoch so far.
        """
        shapes = tuple(array.shape for array in batch)
        with stage("network" if shapes in self._shapes else "compiling"):
            self._shapes.add(shapes)
            return self._train(batch, is_first)

    def _train(self, batch: tuple[np.ndarray, ...], is_first: bool) -> dict[str, Any]:
        network = self._network
        backend = keras.backend.backend()
        if backend == "jax":
            return _step_with_jax(network, share_of(batch), is_first)
        if backend == "torch":
            return _step_with_torch(network, batch, is_first)
        data = tuple(map(tf.constant, batch))
        if network.run_eagerly:
            return network.train_step(data)
        if self.compiled:
            try:
                return self._graph_for(data)(data)
            except tf.errors.InvalidArgumentError:
                # XLA cannot compile some part of this network, for example a metric
                # that is written in Python. Any other error is raised again below.
                self.compiled, self._graphs = False, {}
        return self._graph_for(data)(data)

    def _graph_for(self, data: tuple[tf.Tensor, ...]) -> Callable[..., dict[str, Any]]:
        shapes = tuple(
            tuple(tensor.shape) if self.compiled else (None,) * len(tensor.shape)
            for tensor in data
        )
        if shapes not in self._graphs:
            # Keras leaves the step to no conversion by AutoGraph, either.
            step = tf.function(
                self._train_step, jit_compile=self.compiled, autograph=False
            )
            signature = tuple(
                tf.TensorSpec(shape, tensor.dtype)
                for shape, tensor in zip(shapes, data, strict=True)
            )
            # TensorFlow would warn that a function for all shapes is traced so often.
            concrete = step.get_concrete_function(signature)
            # Networks of one architecture are compiled once.
            self._graphs[shapes] = (
                FunctionOfContent(concrete) if self.compiled else concrete
            )
        return self._graphs[shapes]

    def _train_step(self, data: tuple[tf.Tensor, ...]) -> dict[str, Any]:
        return self._network.train_step(data)


# The step of each network that an earlier `fit` has trained. Its graphs serve the next
# `fit`, for example after `restart`, and are forgotten together with the network.
_STEPS: weakref.WeakKeyDictionary[keras.Model, TrainingStep] = (
    weakref.WeakKeyDictionary()
)


def _cached_step(network: keras.Model, compiled: bool) -> TrainingStep:
    """The step of an earlier `fit`, unless the network was compiled again since."""
    step = _STEPS.get(network)
    if step is None or not step.fits(network, compiled):
        step = _STEPS[network] = TrainingStep(network, compiled)
    return step


def _step_with_jax(
    network: keras.Model, batch: tuple[np.ndarray, ...], is_first: bool
) -> dict[str, Any]:
    """Do what `train_on_batch` does, but reset no metrics after the first batch."""
    if is_first:
        # Also creates the metrics' variables, in the first epoch.
        return network.train_on_batch(*batch, return_dict=True)
    network.make_train_function()
    groups = (
        network.trainable_variables,
        network.non_trainable_variables,
        network.optimizer.variables,
        network.metrics_variables,
    )
    state = tuple([variable.value for variable in group] for group in groups)
    data = (*distribute_rows(batch), None)  # no weights of examples
    logs, state = network.train_function(state, iter([data]))
    for group, values in zip(groups, state, strict=True):
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
    return _as_numbers(logs)


def _step_with_torch(
    network: keras.Model, batch: tuple[np.ndarray, ...], is_first: bool
) -> dict[str, Any]:
    """The same for PyTorch, whose variables change in place."""
    if is_first:
        return network.train_on_batch(*batch, return_dict=True)
    network.make_train_function()
    return _as_numbers(network.train_function([(*batch, None)]))


def _as_numbers(logs: dict[str, Any]) -> dict[str, Any]:
    """Metrics by name, in the order of `train_on_batch`; single values as floats."""
    arrays = {name: keras.ops.convert_to_numpy(logs[name]) for name in sorted(logs)}
    return {name: a.item() if a.ndim == 0 else a for name, a in arrays.items()}


def num_compiled_lengths(
    network: keras.Model,
    ids: np.ndarray,
    epochs: int,
    batch_size: int,
    count: int | None = None,
) -> int:
    """For how many lengths XLA should compile the training step; 0 for none.

    Args:
        network: the network to be trained.
        ids: token ids `(texts, timesteps)` of all texts or of a sample.
        epochs: passes over all texts.
        batch_size: texts in a step.
        count: the number of all texts; by default those of `ids`.
    """
    backend = keras.backend.backend()
    num_tokens = (ids != 0).sum(axis=1)
    count = count or len(ids)
    # How many steps the training takes for each text of `ids`.
    steps = epochs * count / len(ids) / min(batch_size, count)
    if backend == "jax":
        return _cheapest_num_lengths(num_tokens, steps)
    if (
        backend != "tensorflow"
        or network.run_eagerly
        or tf.config.list_physical_devices("GPU")
        or any(map(_is_slower_compiled, flatten_layers(network)))
    ):
        return 0
    return min(_MAX_LENGTHS, int(steps * num_tokens.sum() / _TIME_STEPS_A_LENGTH))


def _cheapest_num_lengths(num_tokens: np.ndarray, steps: float) -> int:
    """For how many lengths to compile where every step is compiled (JAX).

    One length more costs a compilation and saves padding.

    Args:
        num_tokens: the number of tokens of each text.
        steps: training steps for each text.
    """
    cheapest, least = 0, float("inf")
    for count in range(1, _MAX_LENGTHS + 1):
        lengths = choose_lengths(num_tokens, count)
        padded = lengths[np.searchsorted(lengths, num_tokens)].sum()
        cost = len(lengths) * _TIME_STEPS_A_LENGTH + steps * padded
        if cost >= least:
            break
        cheapest, least = count, cost
    return cheapest


def _is_slower_compiled(layer: keras.layers.Layer) -> bool:
    """Whether XLA makes a layer slower: Keras's own recurrent layers and dropout."""
    if isinstance(layer, SimpleRNN | GRU | LSTM):
        return layer.recurrent_dropout > 0
    is_ours = isinstance(layer, Dropout)
    return isinstance(layer, keras.layers.RNN | keras.layers.Dropout) and not is_ours
