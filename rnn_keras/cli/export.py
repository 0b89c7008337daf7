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
            help="Where to write: a new folder for saved_model, a .onnx file for "
            "onnx, a .tflite file for litert.",
        ),
    ],
    length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of token ids per text, for litert only.",
            show_default="the length at which the classifier cuts texts",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an older export at PATH.")
    ] = False,
) -> None:
    """Export a classifier so that other programs can run it.

    A saved_model takes texts. onnx and litert take token ids: a JSON file with the
    vocabulary and the tokenizer's rules is written beside the model, and
    rnn_keras.exported turns texts into ids with it, without TensorFlow. A litert model
    takes a fixed number of ids per text.

    The exported model is run beside the classifier and kept only if both give the same
    probabilities.
    """
    from rnn_keras.export.files import check_targets

    with one_line_errors():
        check_targets(out, format, force)
        classifier = load_classifier(run)
        import_quietly()
        from rnn_keras.export import writer

        written = writer.export(
            classifier, out, format, length=length, force=force, report=print_status
        )
    from rnn_keras.cli.tables import print_export

    print_export(written)
