"""Training on several machines at once: one process each, a share of every batch each.

Data-parallel, by `keras.distribution` on the JAX backend: all processes have the same
weights, compute the gradient of their own rows, and take the mean. What is trained is
what one process would train with the same batches, but for the order of sums. Process 0
alone reads checkpoints, which it sends to the others, and writes.

Keras's own variables say who is who: `KERAS_DISTRIBUTION_JOB_ADDRESSES`, that of
process 0 at least, with a port, `KERAS_DISTRIBUTION_NUM_PROCESSES`, and
`KERAS_DISTRIBUTION_PROCESS_ID`.
"""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from rnn_keras.utils.errors import InputError
from rnn_keras.utils.quiet import silence

ADDRESSES, COUNT, INDEX = (
    f"KERAS_DISTRIBUTION_{name}"
    for name in ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")
)
# Of a process that ends because another one has: "try again", in sysexits.h.
LOST = 75
_PR_SET_PDEATHSIG = 1  # of prctl(2)
# In the child of `run_supervised`: where it says that it has met the others.
_supervisor: int | None = None
# Seconds without a sign of life; and until the others must have come.
_SILENCE, _PATIENCE = 20, 300
# Seconds that the others wait for process 0, which scores what has been trained.
_AT_THE_END = 7 * 24 * 3600


def check_variables() -> None:
    """Refuse a backend or variables that nobody could begin with.

    Raises:
        InputError: with the variable and what was expected.
    """
    if os.environ.get("KERAS_BACKEND") != "jax":
        raise InputError(
            "--distributed: Keras trains on several machines with JAX only; "
            "expected KERAS_BACKEND=jax"
        )
    missing = [name for name in (ADDRESSES, COUNT, INDEX) if not os.environ.get(name)]
    if missing:
        raise InputError(f"--distributed: {missing[0]} is not set")
    for name in (COUNT, INDEX):
        if not os.environ[name].isdecimal():
            raise InputError(f"{name}: {os.environ[name]!r:.40} is no number")
    if not int(os.environ[INDEX]) < int(os.environ[COUNT]):
        raise InputError(
            f"{INDEX}: {os.environ[INDEX]}, expected 0 to below {COUNT}, "
            f"{os.environ[COUNT]}"
        )
    for address in os.environ[ADDRESSES].split(","):
        if not address.rpartition(":")[2].isdecimal():
            raise InputError(
                f"{ADDRESSES}: {address!r:.80} has no port; expected host:port"
            )


def connect() -> None:
    """Wait for the other processes, and share every batch from now on.

    Raises:
        InputError: if they do not come.
    """
    from unittest import mock

    import jax
    import keras

    # Keras hands no time limits on, and JAX's are minutes.
    initialize = partial(
        jax.distributed.initialize,
        heartbeat_timeout_seconds=_SILENCE,
        shutdown_timeout_seconds=_AT_THE_END,
        initialization_timeout=_PATIENCE,
    )
    try:
        # Gloo prints on standard output that it has met the others.
        with silence(), mock.patch.object(jax.distributed, "initialize", initialize):
            keras.distribution.initialize()
            parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
            keras.distribution.set_distribution(parallel)
            from_first(b"the first time that they meet")
        if _supervisor is not None:
            os.write(_supervisor, b"met")
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"--distributed: the processes did not find each other at "
            f"{os.environ[ADDRESSES]} ({reason})"
        ) from error


def is_shared() -> bool:
    """Whether batches are shared among processes or devices."""
    import keras

    return keras.distribution.distribution() is not None


def process_index() -> int:
    """Which of the processes this is; 0 where it is the only one."""
    if not is_shared():
        return 0
    import jax

    return jax.process_index()


def num_shares() -> int:
    """Into how many equal parts a batch is divided."""
    if not is_shared():
        return 1
    import jax

    return jax.device_count()


def share_of(batch: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """This process's rows of a batch, of which there are a multiple of `num_shares`."""
    if not is_shared():
        return batch
    import jax

    i, n = jax.process_index(), jax.process_count()
    rows = len(batch[0]) // n
    return tuple(array[i * rows : (i + 1) * rows] for array in batch)


def whole(batch: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """All rows of a batch of any size as this process's part of a larger one.

    All processes give all rows, each as often as it has devices: the mean over so many
    copies is that over one.
    """
    if not is_shared():
        return batch
    import jax

    return tuple(np.repeat(array, jax.local_device_count(), axis=0) for array in batch)


def from_first(data: bytes) -> bytes:
    """What process 0 gives here, in every process."""
    if not is_shared():
        return data
    from jax.experimental.multihost_utils import broadcast_one_to_all

    length = int(broadcast_one_to_all(np.array(len(data))))
    content = np.zeros(length, np.uint8)
    if process_index() == 0:
        content[:] = np.frombuffer(data, np.uint8)
    return np.asarray(broadcast_one_to_all(content), np.uint8).tobytes()


def leave(network: Any) -> None:
    """Let this process go on alone with what has been trained."""
    if not is_shared():
        return
    import keras

    variables = [*network.variables, *network.optimizer.variables]
    values = [np.asarray(v) for v in (*variables, *network.metrics_variables)]
    keras.distribution.set_distribution(None)
    for variable, value in zip(
        (*variables, *network.metrics_variables), values, strict=True
    ):
        variable._layout = None
        variable.assign(value)


def end() -> None:
    """Wait for all others; if one is lost before, this process ends like it.

    Else process 0, lost as it scores, would be alone when it is started again.
    """
    import jax

    jax.distributed.shutdown()


def run_supervised(work: Callable[[], None], say: Callable[[str], None]) -> None:
    """Do `work` in a child process, and say so if another machine's process is lost.

    JAX ends a process whose peers are gone from within its C++ threads, with nothing
    that a person could read and no chance for Python to say more.

    Args:
        work: what the child does; it may end with `typer.Exit`.
        say: is given a line.
    """
    global _supervisor
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _supervisor = writer
        _die_with_parent()
        os._exit(_status_of(work))
    os.close(writer)
    with _forwarding(child), open(reader, "rb") as heard:
        _, status = os.waitpid(child, 0)
        met = heard.read() == b"met"
    code = os.waitstatus_to_exitcode(status)
    if code in (LOST, -signal.SIGABRT):
        say(
            "rnn-keras: another process of this run is gone; start all of them again, "
            "and training goes on from its last checkpoint"
            if met
            else "rnn-keras: the processes of this run did not find each other at "
            f"{os.environ.get(ADDRESSES)}; start all of them, {COUNT} in number"
        )
        code = LOST
    sys.exit(code if code >= 0 else 128 - code)


def _die_with_parent() -> None:
    """Who kills the command means what it does; only Linux has such an option."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _status_of(work: Callable[[], None]) -> int:
    from typer import Exit

    try:
        work()
    except Exit as end:
        status = end.exit_code
    except Exception as error:
        # Of XLA's errors some are its own, some are Python's.
        lost = any(word in str(error) for word in ("Gloo", "NCCL", "coordination"))
        if not lost:
            traceback.print_exc()
        status = LOST if lost else 1
    else:
        status = 0
    sys.stdout.flush()
    sys.stderr.flush()
    return status


@contextmanager
def _forwarding(child: int) -> Iterator[None]:
    """What this process is told, the child is told; of Ctrl-C it hears by itself."""
    before = {
        signal.SIGTERM: signal.signal(
            signal.SIGTERM, lambda number, _: os.kill(child, number)
        ),
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
