"""`rnn-keras train`: from labelled texts to a saved classifier and its scores."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from rnn_keras.classification.settings import Settings
from rnn_keras.cli.options import (
    BY_THE_TEXTS,
    Encoding,
    Epochs,
    LabelColumn,
    NoHeader,
    ResultsFolder,
    Source,
    Streamed,
    TextColumn,
    TokenUnit,
)
from rnn_keras.cli.shared import (
    is_streamed,
    load_texts,
    one_line_errors,
    open_stream,
    print_status,
    table_options,
)
from rnn_keras.utils.choices import CellName, Pooling
from rnn_keras.utils.quiet import import_quietly
from rnn_keras.utils.stages import stage, timed_stages

if TYPE_CHECKING:
    from rnn_keras.datasets.labelled import SplitTexts

DEFAULTS = Settings()


def train(
    source: Source,
    out: ResultsFolder,
    cell: Annotated[
        CellName,
        typer.Option(help="Kind of recurrent layer."),
    ] = DEFAULTS.cell,
    unit: TokenUnit = DEFAULTS.unit,
    units: Annotated[
        int,
        typer.Option(min=1, help="Size of the hidden state, in each direction."),
    ] = DEFAULTS.units,
    embedding_dim: Annotated[
        int, typer.Option(min=1, help="Size of the token embeddings.")
    ] = DEFAULTS.embedding_dim,
    num_layers: Annotated[
        int, typer.Option(min=1, help="Number of recurrent layers.")
    ] = DEFAULTS.num_layers,
    bidirectional: Annotated[
        bool, typer.Option(help="Read every text forwards and backwards.")
    ] = DEFAULTS.bidirectional,
    pooling: Annotated[
        Pooling,
        typer.Option(
            help="How the hidden states of a text become one vector: the last state, "
            "the maximum over all steps, the mean, or maximum and mean concatenated."
        ),
    ] = DEFAULTS.pooling,
    dropout: Annotated[
        float,
        typer.Option(
            min=0,
            max=0.95,
            help="Dropout rate after the embedding and after the pooling.",
        ),
    ] = DEFAULTS.dropout,
    token_dropout: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.95,
            help="Fraction of tokens whose embedding is set to 0 during training.",
            show_default=BY_THE_TEXTS,
        ),
    ] = DEFAULTS.token_dropout,
    linear: Annotated[
        bool,
        typer.Option(
            help="Add the logits of a linear model of n-grams to those of the network."
        ),
    ] = DEFAULTS.linear,
    max_tokens: Annotated[
        int | None, typer.Option(min=3, help="Maximum size of the vocabulary.")
    ] = DEFAULTS.max_tokens,
    min_count: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Tokens that occur less often in the training texts count as unknown.",
            show_default=BY_THE_TEXTS,
        ),
    ] = DEFAULTS.min_count,
    max_length: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Number of tokens after which a text is cut; 0 means never.",
            show_default=BY_THE_TEXTS,
        ),
    ] = DEFAULTS.max_length,
    epochs: Epochs = DEFAULTS.epochs,
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Stop after this many epochs without a lower validation loss; the "
            "weights of the best epoch are kept.",
        ),
    ] = DEFAULTS.patience,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Number of texts in a training step.")
    ] = DEFAULTS.batch_size,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Initial learning rate of Adam; it falls linearly to 0 over --epochs.",
            show_default=BY_THE_TEXTS,
        ),
    ] = DEFAULTS.learning_rate,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**32 - 1,
            help="Random seed of the split, the initial weights, dropout and the "
            "order of the texts.",
        ),
    ] = 0,
    checkpoint_every: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds between checkpoints, from which a stopped run continues.",
        ),
    ] = 30.0,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
    test: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Labelled texts to test on, instead of a fifth of SOURCE. The options "
            "on columns and encoding hold for both.",
            show_default=False,
        ),
    ] = None,
    streamed: Streamed = None,
    distributed: Annotated[
        bool,
        typer.Option(
            "--distributed",
            help="Train together with other processes (JAX backend); the processes "
            "find each other through the KERAS_DISTRIBUTION_* environment variables.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an older run in DIR.")
    ] = False,
) -> None:
    """Train a classifier on labelled texts, test it and save it.

    The classifier adds the logits of two models: a recurrent network and a linear
    model of n-grams.

    One fifth of SOURCE is held out as the test part, unless SOURCE has a test part of
    its own or --test names other texts. One tenth of SOURCE is the validation part. It
    decides when training stops and how much weight each of the two models gets. The
    settings that were chosen from your texts are saved in metrics.json.

    Writes model.keras, metrics.json, history.csv, curves.png and confusion.png to DIR.
    Prints the test scores of the classifier, of its network alone, and of a baseline:
    TF-IDF with logistic regression (LR).

    To continue a run that was stopped or killed, give the same command again.
    """
    table = table_options(text_column, label_column, no_header, encoding)
    with one_line_errors():
        settings = Settings(
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
            linear=linear,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            patience=patience,
        )

    def work(on_connected: Callable[[], None] = lambda: None) -> None:
        with timed_stages(since_start=True):
            _train(
                _Source(source, test, table, streamed, seed),
                out,
                force,
                checkpoint_every,
                distributed,
                on_connected,
                settings,
            )

    if not distributed:
        work()
        return
    from rnn_keras.training.distributed import check_variables, run_supervised

    with one_line_errors():
        check_variables()
    run_supervised(work, print_status)


class _Source(NamedTuple):
    """Where the texts come from, and how they are divided."""

    name: str
    test: str | None
    table: dict[str, Any]
    streamed: bool | None
    seed: int

    def splits(self) -> "SplitTexts":
        """Return the texts in three parts, in memory or as a stream."""
        if is_streamed(self.streamed, self.name, self.test):
            return open_stream(self.name, self.table, self.seed, self.test)
        splits = load_texts(self.name, self.table, self.test).split(seed=self.seed)
        print_status(*splits.notes)
        return splits


def _import_for_reading() -> None:
    """Import what reading needs, so that its time counts as that of an import."""
    import pandas  # noqa: F401
    import sklearn.model_selection  # noqa: F401


def _train(
    source: _Source,
    out: Path,
    force: bool,
    checkpoint_every: float,
    distributed: bool,
    on_connected: Callable[[], None],
    settings: Settings,
) -> None:
    from rnn_keras.experiments.run_folder import check_free, describe_kept

    with one_line_errors(partial(describe_kept, out)):
        if distributed:
            import_quietly()
            from rnn_keras.training.distributed import connect, wait_for_others

            connect(on_connected)
        else:
            check_free(out, force)
        with stage("import"):
            _import_for_reading()
        with stage("reading"):
            splits = source.splits()
        with stage("import"):
            import_quietly()
            from rnn_keras.experiments import run as runs

        metrics = runs.train(
            splits,
            out,
            source=source.name,
            seed=source.seed,
            force=force,
            checkpoint_every=checkpoint_every,
            report=print_status,
            settings=settings,
        )
    if distributed:
        wait_for_others()
    if metrics is not None:
        from rnn_keras.cli.tables import print_run

        print_run(settings.cell, metrics, out)
