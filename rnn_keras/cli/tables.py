"""What the command line prints as tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape as escape_markup
from rich.table import Table
from rich.text import Text

from rnn_keras.datasets.corpora import CORPORA
from rnn_keras.utils.messages import printable

if TYPE_CHECKING:
    import pandas as pd

    from rnn_keras.classification.explanation import Explanation


def escape(text: str) -> str:
    """A stranger's words as a cell: no markup to rich, no command to a terminal."""
    return escape_markup(printable(text))


def print_scores(columns: dict[str, dict[str, Any]]) -> None:
    """A column a model: accuracy, macro F1 and the F1 of each class.

    Args:
        columns: name of the model to its scores, as `rnn_keras.scoring.score`
            gives them; all on the same texts.
    """
    first = next(iter(columns.values()))
    table = Table(f"{first['n']:,} test texts")
    for name in columns:
        table.add_column(escape(name), justify="right")
    rows = {"accuracy": "accuracy", "macro F1": "macro_f1"}
    for title, key in rows.items():
        table.add_row(title, *(f"{scores[key]:.3f}" for scores in columns.values()))
    for name in first["f1"]:
        values = (f"{scores['f1'][name]:.3f}" for scores in columns.values())
        table.add_row(escape(f"F1 of {name}"), *values)
    Console().print(table)


def print_run(cell: str, metrics: dict[str, Any], out: Path) -> None:
    """What one training run gave, beside the linear baseline.

    Args:
        cell: of the network.
        metrics: as `rnn_keras.runs.train` gives them.
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
    summary: "pd.DataFrame", reference: str, metric: str, n: int
) -> None:
    """A row a model: sizes, seconds, score and difference with their intervals.

    Args:
        summary: of `rnn_keras.comparison.Comparison.summary`.
        reference: that the differences are to.
        metric: that was summarised.
        n: number of test texts.
    """
    title = metric.replace("macro_f1", "macro F1")
    # As narrow as a terminal of 80 columns.
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("model", no_wrap=True)
    for head in ("parameters", "seconds", f"{title} %", f"- {reference}"):
        table.add_column(escape(head), justify="right", no_wrap=True)
    for model, row in summary.iterrows():
        points = 100 * row.drop(["runs", "units", "parameters", "seconds"])
        mean, low, high, difference, least, most = points
        table.add_row(
            escape(str(model)),
            f"{row['parameters']:,.0f}",
            f"{row['seconds']:.1f}",
            escape(f"{mean:.1f} [{low:.1f} {high:.1f}]"),
            escape(f"{difference:+.1f} [{least:+.1f} {most:+.1f}]"),
        )
    Console().print(table)
    runs = summary["runs"].max()
    over = f"{n:,} test texts" + (" and the seeds" if runs > 1 else "")
    print(f"[]: 95 % intervals over {over}; networks: mean of {runs} runs")


def print_explanation(explanation: "Explanation") -> None:
    """The decision, the text in colours where there are any, and a row a token.

    Args:
        explanation: of `TextClassifier.explain`.
    """
    label, against = printable(explanation.label), printable(explanation.against)
    print(
        f"{label} before {against}: {explanation.difference:+.2f} nats, "
        f"of which {explanation.rest:+.2f} without a token"
    )
    values = explanation.contributions
    largest = max(abs(values), default=0) or 1
    text = Text()
    for token, value in zip(explanation.tokens, values, strict=True):
        # From white to blue or vermilion, as in the figures.
        colour = (0, 114, 178) if value > 0 else (213, 94, 0)
        shares = (255 - (255 - c) * abs(value) / largest for c in colour)
        red, green, blue = map(round, shares)
        text.append(printable(token), f"black on rgb({red},{green},{blue})").append(" ")
    console = Console()
    if console.is_terminal:
        console.print(text)
    table = Table("token", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(escape(f"to {label}"), justify="right")
    table.add_column(escape(f"{label} so far"), justify="right")
    column = explanation.class_names.index(explanation.label)
    after = explanation.probabilities[:, column]
    for token, value, chance in zip(explanation.tokens, values, after, strict=True):
        table.add_row(escape(token), f"{value:+.2f}", f"{chance:.3f}")
    console.print(table)


def print_corpora() -> None:
    """The corpora that are known by name."""
    table = Table()
    table.add_column("name", no_wrap=True)
    table.add_column("size", overflow="fold")
    for title in ("what", "licence", "from"):
        table.add_column(title, overflow="fold")
    for corpus in CORPORA.values():
        table.add_row(
            corpus.name, corpus.size, corpus.summary, corpus.licence, corpus.origin
        )
    Console().print(table)
