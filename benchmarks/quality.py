"""The worth of each default of the recipe, by cross-validation on training texts.

    python benchmarks/quality.py [SOURCE ...]    # tables beside its two corpora

One setting is changed at a time. Every run is saved in quality.csv as it ends, and a
saved run is not repeated; quality.md is written from all of them. The test part of a
corpus (that of its split with seed 0) is never read.
"""

import argparse
import csv
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from report import machine, section

HERE = Path(__file__).parent
FOLDS = 3
SOURCES = ("sms_spam", "chnsenticorp")
KEYS = ["source", "cell", "change", "fold"]
SCORES = ["classifier", "network", "linear", "baseline"]

# What is changed: an argument of from_texts, or of fit after "fit:".
CHANGES: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "embeddings of 64": {"embedding_dim": 64},
    "embeddings of 256": {"embedding_dim": 256},
    "a state of 128": {"units": 128},
    "two layers": {"num_layers": 2},
    "one direction": {"bidirectional": False},
    "the last state": {"pooling": "last"},
    "the mean state": {"pooling": "mean"},
    "dropout 0.3": {"dropout": 0.3},
    "no token dropout": {"token_dropout": 0.0},
    "token dropout 0.5": {"token_dropout": 0.5},
    "no word is rare": {"min_count": 1},
    "cut after 32 tokens": {"max_length": 32},
    "half the learning rate": {"fit:learning_rate": 0.5},
    "5 epochs at most": {"fit:epochs": 5},
    "all epochs at one rate": {"fit:epochs": 5, "fit:patience": None},
    "64 texts a step": {"fit:batch_size": 64},
    "n-grams not scaled": {"scaling": "none"},
    "n-grams by log-ratio": {"scaling": "ratio"},
}


def scaling(kind: str | None) -> Any:
    """Replace the linear path's way of scaling n-grams by another."""
    if kind is None:
        return nullcontext()
    from rnn_keras.layers import ngram_logits as linear

    def none(present: Any, inside: np.ndarray) -> np.ndarray:
        return np.ones(present.shape[1])

    def ratio(present: Any, inside: np.ndarray) -> np.ndarray:
        counts = [1 + np.asarray(present[r].sum(axis=0)) for r in (inside, ~inside)]
        logs = [np.log(count / count.sum()) for count in counts]
        return np.abs(logs[0] - logs[1]).ravel()

    return patch.object(linear, "informativeness", {"none": none, "ratio": ratio}[kind])


def run(source: str, cell: str, change: str, fold: int) -> dict[str, Any]:
    """Train on all folds but one and return the accuracies on that one."""
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    from sklearn.model_selection import StratifiedKFold

    from rnn_keras import TextClassifier, load_dataset
    from rnn_keras.scoring import LinearBaseline

    splits = load_dataset(source).split(seed=0)
    texts = np.array(splits.train.texts + splits.validation.texts, object)
    labels = np.array(splits.train.labels + splits.validation.labels)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    train, held = list(folds.split(texts, labels))[fold]
    arguments = dict(CHANGES[change])
    kind = arguments.pop("scaling", None)
    fitting = {k[4:]: arguments.pop(k) for k in list(arguments) if k[:4] == "fit:"}

    started = time.perf_counter()
    classifier = TextClassifier.from_texts(
        texts[train].tolist(), labels[train], cell=cell, seed=fold, **arguments
    )
    if "learning_rate" in fitting:
        fitting["learning_rate"] *= float(classifier.network.optimizer.learning_rate)
    with scaling(kind):
        classifier.fit(texts[train].tolist(), labels[train], seed=fold, **fitting)
    seconds = time.perf_counter() - started

    ids = classifier.preprocessor.encode(texts[held].tolist()).ids
    names = np.array(classifier.class_names)
    alone = TextClassifier(classifier.network, classifier.preprocessor, names)
    baseline = LinearBaseline(classifier.preprocessor)
    baseline.fit(texts[train].tolist(), labels[train].tolist())
    answers = {
        "classifier": [p.label for p in classifier.predict(texts[held].tolist())],
        "network": [p.label for p in alone.predict(texts[held].tolist())],
        "linear": names[classifier.linear.predict(ids).argmax(axis=1)],
        "baseline": baseline.predict(texts[held].tolist()),
    }
    scores = {
        n: round(float(np.mean(a == labels[held])), 5) for n, a in answers.items()
    }
    values = (Path(source).stem, cell, change, fold)
    return {
        **dict(zip(KEYS, values, strict=True)),
        **scores,
        "seconds": round(seconds, 1),
    }


