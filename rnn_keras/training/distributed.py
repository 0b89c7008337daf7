"""Training on several machines: one process on each, with a share of every batch.

Data-parallel training by `keras.distribution` on the JAX backend: all processes hold
the same weights, compute the gradient of their own rows, and use the mean. The result
is what one process would train with the same batches, up to the order of sums. Process
0 reads the checkpoints, sends their content to the others, and alone writes them.

Each process finds its place in the environment variables that Keras defines:
`KERAS_DISTRIBUTION_JOB_ADDRESSES` (the address of process 0, with a port; those of the
others may follow), `KERAS_DISTRIBUTION_NUM_PROCESSES`, and
`KERAS_DISTRIBUTION_PROCESS_ID`. Nothing here starts processes on other machines.
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
# Exit status of a process that ends because another one is lost: EX_TEMPFAIL, "try
# again", in sysexits.h.
LOST = 75
_PR_SET_PDEATHSIG = 1  # of prctl(2)
# Seconds to wait for the other processes at the start, and for a sign of life from them
# later.
_START_TIMEOUT, _HEARTBEAT_TIMEOUT = 300, 20
# Seconds for which the others wait for process 0, which scores the trained network.
_SHUTDOWN_TIMEOUT = 7 * 24 * 3600


def check_variables() -> None:
    """Check the backend and the environment variables before anything is started.

    Raises:
        InputError: with the variable and the expected value.
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
            raise InputError(f"{name}: {os.environ[name]!r:.40} is not a number")
    count, index = int(os.environ[COUNT]), int(os.environ[INDEX])
    if not index < count:
        raise InputError(
            f"{INDEX}: {index}; expected 0 to {count - 1}, because {COUNT} is {count}"
        )
    addresses = os.environ[ADDRESSES].split(",")
    for address in addresses:
        if not address.rpartition(":")[2].isdecimal():
            raise InputError(
                f"{ADDRESSES}: {address!r:.80} has no port; expected host:port"
            )
    if len(addresses) not in (1, count):
        raise InputError(
            f"{ADDRESSES}: {len(addresses)} addresses; expected 1, that of process 0, "
            f"or {count}, because {COUNT} is {count}"
        )


def connect(on_connected: Callable[[], None] = lambda: None) -> None:
    """Wait for the other processes; from then on, batches are shared with them.

    Args:
        on_connected: called once all processes have met.

    Raises:
        InputError: if they do not meet within five minutes.
    """
    import jax
    import keras

    try:
        # The library Gloo prints on standard output that it has connected.
        with silence():
            # `keras.distribution.initialize` does the same without time limits.
            jax.distributed.initialize(
                coordinator_address=os.environ[ADDRESSES].split(",")[0],
                num_processes=int(os.environ[COUNT]),
                process_id=int(os.environ[INDEX]),
                initialization_timeout=_START_TIMEOUT,
                heartbeat_timeout_seconds=_HEARTBEAT_TIMEOUT,
                shutdown_timeout_seconds=_SHUTDOWN_TIMEOUT,
            )
            parallel = keras.distribution.DataParallel(auto_shard_dataset=False)
            keras.distribution.set_distribution(parallel)
            # All processes must draw the same initial weights.
            seed = broadcast_from_first(os.urandom(4))
            keras.utils.set_random_seed(int.from_bytes(seed))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"--distributed: the processes did not find each other at "
            f"{os.environ[ADDRESSES]} ({reason})"
        ) from error
    on_connected()


def is_shared() -> bool:
    """Whether batches are shared among processes or devices."""
    import keras

    return keras.distribution.distribution() is not None


def process_index() -> int:
    """The number of this process; 0 where it is the only one."""
    if not is_shared():
        return 0
    import jax

    return jax.process_index()


def num_shares() -> int:
    """The number of devices that share a batch, over all processes."""
    if not is_shared():
        return 1
    import jax

    return jax.device_count()


