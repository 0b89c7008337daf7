"""The folder of a run: never overwritten unasked, never half-written."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnn_keras.errors import InputError

FILES = ("model.keras", "metrics.json", "history.csv", "curves.png", "confusion.png")


def check_free(out: Path, force: bool = False) -> None:
    """Refuse a folder that results cannot be written to.

    Raises:
        InputError: if `out` holds an older run and `force` is not given, or
            something that is no file stands in the way.
    """
    older = [name for name in FILES if (out / name).exists()]
    if older and not force:
        raise InputError(
            f"{out}: holds an older run ({', '.join(older)}); "
            "choose another folder, or give --force to replace it"
        )
    for name in older:
        if not (out / name).is_file():
            raise InputError(f"{out / name}: is no file; it is not replaced")


@contextmanager
def run_folder(out: Path, force: bool = False) -> Iterator[Path]:
    """A folder to write results in that become `out`'s only when all is written.

    Raises:
        InputError: see `check_free`; also if `out` cannot be written.
    """
    check_free(out, force)
    existed = out.exists()
    aside = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=out))
        yield aside
        for file in sorted(aside.iterdir()):
            os.replace(file, out / file.name)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror})") from error
    finally:
        if aside is not None:
            shutil.rmtree(aside)
            if not existed and not any(out.iterdir()):
                out.rmdir()
