"""One training run, from labelled texts to a folder that holds its results."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, fields
from inspect import signature
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.classification.recipe import Recipe, recipe_for
from rnn_keras.datasets.labelled import Splits
from rnn_keras.datasets.streaming import Stream, Texts
from rnn_keras.experiments.run_files import write_results
from rnn_keras.experiments.run_folder import digest_of, run_folder
from rnn_keras.scoring import Answers, LinearBaseline, count_answers
from rnn_keras.training.checkpoints import Checkpoints
from rnn_keras.training.distributed import (
    broadcast_from_first,
    num_shares,
    process_index,
)
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.version import __version__


def train(
    splits: Splits | Stream,
    out: Path,
    *,
    source: str,
    seed: int = 0,
    linear: bool = True,
    epochs: int | None = None,
    batch_size: int = 32,
    learning_rate: float | None = None,
    patience: int | None = 3,
    force: bool = False,
    checkpoint_every: float = 30.0,
    report: Callable[[str], None] = lambda line: None,
    **classifier: Any,
) -> dict[str, Any] | None:
    """Train on `splits.train`, score on `splits.test`, write everything to `out`.

    The linear baseline is trained on the validation texts too, for which it has no
    other use, and is scored on the same test texts. Of a stream both linear models
    learn from a sample of 200,000 texts.

    Args:
        splits: the three parts.
        out: folder, made if it is not there.
        source: name of the data, for `metrics.json`.
        seed: of weights, dropout and order.
        linear: of `TextClassifier.fit`, as are the next four.
        epochs: passes at most; by default as `rnn_keras.recipe` has it.
        batch_size: texts in a step.
        learning_rate: of the first epoch; by default likewise.
        patience: epochs without a lower loss before training stops.
        force: replace an older run in `out`.
        checkpoint_every: seconds of training after which its state is written down.
            A run that was stopped goes on there, with the same arguments.
        report: is given lines on what goes on.
        **classifier: of `TextClassifier.from_texts`.

    Returns:
        What `metrics.json` holds; `None` in all processes but the first.

    Raises:
        InputError: if `out` cannot be used, or the texts cannot be learned from.
        Stopped: after Ctrl-C or SIGTERM in training.
    """
    settings = {
        **classifier,
        "linear": linear,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "patience": patience,
    }
    run = {
        "texts": splits.digest(),
        **settings,
        "seed": seed,
        "backend": keras.backend.backend(),
        "shares": num_shares(),
        "version": __version__,
    }
    if process_index() > 0:
        if _told(run):
            _fit(splits, settings, seed, Checkpoints(out, report=report), report)
        return None
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(run_folder(out, force, run))
        except InputError as error:
            _tell({"refused": str(error)})
            raise
        _tell({"run": None if folder.finished else run})
        if folder.finished:
            report("had finished already")
            return json.loads((out / "metrics.json").read_text(encoding="utf-8"))
        checkpoints = Checkpoints(folder.checkpoints, checkpoint_every, report)
        trained = _fit(splits, settings, seed, checkpoints, report)
        answers = _answers(trained.model, trained.data)
        metrics = {
            **_scores(trained.model, trained.data, answers),
            "seconds": round(trained.seconds, 2),
            "seed": seed,
            "source": source,
            "run": digest_of(run),
            "streamed": isinstance(splits, Stream),
            "epochs": len(trained.history["loss"]),
            "settings": {**settings, **asdict(trained.recipe)},
        }
        with folder.results() as results:
            write_results(results, trained.model, metrics, trained.history, answers)
    return metrics


def _tell(what: dict[str, Any]) -> dict[str, Any]:
    """Process 0 says it to the others, which say nothing that counts."""
    return json.loads(broadcast_from_first(json.dumps(what).encode()))


def _told(run: dict[str, Any]) -> bool:
    """Whether there is anything to train, as process 0 knows.

    Raises:
        InputError: if process 0 refuses, or this process is to train something else.
    """
    told = _tell({})
    if "refused" in told:
        raise InputError(told["refused"])
    first = told["run"]
    if first not in (None, json.loads(json.dumps(run))):
        other = [name for name in first if first[name] != run.get(name)]
        raise InputError(
            f"process {process_index()}: has other {' and '.join(other)} than process 0"
        )
    return first is not None


class _Data(NamedTuple):
    """What a run is given, of texts in memory or of a stream."""

    of_model: tuple[Any, ...]
    validation: Texts | None
    sample: Texts
    test: Callable[[], Iterable[Texts]]
    sizes: dict[str, int]
    labels: Counter[str]

    @classmethod
    def of(cls, splits: Splits | Stream) -> "_Data":
        if isinstance(splits, Stream):
            held_out, sample = splits.validation, splits.sample
            sizes, labels = splits.sizes, splits.trained
            return cls((splits,), held_out, sample, splits.test, sizes, labels)
        train, held_out, test = ((p.texts, p.labels) for p in splits[:3])
        sizes = {name: len(getattr(splits, name)) for name in Splits._fields[:3]}
        labels = Counter(splits.train.labels)
        return cls(train, held_out, train, lambda: [test], sizes, labels)


class _Trained(NamedTuple):
    data: _Data
    model: TextClassifier
    recipe: Recipe
    history: dict[str, list[float]]
    seconds: float


def _fit(
    splits: Splits | Stream,
    settings: dict[str, Any],
    seed: int,
    checkpoints: Checkpoints,
    report: Callable[[str], None],
) -> _Trained:
    data = _Data.of(splits)
    report(", ".join(f"{name} {size:,}" for name, size in data.sizes.items()))
    of_model = signature(TextClassifier.from_texts).parameters
    model = TextClassifier.from_texts(
        *data.of_model,
        seed=seed,
        **{name: value for name, value in settings.items() if name in of_model},
    )
    unit, count = model.preprocessor.unit, data.sizes["train"]
    recipe = recipe_for(data.sample[0], unit, count).but(
        **{f.name: settings.get(f.name) for f in fields(Recipe)}
    )
    started = time.perf_counter()
    history = model.fit(
        *data.of_model,
        validation_data=data.validation,
        validation_split=0,
        linear=settings["linear"],
        epochs=recipe.epochs,
        batch_size=settings["batch_size"],
        learning_rate=recipe.learning_rate,
        patience=settings["patience"],
        seed=seed,
        checkpoints=checkpoints,
    ).history
    seconds = checkpoints.seconds + time.perf_counter() - started
    report(_what_was_read(model, len(data.sample[0]), count))
    return _Trained(data, model, recipe, history, seconds)


def _answers(model: TextClassifier, data: _Data) -> Answers:
    return count_answers(model.labels_of, data.test())


def _scores(model: TextClassifier, data: _Data, answers: Answers) -> dict[str, Any]:
    """Of the classifier and of what stands beside it; and the sizes of all."""
    path, names = model.linear, model.class_names
    alone = TextClassifier(model.network, model.preprocessor, names)
    baseline = count_answers(_baseline(model, data).predict, data.test())
    return {
        "test": answers.score(names),
        "network": _answers(alone, data).score(names),
        "baseline": baseline.score(names),
        "parameters": model.network.count_params(),
        "ngrams": path.rows if path else 0,
        "scales": np.round(path.scales, 3).tolist() if path else [1.0, 0.0],
        "class_names": list(names),
        "texts": data.sizes,
        "labels": {name: data.labels[name] for name in names},
    }


def _what_was_read(model: TextClassifier, read: int, count: int) -> str:
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


def _baseline(model: TextClassifier, data: _Data) -> LinearBaseline:
    texts, labels = (
        known + held for known, held in zip(data.sample, data.validation, strict=True)
    )
    return LinearBaseline(model.preprocessor).fit(texts, labels)
