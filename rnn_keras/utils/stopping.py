"""Ends a command within two seconds of Ctrl-C (SIGINT) or SIGTERM, wherever it is.

Python runs the handler of a signal between two of its own instructions, so a long call
of compiled code holds it back, and what a handler raises inside a destructor is lost.
So a signal has two effects here. It raises `Interrupted` as soon as Python can, which
lets everything end in order. And it wakes a thread that waits for this to happen and,
if it takes too long, cleans up, says the last words and ends the process.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds in which a command may end in order.
_GRACE = 1.2
_SHOW_CURSOR = "\x1b[?25h"
_cleanups: list[Callable[[], object]] = []


class Interrupted(KeyboardInterrupt):
    """The process was asked to stop.

    Attributes:
        signal: the number of the signal that asked for it.
    """

    def __init__(self, number: int, message: str = ""):
        super().__init__(message)
        self.signal = number


@contextmanager
def cleaned_up(clean: Callable[[], object]) -> Iterator[None]:
    """Inside, `clean` is called if the process has to be ended out of order.

    Args:
        clean: it is called in another thread, and its exceptions are ignored.
    """
    _cleanups.append(clean)
    try:
        yield
    finally:
        _cleanups.remove(clean)


@contextmanager
def stoppable(last_words: Callable[[], str]) -> Iterator[None]:
    """Inside, SIGINT and SIGTERM raise `Interrupted`, or end the process.

    Signals keep their effect outside the main thread, since Python lets no other thread
    set a handler.

    Args:
        last_words: returns what is printed if the process has to be ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A copy of standard error, which may lead elsewhere while TensorFlow is imported.
    terminal = os.dup(2)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    ended = threading.Event()
    arguments = (reader, terminal, ended, last_words)
    threading.Thread(target=_watch, args=arguments, daemon=True).start()
    descriptor = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    handlers = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        yield
    finally:
        ended.set()
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(descriptor)
        os.close(writer)  # which ends the thread


def _interrupt(number: int, frame: Any) -> NoReturn:
    raise Interrupted(number)


def _watch(
    reader: int, terminal: int, ended: threading.Event, last_words: Callable[[], str]
) -> None:
    """Wait for a signal, and then for the end of the command or of our patience."""
    try:
        while arrived := os.read(reader, 1):
            if arrived[0] in SIGNALS and not ended.wait(_GRACE):
                _end(arrived[0], terminal, last_words)
    finally:
        os.close(reader)
        os.close(terminal)


def _end(number: int, terminal: int, last_words: Callable[[], str]) -> NoReturn:
    """Clean up, say the last words, and end this process and its children."""
    for child in multiprocessing.active_children():
        child.kill()
    for clean in reversed(_cleanups):
        with suppress(Exception):
            clean()
    with suppress(Exception):
        sys.stdout.flush()
    before = f"\r{_SHOW_CURSOR}" if os.isatty(terminal) else ""
    with suppress(OSError):
        os.write(terminal, f"{before}{last_words()}\n".encode(errors="replace"))
    os._exit(128 + number)
