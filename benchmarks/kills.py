"""Kill training runs at random moments and check that their results do not change.

Each cell is trained once undisturbed. Then it is trained again and again; each of these
runs is killed by SIGKILL at a moment drawn evenly from the time of the undisturbed run,
and continued by the same command. All arrays of `model.keras` (weights, optimizer,
random generators, n-grams), the history and the scores must be equal, bit for bit.
Prints one line per kill and exits with status 1 if anything differs.

    python benchmarks/kills.py [KILLS] [SEED]
"""

import json
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import h5py

from rnn_keras.utils.choices import CELL_NAMES

# Layers, directions and dropout as in practice; checkpoints far oftener.
COMMAND = ("train", "messages", "--units", "16", "--embedding-dim", "16")
COMMAND += ("--epochs", "10", "--checkpoint-every", "0.2")


def start(cell: str, out: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "rnn_keras.cli", *COMMAND, "--cell", cell, "--out", out],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(cell: str, out: Path) -> str:
    """Run to the end and return what was printed on standard error."""
    process = start(cell, out)
    said = process.communicate()[1]
    if process.returncode:
        raise SystemExit(f"{cell}: exit {process.returncode}: {said}")
    return said


def kill(cell: str, out: Path, instant: float) -> float:
    """Start a run and kill it after `instant` seconds."""
    process = start(cell, out)
    time.sleep(instant)
    process.kill()
    process.communicate()
    return instant


def outcome(out: Path) -> dict:
    """All results of a run except the time it took."""
    arrays = {}

    def take(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = item[()].tobytes()

    with zipfile.ZipFile(out / "model.keras").open("model.weights.h5") as file:
        h5py.File(file).visititems(take)
    metrics = json.loads((out / "metrics.json").read_text())
    del metrics["seconds"]
    return {**arrays, "history": (out / "history.csv").read_text(), "metrics": metrics}


def main(kills: int = 30, seed: int = 0) -> None:
    instants = random.Random(seed)
    different = done = 0
    with tempfile.TemporaryDirectory() as folder:
        for cell in CELL_NAMES:
            began = time.perf_counter()
            finish(cell, Path(folder, cell))
            seconds = time.perf_counter() - began
            expected = outcome(Path(folder, cell))
            print(f"{cell}: {seconds:.1f} s in peace, {len(expected) - 2} arrays")
            for i in range(kills // len(CELL_NAMES)):
                out = Path(folder, f"{cell}-{i}")
                instant = kill(cell, out, instants.uniform(0, seconds))
                said = finish(cell, out).splitlines()
                told = [line for line in said if line.startswith(("goes", "had"))]
                found = outcome(out)
                bad = [k for k in expected if found.get(k) != expected[k]]
                bad += [p.name for p in out.iterdir() if p.name.startswith(".")]
                different += bool(bad)
                done += 1
                print(
                    f"  killed at {instant:4.1f} s; {told or 'from the start'}: "
                    + (f"DIFFERENT: {', '.join(bad[:3])}" if bad else "the same"),
                    flush=True,
                )
    print(f"{different} of {done} differ")
    sys.exit(different > 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
