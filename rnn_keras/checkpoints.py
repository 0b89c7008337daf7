"""Training that can be stopped at any instant: its whole state, in a file.

After a crash the same call goes on from the newest checkpoint, and ends with the same
weights, bit for bit, as if nothing had happened (on the same machine: another one may
add in another order). The state is that of the network, its optimizer, its metrics and
its random generators, of the batches' order and the place in it, and of the early
stopping: the best weights so far, and how long ago they were.

A checkpoint is an ordinary `.npz` file, called by its epoch, its batch, and the first
digits of its SHA-256, so that a damaged one is known. It is written aside, flushed to
the disk and renamed: it is there whole or not at all.
"""

import hashlib
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from rnn_keras.errors import InputError
from rnn_keras.folders import replacing

_KEPT = 2
_STOPPING = ("wait", "stopped_epoch", "best", "best_epoch")


class Position(NamedTuple):
    """Where a run is: `batch` of `epoch` comes next, both counted from 0."""

    epoch: int = 0
    batch: int = 0

    def __str__(self) -> str:
        return f"epoch {self.epoch + 1}, batch {self.batch + 1}"


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
    its end, write the state, and raise `Stopped`. A second Ctrl-C ends it at once.

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

    def _hear(self, number: int, frame: Any) -> None:
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number
        self.report("finishing this step; once more to stop at once")

    def save(
        self,
        position: Position,
        network: keras.Model,
        batches: Any,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> None:
        """Write the state, and stop if a signal asked for that.

        Args:
            position: what comes next.
            network: compiled, and trained on at least one batch.
            batches: with `get_state` and `set_state`.
            callbacks: of which `EarlyStopping` and `History` have a state.

        Raises:
            OSError: if it cannot be written; those of before are still there.
            Stopped: after a signal.
        """
        arrays = {f"variable_{i}": np.asarray(v) for i, v in enumerate(_all(network))}
        plain: dict[str, Any] = {
            "position": position,
            "stop": network.stop_training,
            "seconds": self.seconds + time.monotonic() - self._began,
            "batches": batches.get_state(),
            "callbacks": [],
        }
        for i, callback in enumerate(_stateful(callbacks)):
            if isinstance(callback, keras.callbacks.History):
                plain["callbacks"].append([callback.epoch, callback.history])
                continue
            plain["callbacks"].append([getattr(callback, name) for name in _STOPPING])
            for j, weight in enumerate(callback.best_weights or ()):
                arrays[f"best_{i}_{j}"] = weight
        self._write(position, arrays, plain)
        self._last = time.monotonic()
        if self._signal is not None:
            raise Stopped(position, self._signal)

    def _write(
        self, position: Position, arrays: dict[str, np.ndarray], plain: dict[str, Any]
    ) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(plain, default=lambda value: value.item())
        place = f"{position.epoch:05d}-{position.batch:08d}"
        with replacing(self.folder / place) as file:
            np.savez(file, plain=np.frombuffer(text.encode(), np.uint8), **arrays)
        written = self.folder / place
        written.rename(self.folder / f"{place}-{_digest(written)}.npz")
        for older in self.files()[:-_KEPT]:
            older.unlink()

    def files(self) -> list[Path]:
        """The checkpoints, the newest last."""
        return sorted(self.folder.glob("*-*-*.npz"))

    def restore(
        self,
        network: keras.Model,
        batches: Any,
        callbacks: Sequence[keras.callbacks.Callback],
    ) -> Position | None:
        """Bring all back to the newest state that is sound; a damaged one is named.

        Returns:
            What comes next; `None` where there is no checkpoint.

        Raises:
            InputError: if the state is that of another network.
        """
        for path in reversed(self.files()):
            try:
                arrays, plain = _read(path)
            except (OSError, ValueError, KeyError) as error:
                self.report(f"{path}: damaged ({error}); the one before it is used")
                continue
            _make_variables(network, batches[0])
            stateful = _stateful(callbacks)
            found = [a for name, a in arrays.items() if name.startswith("variable")]
            _check_shapes(path, found, _all(network))
            for variable, array in zip(_all(network), found, strict=True):
                # NumPy gives dtypes that are not its own, bfloat16, as bytes.
                same = array.view(variable.dtype) if array.dtype.kind == "V" else array
                variable.assign(same)
            batches.set_state(plain["batches"])
            network.stop_training, self.seconds = plain["stop"], plain["seconds"]
            for i, (callback, state) in enumerate(
                zip(stateful, plain["callbacks"], strict=True)
            ):
                _restore_callback(callback, state, _best(arrays, i))
            position = Position(*plain["position"])
            self.report(f"goes on with {position}")
            return position
        return None


def _all(network: keras.Model) -> list[Any]:
    """Every variable that training changes; random generators are among them."""
    return [
        *network.variables,
        *network.optimizer.variables,
        *network.metrics_variables,
    ]


def _make_variables(network: keras.Model, batch: tuple[np.ndarray, ...]) -> None:
    """Those of optimizer and metrics, which Keras leaves to the first step."""
    if not network.optimizer.built:
        network.optimizer.build(network.trainable_variables)
    network.test_on_batch(*batch)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if path.stem.split("-")[-1] != _digest(path):
        raise ValueError("other bytes than were written")
    with np.load(path) as file:
        arrays = dict(file)
    return arrays, json.loads(arrays.pop("plain").tobytes())


def _check_shapes(path: Path, found: list[np.ndarray], variables: list[Any]) -> None:
    if [array.shape for array in found] != [tuple(v.shape) for v in variables]:
        raise InputError(
            f"{path}: the state of another network; choose another folder, or delete it"
        )


def _stateful(callbacks: Sequence[keras.callbacks.Callback]) -> list[Any]:
    """Those that would end another way if they forgot what they have seen."""
    kinds = (keras.callbacks.History, keras.callbacks.EarlyStopping)
    return [callback for callback in callbacks if isinstance(callback, kinds)]


def _best(arrays: dict[str, np.ndarray], i: int) -> list[np.ndarray] | None:
    return [a for name, a in arrays.items() if name.startswith(f"best_{i}_")] or None


def _restore_callback(
    callback: keras.callbacks.Callback, state: Any, best: list[np.ndarray] | None
) -> None:
    if isinstance(callback, keras.callbacks.History):
        callback.epoch, callback.history = state
        callback.model.history = callback
    else:
        for name, value in zip(_STOPPING, state, strict=True):
            setattr(callback, name, value)
        callback.best_weights = best
