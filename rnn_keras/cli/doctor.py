"""`rnn-keras doctor`: problems in labelled texts or in a finished run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnn_keras.cli.options import AsJson, Encoding, LabelColumn, NoHeader, TextColumn
from rnn_keras.cli.shared import (
    is_streamed,
    load_texts,
    one_line_errors,
    print_status,
    table_options,
)
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.messages import json_line
from rnn_keras.utils.quiet import import_quietly

if TYPE_CHECKING:
    from rnn_keras.datasets.labelled import LabelledTexts
    from rnn_keras.doctor.findings import Finding


def doctor(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE|RUN",
            help="Labelled texts, as rnn-keras train takes them, or the folder of a "
            "finished run.",
            show_default=False,
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Labelled texts to examine a run with.",
            show_default="the texts that the run was trained and tested on",
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Labelled texts that serve as the test part of SOURCE, or of --data "
            "if a run is examined.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    no_header: NoHeader = False,
    encoding: Encoding = "utf-8",
) -> None:
    """Find problems in labelled texts or in a finished run.

    In labelled texts it looks for repeats (also between the training and the test
    part), equal texts with different labels, class names that occur in the texts,
    small classes, cut texts, unknown tokens, and a choice of words where characters
    suit the texts better, or the reverse. In a run it checks the loss, the scores,
    overfitting, padding, saturated units, gradients and embeddings, and looks for cut
    texts, unknown tokens and an unsuitable choice of words or characters.

    Prints each finding and what to do about it, the worst first. The exit status is 1
    if there is an error or a warning, 0 if there are only notes or no findings, and 2
    if the input cannot be read.
    """
    table = table_options(text_column, label_column, no_header, encoding)
    with one_line_errors():
        from rnn_keras.experiments.run_files import is_run

        if is_run(Path(source)):
            findings, checked = _examine_run(Path(source), data, test, table)
        else:
            if data is not None:
                raise InputError(f"--data goes with the folder of a run, not {source}")
            findings, checked = _examine_data(source, test, table)
    if as_json:
        content = [finding.to_dict() for finding in findings]
        print(json_line({"source": source, "looked_at": checked, "findings": content}))
    else:
        from rnn_keras.cli.tables import print_findings

        print_findings(findings, checked)
    if any(finding.severity != "note" for finding in findings):
        raise typer.Exit(1)


def _examine_run(
    folder: Path, data: str | None, test: str | None, table: dict[str, Any]
) -> tuple[list["Finding"], str]:
    """The findings in a run, and a list of what was checked."""
    from rnn_keras.experiments.run_files import read_run

    # A damaged run is reported here, before the seconds that TensorFlow takes.
    read_run(folder)
    if test is not None and data is None:
        raise InputError("--test with a run needs --data, too")
    corpus = None if data is None else _load_small(data, test, table)
    import_quietly()
    from rnn_keras.doctor import run_examination

    lines: list[str] = []
    findings = run_examination.examine_run(folder, corpus, report=lines.append)
    print_status(*lines)
    if any(run_examination.CHECKED_WITHOUT_TEXTS in line for line in lines):
        return findings, run_examination.CHECKED_WITHOUT_TEXTS
    return findings, run_examination.CHECKED


def _examine_data(
    source: str, test: str | None, table: dict[str, Any]
) -> tuple[list["Finding"], str]:
    """The findings in labelled texts, and a list of what was checked."""
    corpus = _load_small(source, test, table)
    import_quietly()
    from rnn_keras.doctor.data_examination import CHECKED, examine_data

    return examine_data(corpus, report=print_status), CHECKED


def _load_small(
    source: str, test: str | None, table: dict[str, Any]
) -> "LabelledTexts":
    """Load texts, but refuse a source that is too large for memory.

    Raises:
        InputError: if it is, or if it cannot be read.
    """
    for name in filter(None, (source, test)):
        if is_streamed(None, name):
            raise InputError(
                f"{name}: too large to examine in memory; give a table with a random "
                "sample of its rows"
            )
    return load_texts(source, table, test)
