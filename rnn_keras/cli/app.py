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
    RunFolder,
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
    help="Train and use recurrent text classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.command()(train)
app.command()(compare)
app.command()(doctor)
app.command()(export)


@app.command()
def evaluate(
    run: RunFolder,
    source: Source,
    as_json: AsJson = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    streamed: Streamed = None,
) -> None:
    """Score a saved classifier.

    Every text of SOURCE is scored; of a data set with an official test part, that
    part. Texts that the classifier was trained on flatter it.
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


@app.command()
def predict(
    run: RunFolder,
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT ...]",
            help="By default standard input, one text a line.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Classify texts.

    Prints class name, probability and text, tab-separated, a line a text; line breaks
    and tabs become spaces, and what would command a terminal is escaped. With --json,
    one object a line: text, label, probability, probabilities.
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


@app.command()
def explain(
    run: RunFolder,
    text: Annotated[str, typer.Argument(help="The text.", show_default=False)],
    label: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="Explain this one, not the likeliest."),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Draw it, too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what each token of a text adds to the decision.

    Prints for every token what it adds to the logit of the class, less that of the
    next probable class, and the probability of the class when the text ends there.
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


@app.command()
def datasets() -> None:
    """List the data sets that are known by name."""
    from rnn_keras.cli.tables import print_corpora
    from rnn_keras.datasets.corpora import cache_folder

    print_corpora()
    print(f"Downloads are kept in {cache_folder()} (RNN_KERAS_CACHE moves it).")


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
