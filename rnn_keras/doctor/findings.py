"""What the training doctor says: one sentence with numbers, and one with the cure."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, get_args

from rnn_keras.scoring import share_interval

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
# Number of examples that a finding shows.
EXAMPLES = 3

# Most classifiers that are of use have about this accuracy; see `score_noise`.
_TYPICAL_ACCURACY = 0.9


class Finding(NamedTuple):
    """One thing that a check has found.

    Attributes:
        name: kind of finding, such as `"near-repeats"`.
        severity: `"error"` if scores or answers cannot be trusted, `"warning"` if
            something should be changed, `"note"` if it is just good to know.
        says: a sentence that says what was found, with its numbers.
        cure: what to do, with the name of an option or a function.
        examples: a few texts, tokens or rows, each short.
    """

    name: str
    severity: Severity
    says: str
    cure: str
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The finding as a dictionary that JSON can hold."""
        return {**self._asdict(), "examples": list(self.examples)}


def by_severity(findings: Iterable[Finding | None]) -> list[Finding]:
    """The findings with the worst first, without `None`; equals keep their order."""
    found = [finding for finding in findings if finding is not None]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def score_noise(n: int) -> float:
    """How far the accuracy on `n` texts may be off by chance.

    It is half the width of the 95 % interval of a typical accuracy. Whatever moves a
    score by less cannot be told from chance.
    """
    interval = share_interval(_TYPICAL_ACCURACY * n, n)
    return (interval.high - interval.low) / 2
