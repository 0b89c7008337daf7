"""A corpus with a name, and its file: bundled, or downloaded once.

A file that lies in the cache already (`RNN_KERAS_CACHE`, or the user's cache
folder) in the corpus's folder is used as it is. A download is checked against
its SHA-256 before it gets its final name, so a broken one is never kept.
"""

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pooch
from rich.progress import DownloadColumn

from rnn_keras.errors import InputError
from rnn_keras.labelled import shorten
from rnn_keras.opening import UNREADABLE, reason_of
from rnn_keras.progress import progress_bar

CACHE_VARIABLE = "RNN_KERAS_CACHE"


@dataclass(frozen=True)
class Corpus:
    """A corpus with a name.

    Attributes:
        name: by which it is loaded.
        summary: what it is, in a line.
        size: in texts, or what else it is made of.
        licence: under which it may be used.
        origin: where it comes from.
        reader: from the path of its file to what `loader` gives out; for labelled
            texts to the cells of "train" and, where there is an official test part,
            "test".
        file: its name in its folder of the cache, or in the package's data.
        url: of the download; empty for a bundled corpus.
        sha256: of the download.
        member: what is taken out of a downloaded zip archive.
        loader: the function of `rnn_keras.datasets` that takes its name.
        folder: of the cache, where it is not called like the corpus.
        digest: from the path of its file to what `sha256` is of, where that is not the
            download: an archive that its host packs anew has other bytes each time.
    """

    name: str
    summary: str
    size: str
    licence: str
    origin: str
    file: str
    reader: Callable[[Path], Any]
    url: str = ""
    sha256: str = ""
    member: str = ""
    loader: str = "load_dataset"
    folder: str = ""
    digest: Callable[[Path], str] | None = None

    def read(self) -> Any:
        """What its reader gives out, of its file, which is downloaded if need be."""
        path = self.path()
        try:
            return self.reader(path)
        except InputError:
            raise
        except UNREADABLE as error:
            raise InputError(f"{path}: cannot be read ({reason_of(error)})") from error

    def path(self) -> Path:
        """Of its file, downloaded first if it is neither bundled nor cached."""
        if not self.url:
            return Path(str(files("rnn_keras") / "data" / self.file))
        if not self.cached.exists():
            self._download(self.cached)
        return self.cached

    @property
    def cached(self) -> Path:
        """Where its downloaded file lies or would lie."""
        return cache_folder() / (self.folder or self.name) / self.file

    def _download(self, path: Path) -> None:
        pooch.get_logger().setLevel("WARNING")
        archive = self.file if not self.member else Path(self.url).name
        if self.digest:
            archive += ".part"
        try:
            fetched = pooch.retrieve(
                self.url,
                known_hash=None if self.digest else f"sha256:{self.sha256}",
                path=path.parent,
                fname=archive,
                downloader=pooch.HTTPDownloader(progressbar=_Bar(self.name)),
            )
            if self.digest:
                self._check(Path(fetched))
                os.replace(fetched, path)
            if self.member:
                with zipfile.ZipFile(fetched) as opened:
                    content = opened.read(self.member)
                aside = path.with_name(path.name + ".part")
                aside.write_bytes(content)
                os.replace(aside, path)
                Path(fetched).unlink()
        except Exception as error:
            reason = shorten(" ".join(str(error).split()), 80)
            raise InputError(
                f"{self.name}: could not be downloaded from {self.url} ({reason}); "
                f"a file put at {path} is used instead"
            ) from error

    def _check(self, fetched: Path) -> None:
        """Leave nothing behind of a download whose content is another one."""
        try:
            found = self.digest(fetched)
            if found != self.sha256:
                raise ValueError(f"hash of its content {found}, not {self.sha256}")
        except Exception:
            fetched.unlink()
            raise


class _Bar:
    """A progress bar in the shape that pooch expects, drawn by rich."""

    def __init__(self, name: str):
        self.name = name
        self.total = 0
        self.progress = progress_bar(DownloadColumn())

    def update(self, size: int) -> None:
        if not self.progress.tasks:
            self.progress.add_task(self.name, total=self.total)
            self.progress.start()
        self.progress.advance(self.progress.task_ids[0], size)

    def reset(self) -> None:
        for task in self.progress.task_ids:
            self.progress.reset(task)

    def close(self) -> None:
        self.progress.stop()


def cache_folder() -> Path:
    """Where downloads are kept."""
    return Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("rnn_keras"))
