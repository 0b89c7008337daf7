"""The folder of a training run: one process at a time, complete results or none.

While a run goes on, everything that it writes is in the folder `.unfinished` inside its
own folder: `run.json` says what is being trained, `checkpoints` holds the state of the
training, and `results` the files of the run as they are written. Once all of them are
written, `results` is renamed to `done` and its files are moved out one by one. A run
that was killed at any of these moments is continued from there: see `run_folder`.

What the files contain is in `rnn_keras.experiments.run_files`. Nothing here imports
TensorFlow, so that a folder is refused before the seconds of its import.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import (
    RUN_MODEL,
    read_json,
    refuse_unwritable,
    sync_folder,
    write_whole,
)
from rnn_keras.utils.stopping import cleaned_up

MODEL, METRICS, HISTORY = RUN_MODEL, "metrics.json", "history.csv"
CURVES, CONFUSION = "curves.png", "confusion.png"
FILES = (MODEL, METRICS, HISTORY, CURVES, CONFUSION)
UNFINISHED, FINISHED = ".unfinished", ".finished"


class RunFolder:
    """The folder of a run while this process writes there.

    Args:
        out: the folder itself.

    Attributes:
        checkpoints: folder for the state of the training.
        finished: whether this very run has finished and its files are in `out`.
    """

    def __init__(self, out: Path):
        self.out = out
        self.aside = out / UNFINISHED
        self.checkpoints = self.aside / "checkpoints"
        self.finished = False
        self._results, self._done = self.aside / "results", self.aside / "done"
        self._identity = self.aside / "run.json"

    def has_checkpoints(self) -> bool:
        """Return whether there is a checkpoint to continue from."""
        return any(self.checkpoints.glob("*.npz"))

    @contextmanager
    def results(self) -> Iterator[Path]:
        """Give a folder whose files are moved to `out` once all are written.

        Raises:
            InputError: if they cannot be written.
        """
        with refuse_unwritable(self.out, can_resume=self.has_checkpoints):
            shutil.rmtree(self._results, ignore_errors=True)
            self._results.mkdir()
            yield self._results
            for file in self._results.iterdir():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            sync_folder(self._results)
            os.replace(self._results, self._done)
            self._move_done()
        self.finished = True

    def open(self, identity: dict[str, Any] | None, force: bool) -> None:
        """Continue what an earlier process left, if it is of this run; else begin.

        Args:
            identity: see `run_folder`.
            force: see `run_folder`.

        Raises:
            InputError: if the folder holds an older run, or checkpoints of another
                run, and `force` is not given.
        """
        shutil.rmtree(self.out / FINISHED, ignore_errors=True)
        earlier = read_json(self._identity)
        moved = self._move_done()
        known = identity is not None and run_of(self.out) == digest_of(identity)
        self.finished = (known and not force) or (moved and earlier == identity)
        if self.finished:
            return
        if moved:
            # Those were the results of another run, which needs nothing else.
            earlier = None
            for folder in (self._done, self.checkpoints):
                shutil.rmtree(folder, ignore_errors=True)
        _refuse_older(self.out, force)
        if earlier == identity:
            return
        if self.has_checkpoints() and not force:
            other = _differing(identity or {}, earlier or {})
            raise InputError(
                f"{self.out}: holds an unfinished run with other {other}; "
                "choose another folder, or give --force to begin anew"
            )
        if self.checkpoints.exists():
            shutil.rmtree(self.checkpoints)
        write_whole(self._identity, json.dumps(identity).encode())

    def close(self) -> None:
        """Delete what is not needed any more: all but results, or else checkpoints."""
        if self.has_checkpoints() and not self.finished:
            return
        last = self.aside
        with suppress(OSError):  # Windows does not rename a folder with an open file
            last = self.aside.rename(self.out / FINISHED)
        shutil.rmtree(last, ignore_errors=True)

    def _move_done(self) -> bool:
        """Move the files of `done` to `out`; return whether there was such a folder."""
        if not self._done.is_dir():
            return False
        sync_folder(self.aside)
        for file in sorted(self._done.iterdir()):
            os.replace(file, self.out / file.name)
        sync_folder(self.out)
        return True


def check_free(out: Path, force: bool = False) -> None:
    """Refuse a folder that results cannot be written to, as far as can be told now.

    Raises:
        InputError: if `out` holds an older run and `force` is not given, or a folder
            has the name of a result, or another process writes there.
    """
    with refuse_unwritable(out):
        # It may be this very run, which has finished or was killed just before.
        if not run_of(out) and not (out / UNFINISHED / "done").is_dir():
            _refuse_older(out, force)
        if (out / UNFINISHED / "lock").exists():
            with _lock(out):
                pass


@contextmanager
def run_folder(
    out: Path, force: bool = False, identity: dict[str, Any] | None = None
) -> Iterator[RunFolder]:
    """Hold a folder to write the results of a run in.

    If an earlier process left the same run unfinished there, the run continues. If
    this process ends early, its checkpoints stay, and so does what the folder held
    before.

    Args:
        out: the folder; made if it does not exist.
        force: replace an older run, and delete checkpoints of another run.
        identity: everything that the results of the run follow from, as JSON can hold
            it. `metrics.json` must have the `digest_of` it as "run".

    Raises:
        InputError: if `out` holds an older run, or checkpoints of another run, and
            `force` is not given; if another process is writing there; or if it cannot
            be written.
    """
    out = Path(out)
    check_free(out, force)
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    folder = RunFolder(out)
    with ExitStack() as stack:
        stack.callback(_remove_empty, missing)
        with refuse_unwritable(out, can_resume=folder.has_checkpoints):
            folder.aside.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_lock(out))
            stack.enter_context(cleaned_up(partial(_remove_empty, missing)))
            stack.enter_context(cleaned_up(folder.close))
            stack.callback(folder.close)
            folder.open(json.loads(json.dumps(identity)), force)
        yield folder


def describe_kept(out: Path) -> str:
    """Return what a run that was interrupted has left in its folder, and how to go on.

    The words end a sentence.
    """
    if RunFolder(out).has_checkpoints():
        return f"a checkpoint is kept in {out}; the same command goes on from there"
    if run_of(out):
        return f"the results of an earlier run are still in {out}"
    return "nothing was saved; the same command begins anew"


def digest_of(identity: dict[str, Any]) -> str:
    """Return a short name for a run: 16 hexadecimal digits."""
    content = json.dumps(identity, sort_keys=True).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def run_of(out: Path) -> str | None:
    """Return which run the results in a folder belong to: its `digest_of`."""
    metrics = read_json(out / METRICS)
    return metrics.get("run") if isinstance(metrics, dict) else None


@contextmanager
def _lock(out: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        with FileLock(out / UNFINISHED / "lock", blocking=False):
            yield
    except Timeout as error:
        raise InputError(
            f"{out}: another run is writing there; choose another folder, or wait"
        ) from error


def _refuse_older(out: Path, force: bool) -> None:
    older = [name for name in FILES if (out / name).exists()]
    if older and not force:
        raise InputError(
            f"{out}: holds an older run ({', '.join(older)}); "
            "choose another folder, or give --force to replace it"
        )
    for name in older:
        if not (out / name).is_file():
            raise InputError(f"{out / name}: is no file; it is not replaced")


def _differing(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Return the names whose values differ, as a list in words."""
    names = [name for name in one if other.get(name) != one[name]]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it is not empty, or was never made
            folder.rmdir()
