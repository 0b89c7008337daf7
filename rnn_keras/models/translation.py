"""Translation with an encoder-decoder: batches of pairs, decoding, joining tokens.

Two ids beyond the target vocabulary mark where a text starts and ends. In training the
decoder reads the true tokens so far (teacher forcing: R. J. Williams, D. Zipser, "A
learning algorithm for continually running fully recurrent neural networks", Neural
Computation 1 (1989), 270-280); in translation it reads its own. `Detokenizer` joins
tokens to text with the spacing that is usual in given texts. Left out: subwords.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.layers.text_vectorizer import TextVectorizer, is_standalone_token
from rnn_keras.models.beam_search import StepwiseDecoder, search
from rnn_keras.training.batches import Batches, as_dataset
from rnn_keras.utils.errors import InputError, check_sizes


def teacher_forcing(
    targets: np.ndarray, vocabulary_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make the decoder's inputs and targets of training from target texts.

    Args:
        targets: target ids `(texts, timesteps)`, padded with 0 on the right.
        vocabulary_size: `target_vocabulary_size` of the network; its last two ids mark
            start and end.

    Returns:
        What the decoder reads, the start and then the text, and what it predicts, the
        text and then the end: `(texts, timesteps + 1)` each.

    Raises:
        ValueError: if the texts contain the id of the start or the end, or a 0 with
            other ids after it.

    >>> read, predicted = teacher_forcing(np.array([[4, 5], [6, 0]]), 9)
    >>> read.tolist(), predicted.tolist()
    ([[7, 4, 5], [7, 6, 0]], [[4, 5, 8], [6, 8, 0]])
    """
    start, end = vocabulary_size - 2, vocabulary_size - 1
    if targets.max(initial=0) >= start:
        raise ValueError(
            f"ids of the texts must be below {start}, which marks the start. "
            f"Received: {targets.max()}"
        )
    gaps = (targets[:, :-1] == 0) & (targets[:, 1:] != 0)
    if gaps.any():
        raise ValueError(
            "ids of the texts must be padded with 0 on the right only. Received: "
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
    """Batch pairs of texts for `fit`, targets of similar length together.

    Args:
        sources: source ids `(pairs, timesteps)`, padded with 0 on the right.
        targets: target ids, likewise.
        vocabulary_size: `target_vocabulary_size` of the network.
        batch_size: maximum number of pairs in a batch; all batches have equally many.
        num_lengths: maximum number of different lengths to which targets are padded.
            Each one costs a compilation.
        seed: seed of the order of the pairs, which changes from epoch to epoch.

    Returns:
        A dataset of `(sources, read), predicted`: see `teacher_forcing`. The pairs are
        shuffled already; pass `shuffle=False` to `fit` to avoid Keras's warning.

    Raises:
        InputError: if there are no pairs, or fewer targets than sources or more.
        ValueError: if a size is below 1, or `teacher_forcing` refuses the targets.
    """
    check_sizes(batch_size=batch_size, num_lengths=num_lengths)
    if len(sources) != len(targets) or not len(sources):
        raise InputError(
            f"{len(sources):,} sources and {len(targets):,} targets; as many of both "
            "are needed, and at least one pair"
        )
    read, predicted = teacher_forcing(targets, vocabulary_size)
    rows = np.arange(len(targets))
    by_target = Batches(
        predicted, rows, batch_size=batch_size, num_lengths=num_lengths, seed=seed
    )
    return as_dataset(_PairBatches(sources, read, by_target)).prefetch(2)


class _PairBatches(keras.utils.PyDataset):
    """Batches of targets, each with its sources; one width of sources per length."""

    def __init__(self, sources: np.ndarray, read: np.ndarray, by_target: Batches):
        super().__init__()
        self.sources, self.read, self._by_target = sources, read, by_target
        source_lengths = (sources != 0).sum(axis=1)
        target_lengths = (read != 0).sum(axis=1)
        self._widths = {
            int(length): int(source_lengths[target_lengths <= length].max(initial=1))
            for length in by_target.lengths
        }

    def on_epoch_end(self) -> None:
        self._by_target.on_epoch_end()

    def __len__(self) -> int:
        return len(self._by_target)

    def __getitem__(
        self, index: int
    ) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        predicted, rows = self._by_target[index]
        length = predicted.shape[1]
        sources = self.sources[rows, : self._widths[length]]
        return (sources, self.read[rows, :length]), predicted


class Detokenizer:
    """Joins word tokens to text, with the spacing that is usual in given texts.

    There is a space between two words. Before and after a token that stands alone, such
    as a punctuation mark, comes what stood there most often in the texts: nothing
    around the apostrophe of "d'or", a space before "?" in French. Left out: straight
    quotation marks, where opening and closing mark are the same token.

    Args:
        vectorizer: vectorizer of words whose tokens are joined.
        texts: texts in which spaces are counted.

    Raises:
        InputError: if the vectorizer has characters as tokens, or a text is not a
            string.

    >>> vectorizer = TextVectorizer(lowercase=False)
    >>> join = Detokenizer(vectorizer, ["J'ai dormi, et toi ?", "Peut-être."])
    >>> join(["L", "'", "as", "-", "tu", ",", "ou", "non", "?"])
    "L'as-tu, ou non ?"
    """

    def __init__(self, vectorizer: TextVectorizer, texts: Sequence[str]):
        if vectorizer.unit != "word":
            raise InputError("a Detokenizer needs a word vectorizer")
        tokenized = vectorizer.tokenize(texts)
        known = sorted({token for tokens in tokenized for token in tokens})
        flags = zip(known, is_standalone_token(known), strict=True)
        alone = {token for token, is_alone in flags if is_alone}
        before: defaultdict[str, Counter[str]] = defaultdict(Counter)
        after: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for text, tokens in zip(texts, tokenized, strict=True):
            text = text.lower() if vectorizer.lowercase else text
            for previous, spacing, token in _find_spacings(text, tokens):
                if previous in alone:
                    after[previous][spacing] += 1
                if token in alone:
                    before[token][spacing] += 1
        self._before, self._after = _most_common(before), _most_common(after)

    def __call__(self, tokens: Sequence[str]) -> str:
        parts = list(tokens[:1])
        for previous, token in pairwise(tokens):
            spacings = []
            if previous in self._after:
                spacings.append(self._after[previous])
            if token in self._before:
                spacings.append(self._before[token])
            parts += [min(spacings, key=len, default=" "), token]
        return "".join(parts)


def _find_spacings(text: str, tokens: Sequence[str]) -> list[tuple[str, str, str]]:
    """Each two neighbouring tokens of a text, and what stands between them there."""
    found, previous, end = [], None, 0
    for token in tokens:
        start = text.find(token, end)
        if start < 0:  # the vectorizer has changed it, such as a lone surrogate
            break
        if previous is not None:
            found.append((previous, text[end:start], token))
        previous, end = token, start + len(token)
    return found


def _most_common(counts: dict[str, Counter[str]]) -> dict[str, str]:
    """The most frequent spacing of each token."""
    return {token: spacings.most_common(1)[0][0] for token, spacings in counts.items()}


class Translation(NamedTuple):
    """A translated text.

    Attributes:
        text: the translation.
        tokens: tokens of the translation.
        source_tokens: tokens of the source text, as the network read them.
        attention: attention weights `(tokens + 1, source tokens)`, each row of sum 1.
            The last row belongs to the end; it is missing where the translation was
            cut. A network without attention gives no columns.
        score: natural logarithm of the probability of the translation.
        finished: whether the network ended the translation; otherwise it was cut.
    """

    text: str
    tokens: list[str]
    source_tokens: list[str]
    attention: np.ndarray
    score: float
    finished: bool


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
    """Translate texts with a trained encoder-decoder.

    Args:
        network: a model from `rnn_keras.build_translator`.
        source_vectorizer: vectorizer of the language of `texts`.
        target_vectorizer: vectorizer of the other language. Its vocabulary has two
            tokens fewer than the network has target ids.
        detokenizer: joins the tokens of a translation to text.
        texts: texts to translate.
        beam_size: number of hypotheses kept for each text; 1 is greedy search. See
            `rnn_keras.models.decode`.
        length: maximum number of tokens of a translation.
        batch_size: number of texts to decode together.

    Returns:
        One translation for each text, in the same order.

    Raises:
        InputError: if there are no texts, or one is not a string.
        ValueError: if a size is below 1, or `target_vectorizer` does not fit the
            network.
    """
    check_sizes(batch_size=batch_size)
    ids = source_vectorizer.encode(texts).ids
    vocabulary = np.array([*target_vectorizer.get_vocabulary(), "", ""])
    if len(vocabulary) != network.output_shape[-1]:
        raise ValueError(
            "the network must have two ids more than `target_vectorizer`. Received: "
            f"{network.output_shape[-1]} and {len(vocabulary) - 2}"
        )
    decoder = StepwiseDecoder(network)
    source_tokens = source_vectorizer.tokenize(texts)
    lengths = (ids != 0).sum(axis=1)
    translations: dict[int, Translation] = {}
    by_length = np.argsort(lengths, kind="stable")
    for start in range(0, max(1, len(texts)), batch_size):
        rows = by_length[start : start + batch_size]
        sources = ids[rows, : lengths[rows].max(initial=1)]
        decoded = search(decoder, sources, beam_size, length)
        for row, found, score, attention, finished in zip(rows, *decoded, strict=True):
            tokens = vocabulary[found].tolist()
            translations[row] = Translation(
                text=detokenizer(tokens),
                tokens=tokens,
                source_tokens=source_tokens[row][: lengths[row]],
                attention=attention,
                score=float(score),
                finished=bool(finished),
            )
    return [translations[row] for row in range(len(texts))]
