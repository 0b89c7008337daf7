"""The cost of training on more data than fit in memory, and in two processes.

Writes `benchmarks/scale.md`: the peak memory of `rnn-keras train --stream` on 400,000
and on 4,000,000 generated short texts, and of training in memory on the smaller number;
the scores of both ways on one small file, over seeds; the losses and seconds of two
processes on this machine beside those of one process with the same batches; and how
long one process lives on after the other is killed. Takes about half an hour.

    python benchmarks/scale.py [TEXTS]
"""

import contextlib
import csv
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from report import machine, section

TELLING = {
    "pos": ["good", "fine", "nice", "great", "lovely", "superb"],
    "neg": ["bad", "poor", "awful", "nasty", "dull", "worst"],
}
WORDS = [f"w{i}" for i in range(30_000)]
# A small network, so that what is measured is what grows with the texts.
SMALL = ("--units", "16", "--embedding-dim", "16", "--epochs", "1")
SMALL += ("--batch-size", "256")
TWO = ("messages", "--cell", "simple_rnn", "--units", "16", "--embedding-dim", "16")
TWO += ("--no-bidirectional", "--epochs", "3", "--batch-size", "32")


def write_texts(path: Path, count: int, seed: int = 0) -> None:
    """Write texts of 4 to 12 words; nine of ten have a word that tells the class."""
    draw = random.Random(seed)
    with path.open("w") as file:
        file.write("text,label\n")
        for _ in range(count):
            label = draw.choice(("pos", "neg"))
            # Few words are common and many are rare.
            words = [
                WORDS[int(len(WORDS) * draw.random() ** 3)]
                for _ in range(draw.randrange(4, 12))
            ]
            if draw.random() < 0.9:
                telling = draw.choice(TELLING[label])
                words.insert(draw.randrange(len(words)), telling)
            file.write(f"{' '.join(words)},{label}\n")


def start(arguments: tuple, **variables: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "rnn_keras.cli", "train", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )


def peak(arguments: tuple) -> tuple[float, float]:
    """Peak memory in GB and the seconds of one run."""
    began = time.perf_counter()
    process = start(arguments)
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(said)
    return used.ru_maxrss * 1024 / 1e9, time.perf_counter() - began


def measure_memory(folder: Path, largest: int) -> str:
    rows = []
    for count in (largest // 10, largest):
        path = folder / f"{count}.csv"
        write_texts(path, count)
        for way in ("--no-stream", "--stream"):
            if way == "--no-stream" and count == largest:
                continue
            out = folder / f"{count}{way}"
            gigabytes, seconds = peak((path, *SMALL, way, "--out", out))
            score = json.loads((out / "metrics.json").read_text())
            rows.append(
                [
                    f"{count:,} texts, {path.stat().st_size / 1e6:,.0f} MB, {way[2:]}",
                    f"{gigabytes:.2f}",
                    f"{seconds:.0f}",
                    f"{score['test']['accuracy']:.4f}",
                ]
            )
        path.unlink()
    first, last = (float(row[1]) for row in rows[-2:])
    head = ["GRU of 16 units, one pass", "peak, GB", "seconds", "accuracy"]
    return section("Peak memory", head, rows) + f"\nRatio: {last / first:.2f}.\n"


def measure_scores(folder: Path, seeds: int = 5) -> str:
    path = folder / "small.csv"
    write_texts(path, 20_000, seed=1)
    rows = []
    for way in ("--no-stream", "--stream"):
        found: dict[str, list[float]] = {"test": [], "network": [], "baseline": []}
        for seed in range(seeds):
            out = folder / f"small{way}{seed}"
            peak((path, *SMALL, "--epochs", 3, "--seed", seed, way, "--out", out))
            metrics = json.loads((out / "metrics.json").read_text())
            for name, values in found.items():
                values.append(metrics[name]["accuracy"])
        rows.append(
            [way[2:]]
            + [
                f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"
                for values in found.values()
            ]
        )
    head = [f"20,000 texts, {seeds} seeds: accuracy", "classifier", "network", "TF-IDF"]
    return section("Streamed and in memory", head, rows)


@contextlib.contextmanager
def two_processes(*arguments: str) -> Iterator[list[subprocess.Popen]]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    processes = [
        start(
            (*arguments, "--distributed"),
            KERAS_BACKEND="jax",
            KERAS_DISTRIBUTION_JOB_ADDRESSES=address,
            KERAS_DISTRIBUTION_NUM_PROCESSES="2",
            KERAS_DISTRIBUTION_PROCESS_ID=str(i),
        )
        for i in range(2)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure_two(folder: Path) -> str:
    one, two = folder / "one", folder / "two"
    process = start((*TWO, "--out", one), KERAS_BACKEND="jax")
    if process.wait():
        raise SystemExit(process.stderr.read())
    with two_processes(*TWO, "--out", two) as processes:
        for process in processes:
            if process.wait():
                raise SystemExit(process.stderr.read())
    runs = []
    for out in (one, two):
        with (out / "history.csv").open() as file:
            runs.append(list(csv.DictReader(file)))
    rows = [
        [
            f"epoch {a['epoch']}, {name}",
            f"{float(a[name]):.7f}",
            f"{float(b[name]):.7f}",
        ]
        for a, b in zip(*runs, strict=True)
        for name in ("loss", "val_loss")
    ]
    seconds = [
        json.loads((out / "metrics.json").read_text())["seconds"] for out in (one, two)
    ]
    rows.append(["seconds of training", *(f"{value:.0f}" for value in seconds)])
    head = ["SimpleRNN of 16 units, batches of 32", "one process", "two processes"]
    return section("Two processes", head, rows)


def measure_loss_of_one(folder: Path) -> str:
    rows = []
    for victim in (0, 1):
        out = folder / f"killed{victim}"
        arguments = (*TWO, "--checkpoint-every", "0", "--out", str(out))
        with two_processes(*arguments) as processes:
            while not list(out.glob(".unfinished/checkpoints/00001-*.npz")):
                if processes[0].poll() is not None:
                    raise SystemExit(processes[0].stderr.read())
                time.sleep(0.1)
            processes[victim].kill()
            began = time.perf_counter()
            said = processes[1 - victim].stderr.read().splitlines()
            status = processes[1 - victim].wait()
            rows.append(
                [
                    f"process {victim}",
                    f"{time.perf_counter() - began:.1f}",
                    str(status),
                    said[-1].partition(";")[0],
                ]
            )
    head = [
        "killed",
        "seconds until the other ends",
        "its exit status",
        "its last line",
    ]
    return section("One of two killed", head, rows)


def main(largest: int = 4_000_000) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts = [
            measure_memory(folder, largest),
            measure_scores(folder),
            measure_two(folder),
            measure_loss_of_one(folder),
        ]
    names = ("rnn_keras", "keras", "tensorflow", "jax")
    text = "\n".join(
        [
            "# Scale",
            "",
            f"`python benchmarks/scale.py`: {machine(names)}",
            "",
            *parts,
            "Two processes on one machine share its cores and cannot be faster. Each "
            "compiles the\nsame programs, and they add up their gradients once for "
            "every batch.",
            "",
        ]
    )
    Path(__file__).with_name("scale.md").write_text(text)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