def tasks(sources: list[str], cell: str, done: pd.DataFrame) -> Iterator[tuple]:
    known = set(done[KEYS].itertuples(index=False, name=None))
    for change in CHANGES:
        for source in sources:
            for fold in range(FOLDS):
                if (Path(source).stem, cell, change, fold) not in known:
                    yield source, cell, change, fold


def changes(runs: pd.DataFrame, score: str) -> tuple[list[str], list[list[str]]]:
    """A table of changes by corpora: points of accuracy compared with the recipe."""
    cells = runs.pivot_table(score, ["change", "fold"], "source") * 100
    recipe = cells.loc["the recipe"]
    rows = [["the recipe", *(f"{v:.1f}" for v in recipe.mean())]]
    for change in list(CHANGES)[1:]:
        if change not in cells.index:
            continue
        difference = cells.loc[change] - recipe
        error = difference.std() / np.sqrt(difference.count())
        pairs = zip(difference.mean(), error, strict=True)
        rows.append([change, *(_points(*pair) for pair in pairs)])
    return ["", *recipe.columns], rows


def _points(mean: float, error: float) -> str:
    return "not run" if np.isnan(mean) else f"{mean:+.1f} ± {error:.1f}"


def report(runs: pd.DataFrame) -> str:
    """The text of quality.md."""
    measured = machine(("tensorflow", "keras", "scikit-learn"))
    parts = [INTRODUCTION.format(folds=FOLDS, machine=measured)]
    for cell, of_cell in runs.groupby("cell"):
        recipe = of_cell[of_cell["change"] == "the recipe"]
        if recipe.empty:
            continue
        means = recipe.groupby("source")[[*SCORES, "seconds"]].mean()
        means[SCORES] *= 100
        rows = [[name, *(f"{v:.1f}" for v in row)] for name, row in means.iterrows()]
        head = ["", *SCORES, "seconds"]
        parts.append(section(f"{cell}: the recipe, and its parts", head, rows))
        parts += [
            section(f"{cell}: one thing changed, {score}", *changes(of_cell, score))
            for score in ("classifier", "network")
        ]
    return "\n".join(parts)


INTRODUCTION = """\
# What each choice of the recipe is worth

Written by `make bench-quality`. The numbers are accuracies in percent on held-out
texts, means over {folds} folds of the training part of each corpus. Within each fold
a tenth of the training texts is held out, as `fit` does it. The test parts are not
read. `classifier` is the `TextClassifier`, `network` and `linear` are its two parts
alone, and `baseline` is TF-IDF of uni- and bigrams with logistic regression. The
tables of changes give the difference to the recipe in points, on the same folds, with
the standard error of its mean. [quality.csv](quality.csv) holds every run. {machine}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sources", nargs="*", help="more sources, e.g. tables")
    parser.add_argument("--cell", default="simple_rnn")
    parser.add_argument("--minutes", type=float, default=1e9, help="start no run later")
    arguments = parser.parse_args()
    path = HERE / "quality.csv"
    fields = [*KEYS, *SCORES, "seconds"]
    if not path.exists():
        path.write_text(",".join(fields) + "\n")
    end = time.monotonic() + 60 * arguments.minutes
    waiting = list(
        tasks([*SOURCES, *arguments.sources], arguments.cell, pd.read_csv(path))
    )
    context = multiprocessing.get_context("spawn")
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        running = set()
        while waiting or running:
            while waiting and len(running) < workers and time.monotonic() < end:
                running.add(pool.submit(run, *waiting.pop(0)))
            if not running:
                break
            finished = next(as_completed(running))
            running.remove(finished)
            row = finished.result()
            with path.open("a", newline="") as file:
                csv.DictWriter(file, fields).writerow(row)
            print(*row.values(), f"({len(waiting)} to go)", flush=True)
    (HERE / "quality.md").write_text(report(pd.read_csv(path)))


if __name__ == "__main__":
    main()
