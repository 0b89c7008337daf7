"""A few of very many rows: which are kept, and whether they come well mixed."""

from collections import Counter
from typing import NamedTuple

import numpy as np

# Texts that are shuffled together.
WINDOW = 65_536
# In all that is kept: the n-grams of so many take a gigabyte.
MOST_CHARACTERS = 20_000_000

Texts = tuple[list[str], list[str]]


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
