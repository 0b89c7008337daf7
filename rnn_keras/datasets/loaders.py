"""Functions that load data: bundled, downloaded, or from the user's own files.

`load_dataset` returns labelled texts, `load_text` one long text, `load_pairs` texts
with their translations, `load_series` time series, and `load_recordings` speech. Each
takes the name of a corpus in `rnn_keras.datasets.CORPORA`, and all but the last also
take a path.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnn_keras.datasets.corpora import CORPORA, Recordings
from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.datasets.series import read_series
from rnn_keras.datasets.table_formats import ColumnKey
from rnn_keras.datasets.tables import (
    ColumnValues,
    parse_pairs,
    read_folder,
    read_table,
)
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.files import (
    codec_for,
    kind_of_path,
    open_file,
    refuse_unreadable,
)
from rnn_keras.utils.messages import count_of, shorten

if TYPE_CHECKING:
    import pandas as pd


def load_dataset(
    source: str | Path,
    *,
    text_column: ColumnKey | None = None,
    label_column: ColumnKey | None = None,
    header: bool = True,
    encoding: str = "utf-8",
) -> LabelledTexts:
    """Load labelled texts: a corpus by its name, or a file or folder.

    Texts that are empty or missing and rows without a label are left out. The `notes`
    of the result say how many, and which row is the first of them.

    Args:
        source: name of a corpus (`rnn-keras datasets` lists them); path of a `.csv`,
            `.tsv`, `.jsonl` or `.parquet` file; or path of a folder with one subfolder
            for each class. If a file or folder has the name of a corpus, write
            "./name".
        text_column: name or position, counted from 0, of a table's column of texts. By
            default it is the only column with a usual name, such as "text".
        label_column: name or position of the column of labels, with a similar default.
        header: whether the first row of a `.csv` or `.tsv` holds names.
        encoding: encoding of the files.

    Raises:
        InputError: if there is no such corpus, file or folder, or it cannot be read.

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
    kind = kind_of_path(path) if str(source) else None
    if kind == "folder":
        return _clean(str(source), *read_folder(path, encoding))
    if kind is None:
        raise InputError(
            f"{_shown(source)}: neither a file, a folder nor a data set; "
            f"the data sets are: {_names_for('load_dataset')}"
        )
    columns = read_table(
        path,
        text_column=text_column,
        label_column=label_column,
        header=header,
        encoding=encoding,
    )
    return _clean(str(source), *columns)


def load_text(source: str | Path, *, encoding: str = "utf-8") -> str:
    """Load one long text for a language model; line breaks are kept.

    Args:
        source: "tiny_shakespeare", or the path of a file.
        encoding: encoding of the file.

    Raises:
        InputError: if there is no such corpus or file, or it cannot be read.
    """
    if str(source) in CORPORA:
        return _read_corpus(str(source), "load_text")
    return _read_file(source, encoding, "load_text")


def load_pairs(source: str | Path, *, encoding: str = "utf-8") -> list[tuple[str, str]]:
    """Load pairs of a text and its translation.

    Args:
        source: "tatoeba_fra", or the path of a file in which each line has a text, a
            tab and its translation.
        encoding: encoding of the file.

    Raises:
        InputError: if there is no such corpus or file, or it cannot be read.
    """
    if str(source) in CORPORA:
        return _read_corpus(str(source), "load_pairs")
    text = _read_file(source, encoding, "load_pairs")
    return parse_pairs(text, _shown(source))


def load_recordings(name: str) -> Recordings:
    """Load recordings of spoken words.

    Args:
        name: "spoken_digits". Its official test part is takes 0 to 4 of each speaker
            and digit.

    Raises:
        InputError: if the name is another one, or the recordings cannot be read.
    """
    if name not in CORPORA:
        raise InputError(
            f"{_shown(name)}: no recordings have this name; "
            f"known names: {_names_for('load_recordings')}"
        )
    return _read_corpus(name, "load_recordings")


def load_series(source: str | Path) -> "pd.DataFrame":
    """Load time series as a table with one row for each equal time step.

    Args:
        source: "melbourne", "beijing", or the path of a `.csv` file. Its first column
            is a time in ISO 8601, such as 2024-12-31 or 2024-12-31 23:00, and the
            others are numbers. The step is a month, a quarter or a year if all times
            are the first or the last day of one; otherwise it is the most frequent
            distance in the file. Steps that are left out become rows of `nan`.

    Returns:
        A table of floats whose index holds rising times; `nan` marks missing values.

    Raises:
        InputError: if there is no such corpus or file, or it is not such a table.
    """
    if str(source) in CORPORA:
        return _read_corpus(str(source), "load_series")
    if not str(source) or kind_of_path(Path(source)) is None:
        raise _not_found(source, "load_series")
    return read_series(Path(source), _shown(source))


def _read_file(source: str | Path, encoding: str, loader: str) -> str:
    path = Path(source)
    if not str(source) or kind_of_path(path) is None:
        raise _not_found(source, loader)
    with (
        refuse_unreadable(path, name=_shown(source), encoding=encoding),
        open_file(path) as raw,
    ):
        return raw.read().decode(codec_for(encoding))


def _not_found(source: str | Path, loader: str) -> InputError:
    return InputError(
        f"{_shown(source)}: neither a file nor a known name; "
        f"known names: {_names_for(loader)}"
    )


def _read_corpus(name: str, loader: str) -> Any:
    """Read a corpus, if it is of the kind that `loader` returns."""
    corpus = CORPORA[name]
    if corpus.loader != loader:
        raise InputError(
            f"{name} ({corpus.summary}) is loaded by `rnn_keras.datasets."
            f"{corpus.loader}`; `{loader}` takes: {_names_for(loader)}"
        )
    return corpus.read()


def _names_for(loader: str) -> str:
    return ", ".join(name for name, c in CORPORA.items() if c.loader == loader)


def _shown(source: str | Path) -> str:
    """Shorten a name for a message: it may be empty, or longer than any path."""
    return shorten(str(source), 200) or "''"


def _clean(source: str, texts: ColumnValues, labels: ColumnValues) -> LabelledTexts:
    """Strip white space, and leave out rows without a text or a label."""
    stripped = [(text or "").strip() for text in texts]
    named = [(label or "").strip() for label in labels]
    rows = range(len(stripped))
    kept = [i for i in rows if stripped[i] and named[i]]
    if not kept:
        raise InputError(f"{source}: no row has both a text and a label")
    empty = [i for i in rows if not stripped[i]]
    unnamed = [i for i in rows if stripped[i] and not named[i]]
    notes = (
        *_note_left_out(empty, "empty text"),
        *_note_left_out(unnamed, "text without a label"),
    )
    return LabelledTexts(
        [stripped[i] for i in kept], [named[i] for i in kept], source, notes
    )


def _note_left_out(rows: list[int], what: str) -> list[str]:
    """Say how many rows were left out, and which was the first."""
    if not rows:
        return []
    first = f"{'first: ' if len(rows) > 1 else ''}data row {rows[0] + 1:,}"
    return [f"{count_of(len(rows), what)} left out ({first})"]
