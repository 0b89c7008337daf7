"""Problems in threads of their own, and BLAS in one."""

import os
import threading

import pytest
from threadpoolctl import threadpool_info

from rnn_keras.utils.threads import in_threads, num_cores, one_blas_thread


def blas_threads() -> set[int]:
    blas = [p for p in threadpool_info() if p["user_api"] == "blas"]
    return {library["num_threads"] for library in blas}


def test_problems_are_solved_in_order_with_one_blas_thread_each():
    before = blas_threads()
    solved = list(in_threads(lambda problem: (problem, blas_threads()), range(20)))
    assert solved == [(i, {1}) for i in range(20)]
    assert blas_threads() == before


def test_the_last_user_of_the_limit_restores_what_the_first_found():
    before = blas_threads()
    first, second = one_blas_thread(), one_blas_thread()
    assert first.__enter__()
    assert second.__enter__()
    first.__exit__(None, None, None)
    assert blas_threads() == {1}
    second.__exit__(None, None, None)
    assert blas_threads() == before


def test_the_fault_of_a_problem_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda problem: 1 / problem, [1, 0]))


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


def test_cores_are_those_that_this_process_may_use():
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("the system cannot restrict a process to some cores")
    usable = os.sched_getaffinity(0)
    assert num_cores() == len(usable)
    os.sched_setaffinity(0, {min(usable)})
    try:
        assert num_cores() == 1
    finally:
        os.sched_setaffinity(0, usable)
