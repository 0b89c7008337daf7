r"""Text for messages: quoted safely, shortened, and with numbers in words.

A text, a class name or a column name from a file may contain characters that a
terminal takes for commands: `\x1b]0;...` renames its window, `\x1b[2J` clears it, `\r`
overwrites the line, and marks of writing direction show words in another order
(N. Boucher, R. Anderson, "Trojan source: invisible vulnerabilities", 2021). Everything
that is printed goes through `printable`, whether to a terminal or not: a file that is
written today is shown in a terminal tomorrow.

Characters that scripts need are kept: joiners, marks of direction that affect only
their neighbours, spaces of any width, characters for private use.
"""

import json
import re
from typing import Any

# Control characters; line and paragraph separators; embeddings, overrides and isolates
# of writing direction.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACES = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_MAX_CHARACTERS = 400


def printable(text: str) -> str:
    r"""The text in one line, with harmful characters as Python writes them.

    >>> printable("a\tb\r\nc \x1b[2J")
    'a b c \\x1b[2J'
    """
    return _HARMFUL.sub(_escape, _SPACES.sub(" ", text))


def one_line(text: str, length: int = _MAX_CHARACTERS) -> str:
    """The text as `printable`, cut in its middle to at most `length` characters.

    A message says at its beginning what it is about, and at its end what to do.
    """
    text = _SURROGATE.sub(_escape, printable(text))
    if len(text) <= length:
        return text
    end = length // 3
    return text[: length - end - 1] + "…" + text[-end:]


def json_line(content: Any) -> str:
    """JSON in one line, with every character readable except harmful ones.

    Infinity and `nan`, which JSON does not have, raise `ValueError`.

    `json.dumps` alone leaves control characters from U+007F on as they are.
    """
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    return _HARMFUL.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def without_surrogates(text: str) -> str:
    r"""The text with U+FFFD in place of each lone surrogate.

    JSON's `"\ud800"` gives such a character, which no file can be written with.
    """
    return _SURROGATE.sub("\ufffd", text)


def shorten(text: str, length: int = 40) -> str:
    """The text, cut at its end to at most `length` characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def quote(text: str) -> str:
    """A text as an example in a message: on one line, at most 70 characters."""
    return shorten(" ".join(text.split()), 70)


def count_of(number: int, what: str) -> str:
    """A number with its noun, which is in the plural unless the number is 1.

    >>> count_of(1, "row"), count_of(2000, "empty text")
    ('1 row', '2,000 empty texts')
    """
    if number == 1:
        return f"1 {what}"
    plural = what.replace("text", "texts") if "text" in what else what + "s"
    return f"{number:,} {plural}"


def percent(share: float) -> str:
    """A share from 0 to 1 in percent, with a decimal where it is near 0 or 1.

    >>> percent(0.5), percent(0.0123), percent(0.0001), percent(0)
    ('50 %', '1.2 %', 'under 0.1 %', '0 %')
    """
    if 0 < share < 0.001:
        return "under 0.1 %"
    has_decimal = 0 < share < 0.1 or 0.99 < share < 1
    return f"{100 * share:.1f} %" if has_decimal else f"{100 * share:.0f} %"


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
