"""What several commands do: read texts, load a classifier, report an error.

Errors of the input become one line on standard error. TensorFlow and pandas are
imported inside the functions, so that `--help` does not wait for them.
"""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from rnn_keras.utils.errors import InputError, reason_of
from rnn_keras.utils.messages import count_of, printable, shorten
from rnn_keras.utils.stopping import stoppable

if TYPE_CHECKING:
    from rnn_keras.classification import TextClassifier
    from rnn_keras.datasets.labelled import LabelledTexts
    from rnn_keras.datasets.streaming import Stream
    from rnn_keras.exported import ExportedClassifier


@contextmanager
def one_line_errors(
    kept: Callable[[], str] = lambda: "nothing was written",
) -> Iterator[None]:
    """Turn an `InputError` into one line on standard error and exit status 2.

    Ctrl-C and SIGTERM end the command within two seconds, with one line. The exit
    status is then 128 plus the number of the signal, as in a shell: 130 after Ctrl-C.

    Args:
        kept: returns what this line says of what was kept, and of how to go on.
    """

    def last_words() -> str:
        return f"rnn-keras: interrupted; {kept()}"

    try:
        with stoppable(last_words):
            yield
    except InputError as error:
        print(f"rnn-keras: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        said = str(error)
        print(f"rnn-keras: {said}" if said else last_words(), file=sys.stderr)
        number = getattr(error, "signal", signal.SIGINT)
        raise typer.Exit(128 + number) from error


def print_status(*lines: str) -> None:
    """Print lines on standard error, which leaves standard output to the results."""
    for line in lines:
        print(printable(line), file=sys.stderr)


def replace_undecodable(stream: TextIO, encoding: str | None = None) -> None:
    """Let `stream` replace what it cannot encode or decode instead of raising.

    An argument that is not UTF-8, for one, holds lone surrogates, which cannot be
    printed.

    Args:
        stream: `sys.stdin` or `sys.stdout`.
        encoding: the encoding to use from now on; by default the stream keeps its own.
    """
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(encoding=encoding, errors="replace")


def table_options(
    text_column: str | None, label_column: str | None, no_header: bool, encoding: str
) -> dict[str, Any]:
    """The options that describe a table, as arguments of `load_dataset`."""
    return {
        "text_column": text_column,
        "label_column": label_column,
        "header": not no_header,
        "encoding": encoding,
    }


def load_texts(
    source: str, table: dict[str, Any], test: str | None = None
) -> "LabelledTexts":
    """Load the texts of `source` into memory and print how many there are.

    Args:
        source: what `load_dataset` takes.
        table: what `table_options` returns.
        test: another source, which becomes the test part; by default the one that
            `source` has, if any.

    Raises:
        InputError: if a source cannot be read.
    """
    from rnn_keras.datasets.loaders import load_dataset

    corpus = load_dataset(source, **table)
    print_status(f"{source}: {count_of(len(corpus), 'text')}", *corpus.notes)
    if test is None:
        return corpus
    other = load_texts(test, table)
    return replace(corpus, test=other.test or other)


def is_streamed(asked: bool | None, *sources: str | None) -> bool:
    """Whether to stream: as asked, otherwise if a source is too large for memory."""
    from rnn_keras.datasets.streaming import is_large

    return any(map(is_large, filter(None, sources))) if asked is None else asked


def open_stream(
    source: str, table: dict[str, Any], seed: int, test: str | None = None
) -> "Stream":
    """Open the table `source` as a stream and print how many texts it has.

    Args:
        source: path of a table.
        table: what `table_options` returns.
        seed: seed of the division into training, validation and test part.
        test: path of another table, which becomes the test part.

    Raises:
        InputError: if a source is not a table, or cannot be read.
    """
    from rnn_keras.datasets.streaming import Stream, table_rows

    other = None if test is None else table_rows(test, **table)
    opened = Stream(source, table_rows(source, **table), seed=seed, test=other)
    number = count_of(opened.labels.total(), "text")
    print_status(f"{source}: {number}", *opened.notes)
    return opened


def load_classifier(run: Path) -> "TextClassifier":
    """Load the classifier in a folder that `rnn-keras train` wrote, or in a file.

    Raises:
        InputError: if there is none.
    """
    path = _model_in(run)
    from rnn_keras.classification import TextClassifier

    return TextClassifier.load(path)


def load_answering(run: Path) -> "ExportedClassifier | TextClassifier":
    """Load a classifier to answer only: without TensorFlow if that is possible.

    Raises:
        InputError: if there is none.
    """
    path = _model_in(run)
    from rnn_keras.exported import ExportedClassifier, NotCoveredError

    # Its name may end with `.onnx`; these commands take saved classifiers only.
    if path.suffix == ".keras":
        with suppress(NotCoveredError):
            return ExportedClassifier(path)
    return load_classifier(run)


def _model_in(run: Path) -> Path:
    """Return the path of the classifier's file.

    Raises:
        InputError: if there is none. `TextClassifier.load` would find that too, but
            only after the seconds that the import of TensorFlow takes.
    """
    from rnn_keras.utils.files import RUN_MODEL, kind_of_path

    path = run / RUN_MODEL if kind_of_path(run) == "folder" else run
    if kind_of_path(path) != "file":
        shown = shorten(str(path), 200)
        raise InputError(f"{shown}: no such file; expected what rnn-keras train wrote")
    return path


@contextmanager
def one_line_failures(run: Path) -> Iterator[None]:
    """Turn TensorFlow's errors in the use of a classifier into one line.

    The network of a file from elsewhere may load and still be unable to compute.

    Raises:
        InputError: if the network fails.
    """
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("tensorflow."):
            raise
        reason = shorten(reason_of(error), 120)
        raise InputError(f"{run}: its network cannot answer ({reason})") from error
