"""Checkpoints: training that can be stopped at any moment and continued.

After a crash, the same call continues from the newest checkpoint and ends with the same
weights, bit for bit, as if it had never been interrupted (on the same machine: another
one may add numbers in another order).

A checkpoint holds the whole state of training (`TrainingState`): that of the network,
its optimizer, its metrics and its random generators, the order of the batches and the
place in it, and what early stopping remembers. Callbacks of other kinds start afresh.
It is an ordinary `.npz` file whose name holds its epoch, its batch, and the first
digits of its SHA-256, by which a damaged file is recognised.

`Checkpoints` is what the training loop uses. It puts together three parts:
`CheckpointFiles` stores the files, `CheckpointTimer` says when the next one is due, and
`StopSignals` notes that a signal has asked the program to stop.
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

from rnn_keras.training.batches import ResumableBatches
from rnn_keras.training.distributed import (
    broadcast_from_first,
    process_index,
    share_of,
)
from rnn_keras.utils.errors import InputError, reason_of
from rnn_keras.utils.files import refuse_unwritable, write_whole
from rnn_keras.utils.stopping import Interrupted

# Attributes in which `keras.callbacks.EarlyStopping` remembers the epochs so far.
_STOPPING = ("wait", "stopped_epoch", "best", "best_epoch")
_MAX_FILES = 2


class NextBatch(NamedTuple):
    """The batch with which training goes on; `epoch` and `batch` count from 0."""

    epoch: int = 0
    batch: int = 0

    def __str__(self) -> str:
        return f"epoch {self.epoch + 1}, batch {self.batch + 1}"


class Stopped(Interrupted):
    """Training was asked to stop, and a checkpoint has been written."""

    def __init__(self, next_batch: NextBatch, number: int):
        super().__init__(
            number, f"stopped before {next_batch}; the same command goes on there"
        )


class TrainingState(NamedTuple):
    """The objects that training changes.

    Attributes:
        network: a compiled network.
        batches: the training batches.
        callbacks: all callbacks. `EarlyStopping` and `History` are stored, because
            training would end differently if they forgot the epochs so far.
    """

    network: keras.Model
    batches: ResumableBatches
    callbacks: Sequence[keras.callbacks.Callback]

    def to_bytes(self, next_batch: NextBatch, seconds: float) -> bytes:
        """The state as the content of an `.npz` file, after at least one batch.

        Args:
            next_batch: where training goes on.
            seconds: how long training has taken so far.
        """
        arrays = {
            f"variable_{i}": np.asarray(v) for i, v in enumerate(self._variables())
        }
        callbacks = []
        for i, callback in enumerate(self._stored_callbacks()):
            if isinstance(callback, keras.callbacks.History):
                callbacks.append([callback.epoch, callback.history])
                continue
            callbacks.append([getattr(callback, name) for name in _STOPPING])
            for j, weight in enumerate(callback.best_weights or ()):
                arrays[f"best_{i}_{j}"] = weight
        plain = {
            "position": next_batch,
            "seconds": seconds,
            "stop": self.network.stop_training,
            "batches": self.batches.get_state(),
            "callbacks": callbacks,
        }
        text = json.dumps(plain, default=lambda value: value.item())
        arrays["plain"] = np.frombuffer(text.encode(), np.uint8)
        file = io.BytesIO()
        np.savez(file, **arrays)  # type: ignore[arg-type] # no array is `allow_pickle`
        return file.getvalue()

    def restore(self, content: bytes) -> tuple[NextBatch, float]:
        """Bring all objects back to a stored state, before any batch is trained.

        Args:
            content: what `to_bytes` returned.

        Returns:
            Where training goes on, and how long it has taken so far.

        Raises:
            InputError: if the state belongs to another network.
        """
        with np.load(io.BytesIO(content)) as file:
            arrays = dict(file)
        plain = json.loads(arrays.pop("plain").tobytes())
        self._create_variables()
        self._assign([a for name, a in arrays.items() if name.startswith("variable_")])
        self.batches.set_state(plain["batches"])
        self.network.stop_training = plain["stop"]
        stored = zip(self._stored_callbacks(), plain["callbacks"], strict=True)
        for i, (callback, state) in enumerate(stored):
            if isinstance(callback, keras.callbacks.History):
                callback.epoch, callback.history = state
                self.network.history = callback
                continue
            for name, value in zip(_STOPPING, state, strict=True):
                setattr(callback, name, value)
            best = [a for name, a in arrays.items() if name.startswith(f"best_{i}_")]
            callback.best_weights = best or None
        return NextBatch(*plain["position"]), plain["seconds"]

    def _variables(self) -> list[Any]:
        """All variables, those of the random generators among them."""
        optimizer = self.network.optimizer.variables
        return [*self.network.variables, *optimizer, *self.network.metrics_variables]

    def _create_variables(self) -> None:
        """Create those variables that Keras creates at the first step."""
        network = self.network
        if not network.optimizer.built:
            network.optimizer.build(network.trainable_variables)
        network.test_on_batch(*share_of(self.batches[0]))

    def _assign(self, values: list[np.ndarray]) -> None:
        variables = self._variables()
        if [v.shape for v in values] != [tuple(v.shape) for v in variables]:
            raise InputError("the state of another network")
        for variable, value in zip(variables, values, strict=True):
            # NumPy reads types that it does not know, bfloat16, as plain bytes.
            is_foreign = value.dtype.kind == "V"
            variable.assign(value.view(variable.dtype) if is_foreign else value)

    def _stored_callbacks(self) -> list[Any]:
        kinds = (keras.callbacks.History, keras.callbacks.EarlyStopping)
        return [callback for callback in self.callbacks if isinstance(callback, kinds)]


class CheckpointFiles:
    """The newest checkpoints of a run, as files in a folder.

    Args:
        folder: made when the first file is written.
        report: called with a line about every damaged file.
    """

    def __init__(self, folder: Path, report: Callable[[str], None]):
        self.folder, self.report = folder, report

    def paths(self) -> list[Path]:
        """The files, the newest last."""
        return sorted(self.folder.glob("*-*-*.npz"))

    def write(self, content: bytes, next_batch: NextBatch) -> None:
        """Write a checkpoint, and delete all but the two newest.

        Raises:
            InputError: if it cannot be written; the older ones are still there.
        """
        name = f"{next_batch.epoch:05d}-{next_batch.batch:08d}-{_digest(content)}.npz"
        with refuse_unwritable(self.folder, can_resume=lambda: bool(self.paths())):
            self.folder.mkdir(parents=True, exist_ok=True)
            for half_written in self.folder.glob(".*.part"):
                half_written.unlink()  # by a process that was killed
            write_whole(self.folder / name, content)
            for older in self.paths()[:-_MAX_FILES]:
                older.unlink()

    def read_newest(self) -> bytes | None:
        """The content of the newest undamaged file; `None` where there is none.

        Damaged files are reported and deleted: by their names they are newer than those
        that will be written next, which would be deleted in their place.
        """
        paths = self.paths()
        for path in reversed(paths):
            try:
                content = path.read_bytes()
                if path.stem.endswith(_digest(content)):
                    return content
                reason = "its bytes have changed"
            except OSError as error:
                reason = reason_of(error)
            is_oldest = path == paths[0]
            advice = (
                "training starts over" if is_oldest else "the one before it is used"
            )
            self.report(f"{path}: damaged ({reason}); {advice}")
            with suppress(OSError):
                path.unlink()
        return None


class CheckpointTimer:
    """Measures how long training has taken, and how long ago the last checkpoint was.

    Args:
        every: seconds between two checkpoints.
    """

    def __init__(self, every: float):
        self.every = every
        self.start()

    def start(self) -> None:
        """Start measuring, as if a checkpoint had just been written."""
        self._started = self._last = time.monotonic()

    def restart_interval(self) -> None:
        """Note that a checkpoint has been written."""
        self._last = time.monotonic()

    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def is_due(self) -> bool:
        """Whether `every` seconds have passed since the last checkpoint."""
        return time.monotonic() - self._last >= self.every


class StopSignals:
    """Notes SIGINT (Ctrl-C) and SIGTERM instead of ending the program at once.

    Args:
        report: called with a line when a signal arrives.

    Attributes:
        received: the number of the first signal; `None` before one has arrived.
    """

    def __init__(self, report: Callable[[str], None]):
        self.report = report
        self.received: int | None = None

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Inside, the first signal is noted, and a second raises `Interrupted`.

        Outside the main thread signals keep their effect: Python lets no other thread
        set a handler.
        """
        self.received = None
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._note) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, frame: Any) -> None:
        if self.received is not None:
            raise Interrupted(number)
        self.received = number
        action = (
            "finishing this step" if process_index() == 0 else "process 0 stops the run"
        )
        self.report(f"{action}; once more to stop at once")


