r"""What a stranger wrote, made fit for a terminal.

A text, a class name or the name of a column may hold what a terminal takes for a
command: `\x1b]0;...` names its window anew, `\x1b[2J` wipes it, `\r` writes over the
line, and marks of the direction of writing show words in another order (N. Boucher,
R. Anderson, "Trojan source: invisible vulnerabilities", 2021). Whatever is printed goes
through here, whether to a terminal or not: what is in a file today is shown tomorrow.

Left alone is what scripts need: joiners, the marks of direction that act on nothing but
their neighbours, spaces of any width, characters for private use.
"""

import json
import re
from typing import Any

# Control characters; line and paragraph separators; embeddings, overrides and isolates.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
LONGEST = 400


def printable(text: str) -> str:
    r"""The text in one line, with harmful characters as Python writes them.

    >>> printable("a\tb\r\nc \x1b[2J")
    'a b c \\x1b[2J'
    """
    return _HARMFUL.sub(_escape, _SPACES.sub(" ", text))


def one_line(text: str, longest: int = LONGEST) -> str:
    """A message: `printable`, and shortened in its middle.

    What a message is about stands at its beginning, what to do at its end.
    """
    text = _SURROGATE.sub(_escape, printable(text))
    if len(text) <= longest:
        return text
    end = longest // 3
    return text[: longest - end - 1] + "…" + text[-end:]


def json_line(content: Any) -> str:
    """JSON in which every character is readable but those that do harm.

    `json.dumps` leaves control characters from U+007F on as they are.
    """
    text = json.dumps(content, ensure_ascii=False)
    return _HARMFUL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def without_surrogates(text: str) -> str:
    r"""U+FFFD for each lone surrogate, as JSON's `"\ud800"` gives one.

    No file can be written with it, and no text of a corpus has it.
    """
    return _SURROGATE.sub("\ufffd", text)


def _escape(match: re.Match) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def shorten(text: str, length: int = 40) -> str:
    """For a message, which stays one line."""
    return text if len(text) <= length else text[: length - 1] + "…"


def count_of(number: int, what: str) -> str:
    """The number and the noun, in the plural where it is not 1."""
    if number == 1:
        return f"1 {what}"
    plural = what.replace("text", "texts") if "text" in what else what + "s"
    return f"{number:,} {plural}"


def percent(share: float) -> str:
    """In words.

    >>> percent(0.5), percent(0.0123), percent(0.0001), percent(0)
    ('50 %', '1.2 %', 'under 0.1 %', '0 %')
    """
    if 0 < share < 0.001:
        return "under 0.1 %"
    tenths = 0 < share < 0.1 or 0.99 < share < 1
    return f"{100 * share:.1f} %" if tenths else f"{100 * share:.0f} %"


def quote(text: str) -> str:
    """A text as an example: on one line, and short."""
    return shorten(" ".join(text.split()), 70)
