"""Checks of labelled texts: repeats, contradicting labels, classes of bad sizes.

The checks look at all texts, at raw characters and labels only, and need no TensorFlow;
fifty thousand film reviews take a second. Texts that say the same in other words are
not found.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from rnn_keras.datasets.labelled import (
    TEST_SHARE,
    TRAIN_SHARE,
    LabelledTexts,
    classes_of_one_text,
)
from rnn_keras.doctor.findings import EXAMPLES, Finding, Severity, score_noise
from rnn_keras.utils.messages import count_of, percent, quote, shorten

# Two training seeds change a score by about one hundredth.
_MANY_CONTRADICTIONS = 0.01
# In a class of fewer texts, a word that tells the class is in one or two of them.
_FEWEST_TO_LEARN = 10
# If nine of ten texts are right, the interval is 0.60 to 0.98: with fewer texts a good
# F1 can hardly be told from a bad one.
_FEWEST_TO_SCORE = 10
# Always answering the larger of two classes has accuracy 0.91 from this ratio on, which
# looks good, and 0.99 from the second one on, where accuracy says nothing.
_STRONG_IMBALANCE = 10
_EXTREME_IMBALANCE = 100

# Unicode's categories of punctuation, separators and control characters.
_IGNORED_CATEGORIES = ("P", "Z", "C")


class _IgnoredCharacters(dict[int, int | None]):
    """A table for `str.translate` that learns about each character when it comes."""

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        category = unicodedata.category(character)[0]
        ignored = character.isspace() or category in _IGNORED_CATEGORIES
        self[code] = None if ignored else code
        return self[code]


_IGNORED = _IgnoredCharacters()


def normal_form(text: str) -> str:
    """The text in lower case, without white space and punctuation.

    Symbols stay, because an emoji can carry the meaning, and so do the vowel signs of
    Thai or Hindi. A text of nothing but punctuation stays as it is.

    >>> normal_form("Don't  PANIC!") == normal_form("dont panic")
    True
    """
    return text.casefold().translate(_IGNORED) or text


def one_class(corpus: LabelledTexts) -> Finding | None:
    """Find out whether all texts have the same label."""
    labels = set(corpus.labels)
    if len(labels) > 1:
        return None
    return Finding(
        "one-class",
        "error",
        f"All {count_of(len(corpus), 'text')} have the label "
        f"{shorten(next(iter(labels)))!r}, but a classifier needs two classes.",
        "Name the column of the labels with --label-column, or add texts of another "
        "class.",
    )


def lonely_classes(corpus: LabelledTexts) -> Finding | None:
    """Find classes of one text, which `split` refuses because it cannot divide them."""
    sizes = corpus.class_sizes()
    lonely = classes_of_one_text(sizes)
    if not lonely:
        return None
    verb = "has" if len(lonely) == 1 else "have"
    return Finding(
        "lonely-class",
        "error",
        f"{len(lonely):,} of {len(sizes):,} classes {verb} only one different text, "
        "which `train` cannot divide and therefore refuses.",
        "Leave such classes out or merge them with others; also check that "
        "--label-column names the column of the labels.",
        tuple(map(shorten, lonely[:EXAMPLES])),
    )


def repeats(corpus: LabelledTexts) -> Finding | None:
    """Find texts that occur again, letter for letter and with the same label."""
    counts = Counter(zip(corpus.texts, corpus.labels, strict=True))
    more = len(corpus) - len(counts)
    if not more:
        return None
    verb = "repeats" if more == 1 else "repeat"
    return Finding(
        "repeats",
        "note",
        f"{more:,} of {len(corpus):,} texts {verb} another letter for letter.",
        "`train` and `LabelledTexts.split` leave repeats out; if you divide the texts "
        "in any other way, remove them first.",
        tuple(
            f"{count} times: {quote(text)}"
            for (text, _), count in counts.most_common(EXAMPLES)
        ),
    )


def near_repeats(corpus: LabelledTexts, has_test: bool = False) -> Finding | None:
    """Find texts that differ in case, spacing and punctuation only.

    Args:
        corpus: texts to be divided at random. Texts that are equal letter for letter
            count once.
        has_test: whether there is a test part already, so that only a validation part
            is drawn from these texts.
    """
    groups = _groups_by_normal_form(corpus.texts)
    near = [group for group in groups.values() if len(group) > 1]
    if not near:
        return None
    # Expected number of texts that have one of their group in training: each of the
    # others is there with the probability TRAIN_SHARE.
    beside = sum(len(g) * (1 - (1 - TRAIN_SHARE) ** (len(g) - 1)) for g in near)
    texts = sum(map(len, groups.values()))
    tested = round(TEST_SHARE * texts)
    serious = not has_test and tested > 0 and beside / texts > score_noise(tested)
    part = "validation" if has_test else "test"
    consequence = f"can put some of them on both sides of training and {part}"
    if tested and not has_test:
        expected = max(1, round(TEST_SHARE * beside))
        consequence = (
            f"gives about {expected:,} of {tested:,} test texts such a twin in training"
        )
    return Finding(
        "near-repeats",
        "warning" if serious else "note",
        f"{sum(map(len, near)):,} of {texts:,} texts differ from another only in case, "
        f"spacing and punctuation, and a random division {consequence}.",
        "Keep one text of each `rnn_keras.doctor.data_checks.normal_form`"
        + ("." if has_test else ", or give a test part of another origin with --test."),
        tuple(" | ".join(map(quote, group[:2])) for group in near[:EXAMPLES]),
    )


def repeats_across(
    train: LabelledTexts,
    test: LabelledTexts,
    divided: bool = False,
    part: str = "test",
) -> Finding | None:
    """Find test texts that are training texts, too, letter for letter.

    Args:
        train: training texts.
        test: texts that are held out.
        divided: whether the network trains on all of `train` as it is. Otherwise
            `LabelledTexts.split` removes what is found here, and it is a note.
        part: `"test"` if `test` is for the final scores, `"validation"` if it only
            decides when training stops.
    """
    known = set(train.texts)
    both = [text for text in test.texts if text in known]
    if not both:
        return None
    share = len(both) / len(test)
    severity: Severity = "note"
    if divided:
        serious = part == "test" and share > score_noise(len(test))
        severity = "error" if serious else "warning"
    return Finding(
        "repeats-across",
        severity,
        f"{len(both):,} of {len(test):,} {part} texts ({percent(share)}) are among the "
        f"{len(train):,} training texts, letter for letter.",
        "Divide with `LabelledTexts.split`, or train with --test: both leave such "
        "texts out of training."
        if part == "test"
        else "Divide with `LabelledTexts.split`: texts that the network knows by heart "
        "cannot tell when to stop.",
        tuple(quote(text) for text in both[:EXAMPLES]),
    )


def near_repeats_across(
    train: LabelledTexts, test: LabelledTexts, part: str = "test"
) -> Finding | None:
    """Find test texts that differ from a training text in case and the like only.

    Args:
        train: training texts.
        test: texts that are held out.
        part: as in `repeats_across`.
    """
    known = _groups_by_normal_form(train.texts)
    exact = set(train.texts)
    pairs = [
        (text, known[form][0])
        for text in test.texts
        if text not in exact and (form := normal_form(text)) in known
    ]
    if not pairs:
        return None
    share = len(pairs) / len(test)
    return Finding(
        "near-repeats-across",
        "warning" if share > score_noise(len(test)) else "note",
        f"{len(pairs):,} of {len(test):,} {part} texts ({percent(share)}) differ from "
        "a training text only in case, spacing and punctuation.",
        "Remove training texts that have the same "
        f"`rnn_keras.doctor.data_checks.normal_form` as a {part} text: `split` removes "
        "exact repeats only.",
        tuple(f"{quote(a)} | {quote(b)}" for a, b in pairs[:EXAMPLES]),
    )


def contradictions(corpus: LabelledTexts) -> Finding | None:
    """Find texts with several labels; case, spacing and punctuation do not count."""
    labels_of: dict[str, Counter[str]] = defaultdict(Counter)
    first: dict[str, str] = {}
    for text, label in dict.fromkeys(zip(corpus.texts, corpus.labels, strict=True)):
        form = normal_form(text)
        labels_of[form][label] += 1
        first.setdefault(form, text)
    contradicted = [form for form, labels in labels_of.items() if len(labels) > 1]
    if not contradicted:
        return None
    share = len(contradicted) / len(labels_of)
    verb = "has" if len(contradicted) == 1 else "have"
    return Finding(
        "contradictions",
        "warning" if share > _MANY_CONTRADICTIONS else "note",
        f"{len(contradicted):,} of {len(labels_of):,} different texts "
        f"({percent(share)}) {verb} several labels, if case, spacing and punctuation "
        "are ignored.",
        "Choose one label for each, or leave these texts out: no model can get both "
        "labels right.",
        tuple(
            f"{', '.join(map(shorten, sorted(labels_of[form])))}: {quote(first[form])}"
            for form in contradicted[:EXAMPLES]
        ),
    )


def small_classes(
    trained: Mapping[str, float], tested: Mapping[str, float]
) -> Finding | None:
    """Find classes with too few texts to learn from, or to score.

    Args:
        trained: for each class name, the number of different texts to train on; may be
            an expected number.
        tested: likewise the number of texts to score.
    """
    few = [name for name, n in trained.items() if n < _FEWEST_TO_LEARN]
    unscored = [name for name in trained if tested.get(name, 0) < _FEWEST_TO_SCORE]
    if not unscored and not few:
        return None
    purpose, part, counts, fewest = (
        ("to learn from", "training", trained, _FEWEST_TO_LEARN)
        if few
        else ("to be scored", "test", tested, _FEWEST_TO_SCORE)
    )
    names = sorted(few or unscored, key=lambda name: (counts.get(name, 0), name))
    verb = "has" if len(names) == 1 else "have"
    return Finding(
        "small-classes",
        "warning" if few else "note",
        f"{len(names):,} of {len(trained):,} classes {verb} too few texts {purpose}: "
        f"fewer than {fewest} {part} texts.",
        "Merge them with a similar class, or collect more of their texts; also check "
        "that --label-column names the column of the labels."
        if few
        else "Treat their F1 as a rough guess, or score them on more texts with "
        "--test.",
        tuple(
            f"{shorten(name)}: {count_of(round(counts.get(name, 0)), f'{part} text')}"
            for name in names[:EXAMPLES]
        ),
    )


def imbalance(counts: Mapping[str, float]) -> Finding | None:
    """Find out whether one class has many times the texts of another.

    Args:
        counts: for each class name, the number of different texts.
    """
    largest = max(counts, key=lambda name: counts[name])
    rarest = min(counts, key=lambda name: counts[name])
    ratio = counts[largest] / max(1, counts[rarest])
    if ratio < _STRONG_IMBALANCE:
        return None
    share = counts[largest] / sum(counts.values())
    return Finding(
        "imbalance",
        "warning" if ratio >= _EXTREME_IMBALANCE else "note",
        f"Class {shorten(largest)!r} has {ratio:,.0f} times the texts of "
        f"{shorten(rarest)!r}, so a classifier that always answers "
        f"{shorten(largest)!r} has an accuracy of {share:.3f}.",
        "Judge by macro F1 and by the F1 of the rare class instead of accuracy "
        "(`compare` has --metric macro_f1), and collect more texts of the rare class.",
        tuple(
            f"{shorten(name)}: {count_of(round(counts[name]), 'text')}"
            for name in sorted(counts, key=lambda name: counts[name])[:EXAMPLES]
        ),
    )


def _groups_by_normal_form(texts: Sequence[str]) -> dict[str, list[str]]:
    """The different texts of each normal form."""
    groups: dict[str, list[str]] = defaultdict(list)
    for text in dict.fromkeys(texts):
        groups[normal_form(text)].append(text)
    return groups
