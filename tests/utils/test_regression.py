"""Logistic regression on sparse features beside the optimum that SciPy finds."""

import threading

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_info

from rnn_keras.utils.regression import fit_binary, in_threads


def some_features(share: float) -> tuple[csr_matrix, np.ndarray]:
    rng = np.random.default_rng(0)
    features = rng.random((400, 30)) * (rng.random((400, 30)) < 0.3)
    logits = features @ rng.normal(size=30) * 4
    return csr_matrix(features, dtype=np.float32), logits > np.quantile(
        logits, 1 - share
    )


@pytest.mark.parametrize("share", [0.5, 0.02])
@pytest.mark.parametrize("started", [False, True])
def test_the_weights_are_those_of_the_optimum(share, started):
    features, inside = some_features(share)
    signs = np.where(inside, 1, -1)

    def loss(both: np.ndarray) -> float:
        margins = signs * (features @ both[:-1] + both[-1])
        return 10 * np.logaddexp(0, -margins).sum() + both[:-1] @ both[:-1] / 2

    best = minimize(loss, np.zeros(31), method="BFGS")
    start = (np.ones(30), -1.0) if started else None
    weights, intercept = fit_binary(features, inside, 10.0, start)
    reached = loss(np.append(weights, intercept))
    assert best.fun <= reached + 1e-3
    assert reached < best.fun * 1.001
    assert best.fun < 0.8 * loss(np.zeros(31))


def test_problems_are_solved_in_order_with_one_blas_thread_each():
    def threads_of_blas(problem: int) -> tuple[int, set[int]]:
        blas = [p for p in threadpool_info() if p["user_api"] == "blas"]
        return problem, {library["num_threads"] for library in blas}

    before = threads_of_blas(0)
    assert list(in_threads(threads_of_blas, range(20))) == [(i, {1}) for i in range(20)]
    assert threads_of_blas(0) == before


def test_no_further_problem_is_begun_after_an_interrupt():
    begun, go_on = [], threading.Event()

    def wait(problem: int) -> int:
        begun.append(problem)
        if problem:
            go_on.wait(5)
        return problem

    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for _ in in_threads(wait, range(1000)):
            raise KeyboardInterrupt
    go_on.set()
    assert len(begun) < 50
