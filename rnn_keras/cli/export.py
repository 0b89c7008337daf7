"""rnn-keras export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rnn_keras.cli.options import RunFolder
from rnn_keras.cli.shared import load_classifier, one_line_errors, say
from rnn_keras.utils.quiet import import_quietly

if TYPE_CHECKING:
    from rnn_keras.export.writer import ExportReport


WHAT = {
    "saved_model": "strings to class names and probabilities",
    "onnx": "token ids (batch, timesteps) to probabilities",
    "litert": "token ids (batch, {length}) to probabilities, longer texts cut at their "
    "end, built-in operations only",
}


def export(
    run: RunFolder,
    format: Annotated[
        Literal["saved_model", "onnx", "litert"],
        typer.Option(help="Of the model.", show_default=False),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="PATH",
            help="A folder for saved_model, a .onnx or .tflite file for the others.",
        ),
    ],
    length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Token ids a text, of litert.",
            show_default="where the classifier cuts texts",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an older export at PATH.")
    ] = False,
) -> None:
    """Write a classifier for another program.

    A saved_model takes strings. onnx and litert take token ids, which
    rnn_keras.exported makes of texts without TensorFlow, by the JSON file that is
    written beside them; litert takes a fixed number a text. What was written is run,
    and kept only where it answers as the classifier does.
    """
    from rnn_keras.export.files import check_targets

    with one_line_errors():
        check_targets(out, format, force)
        classifier = load_classifier(run)
        import_quietly()
        from rnn_keras.export import writer as exporting

        written = exporting.export(
            classifier, out, format, length=length, force=force, report=say
        )
    _print(written)


def _print(written: "ExportReport") -> None:
    for path, size in written.files.items():
        what = "vocabulary, class names and the rules of tokens"
        if path == written.path:
            what = WHAT[written.format].format(length=written.length)
        print(f"{path}: {size:,} bytes; {what}")
    print(
        f"largest difference from the classifier: {written.largest_difference:.1e} "
        f"({written.num_texts} texts, alone and in batches)"
    )
