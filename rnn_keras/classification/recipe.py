"""The settings that follow from the texts, where a person has not chosen them.

Each rule looks at the texts alone: what kind they are of, how many, and how long.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rnn_keras.layers.text_vectorizer import TextVectorizer, Unit

_SAMPLE = 2_000
# Tokens that all epochs together should read.
_TOKENS_TO_READ = 2.4e7


@dataclass(frozen=True)
class Recipe:
    """Settings of `TextClassifier.from_texts` and `fit`.

    Attributes:
        unit: `"character"` where half of the texts or more are a single word, such
            as names (of those with a word); else `"word"`.
        min_count: 2 from 1,000 texts on, so that the network learns what to make of
            an unknown word; 1 below, and of characters.
        max_length: as many tokens as 99 of 100 texts have, within 64 and 400.
        max_ngram: tokens in the longest n-gram of the linear path. 3 where tokens
            are characters, as those of Chinese are in either unit; 2 of words.
        token_dropout: 0.3 of words; none of characters, which all matter.
        learning_rate: of the first epoch; 0.002, and 0.005 of characters.
        epochs: at most, so that they read 24 million tokens of texts cut like that;
            4 to 10, and to 20 of characters.
    """

    unit: Unit
    min_count: int
    max_length: int
    max_ngram: int
    token_dropout: float
    learning_rate: float
    epochs: int

    def but(self, **chosen: Any) -> "Recipe":
        """The same with what has been chosen: all of `chosen` that is not `None`."""
        return replace(self, **{k: v for k, v in chosen.items() if v is not None})


def recipe_for(
    texts: Sequence[str], unit: Unit | None = None, count: int | None = None
) -> Recipe:
    """The settings for training on `texts`.

    Args:
        texts: the training texts, of which 2,000 to 4,000 are looked at.
        unit: what a token is, where that has been chosen.
        count: of the training texts, where `texts` are a sample.
    """
    count = count or len(texts)
    sample = list(texts[:: max(1, len(texts) // _SAMPLE)])
    tokens = TextVectorizer("word").tokenize(sample)
    lengths = np.array([len(words) for words in tokens] or [0])
    if unit is None:
        filled = lengths[lengths > 0]
        single = len(filled) and np.mean(filled == 1) >= 0.5
        unit = "character" if single else "word"
    # A script without spaces gives words of one character.
    short = sum(map(len, (w for ws in tokens for w in ws))) < 1.5 * lengths.sum()
    if unit == "character":
        lengths = np.array([len(text) for text in sample] or [0])
    max_length = int(np.clip(np.quantile(lengths, 0.99), 64, 400))
    read = np.minimum(lengths, max_length).mean() * count
    words = unit == "word"
    return Recipe(
        unit=unit,
        min_count=2 if words and count >= 1_000 else 1,
        max_length=max_length,
        max_ngram=2 if words and not short else 3,
        token_dropout=0.3 if words else 0.0,
        learning_rate=0.002 if words else 0.005,
        epochs=int(np.clip(_TOKENS_TO_READ / max(read, 1), 4, 10 if words else 20)),
    )
