"""The folder of a run: never overwritten unasked, never half-written, one at a time.

While a run goes on, all that it writes lies in `.unfinished`, in its folder:
`run.json`, what is being trained; `checkpoints`; then `results`, which is called `done`
once all of it is written. Its files are moved out of there one by one. A run that was
killed is taken up wherever in this it was: see `run_folder`.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rnn_keras.errors import InputError

FILES = ("model.keras", "metrics.json", "history.csv", "curves.png", "confusion.png")
UNFINISHED, FINISHED = ".unfinished", ".finished"


class RunFolder:
    """A run's folder while it is this process's.

    Attributes:
        out: the folder itself.
        checkpoints: where the run's state may be kept.
        finished: whether this very run had finished already, but for moving its files.
    """

    def __init__(self, out: Path):
        self.out = out
        self.aside = out / UNFINISHED
        self.checkpoints = self.aside / "checkpoints"
        self.finished = False

    @contextmanager
    def results(self) -> Iterator[Path]:
        """A folder to write in, whose files become `out`'s when all are written."""
        folder = self.aside / "results"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder
        for file in folder.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        os.replace(folder, self.aside / "done")
        self._move()
        self.finished = True

    def _move(self) -> bool:
        """Move what is done; whether there was anything."""
        done = self.aside / "done"
        if not done.is_dir():
            return False
        for file in sorted(done.iterdir()):
            os.replace(file, self.out / file.name)
        return True

    def _take_up(self, run: dict[str, Any], force: bool) -> None:
        """Go on with what lies there, if it is of this run; else begin."""
        shutil.rmtree(self.out / FINISHED, ignore_errors=True)
        before = _read_json(self.aside / "run.json")
        self.finished = self._move() and before == run
        if self.finished:
            return
        shutil.rmtree(self.aside / "done", ignore_errors=True)
        check_free(self.out, force)
        if any(self.checkpoints.glob("*")) and before != run and not force:
            other = [k for k in run if (before or {}).get(k) != run[k]]
            raise InputError(
                f"{self.out}: holds an unfinished run with other {_listed(other)}; "
                "choose another folder, or give --force to begin anew"
            )
        if before != run:
            shutil.rmtree(self.checkpoints, ignore_errors=True)
            write_whole(self.aside / "run.json", json.dumps(run).encode())

    def _clear(self) -> None:
        """Leave nothing but the results: at one instant, for whoever comes next."""
        last = self.aside
        with suppress(OSError):  # Windows does not rename a folder with an open file
            last = self.aside.rename(self.out / FINISHED)
        shutil.rmtree(last, ignore_errors=True)


def check_free(out: Path, force: bool = False) -> None:
    """Refuse a folder that results cannot be written to.

    Raises:
        InputError: if `out` holds an older run and `force` is not given, or
            something that is no file stands in the way.
    """
    older = [name for name in FILES if (out / name).exists()]
    # Of a run that was killed while its files were moved, and may be this one.
    moving = (out / UNFINISHED / "done").is_dir()
    if older and not force and not moving:
        raise InputError(
            f"{out}: holds an older run ({', '.join(older)}); "
            "choose another folder, or give --force to replace it"
        )
    for name in older:
        if not (out / name).is_file():
            raise InputError(f"{out / name}: is no file; it is not replaced")


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
        run: what makes it this run and no other, for JSON.

    Raises:
        InputError: see `check_free`; also if `out` cannot be written, if another
            process is writing there, or if it holds another run's checkpoints.
    """
    from filelock import FileLock, Timeout

    out = Path(out)
    check_free(out, force)
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    folder = RunFolder(out)
    try:
        folder.aside.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.aside / "lock", blocking=False)
        with lock:
            try:
                folder._take_up(json.loads(json.dumps(run)), force)
                yield folder
            finally:
                if folder.finished or not any(folder.checkpoints.glob("*")):
                    folder._clear()
    except Timeout as error:
        raise InputError(
            f"{out}: another run is writing there; choose another folder, or wait"
        ) from error
    except OSError as error:
        kept = any(folder.checkpoints.glob("*"))
        more = (
            "; its last good state is kept, and the same command goes on from it"
            if kept
            else ""
        )
        raise InputError(
            f"{out}: cannot be written ({error.strerror or error}){more}"
        ) from error
    finally:
        for empty in made:
            with suppress(OSError):  # not empty, or never made
                empty.rmdir()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, whenever the machine stops."""
    aside = path.with_name(f".{path.name}.part")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        # The new name, too, must be on the disk; Windows cannot open a folder.
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read_json(path: Path) -> Any:
    """What a file holds; `None` where there is none, or it is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
