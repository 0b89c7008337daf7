"""The folder of a comparison: every run a file, written as it ends, whole or not."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnn_keras import __version__
from rnn_keras.contestants import Run
from rnn_keras.errors import InputError
from rnn_keras.folders import not_written, write_whole
from rnn_keras.labelled import Splits

MANIFEST, RUNS = "comparison.json", "runs"


class Store:
    """Reads and writes the runs of one comparison.

    `comparison.json` says what is compared, so that the runs of other texts or
    settings are not taken for those of this one.

    Args:
        out: the folder; made when the first file is written.
        splits: the texts.
        settings: of all networks.
        force: throw away the runs of another comparison.

    Raises:
        InputError: if `out` holds another comparison and `force` is not given, or
            cannot be read.
    """

    def __init__(
        self,
        out: str | Path,
        splits: Splits,
        settings: dict[str, Any],
        force: bool = False,
    ):
        self.out = Path(out)
        # What is `None` is left to the recipe, but for `patience`.
        given = {k: v for k, v in settings.items() if v is not None or k == "patience"}
        self.manifest = {
            "texts": splits.digest(),
            "settings": json.loads(_dump({"linear": True, **given})),
            "version": __version__,
        }
        self.found = self._find(force)
        other = [k for k, v in self.manifest.items() if self.found.get(k) != v]
        self.replaced = bool(self.found and other)
        if self.replaced and not force:
            raise InputError(
                f"{self.out}: holds a comparison of other {' and '.join(other)}; "
                "choose another folder, or give --force to replace it"
            )
        if other:
            self.found = {}

    def _find(self, force: bool) -> dict[str, Any]:
        """The manifest that is there; `{}` where there is none."""
        path = self.out / MANIFEST
        try:
            if not path.exists():
                return {}
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError("expected an object")
        except (OSError, ValueError) as error:
            if force and isinstance(error, ValueError):
                return {"texts": None}
            raise InputError(f"{path}: cannot be read ({error})") from error
        return found

    def sizes(
        self, cells: Sequence[str], match: str, units: int
    ) -> dict[str, int] | None:
        """The units of each cell that are in use, if they were matched so."""
        asked = {"match": match, "units": units, "cells": list(cells)}
        if any(self.found.get(k) != v for k, v in asked.items()):
            return None
        return self.found["sizes"]

    def begin(self, match: str, units: int, sizes: dict[str, int]) -> None:
        """Write down what is compared."""
        self.manifest |= {"match": match, "units": units}
        self.manifest |= {"cells": list(sizes), "sizes": sizes}
        if self.replaced:
            try:
                for path in (self.out / RUNS).glob("*-*-*.json"):
                    path.unlink()
            except OSError as error:
                reason = error.strerror
                raise InputError(f"{path}: cannot be deleted ({reason})") from error
        self._write(self.out / MANIFEST, self.manifest)

    def read(self, key: str) -> list[Run] | None:
        """The runs kept as `key`, or `None`."""
        path = self.out / RUNS / f"{key}.json"
        if not path.exists():
            return None
        try:
            return [Run(**r) for r in json.loads(path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error

    def write(self, key: str, runs: list[Run]) -> None:
        """Keep runs as `key`."""
        self._write(self.out / RUNS / f"{key}.json", [asdict(r) for r in runs])

    def _write(self, path: Path, content: Any) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, (_dump(content) + "\n").encode())
        except OSError as error:
            raise not_written(path, error) from error


def _dump(content: Any) -> str:
    """As JSON, the numbers of NumPy too."""
    return json.dumps(content, ensure_ascii=False, default=lambda value: value.item())
