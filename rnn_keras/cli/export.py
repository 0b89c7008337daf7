"""`rnn-keras export`: a classifier as a file that other programs run."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rnn_keras.cli.options import SavedRun
from rnn_keras.cli.shared import load_classifier, one_line_errors, print_status
from rnn_keras.utils.quiet import import_quietly


def export(
    run: SavedRun,
    format: Annotated[
        Literal["saved_model", "onnx", "litert"],
        typer.Option(help="File format to write.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="PATH",
            help="Where to write the export: a new folder for saved_model, a .onnx "
            "file for onnx, a .tflite file for litert.",
        ),
    ],
    length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of token ids per text, for litert only.",
            show_default="the maximum length of the classifier",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an older export at PATH.")
    ] = False,
) -> None:
    """Export a classifier so that other programs can run it.

    A model in the format saved_model takes texts and returns class names and
    probabilities. A model in the format onnx or litert takes token ids and returns
    probabilities. A JSON file with the vocabulary and the tokenizer's rules is written
    beside it, from which rnn_keras.exported makes the ids, without TensorFlow. A
    litert model takes a fixed number of ids per text.

    The exported model and the classifier are run on the same texts, and the export is
    kept only if no probability differs by more than 0.0001.
    """
    with one_line_errors():
        from rnn_keras.export.files import check_targets

        check_targets(out, format, force)
        classifier = load_classifier(run)
        import_quietly()
        from rnn_keras.export import writer

        written = writer.export(
            classifier, out, format, length=length, force=force, report=print_status
        )
    from rnn_keras.cli.tables import print_export

    print_export(written)