def share_of(batch: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """This process's rows of a batch, whose size is a multiple of `num_shares`."""
    if not is_shared():
        return batch
    import jax

    i, n = jax.process_index(), jax.process_count()
    rows = len(batch[0]) // n
    return tuple(array[i * rows : (i + 1) * rows] for array in batch)


def distribute_rows(batch: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
    """Arrays that span all devices, from the rows that each process holds."""
    if not is_shared():
        return batch
    import jax
    import keras

    distribution = keras.distribution.distribution()
    return tuple(
        jax.make_array_from_process_local_data(
            distribution.get_data_layout(rows.shape).backend_layout, rows
        )
        for rows in batch
    )


def replicate_rows(batch: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """Repeat each row of a batch of any size, so that it divides among all devices.

    Every process gives all rows, once for each of its devices. The mean over the copies
    is the mean over the batch.
    """
    if not is_shared():
        return batch
    import jax

    return tuple(np.repeat(array, jax.local_device_count(), axis=0) for array in batch)


def broadcast_from_first(data: bytes) -> bytes:
    """Return, in every process, the data that process 0 passes."""
    if not is_shared():
        return data
    from jax.experimental.multihost_utils import broadcast_one_to_all

    length = int(broadcast_one_to_all(np.array(len(data))))
    content = np.zeros(length, np.uint8)
    if process_index() == 0:
        content[:] = np.frombuffer(data, np.uint8)
    return np.asarray(broadcast_one_to_all(content), np.uint8).tobytes()


def stop_sharing(network: Any) -> None:
    """Let this process continue alone with the trained network."""
    if not is_shared():
        return
    import keras

    from rnn_keras.layers.keras_internals import clear_layout

    variables = [
        *network.variables,
        *network.optimizer.variables,
        *network.metrics_variables,
    ]
    values = [np.asarray(variable) for variable in variables]
    keras.distribution.set_distribution(None)
    for variable, value in zip(variables, values, strict=True):
        clear_layout(variable)
        variable.assign(value)


def wait_for_others() -> None:
    """Wait until all processes have come here; if one is lost, this one ends too.

    Otherwise process 0, lost while it scores, would find no others when it is started
    again.
    """
    import jax

    jax.distributed.shutdown()


def run_supervised(
    work: Callable[[Callable[[], None]], None], say: Callable[[str], None]
) -> None:
    """Do `work` in a child process, and explain it if another process is lost.

    JAX ends a process whose peers are gone from within its C++ threads, without a
    readable message and without returning to Python. This function ends the process
    with the status of the child, or with `LOST`.

    Args:
        work: what the child does, given a function to call once all processes have met;
            it may raise `typer.Exit`.
        say: prints a line.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _die_with_parent()
        os._exit(_exit_status(lambda: work(partial(_send_met, writer))))
    os.close(writer)
    with _forward_signals(child), open(reader, "rb") as pipe:
        _, status = os.waitpid(child, 0)
        have_met = pipe.read() != b""
    code = os.waitstatus_to_exitcode(status)
    if code in (LOST, -signal.SIGABRT):
        say(
            "rnn-keras: another process of this run is gone; start all of them again, "
            "and training goes on from its last checkpoint"
            if have_met
            else "rnn-keras: the processes of this run did not find each other at "
            f"{os.environ.get(ADDRESSES)}; start all of them, {COUNT} in number"
        )
        code = LOST
    sys.exit(code if code >= 0 else 128 - code)


def _send_met(writer: int) -> None:
    os.write(writer, b"met")


def _die_with_parent() -> None:
    """Have the system kill this process with its parent; only Linux offers that."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _exit_status(work: Callable[[], None]) -> int:
    """Do `work`, and return the exit status that says how it ended."""
    from typer import Exit

    status = 0
    try:
        work()
    except Exit as ended:
        status = ended.exit_code
    except Exception as error:
        # XLA's errors have several types, some of them Python's own.
        lost = any(word in str(error) for word in ("Gloo", "NCCL", "coordination"))
        if not lost:
            traceback.print_exc()
        status = LOST if lost else 1
    sys.stdout.flush()
    sys.stderr.flush()
    return status


@contextmanager
def _forward_signals(child: int) -> Iterator[None]:
    """Pass SIGTERM on to the child; the terminal sends it Ctrl-C directly."""
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
