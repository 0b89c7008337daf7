"""Checks of how texts are read: cut, full of unknown tokens, or in the wrong unit."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from rnn_keras.doctor.findings import EXAMPLES, Finding
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.scoring import share_interval
from rnn_keras.utils.messages import percent, quote

# The default `max_length` cuts one text in a hundred. It is worth a note from one in
# twenty on, and a wrong choice where most texts are cut.
_MANY_CUT = 0.05
_MOST_CUT = 0.5
# Running English text has a few per cent of unknown tokens. From a tenth on, nearly
# every sentence has one; from a quarter on, three known tokens in a row are rare.
_MANY_UNKNOWN = 0.1
_MOST_UNKNOWN = 0.25
# The standard error of fewer texts cannot be trusted.
_FEWEST_TEXTS = 10
# Share of texts, as a lower bound, that must be in a script without spaces.
_MANY_UNSPACED = 0.2
# Share of single words, or of long texts, for which the unit is wrong; the recipe of
# `rnn_keras.classification.recipe` chooses its unit by the same share.
_MOST_OF_A_KIND = 0.5
# 50 words have 300 characters, over which a recurrent network can carry little.
_LONG = 50
# A word and its space have 6 characters in English, 7 in German, 8 in Finnish. With
# more than this many, the spaces separate something else than words.
_CHARACTERS_PER_WORD = 12

_UNSPACED_SCRIPTS = re.compile(  # Thai, Lao, Khmer, Burmese
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\ua9e0-\ua9ff\uaa60-\uaa7f]"
)


def count_tokens(
    texts: Sequence[str], words: Sequence[Sequence[str]], unit: str
) -> np.ndarray:
    """The number of tokens of each text before any cut, `(texts,)`.

    Args:
        texts: raw texts.
        words: tokens of each text, from `TextVectorizer("word")`.
        unit: `"word"` or `"character"`.
    """
    return np.array([len(tokens) for tokens in (words if unit == "word" else texts)])


def cut_texts(lengths: np.ndarray, max_length: int | None) -> Finding | None:
    """Find out whether many texts are longer than what is read of them.

    Args:
        lengths: number of tokens of each text before the cut, `(texts,)`.
        max_length: number of tokens that are read; `None` or 0 for all.
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
        f"the {max_length:,} tokens that are read, so {percent(float(lost))} of all "
        "tokens are cut off.",
        f"--max-length {nearly_all} reads 99 of 100 texts to their end, but takes "
        "longer; it is not worth it if the beginning of a text tells its class.",
    )


def unknown_tokens(
    unknown: np.ndarray,
    lengths: np.ndarray,
    *,
    full: bool = False,
    min_count: int = 1,
    examples: Sequence[str] = (),
) -> Finding | None:
    """Find out whether many tokens of new texts are missing in the vocabulary.

    Args:
        unknown: number of unknown tokens in each new text, `(texts,)`.
        lengths: number of tokens in each new text, `(texts,)`.
        full: whether the vocabulary is as large as it may become.
        min_count: how often a token must occur in training to be known.
        examples: unknown tokens, the most frequent first.
    """
    if len(lengths) < _FEWEST_TEXTS or not lengths.sum():
        return None
    rate = float(unknown.sum() / lengths.sum())
    # The standard error of a ratio: texts are drawn independently, tokens are not.
    error = np.sqrt(((unknown - rate * lengths) ** 2).sum()) / lengths.sum()
    least = rate - 1.96 * float(error)
    if least < _MANY_UNKNOWN:
        return None
    lower = ", lower --min-count" if min_count > 1 else ""
    cure = f"Train on more texts of this kind{lower}, or try --unit character."
    if full:
        cure = "Let the vocabulary grow with a larger --max-tokens."
    return Finding(
        "unknown-tokens",
        "warning" if least > _MOST_UNKNOWN else "note",
        f"{percent(rate)} of the tokens in {len(lengths):,} texts that were not "
        "trained on are missing in the vocabulary; the network sees the same unknown "
        "token for each of them.",
        cure,
        tuple(map(quote, examples[:EXAMPLES])),
    )


