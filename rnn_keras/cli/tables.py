"""The results of the commands as a person reads them on standard output.

Texts, class names and names of files may come from elsewhere: what a terminal would
take for a command is escaped, and nothing of them is read as rich's markup.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table
from rich.text import Text

from rnn_keras.datasets.corpora import CORPORA
from rnn_keras.utils.messages import count_of, printable

if TYPE_CHECKING:
    import pandas as pd

    from rnn_keras.classification.explanation import Explanation
    from rnn_keras.doctor.findings import Finding
    from rnn_keras.export.writer import ExportReport

# From white to one of these, as in the figures: Okabe-Ito's blue and vermilion.
_BLUE, _VERMILION = (0, 114, 178), (213, 94, 0)
_COLOUR_OF_SEVERITY = {
    "error": "bold red",
    "warning": "bold yellow",
    "note": "bold cyan",
}
_EXPORTED = {
    "saved_model": "strings to class names and probabilities",
    "onnx": "token ids (batch, timesteps) to probabilities",
    "litert": "token ids (batch, {length}) to probabilities, longer texts cut at their "
    "end, built-in operations only",
}


def print_scores(columns: dict[str, dict[str, Any]]) -> None:
    """Print accuracy, macro F1 and the F1 of each class, with one column per model.

    Args:
        columns: the name of each model and its scores, as `rnn_keras.scoring.score`
            returns them. All models were tested on the same texts.
    """
    first = next(iter(columns.values()))
    table = Table(f"{first['n']:,} test texts")
    for name in columns:
        table.add_column(_escape(name), justify="right")
    for title, key in (("accuracy", "accuracy"), ("macro F1", "macro_f1")):
        table.add_row(title, *(f"{scores[key]:.3f}" for scores in columns.values()))
    for name in first["f1"]:
        values = (f"{scores['f1'][name]:.3f}" for scores in columns.values())
        table.add_row(_escape(f"F1 of {name}"), *values)
    Console().print(table)


def print_run(cell: str, metrics: dict[str, Any], out: Path) -> None:
    """Print the scores of one training run beside those of the linear baseline.

    Args:
        cell: kind of the recurrent layers.
        metrics: the content of `metrics.json`.
        out: folder of the run.
    """
    ngrams = metrics["ngrams"]
    scores = {f"{cell} + n-grams" if ngrams else cell: metrics["test"]}
    if ngrams:
        scores[cell] = metrics["network"]
    print_scores({**scores, "TF-IDF + LR": metrics["baseline"]})
    beside = f" and {ngrams:,} n-grams" if ngrams else ""
    print(
        f"{metrics['parameters']:,} parameters{beside}, {metrics['epochs']} epochs, "
        f"{metrics['seconds']:.1f} seconds; saved in {out}"
    )


def print_comparison(
    summary: "pd.DataFrame", reference: str, metric: str, num_texts: int
) -> None:
    """Print one row per model: size, seconds, score and difference, with intervals.

    Args:
        summary: what `rnn_keras.experiments.Comparison.summary` returns.
        reference: model to which the differences are computed.
        metric: the score in the summary, "accuracy" or "macro_f1".
        num_texts: number of test texts.
    """
    title = metric.replace("macro_f1", "macro F1")
    # The columns are as narrow as a terminal of 80 characters needs them.
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    for head in ("parameters", "seconds", f"{title} %", f"- {reference}"):
        table.add_column(_escape(head), justify="right", no_wrap=True)
    for model, row in summary.iterrows():
        points = 100 * row.drop(["runs", "units", "parameters", "seconds"])
        mean, low, high, difference, least, most = points
        table.add_row(
            _escape(str(model)),
            f"{row['parameters']:,.0f}",
            f"{row['seconds']:.1f}",
            _escape(f"{mean:.1f} [{low:.1f} {high:.1f}]"),
            _escape(f"{difference:+.1f} [{least:+.1f} {most:+.1f}]"),
        )
    Console().print(table)
    runs = summary["runs"].max()
    over = f"{num_texts:,} test texts" + (" and the seeds" if runs > 1 else "")
    print(
        f"In brackets: 95 % intervals over {over}. Networks: mean of "
        f"{count_of(runs, 'run')}."
    )


def print_explanation(explanation: "Explanation") -> None:
    """Print the difference of two classes, and what each token contributes to it.

    On a terminal, the text itself comes first, each token in the colour of its
    contribution.

    Args:
        explanation: what `TextClassifier.explain` returns.
    """
    label, against = printable(explanation.label), printable(explanation.against)
    print(
        f"logit of {label} minus logit of {against}: {explanation.difference:+.2f}; "
        f"{explanation.rest:+.2f} of it comes from no token"
    )
    console = Console()
    if console.is_terminal:
        console.print(_coloured(explanation))
    table = Table("token", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(_escape(f"adds to {label}"), justify="right")
    table.add_column(_escape(f"probability of {label} so far"), justify="right")
    column = explanation.class_names.index(explanation.label)
    for token, value, chance in zip(
        explanation.tokens,
        explanation.contributions,
        explanation.probabilities[:, column],
        strict=True,
    ):
        table.add_row(_escape(token), f"{value:+.2f}", f"{chance:.3f}")
    console.print(table)


def print_findings(findings: list["Finding"], checked: str) -> None:
    """Print one paragraph per finding, and a last line that counts them.

    Args:
        findings: in the order in which to print them.
        checked: a list of all that was checked.
    """
    console = Console(highlight=False)
    for finding in findings:
        head = Text(finding.severity, _COLOUR_OF_SEVERITY[finding.severity])
        console.print(head.append(f"  {finding.name}", "bold"))
        for sentence in (finding.says, f"→ {finding.cure}"):
            for line in Text(printable(sentence)).wrap(console, console.width - 2):
                line.rstrip()
                console.print(Text("  ").append_text(line))
        for example in finding.examples:
            line = Text(f"    · {printable(example)}", "dim")
            console.print(line, no_wrap=True, overflow="ellipsis")
        console.print()
    counts = {
        severity: sum(finding.severity == severity for finding in findings)
        for severity in _COLOUR_OF_SEVERITY
    }
    found = ", ".join(count_of(n, severity) for severity, n in counts.items() if n)
    print(f"{found or 'nothing found'}; looked at {checked}")


def print_export(written: "ExportReport") -> None:
    """Print each file of an export, and how far its answers differ.

    Args:
        written: what `rnn_keras.export.export` returns.
    """
    for path, size in written.files.items():
        content = "vocabulary, class names and tokenizer rules"
        if path == written.path:
            content = _EXPORTED[written.format].format(length=written.length)
        print(f"{path}: {size:,} bytes; {content}")
    print(
        f"largest difference from the classifier: {written.largest_difference:.1e} "
        f"({written.num_texts} texts, alone and in batches)"
    )


def print_corpora() -> None:
    """Print the data sets that can be used by name."""
    table = Table()
    table.add_column("name", no_wrap=True)
    for title in ("size", "content", "licence", "origin"):
        table.add_column(title, overflow="fold")
    for corpus in CORPORA.values():
        table.add_row(
            corpus.name, corpus.size, corpus.summary, corpus.licence, corpus.origin
        )
    Console().print(table)


def _escape(text: str) -> str:
    """Someone else's words as a cell: no markup for rich, no command for a terminal."""
    return escape_markup(printable(text))


def _coloured(explanation: "Explanation") -> Text:
    """The tokens: blue where they speak for the class, vermilion where against it."""
    largest = max(abs(explanation.contributions), default=0) or 1
    text = Text()
    for token, value in zip(explanation.tokens, explanation.contributions, strict=True):
        colour = _BLUE if value > 0 else _VERMILION
        strength = abs(value) / largest
        red, green, blue = (round(255 - (255 - c) * strength) for c in colour)
        text.append(printable(token), f"black on rgb({red},{green},{blue})").append(" ")
    return text
