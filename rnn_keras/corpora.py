"""The corpora that are known by name: bundled ones, and ones downloaded once.

A file that lies in the cache already (`RNN_KERAS_CACHE`, or the user's cache
folder) under the corpus's name is used as it is. A download is checked against
its SHA-256 before it gets its final name, so a broken one is never kept.
"""

import html
import os
import re
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pooch
from rich.progress import DownloadColumn

from rnn_keras.errors import InputError
from rnn_keras.progress import progress_bar
from rnn_keras.readers import Cells, read_table

CACHE_VARIABLE = "RNN_KERAS_CACHE"


Parts = dict[str, tuple[Cells, Cells]]


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
        file: its name in the cache folder `name`, or in the package's data.
        url: of the download; empty for a bundled corpus.
        sha256: of the download.
        member: what is taken out of a downloaded zip archive.
        loader: the function of `rnn_keras.datasets` that takes its name.
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

    def read(self) -> Any:
        """What its reader gives out, of its file, which is downloaded if need be."""
        path = self.path()
        try:
            return self.reader(path)
        except (OSError, EOFError, UnicodeError, tarfile.TarError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from error

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
        return cache_folder() / self.name / self.file

    def _download(self, path: Path) -> None:
        pooch.get_logger().setLevel("WARNING")
        archive = self.file if not self.member else Path(self.url).name
        try:
            fetched = pooch.retrieve(
                self.url,
                known_hash=f"sha256:{self.sha256}",
                path=path.parent,
                fname=archive,
                downloader=pooch.HTTPDownloader(progressbar=_Bar(self.name)),
            )
            if self.member:
                with zipfile.ZipFile(fetched) as opened:
                    content = opened.read(self.member)
                aside = path.with_name(path.name + ".part")
                aside.write_bytes(content)
                os.replace(aside, path)
                Path(fetched).unlink()
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{self.name}: could not be downloaded from {self.url} ({reason}); "
                f"a file put at {path} is used instead"
            ) from error


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


def _read_csv(path: Path) -> Parts:
    return {"train": read_table(path)}


def _read_text(path: Path) -> str:
    # Line breaks as they are: a character model reads them too.
    return path.read_bytes().decode("utf-8")


def _read_sms_spam(path: Path) -> Parts:
    # Split by hand: quotation marks in it are not closed, and a reader that takes
    # them for quotes loses rows.
    lines = path.read_text("utf-8").splitlines()
    rows = [line.partition("\t") for line in lines if line.strip()]
    texts = [html.unescape(text) for _, _, text in rows]
    return {"train": (texts, [row[0] for row in rows])}


def _read_imdb(path: Path) -> Parts:
    parts: Parts = {"train": ([], []), "test": ([], [])}
    wanted = re.compile(r"aclImdb/(train|test)/(pos|neg)/\d+_\d+\.txt")
    # Read straight from the archive: nothing is unpacked, so nothing can land
    # outside its folder.
    with tarfile.open(path, "r|gz") as archive:
        for member in archive:
            match = wanted.fullmatch(member.name)
            if match and member.isfile():
                text = archive.extractfile(member).read().decode("utf-8")
                texts, labels = parts[match[1]]
                texts.append(text.replace("<br />", " "))
                labels.append(match[2])
    return parts


def _registry(*corpora: Corpus) -> dict[str, Corpus]:
    return {corpus.name: corpus for corpus in corpora}


CORPORA: dict[str, Corpus] = _registry(
    Corpus(
        name="messages",
        summary="short English and Chinese messages, spam or ham",
        size="2,060 texts",
        licence="CC0-1.0",
        origin="bundled, written for this package",
        file="messages.csv",
        reader=_read_csv,
    ),
    Corpus(
        name="seed",
        summary="the four sentences that the first notebook begins with",
        size="4 texts",
        licence="CC0-1.0",
        origin="bundled",
        file="seed.csv",
        reader=_read_csv,
    ),
    Corpus(
        name="sms_spam",
        summary="SMS Spam Collection v.1: English text messages, spam or ham",
        size="5,574 texts",
        licence="CC BY 4.0",
        origin="Almeida and Hidalgo 2011, doi:10.24432/C5CC84",
        file="SMSSpamCollection",
        reader=_read_sms_spam,
        url="https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
        sha256="1587ea43e58e82b14ff1f5425c88e17f8496bfcdb67a583dbff9eefaf9963ce3",
        member="SMSSpamCollection",
    ),
    Corpus(
        name="imdb",
        summary="Large Movie Review Dataset v1.0: pos or neg, with a test part",
        size="25,000 + 25,000 texts",
        licence="cite Maas et al., ACL 2011",
        origin="ai.stanford.edu/~amaas/data/sentiment",
        file="aclImdb.tar.gz",
        reader=_read_imdb,
        url="https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
        sha256="c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe",
    ),
    Corpus(
        name="chnsenticorp",
        summary="Chinese hotel reviews, 1 for positive and 0 for negative",
        size="7,766 texts",
        licence="research use",
        origin="Tan Songbo; github.com/SophonPlus/ChineseNlpCorpus",
        file="ChnSentiCorp_htl_all.csv",
        reader=_read_csv,
        url=(
            "https://raw.githubusercontent.com/SophonPlus/ChineseNlpCorpus/"
            "4ef366aa97c927f5bd69e1d97dc88461590174fd/datasets/"
            "ChnSentiCorp_htl_all/ChnSentiCorp_htl_all.csv"
        ),
        sha256="1d414b9c65caf3a836abdb4efded621968502ad3338e1a9d885ae131c86083f0",
    ),
    Corpus(
        name="tiny_shakespeare",
        summary="scenes from Shakespeare's plays, one long text",
        size="1,115,394 characters",
        licence="public domain",
        origin="Andrej Karpathy; github.com/karpathy/char-rnn",
        file="input.txt",
        reader=_read_text,
        url=(
            "https://raw.githubusercontent.com/karpathy/char-rnn/"
            "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt"
        ),
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        loader="load_text",
    ),
)
