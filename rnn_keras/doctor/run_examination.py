"""The training doctor after training: examines a run, or any network.

`examine_run` runs every check of `training_checks` and `network_checks` on the folder
of a run, and those of `token_checks` with the run's own vectorizer. `examine_network`
runs the checks that need no texts on a Keras model. What the texts themselves show is
in `rnn_keras.doctor.data_examination`.
"""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.datasets.labelled import LabelledTexts, Splits
from rnn_keras.doctor import network_checks, token_checks, training_checks
from rnn_keras.doctor.data_examination import Report, draw_sample
from rnn_keras.doctor.findings import Finding, by_severity
from rnn_keras.doctor.training_checks import History
from rnn_keras.experiments.run_files import (
    RunFiles,
    checked_history,
    load_source,
    read_run,
    texts_of_run,
)
from rnn_keras.experiments.run_folder import MODEL
from rnn_keras.layers.text_vectorizer import PADDING_ID, UNKNOWN_ID, TextVectorizer
from rnn_keras.utils.errors import InputError, reason_within
from rnn_keras.utils.messages import shorten
from rnn_keras.utils.predictions import class_indices

# Predictions take most of the time: some ten seconds for 2,000 reviews on two cores.
_PREDICTED_TEXTS = 2_000
# Step by step, outside the fast loop, a network reads some hundred steps a second.
_STEPWISE_TEXTS, _STEPWISE_STEPS = 16, 200
_PADDED_TEXTS = 64
# What a network that is not a chain of layers raises when it is run step by step.
_NOT_A_CHAIN = (ValueError, TypeError, tf.errors.OpError)

CHECKED = (
    "loss, scores, overfitting, padding, saturation, gradients, embeddings, length, "
    "unknown tokens, unit"
)
CHECKED_WITHOUT_TEXTS = "loss, baseline, overfitting, padding, embeddings"


def examine_run(
    folder: str | Path,
    data: LabelledTexts | None = None,
    *,
    report: Report = lambda line: None,
) -> list[Finding]:
    """Find what is wrong with a finished run.

    Args:
        folder: holds `model.keras`, `metrics.json` and `history.csv`.
        data: the labelled texts that the run was made of, which are divided again as
            they were then; or other texts, which count as new ones. By default the
            source that the run names, if it can be loaded and gives the same parts.
        report: receives a line for everything that is not checked, or on a sample only.

    Returns:
        The findings, the worst first; empty if there are none.

    Raises:
        InputError: if a file is missing or damaged, or `data` has a label that is not
            one of the classes.
    """
    folder = Path(folder)
    files = read_run(folder)
    classifier = TextClassifier.load(folder / MODEL)
    if list(classifier.class_names) != files.metrics.class_names:
        raise InputError(f"{folder}: model.keras and metrics.json have other classes")
    splits, texts = _texts_for(files, data, report)
    found = _check_history(files, _class_shares(files, splits))
    baseline = files.metrics.baseline
    found.append(training_checks.behind_baseline(files.metrics.test, baseline))
    if texts is None:
        found += _check_scores(files)
        ids = _random_ids(classifier.preprocessor.vocabulary_size())
        found.append(network_checks.padding_changes_answers(classifier.network, ids))
    else:
        found += _check_answers(classifier, texts, report)
        found += _check_tokens(classifier.preprocessor, texts)
        sample = draw_sample(texts, _PADDED_TEXTS)
        ids = classifier.preprocessor.encode(sample.texts).ids
        labels = class_indices(sample.labels, classifier.class_names)
        found += _check_network(classifier.network, ids, labels, report)
    found += _check_embeddings(classifier, splits, texts)
    return by_severity(found)


