"""TensorFlow, imported without its start-up log lines.

TensorFlow 2.21 writes a few informational lines straight to file descriptor 2
while its shared libraries load, before it reads `TF_CPP_MIN_LOG_LEVEL`, so no
setting silences them. `import_quietly` holds the descriptor aside for the time
of that import, and shows what was held if the import fails.

Holds back what libraries print, log and warn while they work.
"""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import IO, Any

import lazy_loader


def import_quietly() -> None:
    """Import TensorFlow (once), keeping its start-up lines off standard error."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        try:
            with held_in(held, 2):
                import tensorflow  # noqa: F401
        except BaseException:
            held.seek(0)
            os.write(2, held.read())
            raise


def use_one_thread() -> None:
    """Keep TensorFlow to one thread in this process, which has not imported it yet.

    Processes side by side use the cores better than threads: the steps of a
    recurrence wait for each other.
    """
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    import_quietly()


@contextmanager
def silence() -> Iterator[None]:
    """Nothing inside reaches standard output, standard error or a log.

    What compiled code writes goes to the file descriptors, past `sys.stdout`, so
    both are held. Exceptions pass.
    """
    disabled = logging.root.manager.disable
    with ExitStack() as stack:
        held = stack.enter_context(tempfile.TemporaryFile())
        for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            stack.enter_context(held_in(held, descriptor))
        stack.enter_context(redirect_stdout(StringIO()))
        stack.enter_context(redirect_stderr(StringIO()))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, disabled)
        yield


@contextmanager
def held_in(file: IO[bytes], descriptor: int) -> Iterator[None]:
    """What is written to a file descriptor inside goes to `file`."""
    kept = os.dup(descriptor)
    try:
        os.dup2(file.fileno(), descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)


def attach_quietly(package: str, file: str) -> tuple[Any, Any, list[str]]:
    """`lazy_loader.attach_stub` for a package whose names need TensorFlow.

    Args:
        package: `__name__` of the package.
        file: its `__file__`; the names stand in the stub beside it.

    Returns:
        `__getattr__`, which imports TensorFlow quietly first, `__dir__` and `__all__`.
    """
    get, list_names, names = lazy_loader.attach_stub(package, file)

    def get_quietly(name: str) -> Any:
        if name in names:
            import_quietly()
        return get(name)

    return get_quietly, list_names, names
