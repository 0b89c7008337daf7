"""What can be wrong with how texts are read: cut, unknown, or by the wrong unit.

Everything here counts tokens that a `TextVectorizer` made; nothing is read anew.
"""

import re
from collections.abc import Sequence

import numpy as np

from rnn_keras.doctor.findings import EXAMPLES, Finding
from rnn_keras.scoring import share_interval
from rnn_keras.utils.messages import percent, quote

# The recipe cuts one text in a hundred by itself. From one in twenty on it is a fact
# to know, and where most are cut the choice was wrong.
_MANY_CUT = 0.05
_MOST_CUT = 0.5
# Running text in English has a few per cent unknown. From a tenth on there is one in
# nearly every sentence; from a quarter on hardly three known ones stand in a row.
_UNKNOWN = 0.1
_MUCH_UNKNOWN = 0.25
# A standard error from fewer texts is not to be trusted.
_FEWEST_TEXTS = 10
# So many texts of a kind, surely, make it the kind that matters.
_OF_THE_KIND = 0.2
_SINGLE = 0.5  # as `rnn_keras.recipe` has it
# 50 words are 300 characters, more than a recurrent network carries over.
_LONG = 50
# Of characters in a word and its space: English has 6, German 7, Finnish 8.
_SPACED = 12

_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f]"
)


def cut_texts(lengths: np.ndarray, max_length: int | None) -> Finding | None:
    """Many texts are longer than is read of them.

    Args:
        lengths: tokens of each text `(texts,)`, uncut.
        max_length: tokens that are read; `None` or 0 for all.
    """
    if not max_length or not len(lengths):
        return None
    longer = int((lengths > max_length).sum())
    share = share_interval(longer, len(lengths))
    if share.low < _MANY_CUT:
        return None
    lost = np.maximum(lengths - max_length, 0).sum() / lengths.sum()
    nearly_all = int(np.quantile(lengths, 0.99))
    return Finding(
        "cut-texts",
        "warning" if share.low > _MOST_CUT else "note",
        f"{longer:,} of {len(lengths):,} texts ({percent(share.mean)}) are longer than "
        f"the {max_length:,} tokens that are read, and {percent(float(lost))} of all "
        "tokens are cut off.",
        f"--max-length {nearly_all} reads 99 of 100 texts to their end, and takes "
        "longer; it does not pay where the beginning tells the class.",
    )


def unknown_tokens(
    unknown: np.ndarray,
    lengths: np.ndarray,
    *,
    full: bool = False,
    min_count: int = 1,
    examples: Sequence[str] = (),
) -> Finding | None:
    """Much of texts that were not trained on is unknown to the vocabulary.

    Args:
        unknown: how many tokens of each text are unknown `(texts,)`.
        lengths: how many it has `(texts,)`.
        full: whether the vocabulary has as many tokens as it may.
        min_count: a token seen less often in training stayed unknown.
        examples: unknown tokens, the most frequent first.
    """
    if len(lengths) < _FEWEST_TEXTS or not lengths.sum():
        return None
    rate = float(unknown.sum() / lengths.sum())
    # Tokens of one text come together: the texts vary, not the tokens.
    error = np.sqrt(((unknown - rate * lengths) ** 2).sum()) / lengths.sum()
    least = rate - 1.96 * float(error)
    if least < _UNKNOWN:
        return None
    lower = ", lower --min-count" if min_count > 1 else ""
    cure = f"Train on more texts of this kind{lower}, or try --unit character."
    if full:
        cure = "Let the vocabulary grow with a larger --max-tokens."
    return Finding(
        "unknown-tokens",
        "warning" if least > _MUCH_UNKNOWN else "note",
        f"{percent(rate)} of the tokens of {len(lengths):,} texts that were not "
        "trained on are not in the vocabulary, and the network sees one and the same "
        "unknown token for each.",
        cure,
        tuple(map(quote, examples[:EXAMPLES])),
    )


def wrong_unit(
    texts: Sequence[str], words: Sequence[Sequence[str]], unit: str
) -> Finding | None:
    """The texts are read by words where characters would do, or the other way.

    Args:
        texts: raw.
        words: of each, as `TextVectorizer("word")` divides them.
        unit: `"word"` or `"character"`: that they are read by.
    """
    filled = [i for i, tokens in enumerate(words) if tokens]
    if not filled:
        return None
    if unit == "word":
        return _unspaced([texts[i] for i in filled]) or _single(
            [texts[i] for i in filled], [words[i] for i in filled]
        )
    return _spaced([texts[i] for i in filled], [words[i] for i in filled])


def _unspaced(texts: list[str]) -> Finding | None:
    """Thai, Lao, Khmer, Burmese, read by what stands between two spaces."""
    rows = [
        text
        for text in texts
        if len(_WITHOUT_SPACES.findall(text)) > 0.5 * len("".join(text.split()))
    ]
    share = share_interval(len(rows), len(texts))
    if share.low < _OF_THE_KIND and len(rows) < len(texts):
        return None
    return Finding(
        "wrong-unit",
        "warning",
        f"{percent(share.mean)} of the texts are in Thai, Lao, Khmer or Burmese, which "
        "have no spaces between words, but are read by words.",
        "Train with --unit character.",
        tuple(map(quote, rows[:EXAMPLES])),
    )


def _single(texts: list[str], words: list[Sequence[str]]) -> Finding | None:
    rows = [text for text, tokens in zip(texts, words, strict=True) if len(tokens) == 1]
    share = share_interval(len(rows), len(texts))
    if share.low < _SINGLE:
        return None
    return Finding(
        "wrong-unit",
        "warning",
        f"{percent(share.mean)} of the texts are a single word, but are read by words: "
        "a new one is one unknown token, and there is nothing to read in order.",
        "Train with --unit character, which is what `train` does by itself.",
        tuple(map(quote, rows[:EXAMPLES])),
    )


def _spaced(texts: list[str], words: list[Sequence[str]]) -> Finding | None:
    """Long texts with spaces between words, read by characters."""
    rows = [
        text
        for text, tokens in zip(texts, words, strict=True)
        if len(text.split()) >= _LONG and len(text) < _SPACED * len(text.split())
    ]
    share = share_interval(len(rows), len(texts))
    if share.low < _SINGLE:
        return None
    middle = int(np.median([len(text) for text in rows]))
    return Finding(
        "wrong-unit",
        "warning",
        f"{percent(share.mean)} of the texts are {_LONG} words or longer, but are read "
        f"by characters: a network has to carry what it read over some {middle:,} "
        "steps.",
        "Train with --unit word.",
        tuple(map(quote, rows[:EXAMPLES])),
    )