def examine_network(
    network: keras.Model,
    ids: np.ndarray,
    labels: np.ndarray,
    history: History | keras.callbacks.History | None = None,
    *,
    report: Report = lambda line: None,
) -> list[Finding]:
    """Find what is wrong with a trained network, from this package or not.

    Args:
        network: from token ids `(batch, timesteps)` to logits; 0 is padding.
        ids: token ids of training texts, `(texts, timesteps)`.
        labels: class indices of these texts, `(texts,)`.
        history: history of a training with cross-entropy: what `fit` returned, or its
            attribute `history`.
        report: receives a line for everything that is not checked.

    Returns:
        The findings, the worst first; empty if there are none.

    Raises:
        InputError: if there are no texts, the numbers of texts and labels differ, or
            an argument is something else than described here.
    """
    ids, labels = network_checks.check_network_and_texts(network, ids, labels)
    found: list[Finding | None] = []
    if history is not None:
        history = checked_history(history, "history")
        shares = np.bincount(labels) / len(labels)
        found += [
            training_checks.loss_not_finite(history),
            training_checks.loss_jumps(history),
            training_checks.loss_at_chance(history, shares),
            *training_checks.overfitting(history),
        ]
    rows = np.random.default_rng(0).permutation(len(ids))[:_PADDED_TEXTS]
    found += _check_network(network, ids[rows], labels[rows], report)
    counts = np.bincount(ids.ravel())
    names = [f"id {i}" for i in range(len(counts))]
    found += network_checks.dead_embeddings(network, names, counts)
    return by_severity(found)


def _texts_for(
    files: RunFiles, data: LabelledTexts | None, report: Report
) -> tuple[Splits | None, LabelledTexts | None]:
    """The parts of the run, if they are known, and texts to check its answers on."""
    metrics = files.metrics
    corpus = load_source(metrics) if data is None else data
    splits = None if corpus is None else texts_of_run(metrics, corpus)
    if splits is not None:
        return splits, splits.test
    if data is None:
        why = "are missing, have changed, or are too many to be held in memory"
        hint = "to give them"
        if metrics.streamed:
            why = "were read as a stream, whose parts cannot be made again here"
            hint = "to give others"
        report(
            f"{metrics.source}: the texts of the run {why}; only "
            f"{CHECKED_WITHOUT_TEXTS} checked (use --data {hint})"
        )
        return None, None
    what = "these are not the texts of the run, so they are examined as new texts"
    if metrics.streamed:
        what = "examined as new texts; which texts the run read as a stream is unknown"
    report(f"{data.source}: {what}")
    others = data.test or data
    class_indices(others.labels, metrics.class_names)
    return None, others


def _check_history(
    files: RunFiles, shares: Sequence[float] | None
) -> list[Finding | None]:
    """Check the losses and accuracies of the epochs.

    Args:
        files: files of the run.
        shares: share of each class among the training texts, if known.
    """
    history, metrics = files.history, files.metrics
    sizes = metrics.texts
    return [
        training_checks.loss_not_finite(history),
        training_checks.loss_jumps(history),
        training_checks.loss_at_chance(history, shares, len(metrics.class_names)),
        *training_checks.overfitting(
            history,
            trained=sizes.get("train"),
            validated=sizes.get("validation"),
            best_kept=metrics.settings.get("patience") is not None,
        ),
    ]


def _check_scores(files: RunFiles) -> list[Finding | None]:
    """Find out from the scores, without texts, whether all texts get one answer."""
    found = training_checks.one_answer(files.metrics.test)
    if found is not None or not files.metrics.ngrams:
        return [found]
    network = files.metrics.network
    return [training_checks.one_answer(network, "network without its n-grams")]


def _check_answers(
    classifier: TextClassifier, texts: LabelledTexts, report: Report
) -> list[Finding | None]:
    """Check the answers of the classifier, then those of its network alone.

    The n-grams of the linear path can hide that the network has learned nothing.
    """
    sample = draw_sample(texts, _PREDICTED_TEXTS)
    if len(sample) < len(texts):
        report(f"answers: checked on {len(sample):,} of {len(texts):,} texts")
    names = classifier.class_names
    true = class_indices(sample.labels, names)

    def check(model: TextClassifier, what: str) -> Finding | None:
        predicted = model.predict_proba(sample.texts).argmax(axis=1)
        return training_checks.no_better_than_majority(
            true, predicted, len(names), what
        )

    found = check(classifier, "classifier")
    if found is not None or classifier.linear is None:
        return [found]
    alone = TextClassifier(classifier.network, classifier.preprocessor, names)
    return [check(alone, "network without its n-grams")]


