"""rnn-keras: parses, then calls the package.

TensorFlow takes seconds to import, so what needs it is imported inside the
commands, and `--help` answers at once.
"""

import json
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rnn_keras._tensorflow import import_quietly
from rnn_keras.cli_compare import compare
from rnn_keras.console import columns, load, one_line_errors, say
from rnn_keras.errors import InputError
from rnn_keras.options import (
    BY_THE_TEXTS,
    AsJson,
    Encoding,
    LabelColumn,
    NoHeader,
    RunFolder,
    Source,
    TextColumn,
)

if TYPE_CHECKING:
    from rnn_keras.classifier import TextClassifier

app = typer.Typer(
    help="Train and use recurrent text classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.command()(compare)


@app.command()
def train(
    source: Source,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")],
    cell: Annotated[
        Literal["simple_rnn", "lstm", "gru"], typer.Option(help="Recurrent cell.")
    ] = "gru",
    unit: Annotated[
        Literal["word", "character"] | None,
        typer.Option(help="What a token is.", show_default=BY_THE_TEXTS),
    ] = None,
    units: Annotated[int, typer.Option(min=1, help="Size of the state.")] = 64,
    embedding_dim: Annotated[
        int, typer.Option(min=1, help="Of a token's vector.")
    ] = 128,
    num_layers: Annotated[int, typer.Option(min=1, help="Recurrent layers.")] = 1,
    bidirectional: Annotated[bool, typer.Option(help="Read from both ends.")] = True,
    pooling: Annotated[
        Literal["last", "max", "mean", "max_mean"],
        typer.Option(help="Of the states over time: the last, or all pooled."),
    ] = "max_mean",
    dropout: Annotated[
        float, typer.Option(min=0, max=0.95, help="Share of values dropped.")
    ] = 0.5,
    token_dropout: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.95,
            help="Share of tokens dropped.",
            show_default=BY_THE_TEXTS,
        ),
    ] = None,
    linear: Annotated[
        bool,
        typer.Option(help="Add a linear model of n-grams to the network's answer."),
    ] = True,
    max_tokens: Annotated[
        int, typer.Option(min=3, help="Size of the vocabulary at most.")
    ] = 20_000,
    min_count: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Tokens seen less often stay unknown.",
            show_default=BY_THE_TEXTS,
        ),
    ] = None,
    max_length: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Cut texts after so many tokens; 0: never.",
            show_default=BY_THE_TEXTS,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes at most.", show_default=BY_THE_TEXTS),
    ] = None,
    patience: Annotated[
        int, typer.Option(min=1, help="Epochs without a gain before it stops.")
    ] = 3,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts in a step.")] = 32,
    learning_rate: Annotated[
        float | None,
        typer.Option(min=0, help="Of the first epoch.", show_default=BY_THE_TEXTS),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=2**32 - 1, help="Fixes splits, weights, dropout and order."
        ),
    ] = 0,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    test: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Score on these texts instead of on a fifth of SOURCE.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an older run in DIR.")
    ] = False,
) -> None:
    """Train a classifier, score it and save it.

    A fifth of SOURCE is held out for the scores, a tenth to decide when to stop and
    how much a linear model of n-grams is to count beside the network. Writes
    model.keras, metrics.json, history.csv, curves.png and confusion.png, and prints
    the scores with those of the network alone and of TF-IDF with logistic regression.
    """
    from rnn_keras.folders import check_free

    table = columns(text_column, label_column, no_header, encoding)
    with one_line_errors():
        check_free(out, force)
        corpus = load(source, table)
        if test is not None:
            test_corpus = load(test, table)
            corpus = replace(corpus, test=test_corpus.test or test_corpus)
        splits = corpus.split(seed=seed)
        say(*splits.notes)
        import_quietly()
        from rnn_keras import runs

        metrics = runs.train(
            splits,
            out,
            source=source,
            seed=seed,
            linear=linear,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            patience=patience,
            force=force,
            report=say,
            cell=cell,
            unit=unit,
            units=units,
            embedding_dim=embedding_dim,
            num_layers=num_layers,
            bidirectional=bidirectional,
            pooling=pooling,
            dropout=dropout,
            token_dropout=token_dropout,
            max_tokens=max_tokens,
            min_count=min_count,
            max_length=max_length,
        )
    from rnn_keras.tables import print_run

    print_run(cell, metrics, out)


@app.command()
def evaluate(
    run: RunFolder,
    source: Source,
    as_json: AsJson = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
) -> None:
    """Score a saved classifier.

    Every text of SOURCE is scored; of a data set with an official test part, that
    part. Texts that the classifier was trained on flatter it.
    """
    with one_line_errors():
        corpus = load(source, columns(text_column, label_column, no_header, encoding))
        corpus = corpus.test or corpus
        scores = _load_classifier(run).evaluate(corpus.texts, corpus.labels)
    if as_json:
        print(json.dumps(scores, ensure_ascii=False))
    else:
        from rnn_keras.tables import print_scores

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

    Prints class name, probability and text, tab-separated, a line a text. With
    --json, one object a line: text, label, probability, probabilities.
    """
    # An argument that is not UTF-8 holds lone surrogates, which cannot be printed.
    sys.stdout.reconfigure(errors="replace")
    lines = iter(texts or [])
    if not texts:
        sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        lines = (line.rstrip("\r\n") for line in sys.stdin)
    with one_line_errors():
        classifier = _load_classifier(run)
        while chunk := list(islice(lines, 1024)):
            for prediction in classifier.predict(chunk):
                if as_json:
                    print(json.dumps(prediction._asdict(), ensure_ascii=False))
                else:
                    text = " ".join(prediction.text.splitlines()).replace("\t", " ")
                    print(f"{prediction.label}\t{prediction.probability:.3f}\t{text}")


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
    with one_line_errors():
        explanation = _load_classifier(run).explain(text, label)
        if figure is not None:
            from rnn_keras.charts import save_explanation

            save_explanation(explanation, figure)
    if as_json:
        print(json.dumps(explanation.to_dict(), ensure_ascii=False))
    else:
        from rnn_keras.tables import print_explanation

        print_explanation(explanation)


@app.command()
def datasets() -> None:
    """List the data sets that are known by name."""
    from rnn_keras.downloads import cache_folder
    from rnn_keras.tables import print_corpora

    print_corpora()
    print(f"Downloads are kept in {cache_folder()} (RNN_KERAS_CACHE moves it).")


def _load_classifier(run: Path) -> "TextClassifier":
    path = run / "model.keras" if run.is_dir() else run
    # `load` would find that too, but only after the seconds of TensorFlow's import.
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected what rnn-keras train wrote")
    from rnn_keras import TextClassifier

    return TextClassifier.load(path)
