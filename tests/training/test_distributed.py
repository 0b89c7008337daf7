"""Two processes on this machine train like one; a lost one is reported.

Each process imports TensorFlow and JAX, and compiles: tests that start them are
exhaustive.
"""

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.training import distributed
from rnn_keras.utils.errors import InputError

WORDS = {
    "pos": [
        "good",
        "fine",
        "nice",
        "great",
        "lovely",
        "superb",
        "sweet",
        "bright",
        "kind",
        "fresh",
    ],
    "neg": [
        "bad",
        "poor",
        "awful",
        "nasty",
        "dull",
        "grim",
        "sour",
        "bleak",
        "foul",
        "stale",
    ],
}
# One recurrence in one direction and few lengths, because compiling takes most of the
# time; 140 training texts make ten batches of 14, of which each process takes half.
QUICK = ("--cell", "simple_rnn", "--no-bidirectional", "--units", 4)
QUICK += ("--embedding-dim", 4, "--batch-size", 14, "--max-length", 4)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    rows = [f"{c},{a} {b} day" for c, ws in WORDS.items() for a in ws for b in ws]
    path.write_text("label,text\n" + "\n".join(rows) + "\n")
    return path


def environment(**more):
    return {**os.environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3", **more}


def command(*arguments):
    return [sys.executable, "-m", "rnn_keras.cli", *map(str, arguments)]


@contextmanager
def two_processes(*arguments):
    """Start both, and kill those that are left after the test."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    started = [
        subprocess.Popen(
            command("train", *arguments, "--distributed"),
            env=environment(
                KERAS_DISTRIBUTION_JOB_ADDRESSES=address,
                KERAS_DISTRIBUTION_NUM_PROCESSES="2",
                KERAS_DISTRIBUTION_PROCESS_ID=str(i),
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()


def finish(processes):
    ended = [process.communicate() for process in processes]
    assert [p.returncode for p in processes] == [0, 0], ended
    return ended


def history(out):
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name]) for row in rows] for name in rows[0]}


def weights(out):
    return TextClassifier.load(out / "model.keras").get_weights()


@pytest.fixture(scope="module")
def together(table, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "two"
    with two_processes(table, *QUICK, "--epochs", 3, "--out", out) as processes:
        ended = finish(processes)
    return out, ended


@pytest.mark.exhaustive
def test_two_processes_give_the_losses_of_one_with_the_same_batches(
    together, table, tmp_path
):
    out, ((stdout, _), (silent, _)) = together
    assert "accuracy" in stdout
    assert silent == ""
    one = command("train", table, *QUICK, "--epochs", 3, "--out", tmp_path)
    subprocess.run(one, env=environment(), check=True, capture_output=True)
    alone, shared = history(tmp_path), history(out)
    assert len(shared["loss"]) == 3
    for name in alone:
        np.testing.assert_allclose(shared[name], alone[name], atol=1e-5)
    for a, b in zip(weights(out), weights(tmp_path), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.exhaustive
def test_one_killed_ends_the_other_and_the_run_goes_on(together, table, tmp_path):
    out = tmp_path / "run"
    arguments = (table, *QUICK, "--epochs", 3, "--checkpoint-every", 0, "--out", out)
    with two_processes(*arguments) as (first, second):
        while not list(out.glob(".unfinished/checkpoints/00001-*.npz")):
            assert first.poll() is None, first.communicate()
            time.sleep(0.05)
        second.kill()
        began = time.monotonic()
        said = first.communicate()[1].splitlines()
        assert time.monotonic() - began < 60
        assert first.returncode == distributed.LOST
        assert said[-1] == (
            "rnn-keras: another process of this run is gone; start all of them again, "
            "and training goes on from its last checkpoint"
        )
    with two_processes(*arguments) as processes:
        ended = finish(processes)
    assert all("goes on with epoch 2, batch" in stderr for _, stderr in ended)
    # Killed between a step and its checkpoint, or not: the same bits.
    assert history(out) == history(together[0])
    for a, b in zip(weights(out), weights(together[0]), strict=True):
        np.testing.assert_array_equal(a, b)


VARIABLES = {
    "KERAS_BACKEND": "jax",
    distributed.ADDRESSES: "localhost:1234",
    distributed.COUNT: "2",
    distributed.INDEX: "0",
}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        (
            {"KERAS_BACKEND": "tensorflow"},
            "--distributed: Keras trains on several machines with JAX only; expected "
            "KERAS_BACKEND=jax",
        ),
        (
            {distributed.ADDRESSES: ""},
            "--distributed: KERAS_DISTRIBUTION_JOB_ADDRESSES is not set",
        ),
        (
            {distributed.ADDRESSES: "node1,node2"},
            "KERAS_DISTRIBUTION_JOB_ADDRESSES: 'node1' has no port; expected host:port",
        ),
        (
            {distributed.ADDRESSES: "node1:1,node2:1,node3:1"},
            "KERAS_DISTRIBUTION_JOB_ADDRESSES: 3 addresses; expected 1, that of "
            "process 0, or 2, because KERAS_DISTRIBUTION_NUM_PROCESSES is 2",
        ),
        (
            {distributed.COUNT: "two"},
            "KERAS_DISTRIBUTION_NUM_PROCESSES: 'two' is not a number",
        ),
        (
            {distributed.INDEX: "2"},
            "KERAS_DISTRIBUTION_PROCESS_ID: 2; expected 0 to 1, because "
            "KERAS_DISTRIBUTION_NUM_PROCESSES is 2",
        ),
    ],
)
def test_what_nobody_could_begin_with_is_refused(changed, line, monkeypatch):
    for name, value in (VARIABLES | changed).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError) as refused:
        distributed.check_variables()
    assert str(refused.value) == line


def test_the_right_variables_are_not_refused(monkeypatch):
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    distributed.check_variables()


def test_alone_a_batch_is_all_its_own():
    batch = (np.arange(6).reshape(3, 2), np.arange(3))
    assert distributed.share_of(batch) is distributed.replicate_rows(batch) is batch
    assert distributed.broadcast_from_first(b"some") == b"some"
    assert (distributed.process_index(), distributed.num_shares()) == (0, 1)


@pytest.mark.parametrize(
    ("work", "status", "line"),
    [
        ("pass", 0, ""),
        ("raise typer.Exit(2)", 2, ""),
        (
            "met(); os.abort()",
            distributed.LOST,
            "another process of this run is gone",
        ),
        (
            "met(); raise ValueError('Gloo')",
            distributed.LOST,
            "another process of this run is gone",
        ),
        ("os.abort()", distributed.LOST, "did not find each other at node1:1"),
        ("raise RuntimeError('another fault')", 1, "RuntimeError: another fault"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL, ""),
    ],
)
def test_however_the_work_ends_it_is_said(work, status, line):
    code = (
        "import os, signal, sys, typer\n"
        "from rnn_keras.training import distributed\n"
        f"def work(met): {work}\n"
        "distributed.run_supervised(work, lambda line: print(line, file=sys.stderr))\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, distributed.ADDRESSES: "node1:1"},
    )
    assert shown.returncode == status
    assert line in shown.stderr
    assert bool(line) == bool(shown.stderr)
