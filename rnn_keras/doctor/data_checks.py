"""What can be wrong with labelled texts, seen from the texts and labels themselves.

Repeats, labels that contradict each other, classes that are too small. No TensorFlow,
and all texts are looked at: it takes a second for fifty thousand reviews. Texts that
say the same in other words are not found.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.doctor.findings import EXAMPLES, Finding, score_noise
from rnn_keras.utils.messages import count_of, percent, quote, shorten

# What `rnn-keras train` divides into.
TEST_SHARE = 0.2
TRAIN_SHARE = 0.7
# A hundredth of the texts is about what two seeds differ by.
_MANY_CONTRADICTIONS = 0.01
# Below ten, the words that tell the class occur in one or two of its texts each.
_FEWEST_TO_LEARN = 10
# The interval of nine right of ten is from 0.60 to 0.98: with fewer texts it
# hardly tells a good F1 from a bad one.
_FEWEST_TO_SCORE = 10
# From here on the accuracy of always saying the larger of two classes looks good, 0.91,
_STRONG_IMBALANCE = 10
# and here, at 0.99, accuracy tells nothing and the loss little.
_EXTREME_IMBALANCE = 100

_DROPPED = ("P", "Z", "C")  # punctuation, separators, control characters


class _Bare(dict):
    """A table for `str.translate` that learns what each character becomes."""

    def __missing__(self, code: int) -> int | None:
        character = chr(code)
        dropped = character.isspace() or unicodedata.category(character)[0] in _DROPPED
        self[code] = None if dropped else code
        return self[code]


_BARE = _Bare()


def normal_form(text: str) -> str:
    """Lower-cased, without white space and punctuation.

    Symbols stay, as emoji tell much, and so do the signs of vowels in Thai or Hindi. A
    text of nothing but punctuation stays as it is.

    >>> normal_form("Don't  PANIC!") == normal_form("dont panic")
    True
    """
    return text.casefold().translate(_BARE) or text


def repeats(corpus: LabelledTexts) -> Finding | None:
    """Texts that stand there again, letter for letter and with the same label."""
    counts = Counter(zip(corpus.texts, corpus.labels, strict=True))
    more = len(corpus) - len(counts)
    if not more:
        return None
    verb = "repeats" if more == 1 else "repeat"
    return Finding(
        "repeats",
        "note",
        f"{more:,} of {len(corpus):,} texts {verb} another letter for letter.",
        "`train` and `LabelledTexts.split` leave repeats out; do so before you divide "
        "the texts in any other way.",
        tuple(
            f"{count} times: {quote(text)}"
            for (text, _), count in counts.most_common(EXAMPLES)
        ),
    )


def near_repeats(corpus: LabelledTexts, divided: bool = False) -> Finding | None:
    """Texts that are equal but for case, spacing and punctuation.

    Args:
        corpus: of which letter for letter equal texts count once.
        divided: whether the test texts are others, so that only the validation part
            is drawn from these.
    """
    groups = _groups(corpus.texts)
    near = [group for group in groups.values() if len(group) > 1]
    if not near:
        return None
    # A text of a group is tested with the first chance, and one of its likes trained
    # on with the second.
    beside = sum(len(g) * (1 - (1 - TRAIN_SHARE) ** (len(g) - 1)) for g in near)
    texts = sum(map(len, groups.values()))
    share, tested = beside / texts, round(TEST_SHARE * texts)
    serious = not divided and tested > 0 and share > score_noise(tested)
    expected = TEST_SHARE * beside
    where = (
        "a division at random can put some on both sides of training and "
        + ("validation" if divided else "test")
        if divided or not tested
        else f"a division at random has about {max(1, round(expected)):,} of "
        f"{tested:,} test texts beside their like in training"
    )
    return Finding(
        "near-repeats",
        "warning" if serious else "note",
        f"{sum(map(len, near)):,} of {texts:,} texts are equal to another but for "
        f"case, spacing and punctuation, and {where}.",
        "Keep one of those with the same `rnn_keras.data_checks.normal_form`"
        + ("." if divided else ", or give a test part of another origin with --test."),
        tuple(" | ".join(map(quote, group[:2])) for group in near[:EXAMPLES]),
    )


def repeats_across(
    train: LabelledTexts,
    test: LabelledTexts,
    divided: bool = False,
    part: str = "test",
) -> Finding | None:
    """Training texts that stand in the test part, letter for letter.

    Args:
        train: training texts.
        test: those that scores are to be made of.
        divided: whether the network is trained on all of `train` as they are; else
            `LabelledTexts.split` leaves out those that are found here.
        part: `"validation"` where `test` is only to tell when to stop.
    """
    known = set(train.texts)
    both = [text for text in test.texts if text in known]
    if not both:
        return None
    share = len(both) / len(test)
    severity = "note"
    if divided:
        serious = part == "test" and share > score_noise(len(test))
        severity = "error" if serious else "warning"
    return Finding(
        "repeats-across",
        severity,
        f"{len(both):,} of {len(test):,} {part} texts ({percent(share)}) stand among "
        f"the {len(train):,} training texts, letter for letter.",
        "Divide with `LabelledTexts.split`, or train with --test, which leave such "
        "texts out of training."
        if part == "test"
        else "Divide with `LabelledTexts.split`: what is known by heart does not tell "
        "when to stop.",
        tuple(quote(text) for text in both[:EXAMPLES]),
    )


def near_repeats_across(
    train: LabelledTexts, test: LabelledTexts, part: str = "test"
) -> Finding | None:
    """Test texts that a training text equals but for case, spacing, punctuation.

    Args:
        train: training texts.
        test: those that scores are to be made of.
        part: `"validation"` where `test` is only to tell when to stop.
    """
    known = _groups(train.texts)
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
        f"{len(pairs):,} of {len(test):,} {part} texts ({percent(share)}) equal a "
        "training text but for case, spacing and punctuation.",
        "Leave training texts out whose `rnn_keras.data_checks.normal_form` is that "
        f"of a {part} text: `split` only knows letter for letter.",
        tuple(f"{quote(a)} | {quote(b)}" for a, b in pairs[:EXAMPLES]),
    )


def contradictions(corpus: LabelledTexts) -> Finding | None:
    """Texts with two labels; case, spacing and punctuation apart."""
    labels_of: dict[str, Counter[str]] = defaultdict(Counter)
    first: dict[str, str] = {}
    for text, label in dict.fromkeys(zip(corpus.texts, corpus.labels, strict=True)):
        form = normal_form(text)
        labels_of[form][label] += 1
        first.setdefault(form, text)
    torn = [form for form, labels in labels_of.items() if len(labels) > 1]
    if not torn:
        return None
    share = len(torn) / len(labels_of)
    verb = "stands" if len(torn) == 1 else "stand"
    return Finding(
        "contradictions",
        "warning" if share > _MANY_CONTRADICTIONS else "note",
        f"{len(torn):,} of {len(labels_of):,} different texts ({percent(share)}) "
        f"{verb} there with two labels or more, case, spacing and punctuation apart.",
        "Decide on one label for each, or leave them out: no model can get both right.",
        tuple(
            f"{', '.join(map(shorten, sorted(labels_of[form])))}: {quote(first[form])}"
            for form in torn[:EXAMPLES]
        ),
    )


def small_classes(
    trained: Mapping[str, float], tested: Mapping[str, float]
) -> Finding | None:
    """Classes with too few texts to learn from, or to score.

    Args:
        trained: class name to the number of different texts to be trained on, or that
            number as it is to be expected.
        tested: likewise of the texts to be scored.
    """
    few = [name for name, n in trained.items() if n < _FEWEST_TO_LEARN]
    unscored = [name for name in trained if tested.get(name, 0) < _FEWEST_TO_SCORE]
    if not unscored and not few:
        return None
    what, rest, counts = (
        ("to learn from", "training", trained)
        if few
        else ("for a score of their own", "test", tested)
    )
    names = sorted(few or unscored, key=lambda name: (counts.get(name, 0), name))
    least = [
        f"{shorten(name)}: {count_of(round(counts.get(name, 0)), f'{rest} text')}"
        for name in names[:EXAMPLES]
    ]
    fewest = _FEWEST_TO_LEARN if few else _FEWEST_TO_SCORE
    verb = "has" if len(names) == 1 else "have"
    return Finding(
        "small-classes",
        "warning" if few else "note",
        f"{len(names):,} of {len(trained):,} classes {verb} too few texts {what}: "
        f"fewer than {fewest} {rest} texts.",
        "Join them with a class of the same kind or gather more of them; does "
        "--label-column name the label?"
        if few
        else "Read their F1 as a guess, or score on more texts of them with --test.",
        tuple(least),
    )


def imbalance(counts: Mapping[str, float]) -> Finding | None:
    """One class has many times the texts of another.

    Args:
        counts: class name to the number of different texts.
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
        f"{shorten(rarest)!r}, so that always saying it gives an accuracy of "
        f"{share:.3f}.",
        "Go by macro F1 and the F1 of the rare class, not by accuracy (`compare` has "
        "--metric macro_f1), and gather more of the rare.",
        tuple(
            f"{shorten(name)}: {count_of(round(counts[name]), 'text')}"
            for name in sorted(counts, key=lambda name: counts[name])[:EXAMPLES]
        ),
    )


def _groups(texts: Sequence[str]) -> dict[str, list[str]]:
    """The different texts by their normal form."""
    groups: dict[str, list[str]] = defaultdict(list)
    for text in dict.fromkeys(texts):
        groups[normal_form(text)].append(text)
    return groups