def unknown_tokens_of(
    texts: Sequence[str], vectorizer: TextVectorizer
) -> Finding | None:
    """Run `unknown_tokens` on new texts.

    Args:
        texts: texts that the vectorizer was not adapted to.
        vectorizer: has a vocabulary; its `max_length` does not matter.
    """
    known = set(vectorizer.get_vocabulary())
    tokens = vectorizer.tokenize(texts)
    unknown = [[token for token in row if token not in known] for row in tokens]
    frequent = Counter(token for row in unknown for token in row).most_common(EXAMPLES)
    limit = vectorizer.max_tokens
    return unknown_tokens(
        np.array([len(row) for row in unknown]),
        np.array([len(row) for row in tokens]),
        full=limit is not None and len(known) >= limit,
        min_count=vectorizer.min_count,
        examples=[token for token, _ in frequent],
    )


def wrong_unit(
    texts: Sequence[str], words: Sequence[Sequence[str]], unit: str
) -> Finding | None:
    """Find out whether texts are read by words and should be read by characters.

    The other mistake is found, too: long texts that are read by characters.

    Args:
        texts: raw texts.
        words: tokens of each text, from `TextVectorizer("word")`.
        unit: the unit in which the texts are read, `"word"` or `"character"`.
    """
    filled = [i for i, tokens in enumerate(words) if tokens]
    if not filled:
        return None
    texts, words = [texts[i] for i in filled], [words[i] for i in filled]
    if unit == "word":
        return _unspaced_by_word(texts) or _single_words_by_word(texts, words)
    return _long_by_character(texts)


def _unspaced_by_word(texts: Sequence[str]) -> Finding | None:
    """Find texts in scripts without spaces that are divided at spaces."""
    rows = [
        text
        for text in texts
        if len(_UNSPACED_SCRIPTS.findall(text)) > 0.5 * len("".join(text.split()))
    ]
    share = share_interval(len(rows), len(texts))
    if share.low < _MANY_UNSPACED and len(rows) < len(texts):
        return None
    return Finding(
        "wrong-unit",
        "warning",
        f"{percent(share.mean)} of the texts are in Thai, Lao, Khmer or Burmese, which "
        "have no spaces between words, but they are read by words.",
        "Train with --unit character.",
        tuple(map(quote, rows[:EXAMPLES])),
    )


def _single_words_by_word(
    texts: Sequence[str], words: Sequence[Sequence[str]]
) -> Finding | None:
    rows = [text for text, tokens in zip(texts, words, strict=True) if len(tokens) == 1]
    share = share_interval(len(rows), len(texts))
    if share.low < _MOST_OF_A_KIND:
        return None
    return Finding(
        "wrong-unit",
        "warning",
        f"{percent(share.mean)} of the texts are a single word, but they are read by "
        "words: a new one is just one unknown token, and there is no order to learn.",
        "Train with --unit character, which is what `train` chooses by itself.",
        tuple(map(quote, rows[:EXAMPLES])),
    )


def _long_by_character(texts: Sequence[str]) -> Finding | None:
    """Find long texts with spaces between words that are read by characters."""
    rows = []
    for text in texts:
        spaced = len(text.split())
        if spaced >= _LONG and len(text) < _CHARACTERS_PER_WORD * spaced:
            rows.append(text)
    share = share_interval(len(rows), len(texts))
    if share.low < _MOST_OF_A_KIND:
        return None
    middle = int(np.median([len(text) for text in rows]))
    return Finding(
        "wrong-unit",
        "warning",
        f"{percent(share.mean)} of the texts have {_LONG} words or more, but they are "
        "read by characters: a network has to carry what it has read over some "
        f"{middle:,} steps.",
        "Train with --unit word.",
        tuple(map(quote, rows[:EXAMPLES])),
    )
