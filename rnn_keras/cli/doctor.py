"""rnn-keras doctor."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnn_keras.cli.options import AsJson, Encoding, LabelColumn, NoHeader, TextColumn
from rnn_keras.cli.shared import columns, load, one_line_errors, say
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.messages import json_line, printable
from rnn_keras.utils.quiet import import_quietly

if TYPE_CHECKING:
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
            help="Texts to examine a run with.",
            show_default="the run's own",
        ),
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Labelled texts that serve as the test part.",
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
    part), equal texts with different labels, class names that stand in the texts,
    small classes, cut texts, unknown tokens, and a choice of words where characters
    suit the texts better, or the reverse. In a run it checks the loss, the scores,
    overfitting, padding, saturated units, gradients, embeddings, and how its texts are
    read.

    Prints each finding and what to do about it, the worst first. The exit status is 1
    if there is an error or a warning, 0 if there are only notes or nothing, and 2 if
    the input cannot be read.
    """
    from rnn_keras.experiments.run_files import is_run

    table = columns(text_column, label_column, no_header, encoding)
    with one_line_errors():
        if is_run(Path(source)):
            found, checked = _examine_run(Path(source), data, test, table)
        else:
            if data is not None:
                raise InputError(f"--data goes with the folder of a run, not {source}")
            found, checked = _examine_data(source, test, table)
    if as_json:
        findings = [finding.to_dict() for finding in found]
        content = {"source": source, "looked_at": checked, "findings": findings}
        print(json_line(content))
    else:
        _print(found, checked)
    if any(finding.severity != "note" for finding in found):
        raise typer.Exit(1)


def _examine_run(
    folder: Path, data: str | None, test: str | None, table: dict[str, Any]
) -> tuple[list["Finding"], str]:
    from rnn_keras.experiments.run_files import read_run

    read_run(folder)  # what is wrong with it shows before TensorFlow's seconds
    if test is not None and data is None:
        raise InputError("--test of a run needs --data, too")
    corpus = None if data is None else _load(data, test, table)
    import_quietly()
    from rnn_keras.doctor import run_examination as checkup

    lines: list[str] = []
    found = checkup.examine_run(folder, corpus, report=lines.append)
    say(*lines)
    partly = any(checkup.CHECKED_WITHOUT_TEXTS in line for line in lines)
    return found, checkup.CHECKED_WITHOUT_TEXTS if partly else checkup.CHECKED


def _examine_data(
    source: str, test: str | None, table: dict[str, Any]
) -> tuple[list["Finding"], str]:
    corpus = _load(source, test, table)
    import_quietly()
    from rnn_keras.doctor.data_examination import CHECKED, examine_data

    return examine_data(corpus, report=say), CHECKED


def _load(source: str, test: str | None, table: dict[str, Any]) -> Any:
    from rnn_keras.datasets.streaming import is_large

    for name in filter(None, (source, test)):
        if is_large(name):
            raise InputError(
                f"{name}: too large to be looked at in memory; give a table of some of "
                "its rows, drawn at random"
            )
    return load(source, table, test)


def _print(found: list["Finding"], checked: str) -> None:
    """A paragraph a finding, and a line on all."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)

    def indented(text: str) -> None:
        for line in Text(printable(text)).wrap(console, console.width - 2):
            line.rstrip()
            console.print(Text("  ").append_text(line))

    colours = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
    for finding in found:
        head = Text(finding.severity, colours[finding.severity])
        console.print(head.append(f"  {finding.name}", "bold"))
        indented(finding.says)
        indented(f"→ {finding.cure}")
        for example in finding.examples:
            line = Text(f"    · {printable(example)}", "dim")
            console.print(line, no_wrap=True, overflow="ellipsis")
        console.print()
    counts = {s: sum(f.severity == s for f in found) for s in colours}
    told = [f"{n} {s}{'s' * (n > 1)}" for s, n in counts.items() if n]
    print(f"{', '.join(told) or 'nothing found'}; looked at {checked}")
