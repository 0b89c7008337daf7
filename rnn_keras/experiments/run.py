"""One training run, from labelled texts to a folder that holds its results.

How its folder is guarded is in `rnn_keras.experiments.run_folder`, what its files hold
in `run_files`. Several processes may train together: process 0 alone reads and writes
the folder, and tells the others whether there is anything to train.
"""

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.classification.recipe import Recipe, recipe_for_parts
from rnn_keras.classification.settings import Settings
from rnn_keras.datasets.labelled import SplitTexts
from rnn_keras.experiments.run_files import METRICS, RunMetrics, write_results
from rnn_keras.experiments.run_folder import digest_of, run_folder
from rnn_keras.scoring import Answers, LinearBaseline, count_answers
from rnn_keras.training.checkpoints import Checkpoints
from rnn_keras.training.distributed import (
    broadcast_from_first,
    num_shares,
    process_index,
)
from rnn_keras.training.loop import Diverged, history_so_far
from rnn_keras.utils import __version__
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.stages import stage, timed_stages

Report = Callable[[str], None]


def train(
    splits: SplitTexts,
    out: Path,
    *,
    source: str,
    seed: int = 0,
    settings: Settings | None = None,
    force: bool = False,
    checkpoint_every: float = 30.0,
    report: Report = lambda line: None,
    **chosen: Any,
) -> dict[str, Any] | None:
    """Train on the training part, score on the test part, write everything to `out`.

    The linear baseline is trained on the training and the validation texts, since it
    does not need the latter to know when to stop. It is scored on the same test texts.
    With a stream both linear models learn from its sample.

    Args:
        splits: texts in three parts, as `Splits` or a `Stream`.
        out: folder of the run; made if it does not exist.
        source: name of the data, for `metrics.json`.
        seed: seed of weights, dropout and order.
        settings: settings of the classifier and its training.
        force: replace an older run in `out`.
        checkpoint_every: seconds of training between two checkpoints. A run that was
            stopped continues from the last one if it is given the same arguments.
        report: receives lines that tell what goes on.
        **chosen: single settings by name, instead of those in `settings`.

    Returns:
        The content of `metrics.json`, as `RunMetrics` describes it; `None` in all
        processes but the first.

    Raises:
        InputError: if `out` cannot be used, or the texts cannot be learned from.
        Stopped: after Ctrl-C or SIGTERM during training.
        Diverged: if a loss became infinite or `nan`. If there was an epoch before, the
            results are those of the best one, and written.
    """
    job = _Job(splits, replace(settings or Settings(), **chosen), seed, report)
    identity = job.identity()
    if process_index() > 0:
        if _hear_from_first(identity):
            job.fit(Checkpoints(out, report=report))
        return None
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(run_folder(out, force, identity))
        except InputError as error:
            _exchange({"refused": str(error)})
            raise
        _exchange({"run": None if folder.finished else identity})
        if folder.finished:
            report("had finished already")
            return json.loads((out / METRICS).read_text(encoding="utf-8"))
        checkpoints = Checkpoints(folder.checkpoints, checkpoint_every, report)
        times = stack.enter_context(timed_stages())
        trained = job.fit(checkpoints)
        with stage("scoring"):
            answers = count_answers(trained.model.labels_of, splits.read_test())
            scores = _scores(trained.model, splits, answers)
        metrics = RunMetrics(
            **scores,
            **_sizes(trained.model, splits),
            seconds=round(trained.seconds, 2),
            seed=seed,
            source=source,
            run=digest_of(identity),
            epochs=len(trained.history["loss"]),
            settings=asdict(job.settings) | asdict(trained.recipe),
        )
        with folder.results() as results:
            metrics = write_results(
                results, trained.model, metrics, trained.history, answers, times
            )
    if trained.diverged is not None:
        raise trained.diverged
    return asdict(metrics)


class _Trained(NamedTuple):
    model: TextClassifier
    recipe: Recipe
    history: dict[str, list[float]]
    seconds: float
    diverged: Diverged | None


