"""Turns texts of any script into token ids, by words or by characters.

`TextVectorizer` differs from `keras.layers.TextVectorization` in three ways:

- Its word mode suits every script. Letters are lower-cased by Unicode's rules, unless
  case is kept; each punctuation mark or symbol is a token; and so is each Han,
  Hiragana or Katakana character, since these scripts put no spaces between words.
  Chinese needs no option and no segmenter.
- It can leave rare tokens out of the vocabulary (`min_count`).
- It saves the vocabulary in its configuration. Keras saves a text file with one token
  a line, which cannot hold a line break, as a vocabulary of characters does.

It does no stemming, no subwords and no Unicode normalisation. Other scripts without
spaces (Thai, Lao, Khmer, Burmese) are best read with `unit="character"`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple, get_args

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.utils.errors import InputError, check_choice, checked_texts

Unit = Literal["word", "character"]
UNITS = get_args(Unit)

PADDING_ID, UNKNOWN_ID = 0, 1

# Tokens that need no spaces around them. The last character, U+30FC, marks a long
# vowel in Katakana and belongs to no script.
ALONE = r"([\p{P}\p{S}\p{Han}\p{Hiragana}\p{Katakana}ー])"
# `tf.strings.split` splits at ASCII white space only; texts hold U+3000 and U+00A0.
SPACE = r"[\s\p{Z}\p{Cc}]+"
_TEXTS_AT_A_TIME = 1024
_MOST_COUNTED = 1_000_000  # different tokens


@keras.saving.register_keras_serializable(package="rnn_keras")
def separate_words(texts: Any) -> Any:
    """Lower-case texts and put spaces around punctuation, symbols and the like.

    Args:
        texts: string tensor of any shape, UTF-8.

    Returns:
        String tensor of the same shape, in which spaces separate the tokens.
    """
    # Spaces first, because `lower` stops at a NUL character.
    texts = tf.strings.regex_replace(texts, SPACE, " ")
    return separate_cased_words(tf.strings.lower(texts, encoding="utf-8"))


@keras.saving.register_keras_serializable(package="rnn_keras")
def separate_cased_words(texts: Any) -> Any:
    """Do the same as `separate_words` without changing case."""
    texts = tf.strings.regex_replace(texts, SPACE, " ")
    return tf.strings.regex_replace(texts, ALONE, r" \1 ")


def is_standalone_token(characters: Sequence[str]) -> np.ndarray:
    """Return whether each is a token without spaces around it, like punctuation."""
    return tf.strings.regex_full_match(characters, ALONE).numpy()


@keras.saving.register_keras_serializable(package="rnn_keras")
def replace_nul(texts: Any) -> Any:
    """Replace each NUL by U+FFFD, since a NumPy string cannot end with NUL.

    Args:
        texts: string tensor of any shape, UTF-8.

    Returns:
        String tensor of the same shape.
    """
    return tf.strings.regex_replace(texts, "\\x00", "\ufffd")


class EncodedTexts(NamedTuple):
    """Token ids of a list of texts.

    Attributes:
        ids: int32 array `(texts, longest)`, padded on the right with 0. It has at
            least one column, even if every text is empty.
        num_cut: number of texts longer than `max_length`, which lost their end.
    """

    ids: np.ndarray
    num_cut: int


@keras.saving.register_keras_serializable(package="rnn_keras")
class TextVectorizer(keras.layers.TextVectorization):
    """Maps strings to sequences of token ids; 0 is padding, 1 an unknown token.

    Args:
        unit: `"word"` (each punctuation mark, symbol, Han, Hiragana or Katakana
            character is a token of its own) or `"character"` (each Unicode character
            is a token, without any change except that a NUL becomes U+FFFD).
        lowercase: whether to lower-case words. Characters always keep their case.
        max_tokens: largest size of the vocabulary, including padding and unknown.
        min_count: a token that `adapt` sees less often than this stays unknown.
        max_length: largest number of tokens of a text. A longer text loses its end;
            `None` means no limit.
        vocabulary: tokens by falling frequency, without padding and unknown. Usually
            `adapt` finds them.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: strings, `(batch,)` or `(batch, 1)`.

    Returns:
        int64 tensor `(batch, max_length)`, or `(batch, longest)` if `max_length` is
        `None`, padded on the right with 0.

    Raises:
        ValueError: for an unknown `unit` or a size that is not positive.

    Example:
    >>> vectorizer = TextVectorizer()
    >>> vectorizer.adapt(["No, no: 你好!", "No!"])
    >>> vectorizer.get_vocabulary()
    ['', '[UNK]', 'no', '!', ',', ':', '你', '好']
    >>> vectorizer.encode(["NO!", "you? no."]).ids.tolist()
    [[2, 3, 0, 0], [1, 1, 2, 1]]
    """

    def __init__(
        self,
        unit: Unit = "word",
        *,
        lowercase: bool = True,
        max_tokens: int | None = None,
        min_count: int = 1,
        max_length: int | None = None,
        vocabulary: Sequence[str] | None = None,
        **kwargs: Any,
    ):
        check_choice("unit", unit, UNITS)
        if max_tokens is not None and max_tokens < 3:
            raise ValueError(
                "`max_tokens` must be at least 3: padding, unknown and one token. "
                f"Received: {max_tokens}"
            )
        for name, value in (("min_count", min_count), ("max_length", max_length)):
            if value is not None and value < 1:
                raise ValueError(f"`{name}` must be positive. Received: {value}")
        if unit == "character":
            standardize = replace_nul
        else:
            standardize = separate_words if lowercase else separate_cased_words
        super().__init__(
            max_tokens=max_tokens,
            standardize=standardize,
            split="whitespace" if unit == "word" else "character",
            # One more than is kept, to tell a text that is cut from one that fits.
            output_sequence_length=None if max_length is None else max_length + 1,
            vocabulary=vocabulary,
            **kwargs,
        )
        self._graph: Any = None
        self.standardize = standardize
        self.unit = unit
        self.lowercase = lowercase
        self.max_tokens = max_tokens
        self.min_count = min_count
        self.max_length = max_length

    def adapt(self, texts: Iterable[str]) -> None:
        """Build the vocabulary from texts, the most frequent token first.

        Tokens of equal frequency are ordered by code point. Whenever there are more
        than a million different tokens, the rarest are dropped (G. S. Manku,
        R. Motwani, "Approximate frequency counts over data streams", VLDB 2002), so
        that memory is bounded however many texts come.

        Raises:
            InputError: if no token occurs `min_count` times.
        """
        counts: Counter[bytes] = Counter()
        dropped = 0
        for strings in _utf8_chunks(texts):
            counts.update(self._tokens(strings).flat_values.numpy().tolist())
            while len(counts) > _MOST_COUNTED:
                dropped += 1
                counts = Counter({t: n for t, n in counts.items() if n > dropped})
        frequent = sorted(
            (token for token, count in counts.items() if count >= self.min_count),
            key=lambda token: (-counts[token], token),
        )
        if not frequent:
            least = "no token" if not counts else f"no token {self.min_count} times"
            raise InputError(f"the texts hold {least}: there is nothing to learn from")
        limit = None if self.max_tokens is None else self.max_tokens - 2
        self.set_vocabulary([token.decode() for token in frequent[:limit]])

    def set_vocabulary(self, *args: Any, **kwargs: Any) -> None:
        super().set_vocabulary(*args, **kwargs)
        self._graph = None

    def tokenize(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the tokens of each text, unknown ones included, without cutting.

        >>> TextVectorizer().tokenize(["It's 5 o'clock", ""])
        [['it', "'", 's', '5', 'o', "'", 'clock'], []]
        """
        return [
            [token.decode() for token in row]
            for strings in _utf8_chunks(texts)
            for row in self._tokens(strings).to_list()
        ]

    def _to_ids(self, strings: tf.Tensor) -> tf.Tensor:
        if keras.backend.backend() != "tensorflow":
            return super().call(strings)  # through NumPy, without a graph
        # A graph, because one text takes ten times as long eagerly. A concrete
        # function, because TensorFlow counts tracings of this method over all objects
        # and warns of too many after five vectorizers.
        if self._graph is None:
            self._graph = tf.function(super().call).get_concrete_function(
                tf.TensorSpec((None,), tf.string)
            )
        return self._graph(strings)

    def _tokens(self, strings: tf.Tensor) -> tf.RaggedTensor:
        strings = self.standardize(strings)
        if self.unit == "word":
            return tf.strings.split(strings)
        return tf.strings.unicode_split(strings, "UTF-8")

    def encode(self, texts: Sequence[str]) -> EncodedTexts:
        """Return the token ids of texts as one array, padded to the longest text."""
        chunks = [np.zeros((0, 1), np.int32)]
        num_cut = 0
        for strings in _utf8_chunks(texts):
            ids = np.asarray(self._to_ids(strings), np.int32)
            if self.max_length is not None:
                num_cut += int(np.count_nonzero(ids[:, self.max_length :]))
                ids = ids[:, : self.max_length]
            longest = int((ids != PADDING_ID).sum(axis=1).max(initial=1))
            chunks.append(ids[:, :longest])
        return EncodedTexts(concatenate_ids(chunks), num_cut)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """Return the tokens in the order of their ids.

        Args:
            include_special_tokens: whether to begin with padding and unknown.
        """
        return [str(token) for token in super().get_vocabulary(include_special_tokens)]

    def call(self, inputs: Any) -> Any:
        return super().call(inputs)[:, : self.max_length]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (input_shape[0], self.max_length)

    def get_config(self) -> dict[str, Any]:
        config = keras.layers.Layer.get_config(self)
        vocabulary = self.get_vocabulary(include_special_tokens=False)
        return {
            **config,
            "unit": self.unit,
            "lowercase": self.lowercase,
            "max_tokens": self.max_tokens,
            "min_count": self.min_count,
            "max_length": self.max_length,
            "vocabulary": vocabulary or None,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TextVectorizer":
        return cls(**config)

    # The configuration holds the vocabulary, so there is no asset to write or read.
    def save_assets(self, dir_path: str) -> None:
        pass

    def load_assets(self, dir_path: str) -> None:
        pass


def concatenate_ids(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Join the token ids of several lists of texts, padded to the widest array."""
    widest = max(part.shape[1] for part in parts)
    padded = [np.pad(p, ((0, 0), (0, widest - p.shape[1]))) for p in parts]
    return np.concatenate(padded)


def _utf8_chunks(texts: Iterable[str]) -> Iterator[tf.Tensor]:
    """Yield texts as UTF-8 tensors, some at a time.

    A lone surrogate, which UTF-8 cannot encode, becomes a question mark.
    """
    checked = checked_texts(texts)
    while chunk := list(islice(checked, _TEXTS_AT_A_TIME)):
        utf8 = [text.encode("utf-8", errors="replace") for text in chunk]
        yield tf.constant(utf8, dtype=tf.string)
