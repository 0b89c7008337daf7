"""Generated sequence tasks whose lowest possible loss is known.

There are eight tasks; each is a function of a size and a seed. The first four are the
experiments of J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990),
179-211, in which a network predicts the next symbol: temporal XOR, letters, words
without spaces, and sentences. One generator makes all four: it draws segments (a pair
of bits with its exclusive or, a syllable, a word, a sentence) independently and puts
them one after the other, with nothing to mark where a segment ends. Elman's words came
from the sentences of a story; here they are drawn independently, too.

The other four require a long memory: the adding problem, temporal order and the
embedded Reber grammar of S. Hochreiter and J. Schmidhuber, "Long short-term memory",
Neural Computation 9 (1997), 1735-1780; and copying after a delay, as described by
M. Arjovsky, A. Shah and Y. Bengio, "Unitary evolution recurrent neural networks",
ICML 2016.

Because the generator is known, so is the lowest possible loss: the surprisal of each
target for a predictor that knows everything but the random numbers. Nothing here
imports TensorFlow.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from rnn_keras.utils.errors import check_sizes

# A segment is a sequence of symbol ids that is drawn as a whole.
Segment = tuple[int, ...]

# The bits are consonant, vowel, interrupted, high, back, voiced (Elman's table 1).
LETTER_FEATURES = {
    "b": (1, 0, 1, 0, 0, 1),
    "d": (1, 0, 1, 1, 0, 1),
    "g": (1, 0, 1, 0, 1, 1),
    "a": (0, 1, 0, 0, 1, 1),
    "i": (0, 1, 0, 1, 0, 1),
    "u": (0, 1, 0, 1, 1, 1),
}
SYLLABLES = ("ba", "dii", "guuu")
# The paper does not list its fifteen words; fourteen of these are in its example story.
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
# Elman's tables 3 and 4. Table 3 gives two examples of each class; the other words
# are those of figure 7.
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


class Task(NamedTuple):
    """Input sequences, their targets, and the lowest possible loss of each target.

    Attributes:
        inputs: described by each function. Ids count from 1, because 0 is padding.
        targets: described by each function. For next-symbol prediction, these are the
            inputs shifted by one step.
        best: the loss of each target for a predictor that knows the generator, in the
            shape of `targets`: cross-entropy in nats, or a squared error; `nan` at
            padding. No predictor has a lower expected loss.
        symbols: the symbol of each id: id i stands for `symbols[i]`.
        starts: for Elman's four tasks, `True` where the target is the first symbol of
            a new segment (a pair of bits, a syllable, a word, a sentence).
    """

    inputs: np.ndarray
    targets: np.ndarray
    best: np.ndarray
    symbols: tuple[str, ...] = ()
    starts: np.ndarray | None = None

    @property
    def best_loss(self) -> float:
        """The mean of `best` over all targets that are not padding."""
        return float(np.nanmean(self.best))


def temporal_xor(num_bits: int = 3000, seed: int = 0) -> Task:
    """Generate two random bits and their exclusive or, over and over.

    Args:
        num_bits: length of the sequence; the default is the paper's.
        seed: seed of the random bits.

    Returns:
        `inputs` and `targets` `(num_bits - 1,)` hold bits, 0 or 1, and not ids. The
        best loss is 2/3 ln 2 = 0.462 nats: every third bit is determined by the two
        before it, and the others are random.
    """
    check_sizes(2, num_bits=num_bits)
    triples: list[Segment] = [(a, b, a ^ b) for a, b in product((0, 1), repeat=2)]
    drawn = np.random.default_rng(seed).integers(4, size=-(-num_bits // 3))
    return _prediction_task(triples, drawn, ("0", "1"), length=num_bits)


def elman_letters(num_consonants: int = 1000, seed: int = 0) -> Task:
    """Generate the syllables ba, dii and guuu in random order.

    `LETTER_FEATURES` holds the six bits that represent each letter in the paper.

    Args:
        num_consonants: number of consonants, and so of syllables; the default is the
            paper's.
        seed: seed of the order.

    Returns:
        `inputs` and `targets` `(letters - 1,)` hold ids of `symbols`. A consonant is
        one of three and costs ln 3 nats. The vowels are certain: the consonant
        determines which vowel follows and how often.
    """
    check_sizes(num_consonants=num_consonants)
    symbols = ("", *LETTER_FEATURES)
    drawn = np.random.default_rng(seed).integers(3, size=num_consonants)
    return _prediction_task(_to_ids(SYLLABLES, symbols), drawn, symbols)


def elman_words(num_sentences: int = 200, seed: int = 0) -> Task:
    """Generate words of `LEXICON` in random order, letter by letter, without spaces.

    A sentence has four to nine words. The words are drawn independently and nothing
    marks the end of a sentence, so only the spelling of the words can be learned.

    Args:
        num_sentences: number of sentences; the default is the paper's.
        seed: seed of the numbers of words and of the words.

    Returns:
        `inputs` and `targets` `(letters - 1,)` hold ids of `symbols`.
    """
    check_sizes(num_sentences=num_sentences)
    rng = np.random.default_rng(seed)
    num_words = rng.integers(4, 10, size=num_sentences).sum()
    symbols = ("", *sorted(set("".join(LEXICON))))
    drawn = rng.integers(len(LEXICON), size=num_words)
    return _prediction_task(_to_ids(LEXICON, symbols), drawn, symbols)


def elman_sentences(num_sentences: int = 10_000, seed: int = 0) -> Task:
    """Generate sentences of two or three words from 16 templates and 29 words.

    All templates are equally likely, and so are all words of a class.

    Args:
        num_sentences: number of sentences; the default is the paper's.
        seed: seed of the templates and words.

    Returns:
        `inputs` and `targets` `(words - 1,)` hold ids of `symbols`. The best predictor
        is not told where sentences end, either; it infers that as far as possible.
    """
    check_sizes(num_sentences=num_sentences)
    symbols = ("", *sorted({word for words in WORD_CLASSES.values() for word in words}))
    sentences: list[Segment] = []
    probabilities: list[float] = []
    for template in TEMPLATES:
        filled = list(product(*(WORD_CLASSES[name] for name in template)))
        sentences += _to_ids(filled, symbols)
        probabilities += [1 / len(TEMPLATES) / len(filled)] * len(filled)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(sentences), size=num_sentences, p=probabilities)
    return _prediction_task(sentences, drawn, symbols, probabilities)


def adding_problem(num_sequences: int, length: int = 100, seed: int = 0) -> Task:
    """Generate the task of adding the two marked numbers (1997, experiment 4).

    One mark is among the first ten numbers, the other elsewhere in the first half. All
    sequences have the same length, whereas the paper's vary by a tenth.

    Args:
        num_sequences: number of sequences.
        length: number of steps of each sequence.
        seed: seed of the numbers and marks.

    Returns:
        `inputs` `(num_sequences, length, 2)` hold a number from -1 to 1 and its mark:
        1 if it is to be added, -1 at both ends, otherwise 0. `targets`
        `(num_sequences, 1)` are 0.5 + sum / 4. The best squared error is 0. Always
        predicting 0.5 has the error 1/24 = 0.042, or a little less, because a marked
        number at the first step is set to 0.
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
    """Generate the task of classifying the order of X and Y (1997, experiment 6a).

    A sequence starts with E, ends with B and has random letters from a to d between
    them. One X or Y stands between 10 % and 20 % of the length, another one between
    50 % and 60 %. The first must be remembered for about 0.85 of the length. All
    sequences have the same length, whereas the paper's vary by a tenth.

    Args:
        num_sequences: number of sequences.
        length: number of steps of each sequence.
        seed: seed of the letters and positions.

    Returns:
        `inputs` `(num_sequences, length)` hold ids of `symbols`. `targets`
        `(num_sequences,)` are 0 for XX, 1 for XY, 2 for YX and 3 for YY. The best loss
        is 0 nats; guessing costs ln 4 = 1.386 nats.
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
        positions = rng.integers(begin, end, size=num_sequences)
        inputs[rows, positions] = symbols.index("X") + kind
    targets = 2 * kinds[:, 0] + kinds[:, 1]
    return Task(inputs.astype("int32"), targets, np.zeros(num_sequences), symbols)


# Reber's grammar as a graph: the two (letter, next node) pairs of each node. Node 5 is
# the end.
_REBER_NODES = (
    (("T", 1), ("P", 2)),
    (("S", 1), ("X", 3)),
    (("T", 2), ("V", 4)),
    (("X", 2), ("S", 5)),
    (("P", 3), ("V", 5)),
)


def embedded_reber(num_strings: int, seed: int = 0) -> Task:
    """Generate strings of Reber's grammar between two T or two P.

    The grammar of A. S. Reber, "Implicit learning of artificial grammars" (1967), is a
    walk over nodes; at each node but the last, one of two letters is chosen. The
    embedding is that of 1997, experiment 1: the second letter and the last but one are
    equal, so the second letter must be remembered.

    Args:
        num_strings: number of strings.
        seed: seed of the walks.

    Returns:
        `inputs` and `targets` `(num_strings, longest - 1)` hold ids of `symbols`,
        padded with 0 at the end. A choice between two letters costs ln 2 nats and
        everything else nothing. Without a memory of the second letter, the last but
        one costs ln 2 nats, too.
    """
    check_sizes(num_strings=num_strings)
    rng = np.random.default_rng(seed)
    symbols = ("", *"BTPSXVE")
    strings, choices = [], []
    for _ in range(num_strings):
        node, inner = 0, ""
        while node < len(_REBER_NODES):
            letter, node = _REBER_NODES[node][rng.integers(2)]
            inner += letter
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
    """Generate the task of repeating symbols after a delay.

    A sequence has random symbols, a silence, and a mark after which the symbols are to
    be repeated in order.

    Args:
        num_sequences: number of sequences.
        delay: number of steps between the last symbol and the first repetition.
        num_symbols: number of symbols to remember; each is one of eight.
        seed: seed of the symbols.

    Returns:
        `inputs` and `targets` `(num_sequences, delay + 2 * num_symbols)` hold ids of
        `symbols`; 9 is silence and 10 the mark. The best loss is 0 nats. Without a
        memory, each of the last `num_symbols` targets costs ln 8 nats.
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


