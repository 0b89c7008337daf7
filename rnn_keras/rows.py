"""A table read some rows at a time, as often as it takes: never all of it in memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def iterate_table(path: Path, size: int = 8192, **table: Any) -> Iterator[tuple]:
    yield from ()
