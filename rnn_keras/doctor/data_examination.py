"""The training doctor, before training: looks at labelled texts.

`examine_data` runs every check of `data_checks`, `leaks` and `token_checks` on texts
as `rnn-keras train` would read them; each check can be called alone, too. What a
finished run shows is in `rnn_keras.checkup`.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rnn_keras.classification.recipe import recipe_for
from rnn_keras.datasets.labelled import (
    LabelledTexts,
    Splits,
    check_test_labels,
    class_names_of,
    lonely_classes,
)
from rnn_keras.doctor import data_checks, token_checks
from rnn_keras.doctor.findings import Finding, by_severity
from rnn_keras.doctor.leak_checks import label_leaks
from rnn_keras.layers.text_vectorizer import TextVectorizer, Unit
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.messages import count_of, shorten

# To divide that many texts takes a second or two, and a share of one in a hundred is
# known to 0.3 of a hundredth.
SAMPLE = 5_000
# What a vocabulary is made of: that many reviews of films take three seconds.
_VOCABULARY_SAMPLE = 50_000
# Beside a test part, `rnn-keras train` holds out so much.
_VALIDATION_SHARE = 0.1

CHECKED = (
    "repeats, contradictions, leaked labels, small classes, length, unknown tokens, "
    "unit"
)


def examine_data(
    data: LabelledTexts | Splits,
    *,
    unit: Unit | None = None,
    max_length: int | None = None,
    max_tokens: int | None = 20_000,
    min_count: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[Finding]:
    """What is to be known of labelled texts before a network is trained on them.

    Args:
        data: texts that are still to be divided, with their official test part where
            they have one; or parts that are used as they are.
        unit: this and the next three are arguments of `TextClassifier.from_texts`.
        max_length: longer texts are cut; 0 cuts none.
        max_tokens: size of the vocabulary at most.
        min_count: a token seen less often stays unknown.
        report: is given lines on what is looked at in part only.

    Returns:
        The worst first; empty where nothing is found.

    Raises:
        InputError: if there are no texts, or the test part has other classes.

    >>> from rnn_keras import load_dataset
    >>> [finding.name for finding in examine_data(load_dataset("seed"))]
    ['small-classes']
    """
    divided = isinstance(data, Splits)
    train, test = _parts(data)
    if not len(train):
        raise InputError("no texts to examine")
    if test is not None:
        check_test_labels(train.source, set(train.labels), test.labels)
    classes = one_class(train)
    if classes is not None:
        return [classes]
    trained, tested = _class_sizes(train, test, divided)
    found = [
        lonely_class(train),
        data_checks.repeats(train),
        data_checks.contradictions(train if test is None else _joined(train, test)),
        data_checks.small_classes(trained, tested),
        data_checks.imbalance(trained),
    ]
    if test is not None:
        found.append(data_checks.repeats_across(train, test, divided))
        found.append(data_checks.near_repeats_across(train, test))
    if isinstance(data, Splits):
        parts = data.train, data.validation
        found.append(data_checks.repeats_across(*parts, divided, "validation"))
        found.append(data_checks.near_repeats_across(*parts, "validation"))
    else:
        found.append(data_checks.near_repeats(train, test is not None))
    distinct = _distinct(train)
    sample = sample_of(distinct, SAMPLE)
    if len(sample) < len(distinct):
        report(
            f"leaks, lengths and units: {len(sample):,} of {len(distinct):,} different "
            "texts looked at"
        )
    recipe = recipe_for(distinct.texts, unit, _trained_on(data, distinct)).but(
        max_length=max_length, min_count=min_count
    )
    reader = TextVectorizer("word")
    words = reader.tokenize(sample.texts)
    names = class_names_of(train.labels)
    name_tokens = dict(zip(names, reader.tokenize(names), strict=True))
    vectorizer = TextVectorizer(
        recipe.unit, max_tokens=max_tokens, min_count=recipe.min_count
    )
    found += label_leaks(words, sample.labels, name_tokens)
    found.append(token_checks.wrong_unit(sample.texts, words, recipe.unit))
    lengths = lengths_of(sample.texts, words, recipe.unit)
    found.append(token_checks.cut_texts(lengths, recipe.max_length))
    found.append(_unknown_of(distinct, test, vectorizer, report))
    return by_severity(found)


def one_class(train: LabelledTexts) -> Finding | None:
    """All texts have the same label, so that there is nothing to tell apart."""
    labels = set(train.labels)
    if len(labels) > 1:
        return None
    return Finding(
        "one-class",
        "error",
        f"All {count_of(len(train), 'text')} have the label "
        f"{shorten(next(iter(labels)))!r}, and a classifier needs two classes.",
        "Name the column of the labels with --label-column, or add texts of another "
        "class.",
    )


def lonely_class(train: LabelledTexts) -> Finding | None:
    """A class of one text, which cannot be divided: `split` refuses it."""
    counts = train.class_sizes()
    lonely = lonely_classes(counts)
    if not lonely:
        return None
    verb = "has" if len(lonely) == 1 else "have"
    return Finding(
        "lonely-class",
        "error",
        f"{len(lonely):,} of {len(counts):,} classes {verb} one different text only, "
        "and `train` refuses what it cannot divide.",
        "Leave such classes out or join them with others; does --label-column name "
        "the label?",
        tuple(map(shorten, lonely[:3])),
    )


def unknown_in(texts: Sequence[str], vectorizer: TextVectorizer) -> Finding | None:
    """How much of texts is unknown to a vectorizer that has a vocabulary.

    Args:
        texts: that it was not adapted to.
        vectorizer: its `max_length` is left out of account.
    """
    known = set(vectorizer.get_vocabulary())
    tokens = vectorizer.tokenize(texts)
    strange = [[token for token in row if token not in known] for row in tokens]
    often = Counter(token for row in strange for token in row).most_common(3)
    limit = vectorizer.max_tokens
    return token_checks.unknown_tokens(
        np.array([len(row) for row in strange]),
        np.array([len(row) for row in tokens]),
        full=limit is not None and len(known) >= limit,
        min_count=vectorizer.min_count,
        examples=[token for token, _ in often],
    )


def lengths_of(
    texts: Sequence[str], words: Sequence[Sequence[str]], unit: str
) -> np.ndarray:
    """Tokens of each text, uncut `(texts,)`.

    Args:
        texts: raw.
        words: of each, as `TextVectorizer("word")` divides them.
        unit: `"word"` or `"character"`.
    """
    return np.array([len(of) for of in (words if unit == "word" else texts)])


def sample_of(corpus: LabelledTexts, size: int) -> LabelledTexts:
    """So many of the texts, drawn at random, the same each time, in their order."""
    if len(corpus) <= size:
        return corpus
    # No stride: where the labels alternate, it would see one of them.
    rows = np.random.default_rng(0).choice(len(corpus), size, replace=False)
    return corpus[np.sort(rows).tolist()]


def _parts(data: LabelledTexts | Splits) -> tuple[LabelledTexts, LabelledTexts | None]:
    """What is trained on or stops training, and the test part where there is one."""
    if not isinstance(data, Splits):
        return data, data.test
    train = _joined(data.train, data.validation)
    return train, data.test if len(data.test) else None


def _joined(one: LabelledTexts, other: LabelledTexts) -> LabelledTexts:
    return LabelledTexts(one.texts + other.texts, one.labels + other.labels, one.source)


def _distinct(corpus: LabelledTexts) -> LabelledTexts:
    """The texts without those that repeat another and its label."""
    pairs = dict.fromkeys(zip(corpus.texts, corpus.labels, strict=True))
    texts, labels = zip(*pairs, strict=True)
    return replace(corpus, texts=list(texts), labels=list(labels), test=None)


def _trained_on(data: LabelledTexts | Splits, distinct: LabelledTexts) -> int:
    """How many texts `train` makes its recipe for."""
    if isinstance(data, Splits):
        return len(_distinct(data.train))
    share = data_checks.TRAIN_SHARE if data.test is None else 1 - _VALIDATION_SHARE
    return max(1, round(share * len(distinct)))


def _class_sizes(
    train: LabelledTexts, test: LabelledTexts | None, divided: bool
) -> tuple[dict[str, float], dict[str, float]]:
    """Different texts of each class that are trained on, and that are scored."""
    counts = Counter(_distinct(train).labels)
    if test is not None:
        share = 1 if divided else 1 - _VALIDATION_SHARE
        tested = Counter(_distinct(test).labels)
        return {name: share * n for name, n in counts.items()}, dict(tested)
    trained = {name: data_checks.TRAIN_SHARE * n for name, n in counts.items()}
    return trained, {name: data_checks.TEST_SHARE * n for name, n in counts.items()}


def _unknown_of(
    train: LabelledTexts,
    test: LabelledTexts | None,
    vectorizer: TextVectorizer,
    report: Callable[[str], None],
) -> Finding | None:
    """With a vocabulary of training texts, of the test or of a fifth held out."""
    held_out = test
    if held_out is None:
        # At random and not by class: a class of one text cannot be divided.
        order = np.random.default_rng(0).permutation(len(train))
        size = round(data_checks.TEST_SHARE * len(train))
        held_out = train[order[:size].tolist()]
        train = train[order[size:].tolist()]
    known = sample_of(train, _VOCABULARY_SAMPLE)
    if len(known) < len(train):
        report(f"vocabulary: of {len(known):,} of {len(train):,} texts")
    try:
        vectorizer.adapt(known.texts)
    except InputError:
        # No token occurs `min_count` times: with so few texts there is no telling.
        return None
    return unknown_in(sample_of(held_out, SAMPLE).texts, vectorizer)
