"""Where the seconds of a job go, from the start of the process to its end.

Code says which stage of a job it is with `stage`; `timed_stages` adds up the seconds of
each. Without a surrounding `timed_stages`, `stage` does nothing.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

Stage = Literal[
    "import",
    "reading",
    "compiling",
    "network",
    "linear models",
    "scoring",
    "figures",
    "other",
]
STAGES: tuple[Stage, ...] = get_args(Stage)


class StageTimes:
    """The seconds of each stage so far; the time outside any stage is "other"."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._running: list[Stage] = ["other"]
        self._since = time.perf_counter()

    def add(self, name: Stage, seconds: float) -> None:
        """Count seconds that were not measured here."""
        self._seconds[name] += seconds

    def enter(self, name: Stage) -> None:
        """Begin a stage; the surrounding one is not charged for it."""
        self._charge()
        self._running.append(name)

    def leave(self) -> None:
        """End the stage that `enter` began last."""
        self._charge()
        self._running.pop()

    def seconds(self) -> dict[Stage, float]:
        """Return the seconds of every stage up to now."""
        self._charge()
        return dict(self._seconds)

    def _charge(self) -> None:
        now = time.perf_counter()
        self._seconds[self._running[-1]] += now - self._since
        self._since = now


_TIMES: ContextVar[StageTimes | None] = ContextVar("stage_times", default=None)


@contextmanager
def timed_stages(*, since_start: bool = False) -> Iterator[StageTimes]:
    """Inside, measure the stages; use the surrounding measurement where there is one.

    Args:
        since_start: count what the process has computed before, as "import".
    """
    times = _TIMES.get()
    if times is not None:
        yield times
        return
    times = StageTimes()
    if since_start:
        times.add("import", time.process_time())
    token = _TIMES.set(times)
    try:
        yield times
    finally:
        _TIMES.reset(token)


@contextmanager
def stage(name: Stage) -> Iterator[None]:
    """Inside, charge the time to a stage, if it is measured at all."""
    times = _TIMES.get()
    if times is None:
        yield
        return
    times.enter(name)
    try:
        yield
    finally:
        times.leave()
