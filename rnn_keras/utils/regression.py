"""Logistic regression on sparse features, by the solver and threads that are fastest.

scikit-learn's default, L-BFGS, stops far from the optimum where a class is rare, and
gives BLAS many small products, each of which OpenBLAS divides between threads that wait
for each other. Newton's method with conjugate gradients ends nearer to the optimum in
less time, because nearly all of its work are products with a sparse matrix, which SciPy
computes in one thread without holding Python's lock. So BLAS is kept to one thread
here, and independent regressions run in threads of their own. Single precision is
enough, and halves the time where there are many classes.
`benchmarks/linear.py` measures this; `benchmarks/linear.md` has the figures.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import numpy as np
from joblib import cpu_count
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

# Each thread holds a copy of the features.
_MOST_THREADS = 8
# The largest mean gradient that is left at the end, in units of the share of the rarer
# class: the gradient of a rare class is small from the start.
_TOLERANCE = 1e-4

Problem = TypeVar("Problem")
Solution = TypeVar("Solution")


def sparse_logistic_regression(
    strength: float, tolerance: float = 1e-4
) -> LogisticRegression:
    """Return an unfitted logistic regression for sparse features of many columns.

    Fit it to float32 features, inside `one_blas_thread`.

    Args:
        strength: inverse strength of the L2 penalty on the weights; the intercept has
            none.
        tolerance: the largest component of the mean gradient that is left at the end.
    """
    return LogisticRegression(
        C=strength, tol=tolerance, solver="newton-cg", max_iter=1000
    )


def one_blas_thread() -> AbstractContextManager[Any]:
    """Inside, BLAS computes each product in one thread, in the whole process."""
    return threadpool_limits(limits=1, user_api="blas")


def fit_binary(
    features: csr_matrix,
    inside: np.ndarray,
    strength: float,
    start: tuple[np.ndarray, float] | None = None,
) -> tuple[np.ndarray, float]:
    """Fit a logistic regression of two classes.

    Args:
        features: float32 `(texts, features)`.
        inside: booleans `(texts,)`, of which some are `True` and some `False`.
        strength: inverse strength of the L2 penalty.
        start: weights and intercept to begin with; by default zeros.

    Returns:
        The weights `(features,)` and the intercept.
    """
    share = min(inside.mean(), 1 - inside.mean())
    model = sparse_logistic_regression(strength, _TOLERANCE * share)
    if start is not None:
        model.warm_start = True
        model.coef_ = start[0][np.newaxis].astype(np.float32)
        model.intercept_ = np.array([start[1]], np.float32)
    model.fit(features, inside)
    return model.coef_[0], float(model.intercept_[0])


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
    # Around all threads: two that limit and restore on their own would mix it up.
    with one_blas_thread():
        # Daemons, unlike those of an executor, do not keep a process from ending.
        for _ in range(min(cpu_count(), _MOST_THREADS, len(futures))):
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
