"""The corpora that have a name: where their files come from and how they are read.

`CORPORA` lists them. Some are bundled with the package; the others are downloaded once.
A file that is already in the corpus's folder of the cache (`RNN_KERAS_CACHE`, or the
user's cache folder) is used as it is. A download gets its final name only after its
SHA-256 has been checked, so a broken download is never used.

`rnn_keras.datasets.loaders` has the functions that users call.
"""

import hashlib
import html
import io
import json
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pooch
from rich.progress import DownloadColumn

from rnn_keras.datasets.tables import ColumnValues, parse_pairs, read_table
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import open_bytes, refuse_unreadable
from rnn_keras.utils.messages import shorten
from rnn_keras.utils.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

CACHE_VARIABLE = "RNN_KERAS_CACHE"


def cache_folder() -> Path:
    """Return the folder in which downloads are kept."""
    return Path(os.environ.get(CACHE_VARIABLE) or pooch.os_cache("rnn_keras"))


@dataclass(frozen=True)
class Corpus:
    """A corpus with a name.

    Attributes:
        name: the name by which it is loaded.
        summary: a description in one line.
        size: its number of texts, characters, pairs, time steps or recordings.
        licence: the licence under which it may be used.
        origin: the authors or the page from which it comes.
        file: name of its file in its folder of the cache, or in the package's data.
        reader: function from the path of the file to what `loader` returns. For
            labelled texts it returns `CorpusParts` instead.
        url: address of the download; empty for a bundled corpus.
        sha256: SHA-256 of the download, or what `digest` returns.
        member: name of the file to extract if the download is a zip archive.
        loader: name of the function of `rnn_keras.datasets` that loads it.
        folder: its folder in the cache, if that is not called like the corpus.
        digest: function from the path of the file to a hash of its content, for an
            archive that its host repacks, which changes its bytes.
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
        """Read the file, which is downloaded first if necessary."""
        path = self.path()
        with refuse_unreadable(path):
            return self.reader(path)

    def path(self) -> Path:
        """Return the path of the file, which is downloaded first if necessary."""
        if not self.url:
            return Path(str(files("rnn_keras.datasets") / "data" / self.file))
        if not self.cached.exists():
            self._download()
        return self.cached

    @property
    def cached(self) -> Path:
        """The path in the cache at which the downloaded file is kept."""
        return cache_folder() / (self.folder or self.name) / self.file

    def _download(self) -> None:
        pooch.get_logger().setLevel("WARNING")
        try:
            fetched = self._fetch()
            if self.digest:
                self._check_digest(fetched, self.digest)
                os.replace(fetched, self.cached)
            if self.member:
                self._extract_member(fetched)
        except Exception as error:
            reason = shorten(" ".join(str(error).split()), 80)
            raise InputError(
                f"{self.name}: could not be downloaded from {self.url} ({reason}); "
                f"to use a copy of the file, put it at {self.cached}"
            ) from error

    def _fetch(self) -> Path:
        """Download to the corpus's folder; check the bytes if they are known."""
        name = self.file if not self.member else Path(self.url).name
        fetched = pooch.retrieve(
            self.url,
            known_hash=None if self.digest else f"sha256:{self.sha256}",
            path=self.cached.parent,
            fname=name + ".part" if self.digest else name,
            downloader=pooch.HTTPDownloader(progressbar=_DownloadBar(self.name)),
        )
        return Path(fetched)

    def _check_digest(self, fetched: Path, digest: Callable[[Path], str]) -> None:
        """Delete a download whose content is not the expected one."""
        try:
            found = digest(fetched)
            if found != self.sha256:
                raise ValueError(f"hash of its content {found}, not {self.sha256}")
        except Exception:
            fetched.unlink()
            raise

    def _extract_member(self, archive: Path) -> None:
        """Put `member` of a zip archive in its place, and delete the archive."""
        with zipfile.ZipFile(archive) as opened:
            content = opened.read(self.member)
        aside = self.cached.with_name(self.cached.name + ".part")
        aside.write_bytes(content)
        os.replace(aside, self.cached)
        archive.unlink()


class _DownloadBar:
    """A progress bar with the interface that pooch expects, drawn by rich."""

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


# Readers of labelled texts.

# The texts and labels of "train" and, if there is an official test part, of "test".
CorpusParts = dict[str, tuple[ColumnValues, ColumnValues]]


def _read_csv(path: Path) -> CorpusParts:
    return {"train": read_table(path)}


