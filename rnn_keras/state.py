"""The whole state of a training run: as arrays, and back again.

It is that of the network, its optimizer, its metrics and its random generators, of the
batches' order and the place in it, and of the early stopping: the best weights so far,
and how long ago they were. Callbacks of other kinds begin anew.
"""

import io
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from rnn_keras.distributed import share_of
from rnn_keras.errors import InputError

_STOPPING = ("wait", "stopped_epoch", "best", "best_epoch")


class Position(NamedTuple):
    """Where a run is: `batch` of `epoch` comes next, both counted from 0."""

    epoch: int = 0
    batch: int = 0

    def __str__(self) -> str:
        return f"epoch {self.epoch + 1}, batch {self.batch + 1}"


class Running(NamedTuple):
    """What a training loop works with.

    Attributes:
        network: compiled.
        batches: with `get_state` and `set_state`.
        callbacks: of which `EarlyStopping` and `History` have a state.
    """

    network: keras.Model
    batches: Any
    callbacks: Sequence[keras.callbacks.Callback]

    def variables(self) -> list[Any]:
        """All that training changes; random generators are among them."""
        optimizer = self.network.optimizer.variables
        return [*self.network.variables, *optimizer, *self.network.metrics_variables]

    def stateful(self) -> list[Any]:
        """Callbacks that would end another way if they forgot what they have seen."""
        kinds = (keras.callbacks.History, keras.callbacks.EarlyStopping)
        return [callback for callback in self.callbacks if isinstance(callback, kinds)]


def capture(
    running: Running, position: Position, seconds: float
) -> dict[str, np.ndarray]:
    """The state as arrays, for `numpy.savez`.

    Args:
        running: trained on at least one batch.
        position: what comes next.
        seconds: how long it has trained.
    """
    arrays = {f"variable_{i}": np.asarray(v) for i, v in enumerate(running.variables())}
    callbacks = []
    for i, callback in enumerate(running.stateful()):
        if isinstance(callback, keras.callbacks.History):
            callbacks.append([callback.epoch, callback.history])
            continue
        callbacks.append([getattr(callback, name) for name in _STOPPING])
        for j, weight in enumerate(callback.best_weights or ()):
            arrays[f"best_{i}_{j}"] = weight
    plain = {
        "position": position,
        "seconds": seconds,
        "stop": running.network.stop_training,
        "batches": running.batches.get_state(),
        "callbacks": callbacks,
    }
    text = json.dumps(plain, default=lambda value: value.item())
    return {**arrays, "plain": np.frombuffer(text.encode(), np.uint8)}


def restore(content: bytes, running: Running) -> tuple[Position, float]:
    """Bring all back to a state.

    Args:
        content: what `numpy.savez` made of it.
        running: as it was before the first batch.

    Returns:
        What comes next, and how long it has trained.

    Raises:
        InputError: if the state is that of another network.
    """
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    plain = json.loads(arrays.pop("plain").tobytes())
    network = running.network
    # Variables that Keras leaves to the first step.
    if not network.optimizer.built:
        network.optimizer.build(network.trainable_variables)
    network.test_on_batch(*share_of(running.batches[0]))

    variables = running.variables()
    found = [array for name, array in arrays.items() if name.startswith("variable_")]
    if [array.shape for array in found] != [tuple(v.shape) for v in variables]:
        raise InputError("the state of another network")
    for variable, array in zip(variables, found, strict=True):
        # NumPy gives dtypes that are not its own, bfloat16, as bytes.
        same = array.view(variable.dtype) if array.dtype.kind == "V" else array
        variable.assign(same)
    running.batches.set_state(plain["batches"])
    network.stop_training = plain["stop"]
    callbacks = zip(running.stateful(), plain["callbacks"], strict=True)
    for i, (callback, state) in enumerate(callbacks):
        if isinstance(callback, keras.callbacks.History):
            callback.epoch, callback.history = state
            network.history = callback
            continue
        for name, value in zip(_STOPPING, state, strict=True):
            setattr(callback, name, value)
        best = [a for name, a in arrays.items() if name.startswith(f"best_{i}_")]
        callback.best_weights = best or None
    return Position(*plain["position"]), plain["seconds"]
