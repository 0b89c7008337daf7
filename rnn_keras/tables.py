"""What the command line prints as tables."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rnn_keras.corpora import CORPORA

if TYPE_CHECKING:
    import pandas as pd


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
    print(
        f"[]: 95 % intervals over {n:,} test texts and the seeds; "
        f"networks: mean of {summary['runs'].max()} runs"
    )


def print_corpora() -> None:
    """The corpora that are known by name."""
    table = Table("name", "texts")
    for title in ("what", "licence", "from"):
        table.add_column(title, overflow="fold")
    for corpus in CORPORA.values():
        table.add_row(
            corpus.name, corpus.size, corpus.summary, corpus.licence, corpus.origin
        )
    Console().print(table)
