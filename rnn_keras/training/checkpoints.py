"""Training that can be stopped at any instant: its state, kept in files.

After a crash the same call goes on from the newest checkpoint, and ends with the same
weights, bit for bit, as if nothing had happened (on the same machine: another one may
add in another order).

A checkpoint is an ordinary `.npz` file, called by its epoch, its batch, and the first
digits of its SHA-256, so that a damaged one is known. It is written aside, flushed to
the disk and renamed: it is there whole or not at all.

The whole state of a training run: as arrays, and back again.

It is that of the network, its optimizer, its metrics and its random generators, of the
batches' order and the place in it, and of the early stopping: the best weights so far,
and how long ago they were. Callbacks of other kinds begin anew.
"""

import hashlib
import io
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from rnn_keras.training.distributed import from_first, process_index, share_of
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import not_written, write_whole

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


_KEPT = 2


class Stopped(KeyboardInterrupt):
    """Training was asked to stop, and its state was written down.

    Attributes:
        signal: that asked for it.
    """

    def __init__(self, position: Position, number: int):
        super().__init__(f"stopped before {position}; the same command goes on there")
        self.signal = number


class Checkpoints:
    """Where, and how often, a training run writes down its state.

    While it trains, Ctrl-C (SIGINT) and SIGTERM let the step that is going on come to
    its end, write the state, and raise `Stopped`. A second Ctrl-C ends it at once. Of
    several processes that train together the first writes, and stops the others.

    Args:
        folder: for the files, of which the two newest are kept. A new one for each
            run: nothing here knows what texts a state was reached on.
        every: seconds between two checkpoints. One is written at the end of a step
            or of an epoch, whichever comes first.
        report: is given lines on what goes on.

    Attributes:
        seconds: how long training had gone on before, up to the state restored.
    """

    def __init__(
        self,
        folder: str | Path,
        every: float = 30.0,
        report: Callable[[str], None] = lambda line: None,
    ):
        self.folder, self.every, self.report = Path(folder), every, report
        self.seconds = 0.0
        self._signal: int | None = None
        self._last = self._began = time.monotonic()

    def due(self) -> bool:
        """Whether a checkpoint is to be written now."""
        if process_index() > 0:
            return False
        waited = time.monotonic() - self._last
        return self._signal is not None or waited >= self.every

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within, SIGINT and SIGTERM make a checkpoint due, and the run end with it."""
        self._signal, self.seconds = None, 0.0
        self._last = self._began = time.monotonic()
        if threading.current_thread() is not threading.main_thread():
            yield  # where Python lets nobody set a handler
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._hear) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._signal is not None and process_index() == 0:
            raise KeyboardInterrupt  # heard when there was no step left to finish

    def _hear(self, number: int, frame: Any) -> None:
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number
        who = (
            "finishing this step" if process_index() == 0 else "process 0 stops the run"
        )
        self.report(f"{who}; once more to stop at once")

    def save(self, running: Running, position: Position) -> None:
        """Write the state, and stop if a signal asked for that.

        Args:
            running: trained on at least one batch.
            position: what comes next.

        Raises:
            InputError: if it cannot be written; those of before are still there.
            Stopped: after a signal.
        """
        seconds = self.seconds + time.monotonic() - self._began
        file = io.BytesIO()
        np.savez(file, **capture(running, position, seconds))
        content = file.getvalue()
        place = f"{position.epoch:05d}-{position.batch:08d}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for half in self.folder.glob(".*.part"):
                half.unlink()  # of a process that was killed as it wrote
            write_whole(self.folder / f"{place}-{_digest(content)}.npz", content)
            for older in self.files()[:-_KEPT]:
                older.unlink()
        except OSError as error:
            raise not_written(self.folder, error, bool(self.files())) from error
        self._last = time.monotonic()
        if self._signal is not None:
            raise Stopped(position, self._signal)

    def restore(self, running: Running) -> Position | None:
        """Bring all back to the newest state that is sound; a damaged one is named.

        Returns:
            What comes next; `None` where there is no checkpoint.

        Raises:
            InputError: if the state is that of another network.
        """
        content = from_first(self._newest() if process_index() == 0 else b"")
        if not content:
            return None
        try:
            position, self.seconds = restore(content, running)
        except InputError as error:
            raise InputError(
                f"{self.folder}: holds {error}; choose another folder, or delete it"
            ) from error
        self.report(f"goes on with {position}")
        return position

    def files(self) -> list[Path]:
        """The checkpoints, the newest last."""
        return sorted(self.folder.glob("*-*-*.npz"))

    def _newest(self) -> bytes:
        """The content of the newest sound one. Others before it are deleted."""
        files = self.files()
        for path in reversed(files):
            try:
                content = path.read_bytes()
                if path.stem.endswith(_digest(content)):
                    return content
                reason = "other bytes than were written"
            except OSError as error:
                reason = error.strerror
            is_last = path == files[0]
            then = "training begins anew" if is_last else "the one before it is used"
            self.report(f"{path}: damaged ({reason}); {then}")
            # Newer by its name, it would have those deleted that are written next.
            with suppress(OSError):
                path.unlink()
        return b""


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
