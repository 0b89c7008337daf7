"""The progress bar for everything that a person waits for."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)


def progress_bar(*columns: ProgressColumn, shown: bool = True) -> Progress:
    """A bar with the time left, on standard error; invisible unless on a terminal.

    Args:
        *columns: further columns, between the bar and the time left.
        shown: whether to show it at all.
    """
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not (shown and console.is_terminal),
        transient=True,
    )
