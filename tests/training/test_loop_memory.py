import ctypes
import platform
import resource

import pytest

from rnn_keras.training.loop import freed_memory_is_kept


def faults_of_a_block():
    """Page faults of the second of two blocks of 64 MB, one after the other."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    for _ in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        block = ctypes.c_void_p(libc.malloc(ctypes.c_size_t(64 << 20)))
        ctypes.memset(block, 1, 64 << 20)
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_a_freed_block_is_used_again_and_given_back_afterwards():
    outside = faults_of_a_block()
    with freed_memory_is_kept():
        within = faults_of_a_block()
    assert outside > 1000
    assert within < outside / 10
    assert faults_of_a_block() > 1000


def test_an_error_within_comes_through():
    with pytest.raises(KeyError), freed_memory_is_kept():
        raise KeyError
