"""The speed of this package beside stock Keras and PyTorch, on this machine.

    make bench           all of it, half an hour; writes benchmarks/speed.md
    .venv/bin/python benchmarks/speed.py train:gru imdb     some of it, printed

The package and a peer each run in a process of their own (`peers.py`). They take turns,
one round each, and swap who goes first, so that other work of the machine meets both. A
figure is the median over rounds of the peer's time divided by the package's time in the
same round, with the smallest and the largest ratio, because on two cores a peer's
threads may get in each other's way for a while. More than two processes at a time made
that worse.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import machine, section

from rnn_keras.datasets.corpora import CORPORA
from rnn_keras.utils.errors import InputError

HERE = Path(__file__).parent
CELLS = ("simple_rnn", "gru", "lstm")
PEERS = {
    "keras": "stock Keras, masked",
    "keras_unmasked": "stock Keras, unmasked",
    "keras_xla": "stock Keras, masked, `jit_compile=True`",
    "keras_jax": "stock Keras on JAX, masked",
    "torch": "PyTorch, the seed program's loop",
    "floor": "the products and activations alone",
}
PACKAGE = {"rnn_keras": "rnn_keras", "rnn_keras_jax": "rnn_keras on JAX"}
MEASURED = ("tensorflow", "keras", "torch", "jax", "numpy")
TRAIN_PEERS = ("keras", "keras_unmasked", "keras_xla", "keras_jax", "torch")


class Peer:
    """A worker process that is warm and waits for its next round."""

    def __init__(self, task: str, name: str, cell: str, steps: int):
        environment = dict(os.environ)
        backend = "jax" if name.endswith("_jax") else "tensorflow"
        environment["KERAS_BACKEND"] = backend
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, HERE / "peers.py", task, name, cell, str(steps)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env=environment,
        )
        self.what = f"{task} {name} {cell}"

    def answer(self) -> str:
        line = self.process.stdout.readline().strip()
        if not line:
            self.errors.seek(0)
            raise SystemExit(f"{self.what} failed:\n{self.errors.read()[-2000:]}")
        return line

    def round(self) -> float:
        # The threads of the peer before may wait for more work, and busily.
        time.sleep(0.3)
        print("go", file=self.process.stdin, flush=True)
        return float(self.answer())

    def close(self) -> int:
        """Its peak memory in MB."""
        self.process.stdin.close()
        return int(self.answer())


def side_by_side(
    task: str,
    cell: str,
    steps: int,
    peers: tuple[str, ...],
    rounds: int,
    per: int,
    package: str = "rnn_keras",
) -> list[list[str]]:
    """Rows: peer, its median time in ms, the ratio to the package, its spread, memory.

    Args:
        task: of `peers.py`.
        cell: the recurrent layer.
        steps: time steps.
        peers: to be run beside the package, one after another.
        rounds: how many.
        per: what a round's time is divided by.
        package: the package's own worker; `rnn_keras_jax` runs it on JAX.
    """
    rows, own = [], []
    for name in peers:
        pair = [Peer(task, each, cell, steps) for each in (package, name)]
        for worker in pair:
            worker.answer()  # "ready"
        times = []
        for i in range(rounds):
            order = (0, 1) if i % 2 else (1, 0)
            taken = {k: pair[k].round() / per for k in order}
            times.append((taken[0], taken[1]))
        own += [ours for ours, _ in times]
        ratios = sorted(theirs / ours for ours, theirs in times)
        our_memory, memory = (worker.close() for worker in pair)
        rows.append(
            [
                PEERS[name],
                f"{statistics.median(theirs for _, theirs in times) * 1e3:.1f}",
                f"{statistics.median(ratios):.2f}",
                f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
                f"{memory}",
            ]
        )
    first = [f"**{PACKAGE[package]}**", f"{statistics.median(own) * 1e3:.1f}", "1", ""]
    return [[*first, f"{our_memory}"], *rows]


def beside(unit: str) -> list[str]:
    """The heads of the columns of `side_by_side`."""
    return ["", f"ms a {unit}", "times as long", "from round to round", "peak MB"]


def train(cell: str) -> str:
    rows = side_by_side("train", cell, 200, TRAIN_PEERS, rounds=13, per=20)
    return section(
        f"Training, {cell}, each in its own way",
        beside("step"),
        rows,
    )


def step(cell: str) -> str:
    peers = ("keras", "floor") if cell == "simple_rnn" else ("keras",)
    rows = side_by_side("step", cell, 200, peers, rounds=15, per=5)
    return section(
        f"The compiled step alone, {cell}",
        beside("step"),
        rows,
    )


def jax(cell: str) -> str:
    rows = side_by_side(
        "step", cell, 200, ("keras_jax",), rounds=15, per=5, package="rnn_keras_jax"
    )
    return section(
        f"The compiled step alone on JAX, {cell}",
        beside("step"),
        rows,
    )


def imdb(cell: str) -> str:
    rows = side_by_side("imdb", cell, 400, ("keras", "torch"), rounds=7, per=50)
    return section(
        f"An epoch on IMDB's lengths, {cell}",
        beside("batch"),
        rows,
    )


def lengths(cell: str) -> str:
    rows = []
    for steps in (100, 200, 400, 800, 1600):
        ours, keras = side_by_side("step", cell, steps, ("keras",), 5, 5)
        each = float(ours[1]) * 1e3 / steps
        rows.append([f"{steps}", ours[1], f"{each:.0f}", ours[-1], keras[-1]])
    return section(
        f"Longer sequences, {cell}, the compiled step",
        ["time steps", "ms a step", "us a time step", "peak MB", "stock Keras's"],
        rows,
    )


def one(_: str) -> str:
    """Time one sentence in a saved classifier and in `keras.Model.predict`."""
    from rnn_keras import TextClassifier, load_dataset

    data = load_dataset("messages")
    text = "Running late, start without me"
    rows = []
    for cell in CELLS:
        classifier = TextClassifier.from_texts(data.texts, data.labels, cell=cell)
        with tempfile.TemporaryDirectory() as folder:
            classifier.save(Path(folder) / "model.keras")
            classifier = TextClassifier.load(Path(folder) / "model.keras")
        network, vectorizer = classifier.network, classifier.preprocessor

        def by_keras(network=network, vectorizer=vectorizer):
            network.predict(vectorizer.encode([text]).ids, verbose=0)

        times = {"ours": [], "keras": []}
        for _ in range(100):
            for name, call in (
                ("ours", lambda c=classifier: c.predict(text)),
                ("keras", by_keras),
            ):
                start = time.perf_counter()
                call()
                times[name].append(time.perf_counter() - start)
        ratios = [b / a for a, b in zip(times["ours"], times["keras"], strict=True)]
        medians = [f"{statistics.median(t) * 1e3:.2f}" for t in times.values()]
        rows.append([cell, *medians, f"{statistics.median(ratios):.1f}"])
    return section(
        "One sentence, tokenising included, in ms",
        ["", "`TextClassifier.predict`", "`keras.Model.predict`", "times as long"],
        rows,
    )


TASKS = {
    "train": train,
    "step": step,
    "jax": jax,
    "imdb": imdb,
    "lengths": lengths,
    "one": one,
}
ALL = [
    *[f"{task}:{cell}" for task in ("train", "step", "jax") for cell in CELLS],
    "imdb:simple_rnn",
    "imdb:gru",
    "lengths:simple_rnn",
    "one",
]
INTRODUCTION = """# Speed

