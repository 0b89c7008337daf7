"""Elman's letters, words and templates, and how well a stream can be predicted.

All four experiments of J. L. Elman, "Finding structure in time", Cognitive Science 14
(1990), 179-211, are one generator: units (a pair of bits with its exclusive or, a
syllable, a word, a sentence) drawn independently and put one after the other, with
nothing to mark where one ends. (His words came from sentences; here, too, they are
drawn independently.)
"""

from collections.abc import Sequence

import numpy as np

# Consonant, vowel, interrupted, high, back, voiced: Elman's table 1.
LETTER_FEATURES = {
    "b": (1, 0, 1, 0, 0, 1),
    "d": (1, 0, 1, 1, 0, 1),
    "g": (1, 0, 1, 0, 1, 1),
    "a": (0, 1, 0, 0, 1, 1),
    "i": (0, 1, 0, 1, 0, 1),
    "u": (0, 1, 0, 1, 1, 1),
}
SYLLABLES = ("ba", "dii", "guuu")
# Fourteen words are in the story that the paper quotes; it does not list its fifteen.
LEXICON = (
    "a",
    "ago",
    "and",
    "boy",
    "by",
    "girl",
    "happily",
    "lived",
    "many",
    "often",
    "played",
    "sea",
    "the",
    "they",
    "years",
)
# Elman's tables 3 and 4; the table has two examples a class, figure 7 the words.
WORD_CLASSES = {
    "NOUN-HUM": ("man", "woman", "boy", "girl"),
    "NOUN-ANIM": ("cat", "mouse", "dog", "lion"),
    "NOUN-INANIM": ("book", "rock", "car"),
    "NOUN-AGRESS": ("dragon", "monster", "lion"),
    "NOUN-FRAG": ("glass", "plate"),
    "NOUN-FOOD": ("cookie", "bread", "sandwich"),
    "VERB-INTRAN": ("think", "sleep", "exist"),
    "VERB-TRAN": ("see", "chase", "like"),
    "VERB-AGPAT": ("move", "break"),
    "VERB-PERCEPT": ("smell", "see"),
    "VERB-DESTROY": ("break", "smash"),
    "VERB-EAT": ("eat",),
}
TEMPLATES = (
    ("NOUN-HUM", "VERB-EAT", "NOUN-FOOD"),
    ("NOUN-HUM", "VERB-PERCEPT", "NOUN-INANIM"),
    ("NOUN-HUM", "VERB-DESTROY", "NOUN-FRAG"),
    ("NOUN-HUM", "VERB-INTRAN"),
    ("NOUN-HUM", "VERB-TRAN", "NOUN-HUM"),
    ("NOUN-HUM", "VERB-AGPAT", "NOUN-INANIM"),
    ("NOUN-HUM", "VERB-AGPAT"),
    ("NOUN-ANIM", "VERB-EAT", "NOUN-FOOD"),
    ("NOUN-ANIM", "VERB-TRAN", "NOUN-ANIM"),
    ("NOUN-ANIM", "VERB-AGPAT", "NOUN-INANIM"),
    ("NOUN-ANIM", "VERB-AGPAT"),
    ("NOUN-INANIM", "VERB-AGPAT"),
    ("NOUN-AGRESS", "VERB-DESTROY", "NOUN-FRAG"),
    ("NOUN-AGRESS", "VERB-EAT", "NOUN-HUM"),
    ("NOUN-AGRESS", "VERB-EAT", "NOUN-ANIM"),
    ("NOUN-AGRESS", "VERB-EAT", "NOUN-FOOD"),
)


def surprisals(
    stream: np.ndarray, units: list[tuple[int, ...]], chances: Sequence[float]
) -> np.ndarray:
    """-ln p of each symbol, given all before it, exactly: the forward algorithm.

    The hidden state is which unit is being read and how far. `weight` holds the
    probability of each given the past, and the symbols that agree with what comes
    next share the probability of that.
    """
    symbol = np.concatenate(units)
    ends = np.cumsum([len(unit) for unit in units]) - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    weight = np.zeros(len(symbol))
    weight[starts] = chances
    fits = {s: symbol == s for s in np.unique(symbol)}
    costs = np.empty(len(stream))
    for t, s in enumerate(stream):
        agreed = weight * fits[s]
        chance = agreed.sum()
        costs[t] = -np.log(chance)
        agreed /= chance
        weight[1:] = agreed[:-1]
        weight[starts] = np.multiply(chances, agreed[ends].sum())
    return costs
