"""Arguments and options that several commands take, each with its help text.

An option of a single command stands in the module of that command.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

# The default of the settings that `rnn_keras.classification.recipe` chooses.
BY_THE_TEXTS = "chosen from your texts"

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Labelled texts: the name of a data set (see rnn-keras datasets), a .csv, "
        ".tsv, .jsonl or .parquet file, or a folder with one subfolder of .txt files "
        "per class.",
        show_default=False,
    ),
]
SavedRun = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="The folder that rnn-keras train wrote, or a .keras file.",
        show_default=False,
    ),
]
ResultsFolder = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder to write the results to.")
]
TokenUnit = Annotated[
    Literal["word", "character"] | None,
    typer.Option(
        help="Whether a token is a word or a character.", show_default=BY_THE_TEXTS
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Maximum number of passes over the training texts.",
        show_default=BY_THE_TEXTS,
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|POSITION",
        help="Column of the texts, by name or by position from 0.",
        show_default="the one called text, message, review, sentence, content or body",
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|POSITION",
        help="Column of the labels, by name or by position from 0.",
        show_default="the one called label, class, category, target or sentiment",
    ),
]
NoHeader = Annotated[
    bool,
    typer.Option(
        "--no-header", help="The first row of the table is data, not column names."
    ),
]
Encoding = Annotated[
    str, typer.Option(help="Text encoding of the files, e.g. gb18030 or latin-1.")
]
Streamed = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Read the table from disk in pieces instead of loading it into memory.",
        show_default="stream if the table is too large for memory",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
