"""rnn-keras train."""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import typer

from rnn_keras.cli.options import (
    BY_THE_TEXTS,
    Encoding,
    LabelColumn,
    NoHeader,
    Source,
    Streamed,
    TextColumn,
)
from rnn_keras.cli.shared import (
    columns,
    is_streamed,
    load,
    one_line_errors,
    say,
    stream,
)
from rnn_keras.utils.quiet import import_quietly


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
    checkpoint_every: Annotated[
        float,
        typer.Option(min=0, help="Seconds after which the run's state is kept."),
    ] = 30.0,
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
    streamed: Streamed = None,
    distributed: Annotated[
        bool,
        typer.Option(
            "--distributed", help="With the other processes of this run, by JAX."
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an older run in DIR.")
    ] = False,
) -> None:
    """Train a classifier, score it and save it.

    A fifth of SOURCE is held out for the scores, a tenth to decide when to stop and
    how much a linear model of n-grams is to count beside the network. Writes
    model.keras, metrics.json, history.csv, curves.png and confusion.png, and prints
    the scores with those of the network alone and of TF-IDF with logistic regression.
    Stopped or killed, the same command goes on where the state was last kept.
    """
    table = columns(text_column, label_column, no_header, encoding)
    settings = {
        "linear": linear,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "patience": patience,
        "cell": cell,
        "unit": unit,
        "units": units,
        "embedding_dim": embedding_dim,
        "num_layers": num_layers,
        "bidirectional": bidirectional,
        "pooling": pooling,
        "dropout": dropout,
        "token_dropout": token_dropout,
        "max_tokens": max_tokens,
        "min_count": min_count,
        "max_length": max_length,
    }

    def work() -> None:
        _train(
            _Source(source, test, table, streamed, seed),
            out,
            force,
            checkpoint_every,
            distributed,
            settings,
        )

    if not distributed:
        work()
        return
    from rnn_keras.training.distributed import check_variables, run_supervised

    with one_line_errors():
        check_variables()
    run_supervised(work, say)


class _Source(NamedTuple):
    name: str
    test: str | None
    table: dict[str, Any]
    streamed: bool | None
    seed: int

    def splits(self) -> Any:
        """The three parts; in memory or not."""
        if is_streamed(self.streamed, self.name, self.test):
            return stream(self.name, self.table, self.seed, self.test)
        splits = load(self.name, self.table, self.test).split(seed=self.seed)
        say(*splits.notes)
        return splits


def _train(
    source: _Source,
    out: Path,
    force: bool,
    checkpoint_every: float,
    distributed: bool,
    settings: dict[str, Any],
) -> None:
    from rnn_keras.experiments.run_folder import check_free

    with one_line_errors():
        if distributed:
            import_quietly()
            from rnn_keras.training.distributed import connect, end

            connect()
        else:
            check_free(out, force)
        splits = source.splits()
        import_quietly()
        from rnn_keras.experiments import run as runs

        metrics = runs.train(
            splits,
            out,
            source=source.name,
            seed=source.seed,
            force=force,
            checkpoint_every=checkpoint_every,
            report=say,
            **settings,
        )
    if distributed:
        end()
    if metrics is not None:
        from rnn_keras.cli.tables import print_run

        print_run(settings["cell"], metrics, out)
