"""Data: bundled, downloaded, or from a person's own files.

`load_dataset` gives labelled texts in one shape, `load_text` one long text,
`load_pairs` texts and translations, `load_series` numbers over time, `load_recordings`
speech.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnn_keras.datasets.corpora import CORPORA, Recordings
from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.datasets.series import read_series
from rnn_keras.datasets.table_formats import Column, not_text
from rnn_keras.datasets.tables import Cells, read_folder, read_pairs, read_table
from rnn_keras.utils.errors import InputError, reason_of
from rnn_keras.utils.files import UNREADABLE, codec, kind_of_path, open_file
from rnn_keras.utils.messages import count_of, shorten

if TYPE_CHECKING:
    import pandas as pd


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
        parts = _read_corpus(str(source), "load_dataset")
        train = _clean(str(source), *parts["train"])
        if "test" not in parts:
            return train
        return replace(train, test=_clean(f"{source} (test)", *parts["test"]))
    path = Path(source)
    what = kind_of_path(path) if str(source) else None
    if what == "folder":
        return _clean(str(source), *read_folder(path, encoding))
    if what is None:
        raise InputError(
            f"{_shown(source)}: neither a file, a folder nor a data set; "
            f"the data sets are: {_named('load_dataset')}"
        )
    cells = read_table(
        path,
        text_column=text_column,
        label_column=label_column,
        header=header,
        encoding=encoding,
    )
    return _clean(str(source), *cells)


def load_text(source: str | Path, *, encoding: str = "utf-8") -> str:
    """One long text, as it is, line breaks included: for a language model.

    Args:
        source: "tiny_shakespeare", or a file.
        encoding: of the file.

    Raises:
        InputError: if there is no such file or text, or it cannot be read.
    """
    if str(source) in CORPORA:
        return _read_corpus(str(source), "load_text")
    return _read_file(source, encoding, "load_text")


def load_pairs(source: str | Path, *, encoding: str = "utf-8") -> list[tuple[str, str]]:
    """Texts with a translation each.

    Args:
        source: "tatoeba_fra", or a file of lines: a text, a tab, its translation.
        encoding: of the file.

    Raises:
        InputError: if there is no such file or corpus, or it cannot be read.
    """
    if str(source) in CORPORA:
        return _read_corpus(str(source), "load_pairs")
    text = _read_file(source, encoding, "load_pairs")
    return read_pairs(text, _shown(source))


def load_recordings(name: str) -> Recordings:
    """Spoken words: "spoken_digits".

    Of these, takes 0 to 4 of each speaker and digit are the official test part.

    Raises:
        InputError: for another name, or if they cannot be read.
    """
    if name not in CORPORA:
        raise InputError(
            f"{_shown(name)}: no recordings known by name; "
            f"those are: {_named('load_recordings')}"
        )
    return _read_corpus(name, "load_recordings")


def load_series(source: str | Path) -> "pd.DataFrame":
    """Series over time: a row a step, at equal distances, `nan` where none is known.

    Args:
        source: "melbourne", "beijing", or a `.csv` file whose first column is a time
            (ISO 8601, like 2024-12-31 or 2024-12-31 23:00) and whose others are
            numbers. Steps that are left out become rows of `nan`; the distance of
            steps is the usual one in the file, or a month, a quarter or a year where
            all times begin or end one.

    Returns:
        A table with an index of times that rise.

    Raises:
        InputError: if there is no such thing, or it is no such file.
    """
    if str(source) in CORPORA:
        return _read_corpus(str(source), "load_series")
    if not str(source) or kind_of_path(Path(source)) is None:
        raise InputError(
            f"{_shown(source)}: neither a file nor series known by name; "
            f"those are: {_named('load_series')}"
        )
    return read_series(Path(source), _shown(source))


def _read_file(source: str | Path, encoding: str, loader: str) -> str:
    name = _shown(source)
    path = Path(source)
    if not str(source) or kind_of_path(path) is None:
        raise InputError(
            f"{name}: neither a file nor known by name; those are: {_named(loader)}"
        )
    try:
        with open_file(path) as raw:
            return raw.read().decode(codec(encoding))
    except InputError:
        raise
    except UnicodeError as error:
        raise not_text(path, encoding, error) from error
    except UNREADABLE as error:
        raise InputError(f"{name}: cannot be read ({reason_of(error)})") from error


def _shown(source: str | Path) -> str:
    """For a message: a name may be none, or longer than a path can be."""
    return shorten(str(source), 200) or "''"


def _read_corpus(name: str, loader: str) -> Any:
    """What a corpus holds, if it is of the kind that `loader` gives out."""
    corpus = CORPORA[name]
    if corpus.loader != loader:
        raise InputError(
            f"{name} ({corpus.summary}) is loaded by `rnn_keras.datasets."
            f"{corpus.loader}`; `{loader}` takes: {_named(loader)}"
        )
    return corpus.read()


def _named(loader: str) -> str:
    return ", ".join(name for name, c in CORPORA.items() if c.loader == loader)


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
            notes.append(f"{count_of(len(rows), what)} left out ({first})")
    if not kept:
        raise InputError(
            f"{source}: no rows with both a text and a label; one of them is always "
            "empty"
        )
    return LabelledTexts(
        [stripped[i] for i in kept], [named[i] for i in kept], source, tuple(notes)
    )
