"""Checks for labels that have leaked into the texts: "[SPAM] ...", "label: pos".

A token that tells a class is not a fault in itself: "free" is honest evidence of spam,
and "the" of English. A leak has a fixed place. What a template or a file header adds
stands at the same distance from the beginning or the end of each text, and words that
people write do not. So a token that tells a class is an error or a warning if it has a
fixed place, and a note otherwise. Combinations of several tokens are not looked for.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rnn_keras.doctor.findings import EXAMPLES, Finding
from rnn_keras.scoring import share_interval
from rnn_keras.utils.messages import percent, quote, shorten

# A token tells a class if at least this share of the texts that have it are of the
# class,
_PRECISION = 0.98
# with this lower bound of the interval, which takes sixteen texts without an exception,
_LEAST_PRECISION = 0.8
# and if at most this share of the other classes' texts have it (upper bound). Without
# this condition, any frequent token would tell a class that most texts belong to.
_MOST_ELSEWHERE = 0.2
# It also has to be in at least this share of the class's texts.
_COVERAGE = 0.5
# A template is in nearly all texts of a class; "who" is in two of three questions that
# ask for a person.
_TEMPLATE_COVERAGE = 0.8
# The name of the class is suspicious sooner, although texts may name their topic.
_NAME_COVERAGE = 0.25
_NAME_PRECISION = 0.9
# A token has a fixed place if this share of its texts have it in the same place: at one
# distance from an end,
_SAME_PLACE = 0.9
# or among so many first or last tokens of texts at least four times as long. (A news
# agency's name may follow a place name of one word or two.)
_EDGE = 8
# The most frequent of the tokens that tell a class; only these are examined.
_CANDIDATES = 8


class _Telltale(NamedTuple):
    """A token, or the name of a class, that tells the class.

    Attributes:
        label: the class that it tells.
        token: the token; several, joined by spaces, for a name.
        coverage: share of the class's texts that have it.
        elsewhere: share of the other classes' texts that have it.
        has_fixed_place: whether it stands in the same place of each text.
        is_name: whether it is the name of the class.
        rows: positions of the class's texts that have it.
    """

    label: str
    token: str
    coverage: float
    elsewhere: float
    has_fixed_place: bool
    is_name: bool
    rows: list[int]


def label_leaks(
    tokens: Sequence[Sequence[str]],
    labels: Sequence[str],
    name_tokens: Mapping[str, Sequence[str]],
) -> list[Finding]:
    """Find class names, or other tokens, that alone tell the class of a text.

    Args:
        tokens: lower-case tokens of each text; no text twice.
        labels: label of each text.
        name_tokens: lower-case tokens of each class name.

    Returns:
        At most one each of "label-in-text", "telltale-token" and "easy-token".
    """
    sizes = Counter(labels)
    names = _find_names(tokens, labels, name_tokens, sizes)
    others = _find_tokens(tokens, labels, sizes)
    named = {t.label for t in names if t.has_fixed_place}
    others = [t for t in others if t.label not in named]
    # A name in a fixed place is a fault, and then names elsewhere are not mentioned.
    names = [t for t in names if t.has_fixed_place] or names
    template = [t for t in others if _is_template(t)]
    easy = [t for t in others if not _is_template(t) and t.token.isalnum()]
    found = [
        _finding("label-in-text", names, tokens),
        _finding("telltale-token", template, tokens),
        _finding("easy-token", [] if template or names else easy, tokens),
    ]
    return [finding for finding in found if finding is not None]


def _find_names(
    tokens: Sequence[Sequence[str]],
    labels: Sequence[str],
    name_tokens: Mapping[str, Sequence[str]],
    sizes: Counter[str],
) -> list[_Telltale]:
    """Every class name that tells its class."""
    found = []
    lines = [f" {' '.join(words)} " for words in tokens]
    for label, name in name_tokens.items():
        wanted = f" {' '.join(name)} "
        having = [i for i, line in enumerate(lines) if wanted in line] if name else []
        hits = sum(labels[i] == label for i in having)
        if hits >= _NAME_COVERAGE * sizes[label] and _tells(
            hits, len(having), sizes[label], len(labels), _NAME_PRECISION
        ):
            telltale = _examine(label, list(name), tokens, labels, sizes, is_name=True)
            found.append(telltale)
    return found


def _find_tokens(
    tokens: Sequence[Sequence[str]], labels: Sequence[str], sizes: Counter[str]
) -> list[_Telltale]:
    """For each class the token that tells it best, if there is one.

    That is one of a template, or else the token that most of the class's texts have.
    """
    texts_with: dict[str, Counter[str]] = {label: Counter() for label in sizes}
    all_texts_with: Counter[str] = Counter()
    for words, label in zip(tokens, labels, strict=True):
        distinct = set(words)
        texts_with[label].update(distinct)
        all_texts_with.update(distinct)
    found = []
    for label, counts in texts_with.items():
        telling = [
            token
            for token, n in counts.items()
            if n >= _COVERAGE * sizes[label]
            and _tells(n, all_texts_with[token], sizes[label], len(labels), _PRECISION)
        ]
        telling.sort(key=lambda token: (-counts[token], token))
        candidates = [
            _examine(label, [token], tokens, labels, sizes)
            for token in telling[:_CANDIDATES]
        ]
        if candidates:
            found.append(max(candidates, key=lambda t: (_is_template(t), t.coverage)))
    return found


def _tells(hits: int, total: int, size: int, texts: int, precision: float) -> bool:
    """Whether a token tells the class of the texts that have it.

    Args:
        hits: number of the class's texts that have the token.
        total: number of all texts that have it.
        size: number of the class's texts.
        texts: number of all texts.
        precision: share of `total` that must belong to the class.
    """
    if hits < precision * total or size == texts or not total:
        return False
    return (
        share_interval(hits, total).low >= _LEAST_PRECISION
        and share_interval(total - hits, texts - size).high <= _MOST_ELSEWHERE
    )


def _examine(
    label: str,
    wanted: list[str],
    tokens: Sequence[Sequence[str]],
    labels: Sequence[str],
    sizes: Counter[str],
    *,
    is_name: bool = False,
) -> _Telltale:
    """Find where the wanted tokens stand in the texts of each class.

    Args:
        label: the class that they tell.
        wanted: one token, or those of a name.
        tokens: tokens of each text.
        labels: label of each text.
        sizes: number of texts of each class.
        is_name: whether they are the name of the class.
    """
    rows, before, after, lengths, elsewhere = [], [], [], [], 0
    for i, words in enumerate(tokens):
        if wanted[0] not in words:
            continue
        starts = _occurrences(words, wanted)
        if starts and labels[i] == label:
            rows.append(i)
            before.append(starts[0])
            after.append(len(words) - len(wanted) - starts[-1])
            lengths.append(len(words))
        elif starts:
            elsewhere += 1
    return _Telltale(
        label,
        " ".join(wanted),
        len(rows) / sizes[label],
        elsewhere / max(1, len(labels) - sizes[label]),
        _have_fixed_place(before, after, lengths),
        is_name,
        rows,
    )


def _occurrences(words: Sequence[str], wanted: list[str]) -> list[int]:
    """The positions in `words` at which `wanted` begins."""
    starts = (i for i, word in enumerate(words) if word == wanted[0])
    return [i for i in starts if list(words[i : i + len(wanted)]) == wanted]


def _have_fixed_place(before: list[int], after: list[int], lengths: list[int]) -> bool:
    """Whether a token stands in the same place of nearly all texts that have it.

    Args:
        before: number of tokens before its first occurrence in each text.
        after: number of tokens after its last occurrence.
        lengths: number of tokens of each text.
    """
    typical_length = sorted(lengths)[len(lengths) // 2]
    for distances in (before, after):
        same = Counter(distances).most_common(1)[0][1]
        near = sum(distance < _EDGE for distance in distances)
        if same >= _SAME_PLACE * len(distances):
            return True
        if typical_length >= 4 * _EDGE and near >= _SAME_PLACE * len(distances):
            return True
    return False


def _is_template(telltale: _Telltale) -> bool:
    # A full stop or a question mark stands at the end because it belongs there.
    is_word = any(character.isalnum() for character in telltale.token)
    covers = telltale.coverage >= _TEMPLATE_COVERAGE
    return telltale.has_fixed_place and is_word and covers


def _finding(
    name: str, telltales: list[_Telltale], tokens: Sequence[Sequence[str]]
) -> Finding | None:
    """A finding about the telltale with the highest coverage."""
    if not telltales:
        return None
    worst = max(telltales, key=lambda t: t.coverage)
    label = repr(shorten(worst.label))
    what = f"The name of class {label}" if worst.is_name else repr(shorten(worst.token))
    texts = "its texts" if worst.is_name else f"the texts of class {label}"
    place = ", always in the same place" if worst.has_fixed_place else ""
    is_fault = name != "easy-token" and worst.has_fixed_place
    return Finding(
        name,
        ("error" if worst.is_name else "warning") if is_fault else "note",
        f"{what} is in {percent(worst.coverage)} of {texts} and in "
        f"{percent(worst.elsewhere)} of the others{place}{_others(telltales)}.",
        "Take it out of the texts before you train: new texts will not have it, but "
        "the scores rely on it."
        if is_fault
        else "If new texts will have it too, one word decides and `LinearBaseline` is "
        "enough; otherwise take it out of the texts.",
        tuple(quote(" ".join(tokens[i])) for i in worst.rows[:EXAMPLES]),
    )


def _others(telltales: list[_Telltale]) -> str:
    """How many more classes are told in the same way, as the end of a sentence."""
    others = len(telltales) - 1
    if not others:
        return ""
    classes = "1 more class" if others == 1 else f"{others} more classes"
    return f"; the same holds for {classes}"
