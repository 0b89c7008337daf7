"""Holds back what libraries print, log and warn while they work."""

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import IO


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
