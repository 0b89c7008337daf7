"""The training doctor, after training: looks at a run, or at any network.

`examine_run` runs every check of `score_checks`, `network_checks` and
`embedding_checks` on the folder of a run, and those of `token_checks` with the run's
own vectorizer; `examine_network` those that need no texts on a Keras model. Each can
be called alone, too. What the texts themselves show is in `rnn_keras.doctor`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.datasets.labelled import LabelledTexts, Splits, class_indices
from rnn_keras.doctor import network_checks, token_checks
from rnn_keras.doctor import network_checks as embedding_checks
from rnn_keras.doctor import training_checks as score_checks
from rnn_keras.doctor.data_examination import lengths_of, sample_of, unknown_in
from rnn_keras.doctor.findings import Finding, by_severity
from rnn_keras.doctor.training_checks import History
from rnn_keras.experiments.run_files import (
    RunFiles,
    checked_history,
    load_source,
    read_run,
    texts_of_run,
    was_streamed,
)
from rnn_keras.layers.text_vectorizer import PADDING_ID, UNKNOWN_ID, TextVectorizer
from rnn_keras.utils.errors import InputError, reason_within
from rnn_keras.utils.messages import shorten

# Predictions take most of the time: 2,000 reviews some ten seconds on two cores.
_PREDICTED = 2_000
# Step by step, outside of the fast loop, a network reads some hundred steps a second.
_TEXTS, _STEPS = 16, 200
_TEXTS_TO_PAD = 64
# Run step by step, a network that is no chain of layers fails in one of these ways.
_NO_CHAIN = (ValueError, TypeError, tf.errors.OpError)

CHECKED = (
    "loss, scores, overfitting, padding, saturation, gradients, embeddings, length, "
    "unknown tokens, unit"
)
CHECKED_ALONE = "loss, baseline, overfitting, padding, embeddings"

Report = Callable[[str], None]


def _silent(line: str) -> None:
    pass


def examine_run(
    folder: str | Path, data: LabelledTexts | None = None, *, report: Report = _silent
) -> list[Finding]:
    """What is to be known of a finished run.

    Args:
        folder: holds `model.keras`, `metrics.json` and `history.csv`.
        data: the labelled texts that it was made of, which are divided again as they
            were; or others, which then are new texts. By default the source that
            the run names, if it can be loaded and gives the same parts.
        report: is given lines on what is not looked at, or in part only.

    Returns:
        The worst first; empty where nothing is found.

    Raises:
        InputError: if a file is missing or damaged, or `data` has a label that is
            none of the classes.
    """
    folder = Path(folder)
    files = read_run(folder)
    classifier = TextClassifier.load(folder / "model.keras")
    if list(classifier.class_names) != files.metrics["class_names"]:
        raise InputError(f"{folder}: model.keras and metrics.json have other classes")
    splits, texts = _texts(files, data, report)
    found = _of_history(files, _shares(files, splits))
    baseline = files.metrics["baseline"]
    found.append(score_checks.behind_baseline(files.metrics["test"], baseline))
    if texts is None:
        found += _of_scores(files)
        ids = _any_ids(classifier.preprocessor.vocabulary_size())
        found.append(network_checks.padding_changes_answers(classifier.network, ids))
    else:
        found += _of_answers(classifier, texts, report)
        found += _of_reading(classifier.preprocessor, texts)
        sample = sample_of(texts, _TEXTS_TO_PAD)
        ids = classifier.preprocessor.encode(sample.texts).ids
        labels = class_indices(sample.labels, classifier.class_names)
        found += _of_network(classifier.network, ids, labels, report)
    found += _of_rows(classifier, splits, texts)
    return by_severity(found)


def examine_network(
    network: keras.Model,
    ids: np.ndarray,
    labels: np.ndarray,
    history: History | keras.callbacks.History | None = None,
    *,
    report: Report = _silent,
) -> list[Finding]:
    """What is to be known of a trained network, of this package or any other.

    Args:
        network: from token ids `(batch, timesteps)` to logits; 0 is padding.
        ids: texts that it was trained on `(texts, timesteps)`.
        labels: their class indices `(texts,)`.
        history: of its training with cross-entropy: what `fit` returned, or its
            `history`.
        report: is given lines on what is not looked at.

    Returns:
        The worst first; empty where nothing is found.

    Raises:
        InputError: if there are no texts, or not as many labels, or the network, the
            ids, the labels or the history are of another kind.
    """
    ids, labels = network_checks.checked_inputs(network, ids, labels)
    found: list[Finding | None] = []
    if history is not None:
        history = checked_history(history, "history")
        shares = np.bincount(labels) / len(labels)
        found += [
            score_checks.loss_not_finite(history),
            score_checks.loss_jumps(history),
            score_checks.loss_at_chance(history, shares),
            *score_checks.overfitting(history),
        ]
    rows = np.random.default_rng(0).permutation(len(ids))[:_TEXTS_TO_PAD]
    found += _of_network(network, ids[rows], labels[rows], report)
    counts = np.bincount(ids.ravel())
    names = [f"id {i}" for i in range(len(counts))]
    found += embedding_checks.dead_embeddings(network, names, counts)
    return by_severity(found)


def _texts(
    files: RunFiles, data: LabelledTexts | None, report: Report
) -> tuple[Splits | None, LabelledTexts | None]:
    """The run's parts, if they are known, and texts to look at its answers with."""
    metrics = files.metrics
    corpus = load_source(metrics) if data is None else data
    splits = None if corpus is None else texts_of_run(metrics, corpus)
    if splits is not None:
        return splits, splits.test
    if data is None:
        why = "are not there, are others, or are too many to be held in memory"
        hint = "gives them"
        if was_streamed(metrics):
            why = "were read as a stream, whose parts are not made again here"
            hint = "gives others"
        report(
            f"{metrics['source']}: the texts of the run {why}; only {CHECKED_ALONE} "
            f"looked at (--data {hint})"
        )
        return None, None
    what = "not the texts of the run; looked at as new ones"
    if was_streamed(metrics):
        what = "looked at as new texts; what the run read as a stream is not known"
    report(f"{data.source}: {what}")
    others = data.test or data
    class_indices(others.labels, metrics["class_names"])
    return None, others