Written by `make bench`. {machine}

Embedding 10,000 x 64, one recurrent layer of 128 units, Dense 2, batches of 64,
200 time steps, Adam, unless said otherwise. The package and a peer each run in
a process of their own and take turns. "Times as long" is the median over rounds of the
peer's time divided by the package's time in the same round: above 1, the package is
faster. "In its own way" means `rnn_keras.training.train`, `keras.Model.fit` on arrays,
and a plain PyTorch loop. The time for compiling is left out for all of them.

"""


def parse(name: str) -> tuple[str, str]:
    """The task and the cell in an argument such as `train:gru` or `train`."""
    task, _, cell = name.partition(":")
    cell = cell or CELLS[0]
    if task not in TASKS or cell not in CELLS:
        raise InputError(
            f"{name!r} is no measurement; expected TASK or TASK:CELL, with a task of "
            f"{', '.join(TASKS)} and a cell of {', '.join(CELLS)}"
        )
    return task, cell


def main() -> None:
    chosen = sys.argv[1:]
    try:
        pairs = [parse(name) for name in chosen or ALL]
        if any(task == "imdb" for task, _ in pairs):
            # Before the half hour that it would otherwise end.
            CORPORA["imdb"].path()
    except InputError as error:
        print(f"speed.py: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    sections = [TASKS[task](cell) for task, cell in pairs]
    if not chosen:
        text = INTRODUCTION.format(machine=machine(MEASURED)) + "\n".join(sections)
        (HERE / "speed.md").write_text(text)


if __name__ == "__main__":
    main()
