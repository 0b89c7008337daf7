"""How many threads compute, and which of them.

BLAS, the library of NumPy's matrix products, divides each product between threads that
wait for each other. For the small products of this package that takes several times as
long as one thread, and tens of times as long where the cores are busy. So BLAS is kept
to one thread, and independent problems run in threads of their own.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from rnn_keras.utils.quiet import import_quietly

# Each thread may hold a copy of its data.
_MOST_THREADS = 8

Problem = TypeVar("Problem")
Solution = TypeVar("Solution")


def num_cores() -> int:
    """Return how many cores this process may use, or else how many there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_one_thread() -> None:
    """Limit TensorFlow to one thread; call it before TensorFlow is imported.

    Several processes use the cores better than several threads do, because the time
    steps of a recurrence wait for each other.
    """
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ[name] = "1"
    import_quietly()


class _BlasLimit:
    """The limit that `one_blas_thread` sets, shared by all threads inside it."""

    def __init__(self) -> None:
        self.lock, self.users = Lock(), 0
        self.limit: Any = None


_BLAS = _BlasLimit()


@contextmanager
def one_blas_thread() -> Iterator[bool]:
    """Inside, BLAS computes each product in one thread, in the whole process.

    Several threads may be inside at the same time. The last that leaves restores what
    the first has found.

    Yields:
        Whether the limit holds: it needs the package threadpoolctl.
    """
    with _BLAS.lock:
        if not _BLAS.users:
            with suppress(ImportError):
                from threadpoolctl import threadpool_limits

                _BLAS.limit = threadpool_limits(1, user_api="blas")
        _BLAS.users += 1
    try:
        yield _BLAS.limit is not None
    finally:
        with _BLAS.lock:
            _BLAS.users -= 1
            if not _BLAS.users and _BLAS.limit is not None:
                _BLAS.limit.restore_original_limits()
                _BLAS.limit = None


def in_threads(
    solve: Callable[[Problem], Solution], problems: Iterable[Problem]
) -> Iterator[Solution]:
    """Yield the solution of each problem, in order; several are computed at a time.

    If the caller stops early, for example after Ctrl-C, no further problem is begun.
    """
    waiting: SimpleQueue[tuple[Problem, Future[Solution]]] = SimpleQueue()
    futures: list[Future[Solution]] = []
    for problem in problems:
        futures.append(Future())
        waiting.put((problem, futures[-1]))
    with one_blas_thread():
        # Daemons, unlike those of an executor, do not keep a process from ending.
        for _ in range(min(num_cores(), _MOST_THREADS, len(futures))):
            Thread(target=_solve_waiting, args=(solve, waiting), daemon=True).start()
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def _solve_waiting(
    solve: Callable[[Problem], Solution],
    waiting: SimpleQueue[tuple[Problem, Future[Solution]]],
) -> None:
    """Solve problems until none is waiting; leave out those that were cancelled."""
    with suppress(Empty):
        while True:
            problem, future = waiting.get_nowait()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(solve(problem))
            except BaseException as error:
                future.set_exception(error)
