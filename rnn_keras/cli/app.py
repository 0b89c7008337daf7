"""The command `rnn-keras`: every command it has, and the short ones themselves.

The longer commands have modules of their own: `train`, `compare`, `doctor` and
`export`. TensorFlow takes seconds to import, so the commands import what needs it
inside, and `--help` answers at once.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnn_keras.cli.compare import compare
from rnn_keras.cli.doctor import doctor
from rnn_keras.cli.export import export
from rnn_keras.cli.options import (
    AsJson,
    Encoding,
    LabelColumn,
    NoHeader,
    SavedRun,
    Source,
    Streamed,
    TextColumn,
)
from rnn_keras.cli.shared import (
    is_streamed,
    load_answering,
    load_classifier,
    load_texts,
    one_line_errors,
    one_line_failures,
    replace_undecodable,
    table_options,
)
from rnn_keras.cli.train import train
from rnn_keras.utils.messages import json_line, printable

if TYPE_CHECKING:
    from rnn_keras.datasets.streaming import Texts

app = typer.Typer(
    help="Train, compare, examine and use recurrent text classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def evaluate(
    run: SavedRun,
    source: Source,
    as_json: AsJson = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    streamed: Streamed = None,
) -> None:
    """Test a saved classifier on labelled texts.

    Prints the accuracy, the macro F1 and the F1 of each class.

    Uses every text of SOURCE or, if SOURCE has an official test part, that part. Give
    texts that the classifier was not trained on: on its training texts the scores are
    too high.
    """
    replace_undecodable(sys.stdout)
    table = table_options(text_column, label_column, no_header, encoding)
    with one_line_errors():
        chunks = _labelled_chunks(source, table, streamed)
        with one_line_failures(run):
            scores = load_answering(run).evaluate_chunks(chunks)
    if as_json:
        print(json_line(scores))
    else:
        from rnn_keras.cli.tables import print_scores

        print_scores({str(run): scores})


def predict(
    run: SavedRun,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            help="Texts to classify. If there are none, each line of standard input "
            "is a text.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Classify texts with a saved classifier.

    Prints one line per text: class name, probability and text, separated by tabs. Line
    breaks and tabs of the text become spaces, and control characters are escaped. With
    --json it prints one object per line, with text, label, probability and
    probabilities.
    """
    replace_undecodable(sys.stdout)
    lines = iter(texts) if texts else _lines_of_standard_input()
    with one_line_errors(), one_line_failures(run):
        classifier = load_answering(run)
        while chunk := list(islice(lines, 1024)):
            for prediction in classifier.predict(chunk):
                if as_json:
                    print(json_line(prediction._asdict()))
                else:
                    label, text = map(printable, (prediction.label, prediction.text))
                    print(f"{label}\t{prediction.probability:.3f}\t{text}")


def explain(
    run: SavedRun,
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT", help="Text to explain.", show_default=False),
    ],
    label: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="Class to explain.",
            show_default="the most probable class",
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG",
            help="Also save a figure of the explanation to this file.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what each token of a text contributes to the answer.

    Compares the most probable class, or the one that --label names, with the most
    probable of the other classes. Prints two numbers per token: what the token adds to
    the difference between the logits of the two classes, and the probability of the
    first class if the text ended after that token.
    """
    replace_undecodable(sys.stdout)
    with one_line_errors(), one_line_failures(run):
        explanation = load_classifier(run).explain(text, label)
        if figure is not None:
            from rnn_keras.plots.text import save_explanation

            save_explanation(explanation, figure)
    if as_json:
        print(json_line(explanation.to_dict()))
    else:
        from rnn_keras.cli.tables import print_explanation

        print_explanation(explanation)


def datasets() -> None:
    """List the data sets that can be used by name."""
    from rnn_keras.cli.tables import print_corpora
    from rnn_keras.datasets.corpora import cache_folder

    print_corpora()
    print(
        f"Downloads are kept in {cache_folder()}; set RNN_KERAS_CACHE to use another "
        "folder."
    )


# The order in which --help lists them.
for command in train, evaluate, predict, explain, compare, doctor, export, datasets:
    app.command()(command)


def main(arguments: list[str] | None = None) -> None:
    """Run a command in a process of its own.

    Args:
        arguments: those of the command; by default the process's.
    """
    try:
        app(arguments, prog_name="rnn-keras")
    except SystemExit as ended:
        if "tensorflow" not in sys.modules or not isinstance(ended.code, int):
            raise
        # Python would take TensorFlow down piece by piece, for a second or more, and
        # wait for what a thread computes. All files are closed by now.
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(ended.code)


def _labelled_chunks(
    source: str, table: dict[str, Any], streamed: bool | None
) -> "Iterable[Texts]":
    """Texts and labels to test on, some at a time."""
    if is_streamed(streamed, source):
        from rnn_keras.datasets.streaming import labelled_chunks, table_rows

        return labelled_chunks(table_rows(source, **table))
    corpus = load_texts(source, table)
    corpus = corpus.test or corpus
    return [(corpus.texts, corpus.labels)]


def _lines_of_standard_input() -> Iterator[str]:
    replace_undecodable(sys.stdin, encoding="utf-8")
    return (line.rstrip("\r\n") for line in sys.stdin)