def surprisals(
    sequence: np.ndarray, segments: Sequence[Segment], probabilities: Sequence[float]
) -> np.ndarray:
    """Compute -ln p of each symbol given all symbols before it, exactly.

    This is the forward algorithm of hidden Markov models. The hidden state says which
    segment is being read and how far. `weight` holds the probability of each state
    given the past; the states whose symbol is the next one in the sequence share the
    probability of that symbol.

    Args:
        sequence: symbol ids `(timesteps,)`.
        segments: the segments that the sequence is made of.
        probabilities: probability of each segment.

    Returns:
        Surprisals in nats, `(timesteps,)`.
    """
    symbol = np.concatenate(segments)
    ends = np.cumsum([len(segment) for segment in segments]) - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    weight = np.zeros(len(symbol))
    weight[starts] = probabilities
    matches = {s: symbol == s for s in np.unique(symbol)}
    costs = np.empty(len(sequence))
    for t, s in enumerate(sequence):
        agreed = weight * matches[s]
        probability = agreed.sum()
        costs[t] = -np.log(probability)
        agreed /= probability
        weight[1:] = agreed[:-1]
        weight[starts] = np.multiply(probabilities, agreed[ends].sum())
    return costs


def _to_ids(words: Sequence[Sequence[str]], symbols: tuple[str, ...]) -> list[Segment]:
    return [tuple(symbols.index(part) for part in word) for word in words]


def _prediction_task(
    segments: list[Segment],
    drawn: np.ndarray,
    symbols: tuple[str, ...],
    probabilities: Sequence[float] | None = None,
    length: int | None = None,
) -> Task:
    """Build the task of predicting the next symbol of concatenated segments.

    Args:
        segments: the segments that can be drawn.
        drawn: indices of the drawn segments.
        symbols: the symbol of each id.
        probabilities: probability of each segment; equal by default.
        length: number of symbols to keep; all by default.
    """
    sequence = np.concatenate([segments[i] for i in drawn])[:length].astype("int32")
    first = [place == 0 for i in drawn for place in range(len(segments[i]))][:length]
    if probabilities is None:
        probabilities = [1 / len(segments)] * len(segments)
    best = surprisals(sequence, segments, probabilities)
    return Task(sequence[:-1], sequence[1:], best[1:], symbols, np.array(first)[1:])
