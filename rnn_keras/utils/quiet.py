"""Keeps the output of libraries off the terminal.

TensorFlow 2.21 writes a few informational lines straight to file descriptor 2 while its
shared libraries load, before it reads `TF_CPP_MIN_LOG_LEVEL`, so no setting silences
them. `import_quietly` redirects the descriptor during that import, and shows what was
written if the import fails. Packages whose names need TensorFlow import it this way,
either at once or when a name is first used (`attach_quietly`). `silence` holds back all
output of a block of code.
"""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import IO, Any

import lazy_loader


def import_quietly() -> None:
    """Import TensorFlow, once, without its start-up lines on standard error."""
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        try:
            with redirect_descriptor(2, held):
                import tensorflow  # noqa: F401
        except BaseException:
            held.seek(0)
            os.write(2, held.read())
            raise


def attach_quietly(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Do what `lazy_loader.attach_stub` does, for names that need TensorFlow.

    Args:
        package: `__name__` of the package.
        file: `__file__` of the package; the stub beside it lists the names.

    Returns:
        `__getattr__`, which imports TensorFlow quietly first, `__dir__` and `__all__`.
    """
    get, list_names, names = lazy_loader.attach_stub(package, file)

    def get_quietly(name: str) -> Any:
        if name in names:
            import_quietly()
        return get(name)

    return get_quietly, list_names, names


@contextmanager
def silence() -> Iterator[None]:
    """Inside, nothing reaches standard output, standard error or a log.

    Compiled code writes to the file descriptors, not to `sys.stdout`, so both are
    redirected. Exceptions pass.
    """
    disabled = logging.root.manager.disable
    with ExitStack() as stack:
        held = stack.enter_context(tempfile.TemporaryFile())
        for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            stack.enter_context(redirect_descriptor(descriptor, held))
        stack.enter_context(redirect_stdout(StringIO()))
        stack.enter_context(redirect_stderr(StringIO()))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        logging.disable(logging.CRITICAL)
        stack.callback(logging.disable, disabled)
        yield


@contextmanager
def redirect_descriptor(descriptor: int, file: IO[bytes]) -> Iterator[None]:
    """Inside, what is written to a file descriptor goes to `file`."""
    kept = os.dup(descriptor)
    try:
        os.dup2(file.fileno(), descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
