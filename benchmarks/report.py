"""Parts of the reports that the benchmarks write."""

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path


def section(title: str, head: list[str], rows: list[list[str]]) -> str:
    """A heading and a table; also printed, because the next may take long."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    text = f"## {title}\n\n{table}\n"
    print(text, flush=True)
    return text


def machine(names: Sequence[str]) -> str:
    """Date, processor, and the versions of the distributions `names`."""
    versions = ", ".join(f"{n} {importlib.metadata.version(n)}" for n in names)
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        cpu = next(
            line.split(":")[1].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        )
    return (
        f"{datetime.date.today()}, {os.cpu_count()} cores of {cpu}, "
        f"Python {platform.python_version()}, {versions}."
    )
