"""`rnn-keras compare`: recurrent cells beside simple baselines, over several seeds."""

from typing import Annotated, Literal

import typer

from rnn_keras.classification.settings import Settings
from rnn_keras.cli.options import (
    Encoding,
    Epochs,
    LabelColumn,
    NoHeader,
    ResultsFolder,
    Source,
    TextColumn,
    TokenUnit,
)
from rnn_keras.cli.shared import (
    load_texts,
    one_line_errors,
    print_status,
    table_options,
)
from rnn_keras.utils.choices import CELL_NAMES, CellName
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.quiet import import_quietly


def compare(
    source: Source,
    out: ResultsFolder,
    cells: Annotated[
        str,
        typer.Option(
            metavar="CELL,...", help="Recurrent layers to compare, separated by commas."
        ),
    ] = ",".join(CELL_NAMES),
    seeds: Annotated[
        int,
        typer.Option(
            min=1, help="Number of runs of each network, with different seeds."
        ),
    ] = 5,
    match: Annotated[
        Literal["units", "parameters", "seconds"],
        typer.Option(
            help="What to hold equal across cells: the size of the state, the number "
            "of parameters, or the duration of a training step."
        ),
    ] = "parameters",
    units: Annotated[
        int,
        typer.Option(
            min=1,
            help="State size of the cell with the most parameters (with --match "
            "seconds: of the slowest cell); the others are sized to match.",
        ),
    ] = 64,
    reference: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Model with which every other model is compared, such as tfidf_2, "
            "majority or gru.",
        ),
    ] = "tfidf_2",
    metric: Annotated[
        Literal["accuracy", "macro_f1"], typer.Option(help="Score to compare.")
    ] = "accuracy",
    linear: Annotated[
        bool,
        typer.Option(
            help="Also score each network with a linear model of n-grams added to it."
        ),
    ] = True,
    unit: TokenUnit = None,
    epochs: Epochs = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Replace a comparison of other texts or settings in DIR."
        ),
    ] = False,
) -> None:
    """Compare recurrent cells and simple baselines over several seeds.

    All models are trained and tested on the same texts. Four baselines are always
    included: the majority class (majority), TF-IDF with logistic regression on single
    tokens (tfidf_1) and on single tokens and pairs (tfidf_2), and a network that
    averages the token embeddings and has no recurrence (mean_embedding). If tokens are
    characters, as in Chinese, triples (tfidf_3) are included too.

    Writes runs.csv, summary.csv and comparison.png to DIR and prints mean scores with
    their 95 % intervals.

    Every run is saved as it ends. To continue a comparison that was stopped, give the
    same command again.
    """
    table = table_options(text_column, label_column, no_header, encoding)

    def kept() -> str:
        if any(out.glob("runs/*-*-*.json")):
            return f"finished runs are kept in {out}; the same command goes on there"
        return "no run had finished; the same command begins anew"

    with one_line_errors(kept):
        names = _cells_of(cells)
        splits = load_texts(source, table).split(seed=0)
        print_status(*splits.notes)
        import_quietly()
        from rnn_keras.experiments import comparison

        settings = Settings(linear=linear, unit=unit, epochs=epochs)
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
            report=print_status,
            settings=settings,
        )
        summary = comparison.write_summary(compared, out, reference, metric)
    from rnn_keras.cli.tables import print_comparison

    print_comparison(summary, reference, metric, len(splits.test))
    files = comparison.RUNS_TABLE, comparison.SUMMARY_TABLE, comparison.FIGURE
    print("{}, {} and {} are in {}".format(*files, out))


def _cells_of(cells: str) -> tuple[CellName, ...]:
    """The cells in a list separated by commas, each once.

    Raises:
        InputError: if one is unknown.
    """
    by_name: dict[str, CellName] = {cell: cell for cell in CELL_NAMES}
    names = list(dict.fromkeys(name.strip() for name in cells.split(",")))
    for name in names:
        if name not in by_name:
            raise InputError(f"--cells: {name!r} is none of {', '.join(CELL_NAMES)}")
    return tuple(by_name[name] for name in names)
