"""rnn-keras compare."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rnn_keras.cli.options import (
    BY_THE_TEXTS,
    Encoding,
    LabelColumn,
    NoHeader,
    Source,
    TextColumn,
)
from rnn_keras.cli.shared import columns, load, one_line_errors, say
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.quiet import import_quietly


def compare(
    source: Source,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")],
    cells: Annotated[
        str, typer.Option(metavar="CELL,CELL", help="Recurrent cells.")
    ] = "simple_rnn,lstm,gru",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each network.")] = 5,
    match: Annotated[
        Literal["units", "parameters", "seconds"],
        typer.Option(help="What the cells have alike."),
    ] = "parameters",
    units: Annotated[
        int, typer.Option(min=1, help="Of the cell that has the most of it.")
    ] = 64,
    reference: Annotated[
        str, typer.Option(metavar="MODEL", help="Differences are to this model.")
    ] = "tfidf_2",
    metric: Annotated[
        Literal["accuracy", "macro_f1"], typer.Option(help="What is compared.")
    ] = "accuracy",
    linear: Annotated[
        bool,
        typer.Option(help="Compare the networks with a linear model added, too."),
    ] = True,
    unit: Annotated[
        Literal["word", "character"] | None,
        typer.Option(help="What a token is.", show_default=BY_THE_TEXTS),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(min=1, help="Passes at most.", show_default=BY_THE_TEXTS),
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    force: Annotated[
        bool,
        typer.Option("--force", help="Replace a comparison of other texts in DIR."),
    ] = False,
) -> None:
    """Compare cells over several seeds, beside what anyone would try first.

    All are trained and tested on the same texts. Beside the cells stand the majority
    class, TF-IDF with logistic regression, and a network without recurrence. Writes
    every run as it ends, and goes on where it was stopped; then runs.csv, summary.csv
    and comparison.png, and prints means with their 95 % intervals.
    """
    with one_line_errors():
        table = columns(text_column, label_column, no_header, encoding)
        names = _check_cells(cells)
        splits = load(source, table).split(seed=0)
        say(*splits.notes)
        import_quietly()
        from rnn_keras.experiments import comparison

        settings = {"linear": linear, "unit": unit, "epochs": epochs}
        models = comparison.models_of(splits, names, settings)
        if reference not in models:
            raise InputError(
                f"--reference {reference}: expected one of {', '.join(models)}"
            )
        compared = comparison.compare(
            splits,
            out,
            cells=names,
            seeds=seeds,
            match=match,
            units=units,
            force=force,
            report=say,
            **settings,
        )
        summary = comparison.write_summary(compared, out, reference, metric)
    from rnn_keras.cli.tables import print_comparison

    print_comparison(summary, reference, metric, len(splits.test))
    print(f"runs.csv, summary.csv and comparison.png are in {out}")


def _check_cells(cells: str) -> tuple[str, ...]:
    """The cells of a list with commas.

    Raises:
        InputError: if one is unknown.
    """
    names = tuple(dict.fromkeys(name.strip() for name in cells.split(",")))
    known = ("simple_rnn", "lstm", "gru")
    for name in names:
        if name not in known:
            raise InputError(f"--cells: {name!r} is none of {', '.join(known)}")
    return names
