"""What several commands take: arguments and options, each with its line of help."""

from pathlib import Path
from typing import Annotated

import typer

# The default of what `rnn_keras.recipe` chooses.
BY_THE_TEXTS = "by the texts"

Source = Annotated[
    str,
    typer.Argument(
        help="A data set's name, a .csv, .tsv, .jsonl or .parquet file, or a "
        "folder with one subfolder a class.",
        show_default=False,
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="DIR", help="What train wrote.", show_default=False)
]
TextColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|POSITION",
        help="The column of the texts; positions count from 0.",
        show_default="text, message, review, ...",
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|POSITION",
        help="The column of the labels.",
        show_default="label, class, category, ...",
    ),
]
NoHeader = Annotated[bool, typer.Option("--no-header", help="Row 1 is data already.")]
Encoding = Annotated[str, typer.Option(help="Of the files, e.g. gb18030, latin-1.")]
Streamed = Annotated[
    bool | None,
    typer.Option(
        "--stream/--no-stream",
        help="Read SOURCE piece by piece, as often as need be.",
        show_default="if it is too large for the memory",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
