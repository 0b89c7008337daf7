"""Labelled texts: bundled, downloaded, or from a person's own files.

`load_dataset` gives all of them in one shape, and `LabelledTexts.split` divides
them for training, validation and test without letting a text stand on two sides.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from rnn_keras.corpora import CORPORA
from rnn_keras.errors import InputError
from rnn_keras.readers import Cells, Column, read_folder, read_table


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with a label each.

    Attributes:
        texts: white space at both ends removed; none empty.
        labels: one a text.
        source: where they come from.
        notes: what was left out in reading, a sentence each.
        test: the official test part, where the corpus has one.
    """

    texts: list[str]
    labels: list[str]
    source: str = ""
    notes: tuple[str, ...] = ()
    test: "LabelledTexts | None" = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, rows: Sequence[int]) -> "LabelledTexts":
        """The texts at the positions `rows`, in that order."""
        return LabelledTexts(
            [self.texts[i] for i in rows], [self.labels[i] for i in rows], self.source
        )

    def split(
        self, *, validation: float = 0.1, test: float = 0.2, seed: int = 0
    ) -> "Splits":
        """Divide at random, with the same share of each class in every part.

        Exact repeats (same text, same label) are left out first. A text that
        occurs with several labels keeps them, all on one side. Where the corpus
        has an official test part, that is the test, and training texts that
        occur in it are left out.

        Args:
            validation: share of all texts held out to decide when to stop.
            test: share held out for the final scores; of no meaning where there
                is an official test part. Both shares grow where a part would be
                smaller than the number of classes, and there is no part where
                that leaves too few for training.
            seed: of the division.

        Raises:
            InputError: if there is one class only, or a class with one text only,
                or the test part has other classes.
            ValueError: if the shares are not between 0 and 1 together.
        """
        if validation < 0 or test < 0 or validation + test >= 1:
            raise ValueError(
                "`validation` and `test` must be shares whose sum is below 1. "
                f"Received: validation={validation}, test={test}"
            )
        rows_of, notes = self._distinct()
        counts = Counter(self.labels[i] for rows in rows_of.values() for i in rows)
        if not counts:
            raise InputError(f"{self.source}: every training text is also in the test")
        _check_classes(self.source, counts)
        if self.test is not None:
            _check_test_labels(self.source, set(counts), self.test.labels)

        labels_of = {t: {self.labels[i] for i in rows} for t, rows in rows_of.items()}
        # To stratify, a text with several labels counts for the rarest of them.
        stratum = {
            text: min(labels, key=lambda label: (counts[label], label))
            for text, labels in labels_of.items()
        }
        train, tested = list(rows_of), []
        if self.test is None:
            train, tested = _divide(train, stratum, test, seed)
            validation = validation / (1 - test)
        train, validated = _divide(train, stratum, validation, seed)
        # A class that only texts of several labels have must be trained on.
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

    def _distinct(self) -> tuple[dict[str, list[int]], list[str]]:
        """The rows of each different text, and what was left out.

        Of rows that repeat text and label the first stays; texts of the test part
        have none.
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
            what = _count(in_test, "training text")
            notes.append(f"{what} also in the test left out")
        if repeats:
            notes.append(f"{_count(repeats, 'exact repeat')} left out")
        return rows_of, notes


class Splits(NamedTuple):
    """Three parts of a corpus that share no text, and what was left out.

    The validation part is empty where there are too few texts for one.
    """

    train: LabelledTexts
    validation: LabelledTexts
    test: LabelledTexts
    notes: tuple[str, ...]


def load_dataset(
    source: str | Path,
    *,
    text_column: Column | None = None,
    label_column: Column | None = None,
    header: bool = True,
    encoding: str = "utf-8",
) -> LabelledTexts:
    """Labelled texts by the name of a corpus, or from a file or folder.

    Texts that are empty or missing, and rows without a label, are left out;
    `notes` says how many, and where the first of them stands.

    Args:
        source: the name of a corpus (`rnn-keras datasets` lists them), a `.csv`,
            `.tsv`, `.jsonl` or `.parquet` file, or a folder with one subfolder a
            class. A file or folder called like a corpus is meant by "./name".
        text_column: of a table: name, or position counted from 0.
        label_column: likewise.
        header: whether a `.csv` or `.tsv` begins with a row of names.
        encoding: of the files.

    Raises:
        InputError: if there is no such thing, or it cannot be read.

    >>> corpus = load_dataset("seed")
    >>> corpus.texts[0], corpus.labels[0]
    ('I love machine learning', '0')
    """
    if str(source) in CORPORA:
        parts = CORPORA[str(source)].read()
        train = _clean(str(source), *parts["train"])
        if "test" not in parts:
            return train
        return replace(train, test=_clean(f"{source} (test)", *parts["test"]))
    path = Path(source)
    try:
        is_folder, exists = path.is_dir(), path.exists()
    except OSError:  # longer than a path can be
        is_folder = exists = False
    if is_folder:
        return _clean(str(source), *read_folder(path, encoding))
    if not exists:
        raise InputError(
            f"{_short(str(source), 200)}: neither a file, a folder nor a data set; "
            f"the data sets are: {', '.join(CORPORA)}"
        )
    cells = read_table(
        path,
        text_column=text_column,
        label_column=label_column,
        header=header,
        encoding=encoding,
    )
    return _clean(str(source), *cells)


def _clean(source: str, texts: Cells, labels: Cells) -> LabelledTexts:
    """Strip, leave out what is empty, and say so."""
    stripped = [("" if t is None else t.strip()) for t in texts]
    named = [("" if label is None else label.strip()) for label in labels]
    kept = [i for i in range(len(stripped)) if stripped[i] and named[i]]
    notes = []
    empty = [i + 1 for i, text in enumerate(stripped) if not text]
    unnamed = [i + 1 for i, label in enumerate(named) if stripped[i] and not label]
    for what, rows in (("empty text", empty), ("text without a label", unnamed)):
        if rows:
            first = f"data row {rows[0]:,}"
            first = first if len(rows) == 1 else f"first: {first}"
            notes.append(f"{_count(len(rows), what)} left out ({first})")
    if not kept:
        raise InputError(f"{source}: no rows with both a text and a label")
    return LabelledTexts(
        [stripped[i] for i in kept], [named[i] for i in kept], source, tuple(notes)
    )


def _divide(
    texts: list[str], stratum: dict[str, str], share: float, seed: int
) -> tuple[list[str], list[str]]:
    """The texts that stay, and a stratified share of them that does not."""
    from sklearn.model_selection import train_test_split

    counts = Counter(stratum[text] for text in texts)
    # A class with one text left stays: there is nothing to stratify.
    alone = [text for text in texts if counts[stratum[text]] < 2]
    rest = [text for text in texts if counts[stratum[text]] > 1]
    classes = len(counts) - len(alone)
    size = max(round(share * len(texts)), classes)
    if share <= 0 or not rest or len(rest) - size < classes:
        return texts, []
    labels = [stratum[text] for text in rest]
    kept, out = train_test_split(
        rest, test_size=size, random_state=seed, stratify=labels
    )
    return alone + kept, out


def _check_classes(source: str, counts: Counter[str]) -> None:
    if len(counts) < 2:
        raise InputError(
            f"{source}: one class only ({next(iter(counts))}); "
            "a classifier needs two or more"
        )
    single = sorted(name for name, count in counts.items() if count == 1)
    if single:
        more = f" (and {len(single) - 1} more classes)" if len(single) > 1 else ""
        raise InputError(
            f"{source}: class {_short(single[0])!r} has one text only{more}; each "
            "class needs two or more. Is that the label column?"
        )


def _check_test_labels(source: str, known: set[str], labels: list[str]) -> None:
    unknown = next((label for label in labels if label not in known), None)
    if unknown is not None:
        raise InputError(
            f"test label {_short(unknown)!r} is none of the classes of {source}: "
            f"{', '.join(sorted(known))}"
        )


def _short(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _count(number: int, what: str) -> str:
    if number == 1:
        return f"1 {what}"
    plural = what.replace("text", "texts") if "text" in what else what + "s"
    return f"{number:,} {plural}"
