"""Labelled texts that need not fit in memory: a table, read as often as need be.

A text's part follows from a hash of it, so that equal texts stay together and nobody
has to remember which text went where. Exact repeats stay in: to know them, all texts
would have to be remembered. What is learned otherwise than by passing over the texts
(the settings that follow from them, the linear models) comes from a sample of them.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_keras.corpora import CORPORA
from rnn_keras.errors import InputError
from rnn_keras.labelled import check_classes, check_test_labels
from rnn_keras.readers import TABLES, Cells, iterate_table

# Texts in memory at most: those that decide when to stop, and those that the linear
# models are fitted to.
MOST_VALIDATED, MOST_SAMPLED = 20_000, 200_000
# Texts that are shuffled together.
WINDOW = 65_536
_MOST_CLASSES = 10_000
# What a byte of short texts takes in memory (measured), and what a packed one holds.
_BYTES_A_BYTE, _PACKED = 20, 5

Rows = Callable[[], Iterator[tuple[Cells, Cells]]]
Texts = tuple[list[str], list[str]]


class Row(NamedTuple):
    """A text, its label, and where the hash of the text lies in [0, 1)."""

    text: str
    label: str
    place: float


class Stream:
    """The rows of a table in three parts: for training, validation and test.

    Args:
        source: its name, for messages.
        read: gives the cells of texts and labels, some rows at a time, anew each time
            it is called.
        seed: of the division.
        test: gives the rows to test on; by default a fifth of those of `read`.

    Attributes:
        labels: how many texts have each.
        sizes: texts of "train", "validation" and "test".
        validation: texts and labels held out to decide when to stop: a tenth, but
            20,000 at most.
        sample: texts and labels of the training part, 200,000 at most.
        notes: what there is to know of how it was read, a sentence each.

    Raises:
        InputError: if there are fewer than two classes, or a class has one text only,
            or the test has a class that the training has not.
    """

    def __init__(
        self, source: str, read: Rows, *, seed: int = 0, test: Rows | None = None
    ):
        self.source, self._read, self._read_test = source, read, test
        self._key = str(seed).encode()
        self._tested = np.zeros(0)
        if test is not None:
            rows = (row for chunk in self._chunks(test) for row in chunk)
            self._tested = np.sort(np.fromiter((row.place for row in rows), float))
        self._first = 0.0 if test else 0.2  # a place below is of the test
        self._survey()

    def train(self) -> Iterator[Texts]:
        """Texts and labels of the training part, some at a time, in their order."""
        return self._part(self._last, 1)

    def test(self) -> Iterator[Texts]:
        """The same of the test part."""
        if self._read_test is None:
            return self._part(0, self._first)
        return labelled_chunks(self._read_test)

    def digest(self) -> str:
        """A name for exactly these texts and labels, in this order and these parts."""
        return self._hash.hexdigest()[:16]

    def _part(self, low: float, high: float) -> Iterator[Texts]:
        for chunk in self._training_chunks():
            rows = [row for row in chunk if low <= row.place < high]
            if rows:
                yield _unzip(rows)

    def _training_chunks(self) -> Iterator[list[Row]]:
        for chunk in self._chunks(self._read):
            known = np.isin([row.place for row in chunk], self._tested)
            yield [row for row, out in zip(chunk, known, strict=True) if not out]

    def _chunks(self, read: Rows) -> Iterator[list[Row]]:
        for chunk in labelled_chunks(read):
            yield [
                Row(*pair, self._place(pair[0])) for pair in zip(*chunk, strict=True)
            ]

    def _place(self, text: str) -> float:
        data = text.encode("utf-8", errors="surrogatepass")
        digest = hashlib.blake2b(data, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest) / 2**64

    def _survey(self) -> None:
        """One pass over all rows."""
        self._hash = hashlib.sha256(self._key + self._tested.tobytes())
        validated = _Kept(0.1, MOST_VALIDATED)
        sampled = _Kept(0.9 - self._first, MOST_SAMPLED)
        order = _Order()
        self.labels: Counter[str] = Counter()
        tested = 0
        for chunk in self._training_chunks():
            texts, labels = _unzip(chunk)
            self._hash.update(json.dumps([texts, labels]).encode())
            self.labels.update(labels)
            order.add(labels)
            self._check_labels()
            for row in chunk:
                tested += row.place < self._first
                if row.place >= self._first:
                    validated.add(row.place - self._first, row)
                    sampled.add(1 - row.place, row)
        self._last = self._first + validated.bound
        self.validation, self.sample = validated.texts(), sampled.texts()
        self._finish(tested, order)

    def _finish(self, tested: int, order: "_Order") -> None:
        if not self.labels:
            raise InputError(f"{self.source}: no rows with both a text and a label")
        check_classes(self.source, self.labels)
        if self._read_test is not None:
            labels = {c for _, labels in self.test() for c in labels}
            check_test_labels(self.source, set(self.labels), sorted(labels))
            tested = len(self._tested)
        n = self.labels.total() - len(self.validation[0])
        n -= 0 if self._read_test else tested
        self.sizes = {"train": n, "validation": len(self.validation[0]), "test": tested}
        self.notes = ("read as a stream: exact repeats stay in", *order.notes())

    def _check_labels(self) -> None:
        if len(self.labels) > _MOST_CLASSES:
            raise InputError(
                f"{self.source}: more than {_MOST_CLASSES:,} different labels; is that "
                "the label column?"
            )


def table_rows(source: str, **table: Any) -> Rows:
    """What gives the rows of a table, as `Stream` wants it.

    Args:
        source: a `.csv`, `.tsv`, `.jsonl` or `.parquet` file.
        **table: of `rnn_keras.readers.iterate_table`.

    Raises:
        InputError: if it is no such file.
    """
    path = Path(source)
    if source in CORPORA or not path.is_file():
        raise InputError(
            f"{source}: only a table can be read as a stream ({', '.join(TABLES)})"
        )
    return partial(iterate_table, path, **table)


def is_large(source: str) -> bool:
    """Whether a table in memory might take more than half of what there is."""
    path = Path(source)
    if source in CORPORA or not path.is_file() or not hasattr(os, "sysconf"):
        return False
    packed = path.suffix.lower() not in (".csv", ".tsv", ".jsonl")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    size = path.stat().st_size * _BYTES_A_BYTE * (_PACKED if packed else 1)
    return size > memory / 2


def labelled_chunks(read: Rows) -> Iterator[Texts]:
    """Texts and labels of the rows that have both, white space at the ends removed."""
    for cells in read():
        stripped = [[(cell or "").strip() for cell in column] for column in cells]
        pairs = [pair for pair in zip(*stripped, strict=True) if all(pair)]
        yield [text for text, _ in pairs], [label for _, label in pairs]


class _Kept:
    """The rows of the lowest distance: below a bound, which sinks as they come."""

    def __init__(self, bound: float, most: int):
        self.bound, self.most = bound, most
        self.rows: list[tuple[float, Row]] = []

    def add(self, distance: float, row: Row) -> None:
        if distance >= self.bound:
            return
        self.rows.append((distance, row))
        if len(self.rows) > self.most:
            distances = sorted(distance for distance, _ in self.rows)
            self.bound = distances[len(distances) * 3 // 4]
            self.rows = [pair for pair in self.rows if pair[0] < self.bound]

    def texts(self) -> Texts:
        return _unzip([row for _, row in self.rows])


class _Order:
    """Whether texts of all classes come together, or one class after the other."""

    def __init__(self):
        self.counts: list[Counter[str]] = [Counter()]

    def add(self, labels: list[str]) -> None:
        if self.counts[-1].total() >= WINDOW:
            self.counts.append(Counter())
        self.counts[-1].update(labels)

    def notes(self) -> list[str]:
        total = sum(self.counts, Counter())
        common = {c for c, n in total.items() if n >= total.total() / 20}
        if all(common <= set(counts) for counts in self.counts[:-1]):
            return []
        return [
            f"sorted by label, it seems, and only some {WINDOW:,} texts are mixed at a "
            "time; shuffle the file first"
        ]


def _unzip(rows: list[Row]) -> Texts:
    return [row.text for row in rows], [row.label for row in rows]
