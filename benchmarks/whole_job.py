"""The whole job, from the start of a process to its end, beside plain scripts.

    make bench                                   writes benchmarks/whole_job.md
    .venv/bin/python benchmarks/whole_job.py --rounds 1 messages     printed only

`rnn-keras train` and the three scripts of `plain_scripts.py` take turns on the same
texts in the same three parts; each round begins with another of them. The scripts have
the sizes, the batch size, the learning rate and the number of epochs that `rnn-keras
train` chose. Figures are medians over the rounds.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from report import machine, section

from rnn_keras import load_dataset
from rnn_keras.datasets.labelled import Splits

HERE = Path(__file__).parent
CORPORA = ("messages", "sms_spam", "chnsenticorp", "clinc150")
NAMES = {
    "rnn_keras": "**rnn-keras train**",
    "keras": "stock Keras layers, `Model.fit`",
    "torch": "PyTorch, packed sequences",
    "linear": "TF-IDF + logistic regression",
}
NEEDED = ("import", "compiling", "network")
MEASURED = ("tensorflow", "keras", "torch", "scikit-learn", "numpy")


class Job(NamedTuple):
    """What one process took, and how well it did."""

    seconds: float
    megabytes: float
    accuracy: float
    stages: dict[str, float] | None = None


def write_parts(splits: Splits, folder: Path, settings: dict[str, Any]) -> None:
    for part in ("train", "validation", "test"):
        texts = getattr(splits, part)
        with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["text", "label"])
            rows.writerows(zip(texts.texts, texts.labels, strict=True))
    (folder / "settings.json").write_text(json.dumps(settings))


def timed(command: list[str]) -> tuple[float, float, str]:
    """Run a process; return its seconds, its peak memory in MB and what it printed."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=errors)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{errors.read()[-2000:]}")
        return seconds, used.ru_maxrss / 1024, out.read()


def run(name: str, corpus: str, folder: Path) -> Job:
    if name != "rnn_keras":
        script = [sys.executable, str(HERE / "plain_scripts.py"), name, str(folder)]
        seconds, memory, printed = timed(script)
        return Job(seconds, memory, float(printed.split()[-1]))
    out = folder / "run"
    command = ["train", corpus, "--out", str(out), "--force"]
    seconds, memory, _ = timed([sys.executable, "-m", "rnn_keras.cli", *command])
    metrics = json.loads((out / "metrics.json").read_text())
    stages = metrics["stages"]
    # Python's own end, and what the clocks of the process missed.
    stages["other"] += seconds - sum(stages.values())
    return Job(seconds, memory, metrics["test"]["accuracy"], stages)


def measure(corpus: str, rounds: int) -> dict[str, list[Job]]:
    """Run all four so many times, after one run that warms the disk's cache."""
    jobs: dict[str, list[Job]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run("rnn_keras", corpus, folder)
        chosen = json.loads((folder / "run" / "metrics.json").read_text())["settings"]
        chosen["han"] = corpus == "chnsenticorp"
        write_parts(load_dataset(corpus).split(seed=0), folder, chosen)
        for i in range(rounds):
            names = list(NAMES)
            for name in names[i % len(names) :] + names[: i % len(names)]:
                jobs[name].append(run(name, corpus, folder))
                print(corpus, name, *jobs[name][-1][:3], file=sys.stderr, flush=True)
    return jobs


def median(values: list[float]) -> float:
    return statistics.median(values)


def beside(corpus: str, jobs: dict[str, list[Job]]) -> str:
    ours = [job.seconds for job in jobs["rnn_keras"]]
    rows = []
    for name, title in NAMES.items():
        theirs = [job.seconds for job in jobs[name]]
        ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
        rows.append(
            [
                title,
                f"{median(theirs):.1f}",
                f"{median(ratios):.2f}",
                f"{ratios[0]:.2f} to {ratios[-1]:.2f}",
                f"{median([job.megabytes for job in jobs[name]]):,.0f}",
                f"{100 * median([job.accuracy for job in jobs[name]]):.1f}",
            ]
        )
    head = ["", "seconds", "times as long", "from round to round", "peak MB"]
    return section(corpus, [*head, "accuracy %"], rows)


def where(measured: dict[str, dict[str, list[Job]]]) -> str:
    """Where the seconds of `rnn-keras train` go, one row for each corpus."""
    rows = []
    stages: list[str] = []
    for corpus, jobs in measured.items():
        ours = jobs["rnn_keras"]
        stages = list(ours[0].stages)
        each = {s: median([job.stages[s] for job in ours]) for s in stages}
        rest = sum(seconds for s, seconds in each.items() if s not in NEEDED)
        share = rest / sum(each.values())
        rows.append(
            [corpus, *(f"{s:.1f}" for s in each.values()), f"{100 * share:.0f} %"]
        )
    title = "Where the seconds of rnn-keras train go"
    return section(title, ["", *stages, "neither import, compiling nor network"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("corpora", nargs="*", metavar="CORPUS", default=[])
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    names = chosen.corpora or CORPORA
    measured = {corpus: measure(corpus, chosen.rounds) for corpus in names}
    sections = [beside(corpus, jobs) for corpus, jobs in measured.items()]
    sections.append(where(measured))
    if not chosen.corpora:
        head = f"# The whole job\n\nWritten by `make bench`. {machine(MEASURED)}\n\n"
        (HERE / "whole_job.md").write_text(head + INTRODUCTION + "\n".join(sections))


INTRODUCTION = """Each figure is a whole process, from its start to its end, imports and
reading included; on two cores, medians over the rounds. "Times as long" is the median
over rounds of the seconds divided by those of `rnn-keras train` in the same round.
`rnn-keras train` also fits a linear model and a baseline, scores all three, draws the
figures and saves the run; the scripts print one accuracy. They have the sizes, the
batch size, the learning rate, the patience and the most epochs of `rnn-keras train`.

"""

if __name__ == "__main__":
    main()
