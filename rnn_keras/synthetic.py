"""Generated sequences: what must be remembered, and for how long, is known.

Eight tasks, each a function of a size and a seed. The first four are streams, to be
predicted symbol by symbol, of J. L. Elman, "Finding structure in time", Cognitive
Science 14 (1990), 179-211: temporal XOR, letters, words without spaces, sentences.
The others ask for something seen long before: the adding problem, temporal order and
the embedded Reber grammar of S. Hochreiter, J. Schmidhuber, "Long short-term memory",
Neural Computation 9 (1997), 1735-1780, and copying after a delay, of the same
authors' line of work in the form of M. Arjovsky, A. Shah, Y. Bengio, "Unitary
evolution recurrent neural networks", ICML 2016.

Because the generator is known, so is the loss that no predictor can go below: the
surprisal of each target for one who knows everything but the random numbers.

Elman's letters, words and templates, and how well a stream can be predicted.

All four experiments of J. L. Elman, "Finding structure in time", Cognitive Science 14
(1990), 179-211, are one generator: units (a pair of bits with its exclusive or, a
syllable, a word, a sentence) drawn independently and put one after the other, with
nothing to mark where one ends. (His words came from sentences; here, too, they are
drawn independently.)
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from rnn_keras.utils.errors import check_sizes


class Task(NamedTuple):
    """Sequences, what is to be predicted, and how well it can be.

    Attributes:
        inputs: see each function. Ids count from 1: 0 is padding.
        targets: see each function. Of a stream, the inputs one step later.
        best: as large as `targets`: the loss of each prediction for one who knows
            the generator; cross-entropy in nats, or a squared error; `nan` at padding.
            No predictor has a lower mean, but for the luck of the draw.
        symbols: what the ids stand for: id i is `symbols[i]`.
        starts: of a stream, `True` where the target is the first symbol of a new
            draw (a pair of bits, a syllable, a word, a sentence).
    """

    inputs: np.ndarray
    targets: np.ndarray
    best: np.ndarray
    symbols: tuple[str, ...] = ()
    starts: np.ndarray | None = None

    @property
    def best_loss(self) -> float:
        """The mean of `best` over the targets that are not padding."""
        return float(np.nanmean(self.best))


def temporal_xor(num_bits: int = 3000, seed: int = 0) -> Task:
    """Two random bits, then their exclusive or, again and again.

    Args:
        num_bits: of the stream; the paper's by default.
        seed: of the bits.

    Returns:
        `inputs` and `targets` `(num_bits - 1,)`, bits: 0 or 1, not ids. The best
        loss is 2/3 ln 2 = 0.462 nats: every third bit follows, the others do not.
    """
    check_sizes(2, num_bits=num_bits)
    triples = [(a, b, a ^ b) for a, b in product((0, 1), repeat=2)]
    drawn = np.random.default_rng(seed).integers(4, size=-(-num_bits // 3))
    return _stream(triples, drawn, ("0", "1"), length=num_bits)


def elman_letters(num_consonants: int = 1000, seed: int = 0) -> Task:
    """ba, dii and guuu in random order; `LETTER_FEATURES` holds the letters' bits.

    Args:
        num_consonants: and so of syllables; the paper's by default.
        seed: of the order.

    Returns:
        `inputs` and `targets` `(letters - 1,)`, ids of `symbols`. A consonant is
        one of three, ln 3 nats; what and how many vowels follow it is certain.
    """
    check_sizes(num_consonants=num_consonants)
    symbols = ("", *LETTER_FEATURES)
    drawn = np.random.default_rng(seed).integers(3, size=num_consonants)
    return _stream(_spelled(SYLLABLES, symbols), drawn, symbols)


def elman_words(num_sentences: int = 200, seed: int = 0) -> Task:
    """Words of `LEXICON` in random order, letter by letter, without spaces.

    The words of a sentence, four to nine, are drawn independently and nothing marks
    its end: what can be learnt is which letters make a word.

    Args:
        num_sentences: the paper's by default.
        seed: of lengths and words.

    Returns:
        `inputs` and `targets` `(letters - 1,)`, ids of `symbols`.
    """
    check_sizes(num_sentences=num_sentences)
    rng = np.random.default_rng(seed)
    num_words = rng.integers(4, 10, size=num_sentences).sum()
    symbols = ("", *sorted(set("".join(LEXICON))))
    drawn = rng.integers(len(LEXICON), size=num_words)
    return _stream(_spelled(LEXICON, symbols), drawn, symbols)


def elman_sentences(num_sentences: int = 10_000, seed: int = 0) -> Task:
    """Sentences of two or three words, from 16 templates and 29 words.

    Each template is as likely as the others, and so is each word in its class.

    Args:
        num_sentences: the paper's by default.
        seed: of templates and words.

    Returns:
        `inputs` and `targets` `(words - 1,)`, ids of `symbols`. The best predictor
        does not know where sentences end, either, and finds out as far as can be.
    """
    check_sizes(num_sentences=num_sentences)
    symbols = ("", *sorted({word for words in WORD_CLASSES.values() for word in words}))
    sentences, chances = [], []
    for template in TEMPLATES:
        filled = list(product(*(WORD_CLASSES[name] for name in template)))
        sentences += _spelled(filled, symbols)
        chances += [1 / len(TEMPLATES) / len(filled)] * len(filled)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(sentences), size=num_sentences, p=chances)
    return _stream(sentences, drawn, symbols, chances)


def adding_problem(num_sequences: int, length: int = 100, seed: int = 0) -> Task:
    """The sum of the two marked numbers of many (1997, experiment 4).

    One of the first ten numbers is marked, and another one of the first half. All
    sequences have one length; the paper's vary by a tenth.

    Args:
        num_sequences: how many.
        length: of each, in steps.
        seed: of numbers and marks.

    Returns:
        `inputs` `(num_sequences, length, 2)`: a number from -1 to 1, and its mark:
        1, or -1 at both ends, or 0. `targets` `(num_sequences, 1)`: 0.5 + sum / 4.
        The best squared error is 0; that of the constant 0.5 is 1/24 = 0.042 (a
        little less, as a mark on the first number makes that number 0).
    """
    check_sizes(num_sequences=num_sequences)
    check_sizes(4, length=length)
    rng = np.random.default_rng(seed)
    numbers = rng.uniform(-1, 1, (num_sequences, length))
    half = length // 2
    first = rng.integers(min(10, half), size=num_sequences)
    second = (first + rng.integers(1, half, size=num_sequences)) % half
    rows = np.arange(num_sequences)
    marks = np.zeros((num_sequences, length))
    marks[:, [0, -1]] = -1
    marks[rows, first] = marks[rows, second] = 1
    numbers[marks[:, 0] == 1, 0] = 0
    total = numbers[rows, first] + numbers[rows, second]
    targets = (0.5 + total / 4)[:, None].astype("float32")
    inputs = np.stack([numbers, marks], axis=2).astype("float32")
    return Task(inputs, targets, np.zeros_like(targets))


def temporal_order(num_sequences: int, length: int = 100, seed: int = 0) -> Task:
    """Which of X and Y came first, and which second (1997, experiment 6a).

    Random letters a to d between E and B; an X or a Y after one to two tenths of the
    length, and another after five to six: the first has to be remembered for some
    0.85 of the length. All sequences have one length; the paper's vary by a tenth.

    Args:
        num_sequences: how many.
        length: of each, in steps.
        seed: of letters and places.

    Returns:
        `inputs` `(num_sequences, length)`, ids of `symbols`; `targets`
        `(num_sequences,)`: 0 for XX, 1 for XY, 2 for YX, 3 for YY. The best loss is
        0 nats, that of a guess ln 4 = 1.386.
    """
    check_sizes(num_sequences=num_sequences)
    check_sizes(5, length=length)
    symbols = ("", *"abcdXYEB")
    rng = np.random.default_rng(seed)
    inputs = rng.integers(1, 5, size=(num_sequences, length))
    inputs[:, 0], inputs[:, -1] = symbols.index("E"), symbols.index("B")
    rows, kinds = np.arange(num_sequences), rng.integers(2, size=(num_sequences, 2))
    for tenth, kind in zip((1, 5), kinds.T, strict=True):
        begin = max(length * tenth // 10, tenth == 1)
        end = max(length * (tenth + 1) // 10, begin + 1)
        places = rng.integers(begin, end, size=num_sequences)
        inputs[rows, places] = symbols.index("X") + kind
    targets = 2 * kinds[:, 0] + kinds[:, 1]
    return Task(inputs.astype("int32"), targets, np.zeros(num_sequences), symbols)


def embedded_reber(num_strings: int, seed: int = 0) -> Task:
    """Reber's grammar between two T or two P: the last but one repeats the second.

    The grammar of A. S. Reber, "Implicit learning of artificial grammars" (1967), is
    a walk over nodes, at each of which but the last one of two letters is taken; the
    embedding is that of 1997, experiment 1.

    Args:
        num_strings: how many.
        seed: of the walks.

    Returns:
        `inputs` and `targets` `(num_strings, longest - 1)`, ids of `symbols`, padded
        with 0 at the end. A choice costs ln 2 nats, everything else nothing; without
        a memory of the second letter the last but one costs ln 2, too.
    """
    check_sizes(num_strings=num_strings)
    # From each node: a letter and the node it leads to, or another and another.
    nodes = (("T1", "P2"), ("S1", "X3"), ("T2", "V4"), ("X2", "S5"), ("P3", "V5"))
    rng = np.random.default_rng(seed)
    symbols = ("", *"BTPSXVE")
    strings, choices = [], []
    for _ in range(num_strings):
        node, inner = 0, ""
        while node < len(nodes):
            letter, to = nodes[node][rng.integers(2)]
            inner, node = inner + letter, int(to)
        outer = "TP"[rng.integers(2)]
        strings.append(f"B{outer}B{inner}E{outer}E")
        choices.append([1, 0, *[1] * len(inner), 0, 0, 0])
    longest = max(map(len, strings))
    ids = np.zeros((num_strings, longest), "int32")
    best = np.full((num_strings, longest - 1), np.nan)
    for row, (string, chosen) in enumerate(zip(strings, choices, strict=True)):
        ids[row, : len(string)] = [symbols.index(letter) for letter in string]
        best[row, : len(chosen)] = chosen
    return Task(ids[:, :-1], ids[:, 1:], np.log(2) * best, symbols)


def copying(
    num_sequences: int, delay: int = 100, num_symbols: int = 10, seed: int = 0
) -> Task:
    """Symbols, a silence, and a mark at which they are to be repeated in order.

    Args:
        num_sequences: how many.
        delay: steps between the last symbol and the first to be repeated.
        num_symbols: to be remembered, each one of eight.
        seed: of the symbols.

    Returns:
        `inputs` and `targets` `(num_sequences, delay + 2 * num_symbols)`, ids of
        `symbols`; 9 is silence, 10 the mark. The best loss is 0 nats; without a
        memory it is ln 8 for each of the last `num_symbols` targets.
    """
    check_sizes(num_sequences=num_sequences, delay=delay, num_symbols=num_symbols)
    symbols = ("", *"abcdefgh", "_", ":")
    silence, mark = symbols.index("_"), symbols.index(":")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(1, 9, size=(num_sequences, num_symbols))
    inputs = np.full((num_sequences, delay + 2 * num_symbols), silence, "int32")
    targets = inputs.copy()
    inputs[:, :num_symbols] = targets[:, -num_symbols:] = drawn
    inputs[:, num_symbols + delay - 1] = mark
    return Task(inputs, targets, np.zeros(targets.shape), symbols)


def _spelled(
    words: Sequence[Sequence[str]], symbols: tuple[str, ...]
) -> list[tuple[int, ...]]:
    return [tuple(symbols.index(part) for part in word) for word in words]


def _stream(
    units: list[tuple[int, ...]],
    drawn: np.ndarray,
    symbols: tuple[str, ...],
    chances: Sequence[float] | None = None,
    length: int | None = None,
) -> Task:
    """Units drawn independently, one after the other, to be predicted."""
    stream = np.concatenate([units[i] for i in drawn])[:length].astype("int32")
    first = [place == 0 for i in drawn for place in range(len(units[i]))][:length]
    if chances is None:
        chances = [1 / len(units)] * len(units)
    best = surprisals(stream, units, chances)
    return Task(stream[:-1], stream[1:], best[1:], symbols, np.array(first)[1:])


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
