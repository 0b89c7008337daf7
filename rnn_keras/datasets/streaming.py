"""Labelled texts that need not fit in memory: a table that is read again and again.

`Stream` splits the rows of a table into three parts. A hash of the text decides the
part, so that equal texts stay in one part and no text must be remembered. Exact repeats
are not left out, because that would require remembering all texts.

Whatever cannot be learned in passes over all texts (the settings that are chosen from
the texts, the linear models) is learned from a sample of them. `HashSample` draws it.
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
    TEST_SHARE,
    VALIDATION_SHARE,
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

# The number of texts that are in memory, and shuffled, together.
BLOCK_SIZE = 65_536
# The most texts that are kept to decide when to stop, and to fit linear models to.
MAX_VALIDATED, MAX_SAMPLED = 20_000, 200_000
# The most characters of each: the n-grams of that many take a gigabyte.
MAX_SAMPLED_CHARACTERS = 20_000_000
_MAX_CLASSES = 10_000
# Bytes of memory for each byte of a table of short texts, linear models included, as
# measured in benchmarks/scale.md; and for each byte of a packed table, times this.
_MEMORY_PER_BYTE, _UNPACKED_PER_BYTE = 70, 5
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")

# Called without arguments, reads the columns of texts and labels, some rows at a time.
TableReader = Callable[[], Iterator[tuple[ColumnValues, ColumnValues]]]


def table_rows(source: str, **options: Any) -> TableReader:
    """Return a function that reads the rows of a table each time it is called.

    Args:
        source: path of a `.csv`, `.tsv`, `.jsonl` or `.parquet` file.
        **options: arguments of `rnn_keras.datasets.tables.iterate_table`.

    Raises:
        InputError: if it is not such a file; while reading, if the file has changed.
    """
    path = Path(source)
    if source in CORPORA or kind_of_path(path) != "file":
        raise InputError(
            f"{shorten(source, 200)}: only a table can be read as a stream "
            f"({', '.join(TABLES)})"
        )
    version = _file_version(path)

    def read() -> Iterator[tuple[ColumnValues, ColumnValues]]:
        if _file_version(path) == version:
            yield from iterate_table(path, **options)
        if _file_version(path) != version:
            raise InputError(
                f"{source}: the file changed during training; leave it unchanged until "
                "training ends"
            )

    return read


def _file_version(path: Path) -> tuple[int, int] | None:
    """Return the size and the time of the last change; `None` if there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def labelled_chunks(
    read: TableReader, left_out: Counter[str] | None = None
) -> Iterator[Texts]:
    """Yield the rows with a text and a label, without white space at their ends.

    Args:
        read: reads the table.
        left_out: counts the other rows, under "without text or label".
    """
    for columns in read():
        stripped = [[(value or "").strip() for value in column] for column in columns]
        pairs = [pair for pair in zip(*stripped, strict=True) if all(pair)]
        if left_out is not None:
            left_out["without text or label"] += len(columns[0]) - len(pairs)
        yield [text for text, _ in pairs], [label for _, label in pairs]


class HashedText(NamedTuple):
    """A labelled text and its position.

    Attributes:
        text: the text.
        label: its label.
        position: a hash of the text, from 0 to 1 without 1. It decides the part of the
            split, so equal texts are in one part.
    """

    text: str
    label: str
    position: float


