"""The folder of a run: never overwritten unasked, never half-written, one at a time.

While a run goes on, all that it writes lies in `.unfinished`, in its folder:
`run.json`, what is being trained; `checkpoints`; then `results`, which is called `done`
once all of it is written. Its files are moved out of there one by one. A run that was
killed is taken up wherever in this it was: see `run_folder`.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import _read_json, _sync, not_written, write_whole

FILES = ("model.keras", "metrics.json", "history.csv", "curves.png", "confusion.png")
UNFINISHED, FINISHED = ".unfinished", ".finished"


class RunFolder:
    """A run's folder while it is this process's.

    Attributes:
        out: the folder itself.
        checkpoints: where the run's state may be kept.
        finished: whether this very run has finished, and its files are in `out`.
    """

    def __init__(self, out: Path):
        self.out = out
        self.aside = out / UNFINISHED
        self.checkpoints = self.aside / "checkpoints"
        self.finished = False

    def has_checkpoints(self) -> bool:
        """Whether there is a state to go on from."""
        return any(self.checkpoints.glob("*.npz"))

    @contextmanager
    def results(self) -> Iterator[Path]:
        """A folder to write in, whose files become `out`'s when all are written.

        Raises:
            InputError: if they cannot be written.
        """
        folder = self.aside / "results"
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            yield folder
            for file in folder.iterdir():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            _sync(folder)
            os.replace(folder, self.aside / "done")
            self._move()
        except OSError as error:
            raise not_written(self.out, error, self.has_checkpoints()) from error
        self.finished = True

    def _move(self) -> bool:
        """Move what is done; whether there was anything."""
        done = self.aside / "done"
        if not done.is_dir():
            return False
        _sync(self.aside)
        for file in sorted(done.iterdir()):
            os.replace(file, self.out / file.name)
        _sync(self.out)
        return True

    def _take_up(self, run: dict[str, Any] | None, force: bool) -> None:
        """Go on with what lies there, if it is of this run; else begin."""
        shutil.rmtree(self.out / FINISHED, ignore_errors=True)
        before = _read_json(self.aside / "run.json")
        moved = self._move()
        ended = not force and run is not None and _run_of(self.out) == digest_of(run)
        self.finished = ended or (moved and before == run)
        if self.finished:
            return
        if moved:
            # Of the run whose files these were nothing else is needed.
            before = None
            for name in ("done", "checkpoints"):
                shutil.rmtree(self.aside / name, ignore_errors=True)
        _refuse_older(self.out, force)
        if self.has_checkpoints() and before != run and not force:
            other = [k for k in run or {} if (before or {}).get(k) != run[k]]
            raise InputError(
                f"{self.out}: holds an unfinished run with other {_listed(other)}; "
                "choose another folder, or give --force to begin anew"
            )
        if before != run:
            if self.checkpoints.exists():
                shutil.rmtree(self.checkpoints)
            write_whole(self.aside / "run.json", json.dumps(run).encode())

    def _close(self) -> None:
        """Leave nothing but the results, at one instant; or else the checkpoints."""
        if self.has_checkpoints() and not self.finished:
            return
        last = self.aside
        with suppress(OSError):  # Windows does not rename a folder with an open file
            last = self.aside.rename(self.out / FINISHED)
        shutil.rmtree(last, ignore_errors=True)


def check_free(out: Path, force: bool = False) -> None:
    """Refuse a folder that results cannot be written to, as far as that can be told.

    Raises:
        InputError: if `out` holds an older run and `force` is not given, or
            something that is no file stands in the way, or another process writes
            there.
    """
    try:
        # It may be this very run, which has finished or is about to.
        if not _run_of(out) and not (out / UNFINISHED / "done").is_dir():
            _refuse_older(out, force)
        if (out / UNFINISHED / "lock").exists():
            with _lock(out):
                pass
    except OSError as error:
        raise not_written(out, error) from error


@contextmanager
def run_folder(
    out: Path, force: bool = False, run: dict[str, Any] | None = None
) -> Iterator[RunFolder]:
    """Hold a folder to write a run's results in.

    What an earlier process left unfinished there is gone on with if it was of the same
    run. If this one ends early, its checkpoints stay, where there are any, and what was
    in the folder before.

    Args:
        out: made if it is not there.
        force: replace an older run, and throw away another's checkpoints.
        run: what makes it this run and no other, for JSON. `metrics.json` must have
            its `digest_of` as "run".

    Raises:
        InputError: if `out` holds an older run and `force` is not given, or another
            run's checkpoints; if another process is writing there; or if it cannot be
            written.
    """
    out = Path(out)
    check_free(out, force)
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    folder = RunFolder(out)
    with ExitStack() as stack:
        stack.callback(_remove_empty, made)
        try:
            folder.aside.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_lock(out))
            stack.callback(folder._close)
            folder._take_up(json.loads(json.dumps(run)), force)
        except OSError as error:
            raise not_written(out, error, folder.has_checkpoints()) from error
        yield folder


def digest_of(run: dict[str, Any]) -> str:
    """A name for a run."""
    return hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()[:16]


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


def _run_of(out: Path) -> str | None:
    """Which run the results in a folder are of."""
    metrics = _read_json(out / "metrics.json")
    return metrics.get("run") if isinstance(metrics, dict) else None


def _remove_empty(made: list[Path]) -> None:
    for folder in made:
        with suppress(OSError):  # not empty, or never made
            folder.rmdir()


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
