"""Memory that a training step frees is kept for the next step.

A compiled step takes one block for all that it computes, 20 to 200 MB, and gives it
back at its end. The C library hands blocks above 32 MB back to the system each
time, which then gives the next step fresh, zeroed pages, one fault for each 4 KB:
of a step of the LSTM of `benchmarks/speed.py` that is a fifth of the time.
"""

import contextlib
import ctypes
import sys
from collections.abc import Iterator

# Options of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_LARGEST = 32 << 20  # of _MMAP_THRESHOLD


@contextlib.contextmanager
def freed_memory_is_kept() -> Iterator[None]:
    """Within, the process keeps freed memory; after it, that goes back.

    Does nothing where the C library is not glibc.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "gnu_get_libc_version"):
        yield
        return
    libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
    libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    libc.mallopt(_MMAP_MAX, 0)
    try:
        yield
    finally:
        libc.mallopt(_MMAP_MAX, 1 << 16)
        # Where glibc itself arrives after a block of 32 MB has been freed.
        libc.mallopt(_TRIM_THRESHOLD, 2 * _LARGEST)
        libc.malloc_trim(0)