class HashSample:
    """Keeps the distinct rows with the smallest hashes.

    When more rows have come than fit, it lowers its threshold. Exact repeats are
    counted but kept once: they have the same hash, so no threshold could separate them.

    Args:
        threshold: rows with this distance or a larger one are not kept.
        most: the largest number of rows to keep.
        max_characters: the largest number of characters to keep.

    Attributes:
        threshold: the current threshold.
    """

    def __init__(
        self,
        threshold: float,
        most: int,
        max_characters: int = MAX_SAMPLED_CHARACTERS,
    ):
        self.threshold, self.most = threshold, most
        self.max_characters = max_characters
        self._rows: dict[tuple[float, str], HashedText] = {}
        self._counts: Counter[tuple[float, str]] = Counter()
        self._characters = 0

    def add(self, distance: float, row: HashedText) -> None:
        """Add a row whose hash has `distance` from the end where the sample begins."""
        if distance >= self.threshold:
            return
        key = (distance, row.label)
        self._counts[key] += 1
        if key not in self._rows:
            self._rows[key] = row
            self._characters += len(row.text)
            if len(self._rows) > self.most or self._characters > self.max_characters:
                self._lower_threshold()

    def _lower_threshold(self) -> None:
        """Drop rows until three quarters of what fits are left, but at least one."""
        keys = sorted(self._rows)
        sizes = np.cumsum([len(self._rows[key].text) for key in keys])
        fitting = int(np.searchsorted(sizes, 0.75 * self.max_characters))
        threshold = keys[max(1, min(fitting, self.most * 3 // 4))][0]
        if threshold == keys[0][0]:
            return
        self.threshold = threshold
        for key in keys:
            if key[0] >= threshold:
                self._characters -= len(self._rows.pop(key).text)
                del self._counts[key]

    def label_counts(self) -> Counter[str]:
        """Count the rows with each label, including repeats."""
        found: Counter[str] = Counter()
        for (_, label), count in self._counts.items():
            found[label] += count
        return found

    def labelled_texts(self, source: str) -> LabelledTexts:
        """Return the distinct rows."""
        return LabelledTexts(*_texts_and_labels(list(self._rows.values())), source)


class LabelOrder:
    """Tells whether the texts of all classes are well mixed in a file.

    Args:
        block_size: number of texts that are shuffled together.
    """

    def __init__(self, block_size: int):
        self.block_size = block_size
        self._total: Counter[str] = Counter()
        self._blocks_with: Counter[str] = Counter()
        self._blocks, self._texts = 0, 0
        self._seen: set[str] = set()

    def add(self, labels: list[str]) -> None:
        """Add the labels of the texts that come next."""
        self._total.update(labels)
        self._seen.update(labels)
        self._texts += len(labels)
        if self._texts >= self.block_size:
            self._blocks_with.update(self._seen)
            self._blocks, self._texts, self._seen = self._blocks + 1, 0, set()

    def notes(self) -> list[str]:
        """Return a note if a common class is missing in a block of texts."""
        total = self._total
        common = [c for c, number in total.items() if number >= total.total() / 20]
        if all(self._blocks_with[label] == self._blocks for label in common):
            return []
        return [
            "the texts seem to be sorted by label, and only "
            f"{self.block_size:,} are shuffled together; shuffle the file first"
        ]


class Stream:
    """The rows of a table in three parts: see `rnn_keras.datasets.labelled.SplitTexts`.

    Args:
        source: name of the table, for messages.
        read: reads the table, as the result of `table_rows` does.
        seed: seed of the split.
        test: reads a separate table to test on; by default a fifth of the rows of
            `read` are the test part.
        block_size: number of training texts that are in memory, and shuffled,
            together.
        max_validated: the largest number of texts of `validation`.
        max_sampled: the largest number of texts of `sample`.

    Attributes:
        labels: number of texts with each label, in all parts.
        trained: number of training texts with each label.
        sizes: number of texts in "train", "validation" and "test".
        validation: distinct texts held out to decide when to stop: a tenth of all, if
            that is not more than `max_validated` texts or 20 million characters.
        sample: distinct texts of the training part: all, if that is not more than
            `max_sampled` texts or 20 million characters.
        notes: remarks on how the table was read, one sentence each.

    Raises:
        InputError: if there are fewer than two classes, a class has only one text, the
            test part has a class that the training part does not have, or there are
            too few texts for three parts.
    """

    def __init__(
        self,
        source: str,
        read: TableReader,
        *,
        seed: int = 0,
        test: TableReader | None = None,
        block_size: int = BLOCK_SIZE,
        max_validated: int = MAX_VALIDATED,
        max_sampled: int = MAX_SAMPLED,
    ):
        self.source, self._read, self._read_test = source, read, test
        self.block_size = block_size
        self._key = str(seed).encode()
        self._hash = hashlib.sha256(self._key)
        # Sorted positions and labels of the texts of a separate test.
        self._test_positions = np.zeros(0)
        self._test_labels: set[str] = set()
        if test is not None:
            self._survey_test()
        # Positions from 0 to here are tested, from there to `_train_from` validated.
        self._validate_from = 0.0 if test else TEST_SHARE
        self._survey(
            HashSample(VALIDATION_SHARE, max_validated),
            HashSample(1 - VALIDATION_SHARE - self._validate_from, max_sampled),
        )

    def class_names(self) -> list[str]:
        """Return the labels of all parts, in the order of `class_names_of`."""
        return class_names_of(self.labels)

    def read_train(self) -> Iterator[Texts]:
        """Yield the training texts with their labels in the order of the table."""
        return self._read_part(self._train_from, 1)

    def read_test(self) -> Iterator[Texts]:
        """Yield the test texts with their labels in the order of the table."""
        if self._read_test is None:
            return self._read_part(0, self._validate_from)
        return labelled_chunks(self._read_test)

    def digest(self) -> str:
        """Return a hash of exactly these texts and labels in this order and split."""
        return self._hash.hexdigest()[:16]

    def _read_part(self, low: float, high: float) -> Iterator[Texts]:
        for chunk in self._hashed_chunks():
            rows = [row for row in chunk if low <= row.position < high]
            if rows:
                yield _texts_and_labels(rows)

    def _hashed_chunks(
        self, left_out: Counter[str] | None = None
    ) -> Iterator[list[HashedText]]:
        """Read the table without the texts that are in a separate test."""
        left_out = Counter() if left_out is None else left_out
        for chunk in labelled_chunks(self._read, left_out):
            rows = self._hash_texts(chunk)
            if len(self._test_positions):
                tested = self._are_tested([row.position for row in rows])
                left_out["in the test"] += int(tested.sum())
                rows = [row for row, out in zip(rows, tested, strict=True) if not out]
            yield rows

    def _are_tested(self, positions: list[float]) -> np.ndarray:
        """Tell which texts are in the separate test, bool `(texts,)`."""
        last = len(self._test_positions) - 1
        at = np.searchsorted(self._test_positions, positions).clip(max=last)
        return self._test_positions[at] == positions

    def _hash_texts(self, chunk: Texts) -> list[HashedText]:
        pairs = zip(*chunk, strict=True)
        return [HashedText(text, label, self._position(text)) for text, label in pairs]

    def _position(self, text: str) -> float:
        data = text.encode("utf-8", errors="surrogatepass")
        digest = hashlib.blake2b(data, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest) / 2**64

    def _survey_test(self) -> None:
        """Pass over the separate test once, to know its texts and labels."""
        positions = [np.zeros(0)]
        for chunk in self.read_test():
            self._hash.update(json.dumps(chunk).encode())
            rows = self._hash_texts(chunk)
            positions.append(np.array([row.position for row in rows]))
            self._test_labels.update(chunk[1])
        self._test_positions = np.sort(np.concatenate(positions))

    def _survey(self, held_out: HashSample, sampled: HashSample) -> None:
        """Pass over the table once, to count labels and to draw both samples."""
        order = LabelOrder(self.block_size)
        tested: Counter[str] = Counter()
        left_out: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        for chunk in self._hashed_chunks(left_out):
            texts, labels = _texts_and_labels(chunk)
            self._hash.update(json.dumps([texts, labels]).encode())
            self.labels.update(labels)
            order.add(labels)
            self._check_number_of_classes()
            for row in chunk:
                if row.position < self._validate_from:
                    tested[row.label] += 1
                else:
                    held_out.add(row.position - self._validate_from, row)
                    sampled.add(1 - row.position, row)
        self._check_labels()
        self._train_from = self._validate_from + held_out.threshold
        self.validation = held_out.labelled_texts(self.source)
        self.sample = sampled.labelled_texts(self.source)
        self.trained = self.labels - tested - held_out.label_counts()
        separate = self._read_test is not None
        self.sizes = {
            "train": self.trained.total(),
            "validation": len(self.validation),
            "test": len(self._test_positions) if separate else tested.total(),
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
            *self._note_untrained_class(),
        )

    def _note_untrained_class(self) -> list[str]:
        untrained = sorted(set(self.labels) - set(self.trained))
        if not untrained:
            return []
        return [f"no text of class {shorten(untrained[0])!r} is in the training part"]

    def _check_number_of_classes(self) -> None:
        if len(self.labels) > _MAX_CLASSES:
            raise InputError(
                f"{self.source}: more than {_MAX_CLASSES:,} different labels; is that "
                "the label column?"
            )

    def _check_labels(self) -> None:
        if not self.labels:
            raise InputError(f"{self.source}: no row has both a text and a label")
        check_classes(self.source, self.labels)
        check_test_labels(self.source, set(self.labels), sorted(self._test_labels))

    def _check_sizes(self) -> None:
        known = {*self.sample.labels, *self.validation.labels}
        if not self.sizes["train"] or not self.sizes["test"] or len(known) < 2:
            sizes = ", ".join(f"{name} {size:,}" for name, size in self.sizes.items())
            raise InputError(
                f"{self.source}: too few texts for a stream, which splits them by a "
                f"hash ({sizes}); read it with --no-stream"
            )


def _texts_and_labels(rows: list[HashedText]) -> Texts:
    return [row.text for row in rows], [row.label for row in rows]


def is_large(source: str, memory: float | None = None) -> bool:
    """Tell whether a table might take more than half of the memory.

    Args:
        source: path of the table, or another source, which is never large.
        memory: bytes of memory; by default those that this process may use.
    """
    path = Path(source)
    if source in CORPORA or kind_of_path(path) != "file":
        return False
    plain = path.suffix.lower() in (".csv", ".tsv", ".jsonl")
    unpacked = path.stat().st_size * (1 if plain else _UNPACKED_PER_BYTE)
    available = _available_memory() if memory is None else memory
    return unpacked * _MEMORY_PER_BYTE > available / 2


def _available_memory() -> float:
    """Return the bytes that this process may use; a container may have a limit."""
    if not hasattr(os, "sysconf"):
        return float("inf")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        return min(memory, int(_CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # this is not Linux, or there is no limit
        return memory