@dataclass(frozen=True)
class _Job:
    """What is to be trained, and with what."""

    splits: SplitTexts
    settings: Settings
    seed: int
    report: Report

    def identity(self) -> dict[str, Any]:
        """Return everything that the results follow from, for JSON."""
        return {
            "texts": self.splits.digest(),
            **asdict(self.settings),
            "seed": self.seed,
            "backend": keras.backend.backend(),
            "shares": num_shares(),
            "version": __version__,
        }

    def fit(self, checkpoints: Checkpoints) -> _Trained:
        """Make a classifier and train it, or continue from a checkpoint."""
        splits, settings = self.splits, self.settings
        sizes = splits.sizes
        self.report(", ".join(f"{name} {size:,}" for name, size in sizes.items()))
        with stage("reading"):
            recipe = recipe_for_parts(splits, settings.unit).override(settings)
            model = TextClassifier.from_texts(
                splits, seed=self.seed, settings=settings, recipe=recipe
            )
        started = time.perf_counter()
        history, diverged = history_so_far(
            lambda: model.fit(
                splits,
                validation_split=0,
                seed=self.seed,
                checkpoints=checkpoints,
                settings=settings,
                recipe=recipe,
            )
        )
        seconds = checkpoints.seconds + time.perf_counter() - started
        self.report(_describe_reading(model, len(splits.sample), sizes["train"]))
        return _Trained(model, recipe, history.history, seconds, diverged)


def _exchange(message: dict[str, Any]) -> dict[str, Any]:
    """Return the message of process 0 in every process; the others' do not count."""
    return json.loads(broadcast_from_first(json.dumps(message).encode()))


def _hear_from_first(identity: dict[str, Any]) -> bool:
    """Return whether process 0 says that there is anything to train.

    Raises:
        InputError: if process 0 refuses, or this process is to train something else.
    """
    heard = _exchange({})
    if "refused" in heard:
        raise InputError(heard["refused"])
    first = heard["run"]
    if first not in (None, json.loads(json.dumps(identity))):
        other = [name for name in first if first[name] != identity.get(name)]
        raise InputError(
            f"process {process_index()}: has other {' and '.join(other)} than process 0"
        )
    return first is not None


def _scores(
    model: TextClassifier, splits: SplitTexts, answers: Answers
) -> dict[str, Any]:
    """Return the scores of the classifier, of its network alone and of the baseline."""
    names = model.class_names
    alone = TextClassifier(model.network, model.preprocessor, names)
    known, held_out = splits.sample, splits.validation
    with stage("linear models"):
        baseline = LinearBaseline(model.preprocessor).fit(
            known.texts + held_out.texts, known.labels + held_out.labels
        )
    others = {"network": alone.labels_of, "baseline": baseline.predict}
    return {
        "test": answers.score(names),
        **{
            name: count_answers(predict, splits.read_test()).score(names)
            for name, predict in others.items()
        },
    }


def _sizes(model: TextClassifier, splits: SplitTexts) -> dict[str, Any]:
    """Return the sizes of the models and of the data."""
    path, names = model.linear, model.class_names
    return {
        "parameters": model.network.count_params(),
        "ngrams": path.rows if path else 0,
        "scales": np.round(path.scales, 3).tolist() if path else [1.0, 0.0],
        "class_names": list(names),
        "texts": splits.sizes,
        "labels": {name: splits.trained[name] for name in names},
        "streamed": splits.block_size is not None,
    }


def _describe_reading(model: TextClassifier, read: int, count: int) -> str:
    """Return a line on the vocabulary and on texts that lost their end."""
    words = f"vocabulary of {model.preprocessor.vocabulary_size():,} tokens"
    limit = model.preprocessor.max_length
    if limit is None:
        return words
    if not model.num_cut:
        return f"{words}; no text was longer than {limit:,} tokens"
    which = "training texts" if read == count else "training texts in a sample"
    return (
        f"{words}; {model.num_cut:,} of {read:,} {which} were longer than "
        f"{limit:,} tokens and were cut"
    )
