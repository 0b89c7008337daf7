"""Texts to texts: what an encoder-decoder is trained on, and how it translates.

Two ids beyond the target vocabulary say where a text begins and ends. The decoder is
trained on the true tokens so far (teacher forcing: R. J. Williams, D. Zipser, "A
learning algorithm for continually running fully recurrent neural networks", Neural
Computation 1 (1989), 270-280) and decodes from its own. Left out: subwords, and a
penalty on words that were not attended to.

Tokens to text: which of them stand together is counted in texts of the language.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.layers.text_vectorizer import TextVectorizer, is_standalone_token
from rnn_keras.models.beam_search import decode
from rnn_keras.training.batches import Batches, as_dataset
from rnn_keras.utils.errors import InputError, check_sizes


class Detokenizer:
    """Joins the tokens of words to texts, spaced as in the texts it has seen.

    Two words have a space between them. What is before a token that stands alone, such
    as a punctuation mark, and what is after it, is what was so most often: no space
    around the apostrophe of "d'or", in French a space before "?". Left out: quotation
    marks whose beginning looks like their end.

    Args:
        vectorizer: of words, whose tokens are joined.
        texts: to count spaces in.

    Raises:
        InputError: if the vectorizer is one of characters, or a text is no string.

    >>> vectorizer = TextVectorizer(lowercase=False)
    >>> join = Detokenizer(vectorizer, ["J'ai dormi, et toi ?", "Peut-être."])
    >>> join(["L", "'", "as", "-", "tu", ",", "ou", "non", "?"])
    "L'as-tu, ou non ?"
    """

    def __init__(self, vectorizer: TextVectorizer, texts: Sequence[str]):
        if vectorizer.unit != "word":
            raise InputError("tokens of characters are joined without a rule")
        tokenized = vectorizer.tokenize(texts)
        known = sorted({token for tokens in tokenized for token in tokens})
        standalone = is_standalone_token(known)
        alone = {t for t, yes in zip(known, standalone, strict=True) if yes}
        before: defaultdict[str, Counter[str]] = defaultdict(Counter)
        after: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for text, tokens in zip(texts, tokenized, strict=True):
            text = text.lower() if vectorizer.lowercase else text
            end, previous = 0, None
            for token in tokens:
                start = text.find(token, end)
                if start < 0:  # changed on the way: a lone surrogate, say
                    break
                if previous in alone:
                    after[previous][text[end:start]] += 1
                if previous is not None and token in alone:
                    before[token][text[end:start]] += 1
                end, previous = start + len(token), token
        self._before = {t: counts.most_common(1)[0][0] for t, counts in before.items()}
        self._after = {t: counts.most_common(1)[0][0] for t, counts in after.items()}

    def __call__(self, tokens: Sequence[str]) -> str:
        parts = list(tokens[:1])
        for previous, token in pairwise(tokens):
            spaces = [
                rule[key]
                for rule, key in ((self._after, previous), (self._before, token))
                if key in rule
            ]
            parts += [min(spaces, key=len, default=" "), token]
        return "".join(parts)


class Translation(NamedTuple):
    """A text and what was made of it.

    Attributes:
        text: the translation.
        tokens: of the translation.
        source_tokens: of the text, as the network read them.
        attention: weights `(tokens + 1, source tokens)`, each row of sum 1, the last
            that of the end, which is lacking where it was cut; without columns where
            the network has no attention.
        score: natural logarithm of the translation's probability.
        finished: whether it was ended, not cut.
    """

    text: str
    tokens: list[str]
    source_tokens: list[str]
    attention: np.ndarray
    score: float
    finished: bool


def teacher_forcing(
    targets: np.ndarray, vocabulary_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """What the decoder reads, and what it is to predict at each step.

    Args:
        targets: ids `(texts, timesteps)`, padded on the right with 0.
        vocabulary_size: of the network's targets, start and end included, which are
            the last two ids.

    Returns:
        Start and the text; the text and the end: `(texts, timesteps + 1)` each.

    Raises:
        ValueError: if start or end is an id of the texts, or 0 stands within one.

    >>> read, predicted = teacher_forcing(np.array([[4, 5], [6, 0]]), 9)
    >>> read.tolist(), predicted.tolist()
    ([[7, 4, 5], [7, 6, 0]], [[4, 5, 8], [6, 8, 0]])
    """
    start, end = vocabulary_size - 2, vocabulary_size - 1
    if targets.max(initial=0) >= start:
        raise ValueError(
            f"ids of the texts must be below {start}, which is the start. "
            f"Received: {targets.max()}"
        )
    gaps = (targets[:, :-1] == 0) & (targets[:, 1:] != 0)
    if gaps.any():
        raise ValueError(
            "texts must be padded with 0 after their ids only. Received: "
            f"{targets[gaps.any(axis=1)][0].tolist()}"
        )
    read = np.pad(targets, ((0, 0), (1, 0)), constant_values=start)
    predicted = np.pad(targets, ((0, 0), (0, 1)))
    predicted[np.arange(len(targets)), (targets != 0).sum(axis=1)] = end
    return read, predicted


def pair_batches(
    sources: np.ndarray,
    targets: np.ndarray,
    vocabulary_size: int,
    *,
    batch_size: int = 64,
    num_lengths: int = 4,
    seed: int = 0,
) -> tf.data.Dataset:
    """Batches of pairs for `fit`, targets of like length together.

    Args:
        sources: ids `(pairs, timesteps)`, padded on the right with 0.
        targets: likewise.
        vocabulary_size: of the network's targets, start and end included.
        batch_size: pairs in a batch at most; they are spread evenly.
        num_lengths: how many different shapes at most, as each is compiled.
        seed: of the order, which is another in each epoch.

    Returns:
        A dataset of `(sources, read), predicted`: see `teacher_forcing`. It is shuffled
        already: with `shuffle=False` Keras does not warn of that.

    Raises:
        InputError: if there are no pairs, or not as many targets as sources.
        ValueError: for a size below 1, or what `teacher_forcing` raises.
    """
    check_sizes(batch_size=batch_size, num_lengths=num_lengths)
    if len(sources) != len(targets) or not len(sources):
        raise InputError(
            f"{len(sources):,} sources and {len(targets):,} targets, where as many are "
            "needed and one pair at least"
        )
    options = {"batch_size": batch_size, "num_lengths": num_lengths, "seed": seed}
    batches = _PairBatches(sources, targets, vocabulary_size, **options)
    return as_dataset(batches).prefetch(2)


class _PairBatches(keras.utils.PyDataset):
    """One width of sources for each width of targets."""

    def __init__(
        self,
        sources: np.ndarray,
        targets: np.ndarray,
        vocabulary_size: int,
        **options: int,
    ):
        super().__init__()
        self.sources = sources
        self.read, predicted = teacher_forcing(targets, vocabulary_size)
        self._batches = Batches(predicted, np.arange(len(predicted)), **options)
        lengths = (predicted != 0).sum(axis=1)
        fixed = self._batches.fixed
        self._widths = {
            int(width): int((sources[lengths <= width] != 0).sum(axis=1).max(initial=1))
            for width in fixed
        }

    def on_epoch_end(self) -> None:
        self._batches.on_epoch_end()

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(
        self, index: int
    ) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        predicted, rows = self._batches[index]
        width = predicted.shape[1]
        sources = self.sources[rows, : self._widths[width]]
        return (sources, self.read[rows, :width]), predicted


def translate(
    network: keras.Model,
    source_vectorizer: TextVectorizer,
    target_vectorizer: TextVectorizer,
    detokenizer: Detokenizer,
    texts: Sequence[str],
    *,
    beam_size: int = 4,
    length: int = 40,
    batch_size: int = 256,
) -> list[Translation]:
    """Texts in one language to texts in the other.

    Args:
        network: of `rnn_keras.models.build_translator`.
        source_vectorizer: of the language of `texts`.
        target_vectorizer: of the other; the network has two ids more.
        detokenizer: joins tokens to text.
        texts: to translate.
        beam_size: beginnings that are kept; 1 is greedy.
        length: tokens at most.
        batch_size: texts decoded at once.

    Raises:
        InputError: if there are no texts, or one is not a string.
        ValueError: for a size below 1, or vectorizers that are not the network's.
    """
    check_sizes(batch_size=batch_size)
    ids = source_vectorizer.encode(texts).ids
    names = np.array([*target_vectorizer.get_vocabulary(), "", ""])
    if len(names) != network.output_shape[-1]:
        raise ValueError(
            "the network must have two ids more than `target_vectorizer`. Received: "
            f"{network.output_shape[-1]} and {len(names) - 2}"
        )
    read = source_vectorizer.tokenize(texts)
    lengths = (ids != 0).sum(axis=1)
    found: list[Translation | None] = [None] * len(texts)
    order = np.argsort(lengths, kind="stable")
    for start in range(0, max(1, len(order)), batch_size):
        rows = order[start : start + batch_size]
        sources = ids[rows, : lengths[rows].max(initial=1)]
        decoded = decode(network, sources, beam_size=beam_size, length=length)
        for row, of, score, weights, finished in zip(rows, *decoded, strict=True):
            tokens = names[of].tolist()
            found[row] = Translation(
                text=detokenizer(tokens),
                tokens=tokens,
                source_tokens=read[row][: lengths[row]],
                attention=weights,
                score=float(score),
                finished=bool(finished),
            )
    return found