def _of_history(
    files: RunFiles, shares: Sequence[float] | None
) -> list[Finding | None]:
    history, metrics = files.history, files.metrics
    sizes = metrics["texts"]
    return [
        score_checks.loss_not_finite(history),
        score_checks.loss_jumps(history),
        score_checks.loss_at_chance(history, shares, len(metrics["class_names"])),
        *score_checks.overfitting(
            history,
            trained=sizes.get("train"),
            validated=sizes.get("validation"),
            best_kept=metrics["settings"].get("patience") is not None,
        ),
    ]


def _of_scores(files: RunFiles) -> list[Finding | None]:
    """Where there are no texts: whether all get one answer."""
    whole = score_checks.one_answer(files.metrics["test"])
    if whole is not None or not files.metrics["ngrams"]:
        return [whole]
    network = files.metrics["network"]
    return [score_checks.one_answer(network, "network without its n-grams")]


def _of_answers(
    classifier: TextClassifier, texts: LabelledTexts, report: Report
) -> list[Finding | None]:
    """Of the classifier, and of its network alone, which n-grams can hide."""
    sample = sample_of(texts, _PREDICTED)
    if len(sample) < len(texts):
        report(f"answers: to {len(sample):,} of {len(texts):,} texts")
    names = classifier.class_names
    true = class_indices(sample.labels, names)

    def check(model: TextClassifier, what: str) -> Finding | None:
        predicted = model.predict_proba(sample.texts).argmax(axis=1)
        return score_checks.no_better_than_majority(true, predicted, len(names), what)

    whole = check(classifier, "classifier")
    if whole is not None or classifier.linear is None:
        return [whole]
    alone = TextClassifier(classifier.network, classifier.preprocessor, names)
    return [check(alone, "network without its n-grams")]


def _of_reading(
    vectorizer: TextVectorizer, texts: LabelledTexts
) -> list[Finding | None]:
    sample = sample_of(texts, _PREDICTED)
    words = TextVectorizer("word").tokenize(sample.texts)
    lengths = lengths_of(sample.texts, words, vectorizer.unit)
    return [
        token_checks.wrong_unit(sample.texts, words, vectorizer.unit),
        token_checks.cut_texts(lengths, vectorizer.max_length),
        unknown_in(sample.texts, vectorizer),
    ]


def _of_network(
    network: keras.Model, ids: np.ndarray, labels: np.ndarray, report: Report
) -> list[Finding | None]:
    found = [network_checks.padding_changes_answers(network, ids)]
    read = np.flatnonzero((ids != 0).any(axis=1))[:_TEXTS]
    few = ids[read] if network.input_shape[1] is not None else _shortened(ids[read])
    try:
        found.append(network_checks.saturated_units(network, few))
        found.append(network_checks.lost_gradients(network, few, labels[read]))
    except _NO_CHAIN as error:
        reason = shorten(reason_within(error), 150)
        report(f"saturation and gradients not looked at: {reason}")
    return found


def _shortened(ids: np.ndarray) -> np.ndarray:
    """The first tokens of each text, whichever side it is padded on."""
    rows = [row[row != 0][:_STEPS] for row in ids]
    longest = max(map(len, rows), default=1)
    return np.array([np.pad(row, (0, longest - len(row))) for row in rows])


def _of_rows(
    classifier: TextClassifier, splits: Splits | None, texts: LabelledTexts | None
) -> list[Finding | None]:
    vectorizer, network = classifier.preprocessor, classifier.network
    tokens, counts = vectorizer.get_vocabulary(), None
    if splits is not None:
        ids = vectorizer.encode(splits.train.texts).ids
        counts = np.bincount(ids.ravel(), minlength=len(tokens))
    found: list[Finding | None] = []
    found += embedding_checks.dead_embeddings(network, tokens, counts)
    if texts is not None:
        ids = vectorizer.encode(sample_of(texts, _PREDICTED).texts).ids
        unknown, read = np.sum(ids == UNKNOWN_ID), np.sum(ids != PADDING_ID)
        found.append(
            embedding_checks.untrained_unknown(network, int(unknown), int(read), counts)
        )
    return found


def _shares(files: RunFiles, splits: Splits | None) -> list[float] | None:
    """Of the classes among the training texts, if anything tells them."""
    counts = files.metrics.get("labels")
    if splits is not None:
        counts = Counter(splits.train.labels)
    return counts and [n / sum(counts.values()) for n in counts.values()]


def _any_ids(vocabulary_size: int) -> np.ndarray:
    """Token ids of no text, to read where there is none."""
    return np.random.default_rng(0).integers(1, vocabulary_size, (_TEXTS, 20))
