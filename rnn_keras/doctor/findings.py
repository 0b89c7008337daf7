"""What the training doctor says: a sentence with its numbers, and what to do.

The checks are in `rnn_keras.data_checks`, `leaks` and `token_checks`, which look at
texts, and in `score_checks`, `network_checks` and `embedding_checks`, which look at a
run. Each gives a `Finding`, or `None` where all is well.
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, get_args

from rnn_keras.scoring import share_interval

Severity = Literal["error", "warning", "note"]
SEVERITIES = get_args(Severity)
EXAMPLES = 3

# Near the accuracy of most classifiers that are of use; see `score_noise`.
_TYPICAL_ACCURACY = 0.9


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        name: what kind it is of, as "near-repeats".
        severity: `"error"` where scores or answers cannot be believed, `"warning"`
            where something should be changed, `"note"` of what is good to know.
        says: one sentence with the numbers.
        cure: one sentence that names an option or a function.
        examples: a few of the texts, tokens or rows, each short.
    """

    name: str
    severity: Severity
    says: str
    cure: str
    examples: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**self._asdict(), "examples": list(self.examples)}


def by_severity(findings: Iterable[Finding | None]) -> list[Finding]:
    """Those that are none left out, the worst first, else in their order."""
    found = [finding for finding in findings if finding is not None]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def score_noise(n: int) -> float:
    """How far a score on `n` texts is off by chance: half of its 95 % interval.

    What can move the score by less is not told from chance.
    """
    interval = share_interval(_TYPICAL_ACCURACY * n, n)
    return (interval.high - interval.low) / 2
