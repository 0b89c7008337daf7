"""What stands in a comparison, and one run of each: in this process or any other."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import numpy as np

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.classification.recipe import recipe_for
from rnn_keras.datasets.labelled import Splits, class_indices, class_names_of
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.scoring import LinearBaseline

MAJORITY, MEAN_EMBEDDING, TFIDF = "majority", "mean_embedding", "tfidf_{}"
WITH_NGRAMS = "{}+ngrams"
FIT_SETTINGS = ("linear", "epochs", "batch_size", "learning_rate", "patience")
# Keras's seed is one for the whole process.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Contestant:
    """A model to be trained, once for each seed.

    Attributes:
        model: a cell, `"mean_embedding"`, `"tfidf_1"` and so on (uni-, bi- and
            trigrams), or `"majority"`.
        settings: of `TextClassifier.from_texts` and `fit`; of a linear model `unit`
            and `max_ngram`.
    """

    model: str
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def is_network(self) -> bool:
        return "units" in self.settings


@dataclass(frozen=True)
class Run:
    """What one training gave.

    Attributes:
        model: name of the contestant; with `+ngrams`, of the network and the linear
            path together.
        seed: of weights, dropout and order.
        units: size of the state; 0 where there is none.
        parameters: of the network, or weights of the n-grams; of both together.
        epochs: that were trained.
        seconds: of training; of network and linear path together for both.
        predicted: class index of every test text.
    """

    model: str
    seed: int
    units: int
    parameters: int
    epochs: int
    seconds: float
    predicted: list[int]


def contestants(
    texts: Sequence[str], units: dict[str, int], settings: dict[str, Any]
) -> list[Contestant]:
    """All that stand beside each other: the cells, and what anyone would try first.

    Args:
        texts: the training texts, from which the unit and the n-grams follow.
        units: cell to the size of its state.
        settings: of `TextClassifier.from_texts` and `fit`.
    """
    recipe = recipe_for(texts, settings.get("unit"))
    networks = [
        Contestant(cell, {**settings, "cell": cell, "units": n})
        for cell, n in units.items()
    ]
    mean = {"num_layers": 0, "pooling": "mean", "units": 1, "linear": False}
    linear = [
        Contestant(TFIDF.format(n), {"unit": recipe.unit, "max_ngram": n})
        for n in range(1, recipe.max_ngram + 1)
    ]
    averaged = Contestant(MEAN_EMBEDDING, {**settings, **mean})
    return [*networks, averaged, *reversed(linear), Contestant(MAJORITY)]


def run(contestant: Contestant, seed: int, splits: Splits) -> list[Run]:
    """Train `contestant` and answer the test texts.

    A network watches the validation texts to know when to stop; a linear model,
    which has no other use for them, learns from them too.

    Returns:
        One run; of a network with a linear path two, without it and with it.
    """
    with _ONE_AT_A_TIME, _own_random_numbers():
        if contestant.is_network:
            return _run_network(contestant, seed, splits)
        return [_run_linear(contestant, seed, splits)]


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """Python's generator, from which Keras draws its seeds, for this run alone.

    A worker of a cluster has threads that draw from the one for all, between the seed
    and the weights.
    """
    own = random.Random()
    with patch.multiple(random, seed=own.seed, randint=own.randint):
        yield


def _run_network(contestant: Contestant, seed: int, splits: Splits) -> list[Run]:
    settings = dict(contestant.settings)
    fitting = {k: settings.pop(k) for k in FIT_SETTINGS if k in settings}
    started = time.perf_counter()
    classifier = TextClassifier.from_texts(
        splits.train.texts, splits.train.labels, seed=seed, **settings
    )
    history = classifier.fit(
        splits.train.texts,
        splits.train.labels,
        validation_data=(splits.validation.texts, splits.validation.labels),
        validation_split=0,
        seed=seed,
        progress=False,
        **fitting,
    ).history
    seconds = round(time.perf_counter() - started, 2)
    alone = TextClassifier(
        classifier.network, classifier.preprocessor, classifier.class_names
    )
    name = contestant.model
    network, path = classifier.network.count_params(), classifier.linear
    both = [(name, network, alone)]
    if path is not None:
        weights = path.rows * path.num_classes
        both.append((WITH_NGRAMS.format(name), network + weights, classifier))
    units = settings["units"] if settings.get("num_layers", 1) else 0
    return [
        Run(
            *(model, seed, units, parameters, len(history["loss"]), seconds),
            answering.predict_proba(splits.test.texts).argmax(axis=1).tolist(),
        )
        for model, parameters, answering in both
    ]


def _run_linear(contestant: Contestant, seed: int, splits: Splits) -> Run:
    texts = splits.train.texts + splits.validation.texts
    labels = splits.train.labels + splits.validation.labels
    names = class_names_of(splits.train.labels)
    started = time.perf_counter()
    if contestant.model == MAJORITY:
        parameters = 0
        counts = np.bincount(class_indices(labels, names))
        predicted = [int(counts.argmax())] * len(splits.test)
    else:
        unit, max_ngram = (contestant.settings[k] for k in ("unit", "max_ngram"))
        baseline = LinearBaseline(TextVectorizer(unit), max_ngram).fit(texts, labels)
        parameters = baseline.count_params()
        answers = baseline.predict(splits.test.texts)
        predicted = class_indices(answers, names).tolist()
    seconds = round(time.perf_counter() - started, 2)
    return Run(contestant.model, seed, 0, parameters, 0, seconds, predicted)
