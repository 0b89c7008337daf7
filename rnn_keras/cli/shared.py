"""What the commands share: reading a source or a run, and saying what goes wrong."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from rnn_keras.utils.errors import InputError
from rnn_keras.utils.messages import printable

if TYPE_CHECKING:
    from rnn_keras.classification.classifier import TextClassifier
    from rnn_keras.datasets.labelled import LabelledTexts
    from rnn_keras.datasets.streaming import Stream


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an InputError into its line on standard error and exit status 2.

    What a signal ended exits, as in a shell, with 128 and its number: 130 for Ctrl-C.
    A path that is not of the terminal's encoding is shown with marks in its place.
    """
    try:
        yield
    except InputError as error:
        print(f"rnn-keras: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        print(f"rnn-keras: {str(error) or 'interrupted'}", file=sys.stderr)
        number = getattr(error, "signal", signal.SIGINT)
        raise typer.Exit(128 + number) from error


def columns(
    text: str | None, label: str | None, no_header: bool, encoding: str
) -> dict[str, Any]:
    """The options of a table as arguments of `load_dataset`."""
    return {
        "text_column": text,
        "label_column": label,
        "header": not no_header,
        "encoding": encoding,
    }


def load(
    source: str, table: dict[str, Any], test: str | None = None
) -> "LabelledTexts":
    """The texts of `source`, and a line on how many there are.

    Args:
        source: as `load_dataset` takes it.
        table: the options of a table.
        test: another source, for the test part: its own, if it has one.
    """
    from rnn_keras.datasets.loaders import load_dataset

    corpus = load_dataset(source, **table)
    say(f"{source}: {len(corpus):,} texts", *corpus.notes)
    if test is None:
        return corpus
    other = load(test, table)
    return replace(corpus, test=other.test or other)


def is_streamed(asked: bool | None, *sources: str | None) -> bool:
    """Whether to read piece by piece: as asked, else where a source is too large."""
    from rnn_keras.datasets.streaming import is_large

    return any(map(is_large, filter(None, sources))) if asked is None else asked


def stream(
    source: str, table: dict[str, Any], seed: int, test: str | None = None
) -> "Stream":
    """The rows of `source`, to be read piece by piece, and a line on how many.

    Raises:
        InputError: if it is no table.
    """
    from rnn_keras.datasets.streaming import Stream, table_rows

    other = None if test is None else table_rows(test, **table)
    opened = Stream(source, table_rows(source, **table), seed=seed, test=other)
    say(f"{source}: {opened.labels.total():,} texts", *opened.notes)
    return opened


def load_classifier(run: Path) -> "TextClassifier":
    """The classifier in a folder that train wrote, or in a file."""
    from rnn_keras.utils.files import kind_of_path
    from rnn_keras.utils.messages import shorten

    path = run / "model.keras" if kind_of_path(run) == "folder" else run
    # `load` would find that too, but only after the seconds of TensorFlow's import.
    if kind_of_path(path) != "file":
        shown = shorten(str(path), 200)
        raise InputError(f"{shown}: no such file; expected what rnn-keras train wrote")
    from rnn_keras.classification.classifier import TextClassifier

    return TextClassifier.load(path)


def say(*lines: str) -> None:
    """Print lines on standard error."""
    for line in lines:
        print(printable(line), file=sys.stderr)