def _read_sms_spam(path: Path) -> CorpusParts:
    # The file has quotation marks that are not closed, so a parser that treats them as
    # quotes would lose rows.
    lines = path.read_text("utf-8").splitlines()
    rows = [line.partition("\t") for line in lines if line.strip()]
    texts: ColumnValues = [html.unescape(text) for _, _, text in rows]
    labels: ColumnValues = [label for label, _, _ in rows]
    return {"train": (texts, labels)}


def _read_imdb(path: Path) -> CorpusParts:
    parts: CorpusParts = {"train": ([], []), "test": ([], [])}
    wanted = re.compile(r"aclImdb/(train|test)/(pos|neg)/\d+_\d+\.txt")
    for match, content in _matching_members(path, wanted):
        texts, labels = parts[match[1]]
        texts.append(content.decode("utf-8").replace("<br />", " "))
        labels.append(match[2])
    return parts


def _read_clinc150(path: Path) -> CorpusParts:
    # The parts whose names begin with "oos" hold questions of no class.
    content = json.loads(path.read_bytes())
    parts: CorpusParts = {}
    for part, pairs in (
        ("train", content["train"] + content["val"]),
        ("test", content["test"]),
    ):
        texts, labels = zip(*pairs, strict=True)
        parts[part] = list(texts), list(labels)
    return parts


def _matching_members(
    path: Path, wanted: re.Pattern[str]
) -> Iterator[tuple[re.Match[str], bytes]]:
    """Yield the files of a `.tar.gz` archive whose whole names match.

    They are read straight from the archive. Nothing is unpacked to disk, so no member
    can overwrite a file outside a folder.
    """
    with (
        open_bytes(path, ".gz") as unpacked,
        tarfile.open(fileobj=unpacked, mode="r|") as archive,
    ):
        for member in archive:
            match = wanted.fullmatch(member.name)
            opened = archive.extractfile(member) if match and member.isfile() else None
            if match and opened:
                yield match, opened.read()


# Readers of a long text and of pairs.


def _read_text(path: Path) -> str:
    # Line breaks are kept as they are: they are characters of the text, too.
    return path.read_bytes().decode("utf-8")


def _read_tatoeba(path: Path) -> list[tuple[str, str]]:
    with zipfile.ZipFile(path) as archive:
        return parse_pairs(archive.read("fra-eng/fra.txt").decode("utf-8"), str(path))


# Recordings.


class Recordings(NamedTuple):
    """Recordings of spoken words.

    Attributes:
        waves: one float32 array `(samples,)` for each recording, with values from -1
            to 1.
        labels: the spoken word of each recording, `(recordings,)`.
        speakers: the speaker of each recording, `(recordings,)`.
        takes: how often the speaker had said the word before, `(recordings,)`.
        rate: number of samples per second.
    """

    waves: list[np.ndarray]
    labels: np.ndarray
    speakers: np.ndarray
    takes: np.ndarray
    rate: int


def _read_spoken_digits(path: Path) -> Recordings:
    from scipy.io import wavfile

    waves, keys, rate = [], [], 8000
    for match, content in sorted(_wave_files(path), key=lambda item: item[0][1]):
        found, samples = wavfile.read(io.BytesIO(content))
        if found != rate or samples.dtype != "int16":
            raise OSError(f"{match[1]} does not have {rate} samples/s of 16 bits")
        waves.append(samples.astype("float32") / 32768)
        keys.append((int(match[2]), match[3], int(match[4])))
    if not keys:
        raise OSError("no recordings in it")
    digits, speakers, takes = (np.array(column) for column in zip(*keys, strict=True))
    return Recordings(waves, digits, speakers, takes, rate)


def _hash_recordings(path: Path) -> str:
    """Return the SHA-256 of the sorted lines "NAME SHA-256" of all recordings."""
    lines = [f"{m[1]} {hashlib.sha256(b).hexdigest()}\n" for m, b in _wave_files(path)]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _wave_files(path: Path) -> Iterator[tuple[re.Match[str], bytes]]:
    """Yield the recordings, with file name, digit, speaker and take as groups."""
    wanted = re.compile(r"(?:[^/]+/)?recordings/((\d)_([a-z]+)_(\d+)\.wav)")
    return _matching_members(path, wanted)


# Readers of time series.


