"""The settings that are chosen from the texts unless a person has chosen them.

Each rule looks only at the training texts: which kind of texts they are, how many
there are, and how long they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from rnn_keras.classification.settings import FitSettings, ModelSettings
from rnn_keras.datasets.labelled import SplitTexts
from rnn_keras.layers.text_vectorizer import TextVectorizer, Unit

_SAMPLE = 2_000
# Number of tokens that all epochs together should read.
_TOKENS_TO_READ = 2.4e7


@dataclass(frozen=True)
class Recipe:
    """What was chosen for some training texts.

    Attributes:
        unit: what a token is: `"character"` if at least half of the texts with a word
            in them are a single word, as names are; else `"word"`.
        min_count: tokens that occur less often are unknown: 2 for words of 1,000 or
            more texts, so that the network learns what to make of an unknown word;
            else 1.
        max_length: number of tokens after which a text is cut: the 99th percentile of
            the lengths, but at least 64 and at most 400.
        max_ngram: number of tokens in the longest n-gram of the linear path: 3 if
            tokens are characters, as they are in Chinese with either unit; else 2.
        token_dropout: share of tokens dropped in training: 0.3 of words, and no
            characters, which all matter.
        learning_rate: learning rate of the first epoch: 0.002 for words, 0.005 for
            characters.
        epochs: largest number of passes over the texts: as many as read 24 million
            tokens, but at least 4 and at most 10 for words, 20 for characters.
    """

    unit: Unit
    min_count: int
    max_length: int
    max_ngram: int
    token_dropout: float
    learning_rate: float
    epochs: int

    def override(self, *settings: ModelSettings | FitSettings) -> "Recipe":
        """Return the recipe with what `settings` choose: what is not `None` there."""
        chosen = {
            field.name: getattr(given, field.name)
            for given in settings
            for field in fields(self)
            if getattr(given, field.name, None) is not None
        }
        return replace(self, **chosen)


def recipe_for(
    texts: Sequence[str], unit: Unit | None = None, count: int | None = None
) -> Recipe:
    """Choose the settings for training on `texts`.

    Args:
        texts: training texts. Of more than 4,000, between 2,000 and 4,000 are read.
        unit: what a token is, if that has been chosen.
        count: number of training texts, if `texts` are a sample of them.
    """
    count = count or len(texts)
    sample = texts[:: max(1, len(texts) // _SAMPLE)]
    tokens = TextVectorizer("word").tokenize(sample)
    lengths = np.array([len(words) for words in tokens] or [0])
    if unit is None:
        filled = lengths[lengths > 0]
        single = len(filled) and np.mean(filled == 1) >= 0.5
        unit = "character" if single else "word"
    # A script without spaces gives words of one character.
    short = sum(len(word) for words in tokens for word in words) < 1.5 * lengths.sum()
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


def recipe_for_parts(data: SplitTexts, unit: Unit | None) -> Recipe:
    """Choose the settings for training on the training part of `data`.

    Args:
        data: texts that are divided into parts.
        unit: what a token is, if that has been chosen.
    """
    return recipe_for(data.sample.texts, unit, data.sizes["train"])
