"""The training doctor before training: examines labelled texts.

`examine_data` reads the texts as `rnn-keras train` would and runs every check of
`data_checks`, `leak_checks` and `token_checks` on them. What a finished training shows
is in `rnn_keras.doctor.run_examination`.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rnn_keras.classification.recipe import recipe_for
from rnn_keras.classification.settings import ModelSettings
from rnn_keras.datasets.labelled import (
    TEST_SHARE,
    TRAIN_SHARE,
    VALIDATION_SHARE,
    LabelledTexts,
    Splits,
    check_test_labels,
    class_names_of,
)
from rnn_keras.doctor import data_checks, token_checks
from rnn_keras.doctor.findings import Finding, by_severity
from rnn_keras.doctor.leak_checks import label_leaks
from rnn_keras.layers.text_vectorizer import TextVectorizer, Unit
from rnn_keras.utils.errors import InputError

Report = Callable[[str], None]

# This many texts are tokenised in one or two seconds, and a share of 1 % of them is
# then known to within 0.3 %.
SAMPLE = 5_000
# A vocabulary of this many film reviews takes three seconds.
_VOCABULARY_SAMPLE = 50_000

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
    report: Report = lambda line: None,
) -> list[Finding]:
    """Find what is wrong with labelled texts before a network is trained on them.

    Args:
        data: texts that are still to be divided, with their official test part if
            they have one; or parts that are used as they are.
        unit: this argument and the next three are as in `TextClassifier.from_texts`.
        max_length: longer texts are cut; 0 cuts none.
        max_tokens: largest size of the vocabulary.
        min_count: tokens seen less often stay unknown.
        report: receives a line for everything that is checked on a sample only.

    Returns:
        The findings, the worst first; empty if there are none.

    Raises:
        InputError: if there are no texts, or the test part has other classes.

    >>> from rnn_keras import load_dataset
    >>> [finding.name for finding in examine_data(load_dataset("seed"))]
    ['small-classes']
    """
    train, test = _train_and_test(data)
    if not len(train):
        raise InputError("no texts to examine")
    if test is not None:
        check_test_labels(train.source, set(train.labels), test.labels)
    one_class = data_checks.one_class(train)
    if one_class is not None:
        return [one_class]
    distinct = _without_repeats(train)
    sample = draw_sample(distinct, SAMPLE)
    if len(sample) < len(distinct):
        report(
            f"leaks, lengths and units: checked on {len(sample):,} of "
            f"{len(distinct):,} different texts"
        )
    recipe = recipe_for(distinct.texts, unit, _training_size(data, distinct)).override(
        ModelSettings(max_length=max_length, min_count=min_count)
    )
    vectorizer = TextVectorizer(
        recipe.unit, max_tokens=max_tokens, min_count=recipe.min_count
    )
    return by_severity(
        [
            *_check_labels(data, train, test),
            *_check_repeats(data, train, test),
            *_check_tokens(sample, recipe.unit, recipe.max_length),
            _check_unknown_tokens(distinct, test, vectorizer, report),
        ]
    )


def _check_labels(
    data: LabelledTexts | Splits, train: LabelledTexts, test: LabelledTexts | None
) -> list[Finding | None]:
    trained, tested = _class_sizes(train, test, isinstance(data, Splits))
    return [
        data_checks.lonely_classes(train),
        data_checks.repeats(train),
        data_checks.contradictions(train if test is None else _join(train, test)),
        data_checks.small_classes(trained, tested),
        data_checks.imbalance(trained),
    ]


def _check_repeats(
    data: LabelledTexts | Splits, train: LabelledTexts, test: LabelledTexts | None
) -> list[Finding | None]:
    """Check for texts that stand, or may come to stand, on two sides of a division."""
    divided = isinstance(data, Splits)
    found = []
    if test is not None:
        found.append(data_checks.repeats_across(train, test, divided))
        found.append(data_checks.near_repeats_across(train, test))
    if isinstance(data, Splits):
        parts = data.train, data.validation
        found.append(data_checks.repeats_across(*parts, divided, "validation"))
        found.append(data_checks.near_repeats_across(*parts, "validation"))
    else:
        found.append(data_checks.near_repeats(train, test is not None))
    return found


def _check_tokens(
    sample: LabelledTexts, unit: Unit, max_length: int
) -> list[Finding | None]:
    """Check for leaked labels, a unit that does not suit the texts, and cut texts."""
    tokenizer = TextVectorizer("word")
    words = tokenizer.tokenize(sample.texts)
    names = class_names_of(sample.labels)
    name_tokens = dict(zip(names, tokenizer.tokenize(names), strict=True))
    lengths = token_checks.count_tokens(sample.texts, words, unit)
    return [
        *label_leaks(words, sample.labels, name_tokens),
        token_checks.wrong_unit(sample.texts, words, unit),
        token_checks.cut_texts(lengths, max_length),
    ]


def _check_unknown_tokens(
    train: LabelledTexts,
    test: LabelledTexts | None,
    vectorizer: TextVectorizer,
    report: Report,
) -> Finding | None:
    """Adapt the vectorizer to training texts, and look for unknown tokens elsewhere.

    Elsewhere is the test part, or a fifth of the texts that is held out for it.
    """
    held_out = test
    if held_out is None:
        # At random and not by class, because a class of one text cannot be divided.
        order = np.random.default_rng(0).permutation(len(train))
        size = round(TEST_SHARE * len(train))
        held_out = train[order[:size].tolist()]
        train = train[order[size:].tolist()]
    known = draw_sample(train, _VOCABULARY_SAMPLE)
    if len(known) < len(train):
        report(f"vocabulary: made of {len(known):,} of {len(train):,} texts")
    try:
        vectorizer.adapt(known.texts)
    except InputError:
        # No token occurs `min_count` times: such a small sample tells nothing.
        return None
    return token_checks.unknown_tokens_of(
        draw_sample(held_out, SAMPLE).texts, vectorizer
    )


def draw_sample(corpus: LabelledTexts, size: int) -> LabelledTexts:
    """At most `size` of the texts: a random sample in their order, always the same."""
    if len(corpus) <= size:
        return corpus
    # A stride would see one label only, where the labels alternate.
    rows = np.random.default_rng(0).choice(len(corpus), size, replace=False)
    return corpus[np.sort(rows).tolist()]


def _train_and_test(
    data: LabelledTexts | Splits,
) -> tuple[LabelledTexts, LabelledTexts | None]:
    """The texts for training and validation, and the test part if there is one."""
    if not isinstance(data, Splits):
        return data, data.test
    train = _join(data.train, data.validation)
    return train, data.test if len(data.test) else None


def _join(one: LabelledTexts, other: LabelledTexts) -> LabelledTexts:
    return LabelledTexts(one.texts + other.texts, one.labels + other.labels, one.source)


def _without_repeats(corpus: LabelledTexts) -> LabelledTexts:
    """The texts without those that repeat another text and its label."""
    pairs = dict.fromkeys(zip(corpus.texts, corpus.labels, strict=True))
    texts, labels = zip(*pairs, strict=True)
    return replace(corpus, texts=list(texts), labels=list(labels), test=None)


def _training_size(data: LabelledTexts | Splits, distinct: LabelledTexts) -> int:
    """The number of texts that `train` will train on, which its recipe depends on."""
    if isinstance(data, Splits):
        return len(_without_repeats(data.train))
    share = TRAIN_SHARE if data.test is None else 1 - VALIDATION_SHARE
    return max(1, round(share * len(distinct)))


def _class_sizes(
    train: LabelledTexts, test: LabelledTexts | None, divided: bool
) -> tuple[dict[str, float], dict[str, float]]:
    """Expected number of different texts of each class, in training and in the test."""
    sizes = Counter(_without_repeats(train).labels)
    if test is not None:
        share = 1 if divided else 1 - VALIDATION_SHARE
        tested = Counter(_without_repeats(test).labels)
        return {name: share * n for name, n in sizes.items()}, dict(tested)
    trained = {name: TRAIN_SHARE * n for name, n in sizes.items()}
    return trained, {name: TEST_SHARE * n for name, n in sizes.items()}