def _check_tokens(
    vectorizer: TextVectorizer, texts: LabelledTexts
) -> list[Finding | None]:
    """Check how the run's vectorizer reads the texts."""
    sample = draw_sample(texts, _PREDICTED_TEXTS)
    words = TextVectorizer("word").tokenize(sample.texts)
    lengths = token_checks.count_tokens(sample.texts, words, vectorizer.unit)
    return [
        token_checks.wrong_unit(sample.texts, words, vectorizer.unit),
        token_checks.cut_texts(lengths, vectorizer.max_length),
        token_checks.unknown_tokens_of(sample.texts, vectorizer),
    ]


def _check_network(
    network: keras.Model, ids: np.ndarray, labels: np.ndarray, report: Report
) -> list[Finding | None]:
    """Check padding, saturation and gradients on a few texts.

    Args:
        network: from token ids to logits.
        ids: token ids `(texts, timesteps)`, padded with 0.
        labels: class indices `(texts,)`.
        report: receives a line if the network cannot be run step by step.
    """
    found = [network_checks.padding_changes_answers(network, ids)]
    filled = np.flatnonzero((ids != 0).any(axis=1))[:_STEPWISE_TEXTS]
    few = ids[filled]
    if network.input_shape[1] is None:
        few = _first_tokens(few, _STEPWISE_STEPS)
    try:
        found.append(network_checks.saturated_units(network, few))
        found.append(network_checks.lost_gradients(network, few, labels[filled]))
    except _NOT_A_CHAIN as error:
        reason = shorten(reason_within(error), 150)
        report(f"saturation and gradients not checked: {reason}")
    return found


def _first_tokens(ids: np.ndarray, most: int) -> np.ndarray:
    """At most so many first tokens of each text, padded on the right with 0.

    Args:
        ids: token ids `(texts, timesteps)`, padded with 0 on either side.
        most: largest number of tokens.
    """
    rows = [row[row != 0][:most] for row in ids]
    longest = max(map(len, rows), default=1)
    return np.array([np.pad(row, (0, longest - len(row))) for row in rows])


def _check_embeddings(
    classifier: TextClassifier, splits: Splits | None, texts: LabelledTexts | None
) -> list[Finding | None]:
    """Check the rows of the embedding.

    Args:
        classifier: the classifier of the run.
        splits: parts of the run, if they are known.
        texts: new texts, if there are any.
    """
    vectorizer, network = classifier.preprocessor, classifier.network
    tokens, counts = vectorizer.get_vocabulary(), None
    if splits is not None:
        ids = vectorizer.encode(splits.train.texts).ids
        counts = np.bincount(ids.ravel(), minlength=len(tokens))
    found: list[Finding | None] = []
    found += network_checks.dead_embeddings(network, tokens, counts)
    if texts is not None:
        ids = vectorizer.encode(draw_sample(texts, _PREDICTED_TEXTS).texts).ids
        unknown, read = int(np.sum(ids == UNKNOWN_ID)), int(np.sum(ids != PADDING_ID))
        found.append(network_checks.untrained_unknown(network, unknown, read, counts))
    return found


def _class_shares(files: RunFiles, splits: Splits | None) -> list[float] | None:
    """Share of each class among the training texts; `None` if nothing tells it."""
    counts = files.metrics.labels if splits is None else splits.trained
    return [n / sum(counts.values()) for n in counts.values()] if counts else None


def _random_ids(vocabulary_size: int) -> np.ndarray:
    """Random token ids, for a network of which no text is known."""
    return np.random.default_rng(0).integers(1, vocabulary_size, (_STEPWISE_TEXTS, 20))
