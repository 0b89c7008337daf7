"""Labels that have got into the texts: "[SPAM] ...", "label: pos", an agency's line.

A token that gives a class away is no fault by itself: "free" is honest news of spam,
and "the" of English. A leak has a place. What a template or a file's heading puts
there stands at the same distance from the beginning or the end of each text; words
that people write do not. So what gives a class away is an error or a warning where it
stands in one place, and else a note. What takes several tokens together to tell is
not found.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rnn_keras.doctor.findings import EXAMPLES, Finding
from rnn_keras.scoring import share_interval
from rnn_keras.utils.messages import percent, quote, shorten

# Of the texts that have the token, so many are of the class,
_PRECISION = 0.98
# surely so many, which takes sixteen texts without an exception,
_SURE_PRECISION = 0.8
# and of other classes' texts at most so many have it. Without this, any frequent
# token of a class that nearly all texts are of would give it away.
_OTHERS = 0.2
# Of the class's texts, most have it.
_COVERAGE = 0.5
# A template is in nearly all texts of a class; "who" asks for a person in two of three.
_TEMPLATE_COVERAGE = 0.8
# The class's own name is suspicious sooner. A topic is named in some of its texts.
_NAME_COVERAGE = 0.25
_NAME_PRECISION = 0.9
# Of the texts that have it, so many have it in the one place:
_IN_PLACE = 0.9
# at one distance from an end, or, as a place-name may stand before an agency's, among
# the first or last few tokens of texts at least four times as long.
_HEAD = 8
# Of tokens that tell, the most frequent are looked at closely.
_CANDIDATES = 8


class _Telltale(NamedTuple):
    label: str
    token: str
    coverage: float
    elsewhere: float
    in_place: bool
    is_name: bool
    rows: list[int]


def label_leaks(
    tokens: Sequence[Sequence[str]],
    labels: Sequence[str],
    name_tokens: Mapping[str, Sequence[str]],
) -> list[Finding]:
    """Class names, or other tokens, that alone give a class away.

    Args:
        tokens: of each text, lower-cased; different texts.
        labels: one a text.
        name_tokens: class name to its tokens, made likewise.

    Returns:
        None to three findings: "label-in-text", "telltale-token", "easy-token".
    """
    sizes = Counter(labels)
    names = _telltale_names(tokens, labels, name_tokens, sizes)
    others = _telltale_tokens(tokens, labels, sizes)
    named = {t.label for t in names if t.in_place}
    others = [t for t in others if t.label not in named]
    # An honest name is news, a marked one a fault: the fault comes first, or alone.
    names = [t for t in names if t.in_place] or names
    template = [t for t in others if _is_template(t)]
    easy = [t for t in others if not _is_template(t) and t.token.isalnum()]
    found = [
        _finding("label-in-text", names, tokens),
        _finding("telltale-token", template, tokens),
        _finding("easy-token", [] if template or names else easy, tokens),
    ]
    return [finding for finding in found if finding is not None]


def _is_template(telltale: _Telltale) -> bool:
    # A full stop or a question mark stands at the end because that is its place.
    written = any(character.isalnum() for character in telltale.token)
    return telltale.in_place and written and telltale.coverage >= _TEMPLATE_COVERAGE


def _telltale_tokens(
    tokens: Sequence[Sequence[str]], labels: Sequence[str], sizes: Counter[str]
) -> list[_Telltale]:
    """Of every class the token that covers most of it, one in its place first."""
    counts: dict[str, Counter[str]] = {label: Counter() for label in sizes}
    everywhere: Counter[str] = Counter()
    for words, label in zip(tokens, labels, strict=True):
        here = set(words)
        counts[label].update(here)
        everywhere.update(here)
    found = []
    for label, in_class in counts.items():
        telling = [
            token
            for token, n in in_class.items()
            if n >= _COVERAGE * sizes[label]
            and _tells(n, everywhere[token], sizes[label], len(labels), _PRECISION)
        ]
        telling.sort(key=lambda token: (-in_class[token], token))
        candidates = [
            _telltale(label, [token], tokens, labels, sizes)
            for token in telling[:_CANDIDATES]
        ]
        if candidates:
            found.append(max(candidates, key=lambda t: (_is_template(t), t.coverage)))
    return found


def _telltale_names(
    tokens: Sequence[Sequence[str]],
    labels: Sequence[str],
    name_tokens: Mapping[str, Sequence[str]],
    sizes: Counter[str],
) -> list[_Telltale]:
    found = []
    lines = [f" {' '.join(words)} " for words in tokens]
    for label, name in name_tokens.items():
        wanted = f" {' '.join(name)} "
        having = [i for i, line in enumerate(lines) if wanted in line] if name else []
        hits = sum(labels[i] == label for i in having)
        if hits >= _NAME_COVERAGE * sizes[label] and _tells(
            hits, len(having), sizes[label], len(labels), _NAME_PRECISION
        ):
            found.append(_telltale(label, list(name), tokens, labels, sizes, True))
    return found


def _tells(hits: int, total: int, size: int, texts: int, precision: float) -> bool:
    """Whether a token gives a class away in the texts that have it.

    Args:
        hits: texts of the class that have it.
        total: texts that have it.
        size: texts of the class.
        texts: all.
        precision: share of `total` that must be of the class.
    """
    if hits < precision * total or size == texts or not total:
        return False
    return (
        share_interval(hits, total).low >= _SURE_PRECISION
        and share_interval(total - hits, texts - size).high <= _OTHERS
    )


def _telltale(
    label: str,
    wanted: list[str],
    tokens: Sequence[Sequence[str]],
    labels: Sequence[str],
    sizes: Counter[str],
    is_name: bool = False,
) -> _Telltale:
    rows, heads, tails, lengths, elsewhere = [], [], [], [], 0
    for i, words in enumerate(tokens):
        if wanted[0] not in words:
            continue
        places = _places(words, wanted)
        if places and labels[i] == label:
            rows.append(i)
            heads.append(places[0])
            tails.append(len(words) - len(wanted) - places[-1])
            lengths.append(len(words))
        elif places:
            elsewhere += 1
    return _Telltale(
        label,
        " ".join(wanted),
        len(rows) / sizes[label],
        elsewhere / max(1, len(labels) - sizes[label]),
        _in_place(heads, tails, lengths),
        is_name,
        rows,
    )


def _places(words: Sequence[str], wanted: list[str]) -> list[int]:
    starts = (i for i, word in enumerate(words) if word == wanted[0])
    return [i for i in starts if list(words[i : i + len(wanted)]) == wanted]


def _in_place(heads: list[int], tails: list[int], lengths: list[int]) -> bool:
    """From its distances from the beginning and the end of the texts that have it."""
    typical = sorted(lengths)[len(lengths) // 2]
    for places in (heads, tails):
        most = Counter(places).most_common(1)[0][1]
        near = sum(place < _HEAD for place in places)
        if most >= _IN_PLACE * len(places):
            return True
        if typical >= 4 * _HEAD and near >= _IN_PLACE * len(places):
            return True
    return False


def _finding(
    name: str, telltales: list[_Telltale], tokens: Sequence[Sequence[str]]
) -> Finding | None:
    if not telltales:
        return None
    worst = max(telltales, key=lambda t: t.coverage)
    more = len(telltales) - 1
    also = f", and {more} more classes have the like" if more > 1 else ""
    also = ", and one more class has the like" if more == 1 else also
    place = ", always in one place" if worst.in_place else ""
    label = repr(shorten(worst.label))
    what = f"The name of class {label}" if worst.is_name else repr(shorten(worst.token))
    of = "its texts" if worst.is_name else f"the texts of {label}"
    marked = name != "easy-token" and worst.in_place
    return Finding(
        name,
        ("error" if worst.is_name else "warning") if marked else "note",
        f"{what} stands in {percent(worst.coverage)} of {of} and in "
        f"{percent(worst.elsewhere)} of the others{place}{also}.",
        "Take it out of the texts before you train: new texts will not have it, and "
        "the scores count on it."
        if marked
        else "If new texts will have it too, one word decides and `LinearBaseline` "
        "will do; else take it out of the texts.",
        tuple(quote(" ".join(tokens[i])) for i in worst.rows[:EXAMPLES]),
    )
