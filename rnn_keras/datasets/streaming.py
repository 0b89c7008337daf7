"""Labelled texts that need not fit in memory: a table, read as often as need be.

A text's part follows from a hash of it, so that equal texts stay together and nobody
has to remember which text went where. Exact repeats stay in: to know them, all texts
would have to be remembered. What is learned otherwise than by passing over the texts
(the settings that follow from them, the linear models) comes from a sample of them.

A few of very many rows: which are kept, and whether they come well mixed.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnn_keras.datasets.corpora import CORPORA
from rnn_keras.datasets.labelled import (
    LabelledTexts,
    Texts,
    check_classes,
    check_test_labels,
    class_names_of,
)
from rnn_keras.datasets.tables import TABLES, ColumnValues, iterate_table
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import kind_of_path
from rnn_keras.utils.messages import count_of, shorten

# Texts that are shuffled together.
WINDOW = 65_536
# In all that is kept: the n-grams of so many take a gigabyte.
MOST_CHARACTERS = 20_000_000


class Row(NamedTuple):
    """A text, its label, and where the hash of the text lies in [0, 1)."""

    text: str
    label: str
    place: float


class Kept:
    """Different rows of the lowest distance: below a bound, which sinks as they come.

    Exact repeats are counted, and kept once: they lie at one distance, and many of them
    would leave no room below any bound.
    """

    def __init__(self, bound: float, most: int):
        self.bound, self.most = bound, most
        self.rows: dict[tuple[float, str], Row] = {}
        self.counts: Counter[tuple[float, str]] = Counter()
        self.characters = 0

    def add(self, distance: float, row: Row) -> None:
        if distance >= self.bound:
            return
        key = (distance, row.label)
        self.counts[key] += 1
        if key not in self.rows:
            self.rows[key] = row
            self.characters += len(row.text)
            if len(self.rows) > self.most or self.characters > MOST_CHARACTERS:
                self._sink()

    def _sink(self) -> None:
        """Keep three quarters of what may be kept, but something."""
        keys = sorted(self.rows)
        sizes = np.cumsum([len(self.rows[key].text) for key in keys])
        fits = int(np.searchsorted(sizes, 0.75 * MOST_CHARACTERS))
        bound = keys[max(1, min(fits, self.most * 3 // 4))][0]
        if bound == keys[0][0]:
            return
        self.bound = bound
        for key in keys:
            if key[0] >= bound:
                self.characters -= len(self.rows.pop(key).text)
                del self.counts[key]

    def labels(self) -> Counter[str]:
        """How many rows have each, repeats too."""
        found: Counter[str] = Counter()
        for (_, label), count in self.counts.items():
            found[label] += count
        return found

    def texts(self) -> Texts:
        return unzip(list(self.rows.values()))


class Order:
    """Whether texts of all classes come together, or one class after the other."""

    def __init__(self):
        self.total: Counter[str] = Counter()
        self.windows_with: Counter[str] = Counter()
        self.windows, self.texts, self.window = 0, 0, set()

    def add(self, labels: list[str]) -> None:
        self.total.update(labels)
        self.window.update(labels)
        self.texts += len(labels)
        if self.texts >= WINDOW:
            self.windows_with.update(self.window)
            self.windows, self.texts, self.window = self.windows + 1, 0, set()

    def notes(self) -> list[str]:
        common = [c for c, n in self.total.items() if n >= self.total.total() / 20]
        if all(self.windows_with[label] == self.windows for label in common):
            return []
        return [
            f"sorted by label, it seems, and only some {WINDOW:,} texts are mixed at a "
            "time; shuffle the file first"
        ]


def unzip(rows: list[Row]) -> Texts:
    """Texts and labels of rows."""
    return [row.text for row in rows], [row.label for row in rows]


# Texts in memory at most: those that decide when to stop, and those that the linear
# models are fitted to.
MOST_VALIDATED, MOST_SAMPLED = 20_000, 200_000
_MOST_CLASSES = 10_000
# What a byte of short texts takes in memory, linear models included, as measured in
# benchmarks/scale.md; and how many bytes a packed one holds.
_BYTES_A_BYTE, _PACKED = 70, 5
_CGROUP = Path("/sys/fs/cgroup/memory.max")

Rows = Callable[[], Iterator[tuple[ColumnValues, ColumnValues]]]


class Stream:
    """The rows of a table in three parts: for training, validation and test.

    Args:
        source: its name, for messages.
        read: gives the cells of texts and labels, some rows at a time, anew each time
            it is called.
        seed: of the division.
        test: gives the rows to test on; by default a fifth of those of `read`.
        window: number of training texts that are in memory, and shuffled, at a time.

    Attributes:
        labels: how many texts have each.
        trained: how many of the training part have each.
        sizes: texts of "train", "validation" and "test".
        validation: texts and labels held out to decide when to stop: a tenth, but
            20,000 at most.
        sample: different texts and labels of the training part, 200,000 at most.
            Neither has more than 20 million characters.
        notes: what there is to know of how it was read, a sentence each.

    Raises:
        InputError: if there are fewer than two classes, or a class has one text only,
            or the test has a class that the training has not.
    """

    def __init__(
        self,
        source: str,
        read: Rows,
        *,
        seed: int = 0,
        test: Rows | None = None,
        window: int = WINDOW,
    ):
        self.source, self._read, self._read_test = source, read, test
        self.window = window
        self._key = str(seed).encode()
        self._hash = hashlib.sha256(self._key)
        self._tested, self._test_labels = np.zeros(0), set()
        if test is not None:
            self._look_at_test()
        self._first = 0.0 if test else 0.2  # a place below is of the test
        self._survey()

    def class_names(self) -> list[str]:
        """Return the labels of all parts, in order: see `class_names_of`."""
        return class_names_of(self.labels)

    def read_train(self) -> Iterator[Texts]:
        """Texts and labels of the training part, some at a time, in their order."""
        return self._part(self._last, 1)

    def read_test(self) -> Iterator[Texts]:
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
                yield unzip(rows)

    def _training_chunks(self, left_out: Counter | None = None) -> Iterator[list[Row]]:
        left_out = Counter() if left_out is None else left_out
        for chunk in labelled_chunks(self._read, left_out):
            rows = self._rows(chunk)
            if len(self._tested):
                places = np.array([row.place for row in rows])
                at = np.searchsorted(self._tested, places).clip(
                    max=len(self._tested) - 1
                )
                known = self._tested[at] == places
                left_out["in the test"] += int(known.sum())
                rows = [row for row, out in zip(rows, known, strict=True) if not out]
            yield rows

    def _rows(self, chunk: Texts) -> list[Row]:
        pairs = zip(*chunk, strict=True)
        return [Row(text, label, self._place(text)) for text, label in pairs]

    def _place(self, text: str) -> float:
        data = text.encode("utf-8", errors="surrogatepass")
        digest = hashlib.blake2b(data, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest) / 2**64

    def _look_at_test(self) -> None:
        """One pass over the rows of a test of its own."""
        places = []
        for chunk in self.read_test():
            self._hash.update(json.dumps(chunk).encode())
            places.append(np.array([row.place for row in self._rows(chunk)]))
            self._test_labels.update(chunk[1])
        self._tested = np.sort(np.concatenate([np.zeros(0), *places]))

    def _survey(self) -> None:
        """One pass over all rows."""
        held_out = Kept(0.1, MOST_VALIDATED)
        sampled = Kept(0.9 - self._first, MOST_SAMPLED)
        order = Order()
        tested: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        left_out: Counter[str] = Counter()
        for chunk in self._training_chunks(left_out):
            texts, labels = unzip(chunk)
            self._hash.update(json.dumps([texts, labels]).encode())
            self.labels.update(labels)
            order.add(labels)
            if len(self.labels) > _MOST_CLASSES:
                raise InputError(
                    f"{self.source}: more than {_MOST_CLASSES:,} different labels; is "
                    "that the label column?"
                )
            for row in chunk:
                if row.place < self._first:
                    tested[row.label] += 1
                else:
                    held_out.add(row.place - self._first, row)
                    sampled.add(1 - row.place, row)
        self._last = self._first + held_out.bound
        self.validation = LabelledTexts(*held_out.texts(), self.source)
        self.sample = LabelledTexts(*sampled.texts(), self.source)
        self._check_labels()
        self.trained = self.labels - tested - held_out.labels()
        self.sizes = {
            "train": self.trained.total(),
            "validation": len(self.validation),
            "test": tested.total() if self._read_test is None else len(self._tested),
        }
        self._check_sizes()
        self.notes = (
            "read as a stream, so exact repeats are kept",
            *(
                f"{count_of(n, 'row')} {why} left out"
                for why, n in left_out.items()
                if n
            ),
            *order.notes(),
            *(
                f"no text of class {shorten(label)!r} is in the training part"
                for label in sorted(set(self.labels) - set(self.trained))[:1]
            ),
        )

    def _check_labels(self) -> None:
        if not self.labels:
            raise InputError(f"{self.source}: no rows with both a text and a label")
        check_classes(self.source, self.labels)
        check_test_labels(self.source, set(self.labels), sorted(self._test_labels))

    def _check_sizes(self) -> None:
        known = {*self.sample.labels, *self.validation.labels}
        if not self.sizes["train"] or not self.sizes["test"] or len(known) < 2:
            sizes = ", ".join(f"{name} {size:,}" for name, size in self.sizes.items())
            raise InputError(
                f"{self.source}: too few texts for a stream, which divides them by a "
                f"hash ({sizes}); read it with --no-stream"
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
    if source in CORPORA or kind_of_path(path) != "file":
        raise InputError(
            f"{shorten(source, 200)}: only a table can be read as a stream "
            f"({', '.join(TABLES)})"
        )
    was = _version(path)

    def read() -> Iterator[tuple[ColumnValues, ColumnValues]]:
        if _version(path) == was:
            yield from iterate_table(path, **table)
        if _version(path) != was:
            raise InputError(f"{source}: changed while it was read, again and again")

    return read


def _version(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def is_large(source: str) -> bool:
    """Whether a table in memory might take more than half of what there is."""
    path = Path(source)
    if source in CORPORA or kind_of_path(path) != "file":
        return False
    packed = path.suffix.lower() not in (".csv", ".tsv", ".jsonl")
    size = path.stat().st_size * _BYTES_A_BYTE * (_PACKED if packed else 1)
    return size > _memory() / 2


def _memory() -> float:
    """Bytes that this process may have: the machine's, or less in a container."""
    if not hasattr(os, "sysconf"):
        return float("inf")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(memory, int(_CGROUP.read_text()))
    except (OSError, ValueError):  # not Linux, or "max"
        return memory


def labelled_chunks(read: Rows, left_out: Counter | None = None) -> Iterator[Texts]:
    """Texts and labels of the rows that have both, white space at the ends removed.

    Args:
        read: see `Stream`.
        left_out: where the others are counted.
    """
    for cells in read():
        stripped = [[(cell or "").strip() for cell in column] for column in cells]
        pairs = [pair for pair in zip(*stripped, strict=True) if all(pair)]
        if left_out is not None:
            left_out["without text or label"] += len(cells[0]) - len(pairs)
        yield [text for text, _ in pairs], [label for _, label in pairs]