def _read_melbourne(path: Path) -> "pd.DataFrame":
    import pandas as pd

    table = pd.read_csv(path, index_col="Date", parse_dates=True)
    # The file lacks 31 December of the two leap years; `asfreq` adds those days
    # with missing values.
    return table.rename(columns={"Temp": "temperature"}).asfreq("D")


def _read_beijing(path: Path) -> "pd.DataFrame":
    import pandas as pd

    table = pd.read_csv(path)
    table.index = pd.to_datetime(table[["year", "month", "day", "hour"]])
    table.index.name = "hour"
    columns = {
        "pm2.5": "pm2.5",
        "DEWP": "dew_point",
        "TEMP": "temperature",
        "PRES": "pressure",
        "Iws": "wind_speed",
        "Is": "snow_hours",
        "Ir": "rain_hours",
    }
    return table[list(columns)].rename(columns=columns).asfreq("h")


_ALL_CORPORA = (
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
        summary="the four sentences at the start of the first notebook",
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
        name="clinc150",
        summary="questions to an assistant in 150 classes, with a test part",
        size="18,000 + 4,500 texts",
        licence="CC BY 3.0",
        origin="Larson et al., EMNLP 2019; github.com/clinc/oos-eval",
        file="data_full.json",
        reader=_read_clinc150,
        url=(
            "https://raw.githubusercontent.com/clinc/oos-eval/"
            "828f8093932c8fe6ca7936c3d2e52903b1c523de/data/data_full.json"
        ),
        sha256="36923c3705a59e08fe9c3883d8bc2dd966ef93e22cb78ac41171782a698d56e0",
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
    Corpus(
        name="melbourne",
        summary="daily minimum temperatures, 1981 to 1990, degrees Celsius",
        size="3,650 days",
        licence="Australian Bureau of Meteorology",
        origin="Jason Brownlee; github.com/jbrownlee/Datasets",
        file="daily-min-temperatures.csv",
        folder="temperatures",
        reader=_read_melbourne,
        url=(
            "https://raw.githubusercontent.com/jbrownlee/Datasets/"
            "d20fcb6402ae34e653d4513b00f39257bb37ed7f/daily-min-temperatures.csv"
        ),
        sha256="8b9de63ed6789492bf497625e7f9beb96a63d367b4b0a21754006f749fa5e5da",
        loader="load_series",
    ),
    Corpus(
        name="beijing",
        summary="hourly fine dust and weather in Beijing, 2010 to 2014",
        size="43,824 hours",
        licence="CC BY 4.0",
        origin="Liang et al. 2015, UCI; github.com/jbrownlee/Datasets",
        file="pollution.csv",
        folder="temperatures",
        reader=_read_beijing,
        url=(
            "https://raw.githubusercontent.com/jbrownlee/Datasets/"
            "d20fcb6402ae34e653d4513b00f39257bb37ed7f/pollution.csv"
        ),
        sha256="892e9559205d16d32623135c127a3951c12e46ea1e0b3093e107ce89a9fd60e2",
        loader="load_series",
    ),
    Corpus(
        name="tatoeba_fra",
        summary="English sentences, each with a French translation",
        size="167,130 pairs",
        licence="CC BY 2.0",
        origin="tatoeba.org and manythings.org/anki; github.com/modelexlab/data",
        file="fra-eng.zip",
        reader=_read_tatoeba,
        url=(
            "https://raw.githubusercontent.com/modelexlab/data/"
            "adddaf33ac35572bcfeb421efec29435e7ea9332/fra-eng.zip"
        ),
        sha256="161c93f18da3a7e6df611ed961426613260de8af06ccf8c79c977afe5135ac44",
        loader="load_pairs",
    ),
    Corpus(
        name="spoken_digits",
        summary="Free Spoken Digit Dataset: 0 to 9 by six speakers",
        size="3,000 recordings",
        licence="CC BY-SA 4.0",
        origin="Zohar Jackson; github.com/Jakobovski/free-spoken-digit-dataset",
        file="recordings.tar.gz",
        reader=_read_spoken_digits,
        url=(
            "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/"
            "26eb9aaf76e81b692f806f9140c2d2777410d7a1.tar.gz"
        ),
        sha256="dbd573d7cafe79c4b49f65718115e1304e24e067fa39eff18a660dc6cb9c360f",
        digest=_hash_recordings,
        loader="load_recordings",
    ),
)

CORPORA: dict[str, Corpus] = {corpus.name: corpus for corpus in _ALL_CORPORA}