class Checkpoints:
    """Where and how often training writes its state, and how it is stopped.

    While training runs, Ctrl-C (SIGINT) and SIGTERM let the current step finish; then a
    checkpoint is written and `Stopped` is raised. A second Ctrl-C stops at once. Of
    several processes that train together, the first writes, and stops the others.

    Args:
        folder: for the files, of which the two newest are kept. Use a new folder for
            each run: the texts that a network is trained on are not checked.
        every: seconds between two checkpoints. A checkpoint is written at the end of a
            step or of an epoch, whichever comes first.
        report: called with lines about what happens.

    Attributes:
        seconds: how long training had taken up to the restored checkpoint.
    """

    def __init__(
        self,
        folder: str | Path,
        every: float = 30.0,
        report: Callable[[str], None] = lambda line: None,
    ):
        self.report, self.seconds = report, 0.0
        self._files = CheckpointFiles(Path(folder), report)
        self._timer, self._signals = CheckpointTimer(every), StopSignals(report)

    def files(self) -> list[Path]:
        """The files of the checkpoints, the newest last."""
        return self._files.paths()

    def due(self) -> bool:
        """Whether a checkpoint should be written now."""
        asked_to_stop = self._signals.received is not None
        return process_index() == 0 and (asked_to_stop or self._timer.is_due())

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Inside, SIGINT and SIGTERM make a checkpoint due, after which `save` raises.

        Raises:
            Interrupted: if a signal came after the last step.
        """
        self.seconds = 0.0
        self._timer.start()
        with self._signals.noted():
            yield
        if self._signals.received is not None and process_index() == 0:
            raise Interrupted(self._signals.received)

    def save(self, state: TrainingState, next_batch: NextBatch) -> None:
        """Write a checkpoint, and stop if a signal has asked for it.

        Args:
            state: what is trained, after at least one batch.
            next_batch: where training goes on.

        Raises:
            InputError: if it cannot be written; the older ones are still there.
            Stopped: after a signal.
        """
        seconds = self.seconds + self._timer.seconds()
        self._files.write(state.to_bytes(next_batch, seconds), next_batch)
        self._timer.restart_interval()
        if self._signals.received is not None:
            raise Stopped(next_batch, self._signals.received)

    def restore(self, state: TrainingState) -> NextBatch | None:
        """Restore the newest undamaged checkpoint; report damaged ones.

        Returns:
            Where training goes on; `None` where there is no checkpoint.

        Raises:
            InputError: if the checkpoint belongs to another network.
        """
        is_first = process_index() == 0
        newest = self._files.read_newest() if is_first else None
        content = broadcast_from_first(newest or b"")
        if not content:
            return None
        try:
            next_batch, self.seconds = state.restore(content)
        except InputError as error:
            raise InputError(
                f"{self._files.folder}: holds {error}; choose another folder, or "
                "delete it"
            ) from error
        self.report(f"goes on with {next_batch}")
        return next_batch


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
