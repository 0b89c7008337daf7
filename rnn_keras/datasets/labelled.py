"""Labelled texts, their split for training, validation and test, and class names.

`LabelledTexts` holds texts in memory and splits them into `Splits`. `SplitTexts` is the
interface of `Splits` and of `rnn_keras.datasets.streaming.Stream`: classifiers are
trained on either. The functions at the end turn labels into class names.

No text is in two parts, and exact repeats are left out. How files are read is decided
elsewhere.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from rnn_keras.utils.errors import InputError, check_pairs
from rnn_keras.utils.messages import count_of, shorten

# The shares of all texts in each part of a split, by default.
VALIDATION_SHARE, TEST_SHARE = 0.1, 0.2
TRAIN_SHARE = 0.7

# Some texts and as many labels, read at one time.
Texts = tuple[list[str], list[str]]


@dataclass(frozen=True)
class LabelledTexts:
    """Texts in memory, with one label each.

    Attributes:
        texts: the texts, without white space at both ends; none is empty.
        labels: the label of each text.
        source: where the texts come from.
        notes: what was left out while reading, one sentence each.
        test: the official test part, if the corpus has one.
    """

    texts: list[str]
    labels: list[str]
    source: str = ""
    notes: tuple[str, ...] = ()
    test: "LabelledTexts | None" = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, rows: Sequence[int]) -> "LabelledTexts":
        """Return the texts at the positions `rows`, in that order."""
        return LabelledTexts(
            [self.texts[i] for i in rows], [self.labels[i] for i in rows], self.source
        )

    def split(
        self,
        *,
        validation: float = VALIDATION_SHARE,
        test: float = TEST_SHARE,
        seed: int = 0,
    ) -> "Splits":
        """Split at random, with the same share of each class in every part.

        Exact repeats (same text, same label) are left out first. A text that has
        several labels keeps them, all in one part. If the corpus has an official test
        part, it is used as the test part, and training texts that occur in it are left
        out.

        Args:
            validation: share of all texts that is held out to decide when to stop.
            test: share of all texts that is held out for the final scores; ignored if
                there is an official test part. A part that would have fewer texts than
                there are classes gets more; if too few texts would then be left for
                training, the part stays empty.
            seed: seed of the split.

        Raises:
            InputError: if there is only one class, a class has only one text, or the
                test part has other classes.
            ValueError: if a share is negative, or their sum is not below 1.
        """
        if validation < 0 or test < 0 or validation + test >= 1:
            raise ValueError(
                "`validation` and `test` must be shares whose sum is below 1. "
                f"Received: validation={validation}, test={test}"
            )
        rows_of, notes = self._distinct_texts()
        counts = self.class_sizes()
        if not counts:
            raise InputError(f"{self.source}: every training text is also in the test")
        check_classes(self.source, counts)
        if self.test is not None:
            check_test_labels(self.source, set(counts), self.test.labels)

        labels_of = {t: {self.labels[i] for i in rows} for t, rows in rows_of.items()}
        # For stratifying, a text with several labels belongs to the rarest of them.
        stratum = {
            text: min(labels, key=lambda label: (counts[label], label))
            for text, labels in labels_of.items()
        }
        train = list(rows_of)
        tested: list[str] = []
        if self.test is None:
            train, tested = _hold_out(train, stratum, test, seed)
            validation = validation / (1 - test)
        train, validated = _hold_out(train, stratum, validation, seed)
        # If only texts with several labels have a class, one must be trained on.
        known = {label for text in train for label in labels_of[text]}
        needed = {t for t in (*tested, *validated) if not labels_of[t] <= known}

        def part(texts: Iterable[str]) -> LabelledTexts:
            return self[[i for text in texts for i in rows_of[text]]]

        return Splits(
            part([*train, *sorted(needed)]),
            part(t for t in validated if t not in needed),
            self.test or part(t for t in tested if t not in needed),
            tuple(notes),
        )

    def class_sizes(self) -> Counter[str]:
        """Count the distinct texts of each class that are not in the test part."""
        held_out = set() if self.test is None else set(self.test.texts)
        pairs = dict.fromkeys(zip(self.texts, self.labels, strict=True))
        return Counter(label for text, label in pairs if text not in held_out)

    def _distinct_texts(self) -> tuple[dict[str, list[int]], list[str]]:
        """Find the rows to split, and leave out repeats and texts of the test part.

        Returns:
            The rows of each distinct text, one for each of its labels; and notes on
            what was left out.
        """
        held_out = set() if self.test is None else set(self.test.texts)
        rows_of: dict[str, list[int]] = {}
        seen = set()
        for i, pair in enumerate(zip(self.texts, self.labels, strict=True)):
            if pair[0] not in held_out and pair not in seen:
                seen.add(pair)
                rows_of.setdefault(pair[0], []).append(i)
        in_test = sum(text in held_out for text in self.texts)
        repeats = len(self) - in_test - len(seen)
        notes = []
        if in_test:
            what = count_of(in_test, "training text")
            notes.append(f"{what} also in the test left out")
        if repeats:
            notes.append(f"{count_of(repeats, 'exact repeat')} left out")
        return rows_of, notes


def _hold_out(
    texts: list[str], stratum: dict[str, str], share: float, seed: int
) -> tuple[list[str], list[str]]:
    """Split off a share of each stratum; returns what stays and what is held out."""
    from sklearn.model_selection import train_test_split

    counts = Counter(stratum[text] for text in texts)
    # A class with a single text cannot be split: the text stays.
    alone = [text for text in texts if counts[stratum[text]] < 2]
    rest = [text for text in texts if counts[stratum[text]] > 1]
    classes = len(counts) - len(alone)
    size = max(round(share * len(texts)), classes)
    if share <= 0 or not rest or len(rest) - size < classes:
        return texts, []
    labels = [stratum[text] for text in rest]
    kept, held_out = train_test_split(
        rest, test_size=size, random_state=seed, stratify=labels
    )
    return alone + kept, held_out


class SplitTexts(Protocol):
    """Labelled texts in three parts, on which a classifier is trained and scored.

    `Splits` holds all texts in memory; `rnn_keras.datasets.streaming.Stream` reads them
    from a table whenever they are needed. Code that trains uses only what is here, so
    it works with both.
    """

    @property
    def source(self) -> str:
        """Name of the data, for messages."""

    @property
    def block_size(self) -> int | None:
        """Number of training texts in memory at a time; `None` if all are."""

    @property
    def sizes(self) -> dict[str, int]:
        """Number of texts in "train", "validation" and "test"."""

    @property
    def trained(self) -> Counter[str]:
        """Number of training texts with each label."""

    @property
    def validation(self) -> LabelledTexts:
        """Texts held out to decide when to stop; there may be none."""

    @property
    def sample(self) -> LabelledTexts:
        """Training texts that fit in memory: all of them, or a sample."""

    def class_names(self) -> list[str]:
        """Return the classes to learn, in the order of `class_names_of`."""

    def read_train(self) -> Iterator[Texts]:
        """Yield the training texts with their labels, some at a time."""

    def read_test(self) -> Iterator[Texts]:
        """Yield the test texts with their labels, some at a time."""

    def digest(self) -> str:
        """Return a hash of exactly these texts and labels in these parts."""


class Splits(NamedTuple):
    """Three parts of a corpus in memory that share no text: see `SplitTexts`.

    Attributes:
        train: the training part.
        validation: the part held out to decide when to stop; empty if there are too
            few texts for one.
        test: the part held out for the final scores.
        notes: what was left out, one sentence each.
    """

    train: LabelledTexts
    validation: LabelledTexts
    test: LabelledTexts
    notes: tuple[str, ...]

    @property
    def source(self) -> str:
        return self.train.source

    @property
    def block_size(self) -> None:
        return None

    @property
    def sizes(self) -> dict[str, int]:
        return {name: len(getattr(self, name)) for name in PARTS}

    @property
    def trained(self) -> Counter[str]:
        return Counter(self.train.labels)

    @property
    def sample(self) -> LabelledTexts:
        return self.train

    def class_names(self) -> list[str]:
        """Return the classes to learn, in the order of `class_names_of`."""
        return classes_to_learn(self.train.texts, self.train.labels)

    def read_train(self) -> Iterator[Texts]:
        """Yield all training texts with their labels at once."""
        yield self.train.texts, self.train.labels

    def read_test(self) -> Iterator[Texts]:
        """Yield all test texts with their labels at once."""
        yield self.test.texts, self.test.labels

    def digest(self) -> str:
        """Return a hash of exactly these texts and labels in these parts."""
        parts = [[part.texts, part.labels] for part in self[:3]]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


PARTS = Splits._fields[:3]


def classes_of_one_text(counts: Counter[str]) -> list[str]:
    """Return the classes with a single text, which cannot be split."""
    return sorted(name for name, count in counts.items() if count == 1)


def check_classes(source: str, counts: Counter[str]) -> None:
    """Check that there are two classes or more, with two texts or more each.

    Raises:
        InputError: if not.
    """
    if len(counts) < 2:
        raise InputError(
            f"{source}: one class only ({next(iter(counts))}); "
            "a classifier needs two or more"
        )
    single = classes_of_one_text(counts)
    if single:
        more = f" (and {len(single) - 1} more classes)" if len(single) > 1 else ""
        raise InputError(
            f"{source}: class {shorten(single[0])!r} has one text only{more}; each "
            "class needs two or more. Is that the label column?"
        )


def check_test_labels(source: str, known: set[str], labels: Iterable[str]) -> None:
    """Check that a test part has no other classes than the training part.

    Args:
        source: name of the training texts, for the message.
        known: the classes of the training texts.
        labels: labels of the test part.

    Raises:
        InputError: if a label is not in `known`.
    """
    unknown = next((label for label in labels if label not in known), None)
    if unknown is not None:
        raise InputError(
            f"test label {shorten(unknown)!r} is none of the classes of {source}: "
            f"{', '.join(sorted(known))}"
        )


def class_names_of(labels: Iterable[Any]) -> list[str]:
    """Return the distinct labels: numbers sorted by value, others alphabetically.

    >>> class_names_of([10, 9, 1, 9]), class_names_of(["spam", "ham"])
    (['1', '9', '10'], ['ham', 'spam'])
    """
    names = sorted({str(label) for label in labels})
    try:
        values = {name: float(name) for name in names}
    except ValueError:
        return names
    return sorted(names, key=lambda n: (math.isnan(values[n]), values[n]))


def classes_to_learn(texts: Sequence[Any], labels: Sequence[Any]) -> list[str]:
    """Return the class names of training texts, in the order of `class_names_of`.

    Raises:
        InputError: if there are no texts, the number of labels is not the number of
            texts, or there are fewer than two classes.
    """
    check_pairs(texts, labels)
    names = class_names_of(labels)
    if len(names) < 2:
        found = f"one class only: {names[0]}" if names else "no texts"
        raise InputError(f"{found}; a classifier needs two classes or more")
    return names
