"""The models that a comparison trains, and one training of each.

Networks, one for each cell, and the baselines that anyone would try first: the
majority class, TF-IDF with logistic regression, and a network that averages the token
vectors and has no recurrence.

A candidate and its result are plain data, so that another process, also on another
machine, can do the training. Which candidates are trained with which seeds, and where
the results are kept, is in `rnn_keras.experiments.comparison`.
"""

import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.classification.recipe import recipe_for, recipe_for_parts
from rnn_keras.classification.settings import Settings
from rnn_keras.datasets.labelled import Splits
from rnn_keras.layers.text_vectorizer import TextVectorizer, Unit
from rnn_keras.scoring import LinearBaseline
from rnn_keras.utils.choices import CellName
from rnn_keras.utils.predictions import class_indices

MAJORITY, MEAN_EMBEDDING, TFIDF = "majority", "mean_embedding", "tfidf_{}"
WITH_NGRAMS = "{}+ngrams"
# Keras has one seed for the whole process.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class TrainingResult:
    """What one training gave.

    Attributes:
        model: name of the candidate; with `+ngrams`, network and linear model together.
        seed: seed of weights, dropout and order.
        units: size of the state; 0 for a model without a state.
        parameters: number of parameters of the network, of weights of the n-grams, or
            of both for the two together.
        epochs: number of epochs that were trained.
        seconds: duration of the training; with or without n-grams, that of network and
            linear model together.
        predicted: class index of every test text.
    """

    model: str
    seed: int
    units: int
    parameters: int
    epochs: int
    seconds: float
    predicted: list[int]


@dataclass(frozen=True)
class Candidate(ABC):
    """A model that can be trained.

    Attributes:
        name: name of the model.
        units: size of its state, as it was built.
        is_random: whether another seed gives another model.
    """

    name: str
    is_random: ClassVar[bool] = False

    @property
    def units(self) -> int:
        return 0

    @property
    def result_names(self) -> list[str]:
        """The names of the models that one training gives results of."""
        return [self.name]

    @abstractmethod
    def train(self, seed: int, splits: Splits) -> list[TrainingResult]:
        """Train the model and let it answer the test texts."""


@dataclass(frozen=True)
class NetworkCandidate(Candidate):
    """A network, with or without recurrence.

    It watches the validation texts to know when to stop.

    Attributes:
        settings: settings of the classifier and its training.
    """

    settings: Settings
    is_random: ClassVar[bool] = True

    @property
    def units(self) -> int:
        return self.settings.units

    @property
    def result_names(self) -> list[str]:
        """The name of the network, and the name with n-grams if there are any."""
        with_ngrams = [WITH_NGRAMS.format(self.name)] if self.settings.linear else []
        return [self.name, *with_ngrams]

    def train(self, seed: int, splits: Splits) -> list[TrainingResult]:
        """Train the network; return a result without and one with n-grams, if any."""
        settings = self.settings
        started = time.perf_counter()
        recipe = recipe_for_parts(splits, settings.unit).override(settings)
        classifier = TextClassifier.from_texts(
            splits, seed=seed, settings=settings, recipe=recipe
        )
        history = classifier.fit(
            splits,
            validation_split=0,
            seed=seed,
            progress=False,
            settings=settings,
            recipe=recipe,
        ).history
        seconds = round(time.perf_counter() - started, 2)
        alone = TextClassifier(
            classifier.network, classifier.preprocessor, classifier.class_names
        )
        parameters = classifier.network.count_params()
        trained = [(self.name, parameters, alone)]
        if classifier.linear is not None:
            weights = classifier.linear.rows * classifier.linear.num_classes
            both = WITH_NGRAMS.format(self.name)
            trained.append((both, parameters + weights, classifier))
        return [
            TrainingResult(
                model=name,
                seed=seed,
                units=settings.units if settings.num_layers else 0,
                parameters=number,
                epochs=len(history["loss"]),
                seconds=seconds,
                predicted=_predict(model, splits.test.texts),
            )
            for name, number, model in trained
        ]


@dataclass(frozen=True)
class TfidfCandidate(Candidate):
    """TF-IDF of n-grams with logistic regression.

    It does not need the validation texts to know when to stop, so it learns from them.

    Attributes:
        unit: what a token is.
        max_ngram: number of tokens in the longest n-gram.
    """

    unit: Unit
    max_ngram: int

    def train(self, seed: int, splits: Splits) -> list[TrainingResult]:
        texts, labels = _known(splits)
        started = time.perf_counter()
        baseline = LinearBaseline(TextVectorizer(self.unit), self.max_ngram)
        baseline.fit(texts, labels)
        answers = baseline.predict(splits.test.texts)
        predicted = class_indices(answers, splits.class_names()).tolist()
        seconds = round(time.perf_counter() - started, 2)
        parameters = baseline.count_params()
        return [TrainingResult(self.name, seed, 0, parameters, 0, seconds, predicted)]


@dataclass(frozen=True)
class MajorityCandidate(Candidate):
    """The class that most of the texts have, whatever a text says."""

    def train(self, seed: int, splits: Splits) -> list[TrainingResult]:
        _, labels = _known(splits)
        counts = np.bincount(class_indices(labels, splits.class_names()))
        predicted = [int(counts.argmax())] * len(splits.test)
        return [TrainingResult(self.name, seed, 0, 0, 0, 0.0, predicted)]


def candidates_for(
    texts: Sequence[str], units: Mapping[CellName, int], settings: Settings
) -> list[Candidate]:
    """Return all models of a comparison: a network for each cell, and the baselines.

    Args:
        texts: training texts, from which the unit and the n-grams follow.
        units: size of the state of each cell.
        settings: settings of all networks.
    """
    recipe = recipe_for(texts, settings.unit)
    networks = [
        NetworkCandidate(cell, replace(settings, cell=cell, units=n))
        for cell, n in units.items()
    ]
    averaged = replace(settings, num_layers=0, pooling="mean", units=1, linear=False)
    tfidf = [
        TfidfCandidate(TFIDF.format(n), recipe.unit, n)
        for n in range(recipe.max_ngram, 0, -1)
    ]
    return [
        *networks,
        NetworkCandidate(MEAN_EMBEDDING, averaged),
        *tfidf,
        MajorityCandidate(MAJORITY),
    ]


def train_candidate(
    candidate: Candidate, seed: int, splits: Splits
) -> list[TrainingResult]:
    """Train a candidate in this process, whatever its other threads draw at random."""
    with _ONE_AT_A_TIME, _own_random_numbers():
        return candidate.train(seed, splits)


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """Give Keras a random generator of its own to draw the seeds of layers from.

    Keras draws them from Python's global generator, by `random.randint`. A worker of a
    cluster has other threads that call `random.random`, which would change the state of
    the generator between the seed and the initial weights.
    """
    own = random.Random()
    shared = random.seed, random.randint
    random.seed, random.randint = own.seed, own.randint
    try:
        yield
    finally:
        random.seed, random.randint = shared


def _known(splits: Splits) -> tuple[list[str], list[str]]:
    """Return the texts and labels for training and validation together."""
    train, validation = splits.train, splits.validation
    return train.texts + validation.texts, train.labels + validation.labels


def _predict(model: TextClassifier, texts: list[str]) -> list[int]:
    """Return the index of the most probable class of each text."""
    return model.predict_proba(texts).argmax(axis=1).tolist()
