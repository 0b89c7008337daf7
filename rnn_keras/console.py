"""What the commands share: reading a source, and saying what goes wrong."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from rnn_keras.errors import InputError
from rnn_keras.printable import printable

if TYPE_CHECKING:
    from rnn_keras.labelled import LabelledTexts
    from rnn_keras.streaming import Stream


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


def load(source: str, table: dict[str, Any]) -> "LabelledTexts":
    """The texts of `source`, and a line on how many there are."""
    from rnn_keras.datasets import load_dataset

    corpus = load_dataset(source, **table)
    say(f"{source}: {len(corpus):,} texts", *corpus.notes)
    return corpus


def stream(
    source: str, table: dict[str, Any], seed: int, test: str | None = None
) -> "Stream":
    """The rows of `source`, to be read piece by piece, and a line on how many.

    Raises:
        InputError: if it is no table.
    """
    from rnn_keras.streaming import Stream, table_rows

    rows = [
        None if name is None else table_rows(name, **table) for name in (source, test)
    ]
    opened = Stream(source, rows[0], seed=seed, test=rows[1])
    say(f"{source}: {opened.labels.total():,} texts", *opened.notes)
    return opened


def say(*lines: str) -> None:
    """Print lines on standard error."""
    for line in lines:
        print(printable(line), file=sys.stderr)
