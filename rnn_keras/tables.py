"""What the command line prints as tables."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rnn_keras.corpora import CORPORA


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
