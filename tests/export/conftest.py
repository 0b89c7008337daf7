"""Classifiers to export, and one classifier's exports in all formats."""

import keras
import numpy as np
import pytest

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.export.writer import FORMATS, export
from rnn_keras.layers.ngram_logits import LinearPath
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.models.builders import build_classifier

TEXTS = ["I love it so", "So good: so fine", "I hate it", "so bad and so poor", "ΣΑΣ"]
CLASSES = ("bad", "good", "Größe, 大")
LENGTH = 6
FILE_NAMES = {"saved_model": "model", "onnx": "model.onnx", "litert": "model.tflite"}


@pytest.fixture(scope="session")
def new_texts():
    """One text of each kind: unknown, empty, short, cut, strange."""
    return [
        "I hate it so",
        "",
        "so",
        "fine fine fine fine fine fine fine fine",  # cut after LENGTH tokens
        "zzz, ΣΑΣ\ud800",
        "so bad",
        *TEXTS,
    ]


@pytest.fixture(scope="session")
def file_names():
    """A valid name of an export in each format."""
    return FILE_NAMES


@pytest.fixture(scope="session")
def make_classifier():
    """A function that makes a classifier, which reads `LENGTH` tokens by default."""
    return _make_classifier


@pytest.fixture(scope="session")
def make_chain():
    """A function that makes a classifier from layers after its embedding."""
    return _make_chain


@pytest.fixture(scope="session")
def classifier():
    """A classifier that reads words in both directions and has a linear path."""
    return _make_classifier(max_ngram=2, bidirectional=True)


@pytest.fixture(scope="session")
def expected(classifier, new_texts):
    """The probabilities of `classifier` for `new_texts`, before it is exported."""
    return classifier.predict_proba(new_texts)


@pytest.fixture(scope="session")
def exports(classifier, expected, tmp_path_factory):
    """What `export` reports on `classifier` in each format; all in one folder."""
    folder = tmp_path_factory.mktemp("exports")
    return {
        format: export(classifier, folder / FILE_NAMES[format], format)
        for format in FORMATS
    }


def _make_classifier(
    max_length=LENGTH, max_ngram=None, classes=CLASSES, unit="word", **network
):
    """A classifier with weights so large that every layer shows in its answers.

    Args:
        max_length: number of tokens that are read, or `None`.
        max_ngram: tokens in the longest n-gram of the linear path; `None` for none.
        classes: class names.
        unit: of the vectorizer.
        **network: arguments of `build_classifier`.
    """
    vectorizer = TextVectorizer(unit, max_length=max_length)
    vectorizer.adapt(TEXTS)
    size = vectorizer.vocabulary_size()
    built = build_classifier(size, len(classes), units=3, embedding_dim=4, **network)
    _draw_weights(built.weights)
    linear = None
    if max_ngram is not None:
        labels = np.arange(len(TEXTS)) % len(classes)
        linear = LinearPath.from_texts(
            vectorizer.encode(TEXTS).ids, labels, len(classes), max_ngram=max_ngram
        )
        linear.scales.assign([0.4, 1.5])
    return TextClassifier(built, vectorizer, classes, linear)


def _make_chain(*layers, mask_zero=True):
    """A classifier of an embedding, these layers and logits."""
    vectorizer = TextVectorizer(max_length=LENGTH)
    vectorizer.adapt(TEXTS)
    size = vectorizer.vocabulary_size()
    network = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(size, 4, mask_zero=mask_zero),
            *layers,
            keras.layers.Dense(3),
        ],
        name="mine",
    )
    _draw_weights(network.trainable_weights)
    return TextClassifier(network, vectorizer, CLASSES)


def _draw_weights(variables):
    random = np.random.default_rng(0)
    for variable in variables:
        variable.assign(random.normal(size=variable.shape))
