"""rnn-keras: parses, then calls the package.

TensorFlow takes seconds to import, so what needs it is imported inside the
commands, and `--help` answers at once.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

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
    columns,
    is_streamed,
    load,
    load_classifier,
    one_line_errors,
)
from rnn_keras.cli.train import train
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.messages import json_line, printable

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

    Uses every text of SOURCE or, if SOURCE has an official test part, that part. Give
    texts that the classifier was not trained on: on its training texts the scores are
    too high.
    """
    sys.stdout.reconfigure(errors="replace")
    with one_line_errors():
        from rnn_keras.datasets.streaming import labelled_chunks, table_rows

        table = columns(text_column, label_column, no_header, encoding)
        if is_streamed(streamed, source):
            chunks = labelled_chunks(table_rows(source, **table))
        else:
            corpus = load(source, table)
            corpus = corpus.test or corpus
            chunks = [(corpus.texts, corpus.labels)]
        with _network_errors(run):
            scores = load_classifier(run).evaluate_chunks(chunks)
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
            help="Texts to classify; without any, the lines of standard input.",
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
    # An argument that is not UTF-8 holds lone surrogates, which cannot be printed.
    sys.stdout.reconfigure(errors="replace")
    lines = iter(texts or [])
    if not texts:
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        lines = (line.rstrip("\r\n") for line in sys.stdin)
    with one_line_errors(), _network_errors(run):
        classifier = load_classifier(run)
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
            show_default="the most probable",
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG", help="Also draw a figure to this file.", show_default=False
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what each token of a text contributes to the answer.

    Compares the class with its strongest rival. Prints two numbers per token: what it
    adds to the difference between the logits of the two classes, and the probability
    of the class if the text ended after that token.
    """
    sys.stdout.reconfigure(errors="replace")
    with one_line_errors(), _network_errors(run):
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
    print(f"Downloads are kept in {cache_folder()} (RNN_KERAS_CACHE moves it).")


# The order in which --help lists them.
for command in train, evaluate, predict, explain, compare, doctor, export, datasets:
    app.command()(command)


@contextmanager
def _network_errors(run: Path) -> Iterator[None]:
    """A stranger's network may load, and still be unable to compute."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("tensorflow."):
            raise
        from rnn_keras.utils.errors import reason_of
        from rnn_keras.utils.messages import shorten

        reason = shorten(reason_of(error), 120)
        raise InputError(f"{run}: its network cannot answer ({reason})") from error
