"""Text to token ids: words or characters, any script.

`TextVectorizer` is a `keras.layers.TextVectorization` with three differences.
Its word mode suits every script: letters are lower-cased by Unicode's rules
(unless case is to be kept), each punctuation mark or symbol is a token, and each
character of a script written without spaces between words (Han, Hiragana,
Katakana) is a token, so Chinese needs no option and no segmenter. Its vocabulary
can leave out rare tokens (`min_count`). And its vocabulary lies in the saved
configuration, not in a text file of one token a line, which loses a vocabulary
that holds a line break, as one of characters does.

Left out: stemming, subwords, Unicode normalisation. Scripts without spaces
other than the three above (Thai, Lao, Khmer, Burmese) are best read with
`unit="character"`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple, get_args

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.utils.errors import InputError, check_choice

Unit = Literal["word", "character"]
UNITS = get_args(Unit)

PADDING_ID, UNKNOWN_ID = 0, 1

# U+30FC, the mark of a long vowel in Katakana, belongs to no script of its own.
_ALONE = r"([\p{P}\p{S}\p{Han}\p{Hiragana}\p{Katakana}ー])"
# `tf.strings.split` knows ASCII white space only; U+3000 and U+00A0 occur in text.
_SPACE = r"[\s\p{Z}\p{Cc}]+"
_CHUNK = 1024
_MOST_COUNTED = 1_000_000


@keras.saving.register_keras_serializable(package="rnn_keras")
def separate_words(texts: Any) -> Any:
    """Lower-case `texts` and put spaces around each token that stands alone.

    Args:
        texts: string tensor of any shape, UTF-8.

    Returns:
        String tensor of the same shape; tokens are what spaces divide.
    """
    # Spaces first: `lower` takes a NUL character for the end of the text.
    texts = tf.strings.regex_replace(texts, _SPACE, " ")
    return separate_cased_words(tf.strings.lower(texts, encoding="utf-8"))


@keras.saving.register_keras_serializable(package="rnn_keras")
def separate_cased_words(texts: Any) -> Any:
    """The same, with capitals as they are."""
    texts = tf.strings.regex_replace(texts, _SPACE, " ")
    return tf.strings.regex_replace(texts, _ALONE, r" \1 ")


def stands_alone(tokens: Sequence[str]) -> np.ndarray:
    """Whether each is a token without spaces around it, as punctuation is."""
    return tf.strings.regex_full_match(tokens, _ALONE).numpy()


def separates_words(tokens: Sequence[str]) -> np.ndarray:
    """Whether each is white space of any kind, or control characters."""
    return tf.strings.regex_full_match(tokens, _SPACE).numpy()


@keras.saving.register_keras_serializable(package="rnn_keras")
def replace_nul(texts: Any) -> Any:
    """U+FFFD for each NUL, which NumPy's strings cannot end with.

    Args:
        texts: string tensor of any shape, UTF-8.

    Returns:
        String tensor of the same shape.
    """
    return tf.strings.regex_replace(texts, "\\x00", "\ufffd")


class Encoded(NamedTuple):
    """Token ids of a list of texts.

    Attributes:
        ids: int32 array `(texts, longest)`, padded on the right with 0. It has
            at least one column, also where every text is empty.
        num_cut: how many texts were longer than `max_length` and lost their end.
    """

    ids: np.ndarray
    num_cut: int


@keras.saving.register_keras_serializable(package="rnn_keras")
class TextVectorizer(keras.layers.TextVectorization):
    """Maps strings to sequences of token ids: 0 is padding, 1 an unknown token.

    Args:
        unit: `"word"` (lower-cased; punctuation, symbols and Han, Hiragana and
            Katakana characters are tokens of their own) or `"character"` (one
            token a Unicode character, as it is; a NUL becomes U+FFFD).
        lowercase: whether words are lower-cased.
        max_tokens: size of the vocabulary at most, padding and unknown included.
        min_count: a token seen less often than this in `adapt` stays unknown.
        max_length: texts with more tokens are cut at their end; `None` cuts none.
        vocabulary: tokens by falling frequency, without padding and unknown;
            usually left to `adapt`.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: strings, `(batch,)` or `(batch, 1)`.

    Returns:
        int64 tensor `(batch, max_length)`, or `(batch, longest)` where
        `max_length` is `None`, padded on the right with 0.

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
            # One more than is kept: it tells a text that is cut from one that fits.
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
        """Take the vocabulary from `texts`, most frequent token first.

        Tokens of equal frequency stand in the order of their code points. Beyond a
        million different tokens the rarest are forgotten now and then (G. S. Manku,
        R. Motwani, "Approximate frequency counts over data streams", VLDB 2002), so
        that memory is bounded, whatever `texts` gives out.

        Raises:
            InputError: if no token occurs `min_count` times.
        """
        counts: Counter[bytes] = Counter()
        forgotten = 0
        for strings in _chunks(texts):
            counts.update(self._tokens(strings).flat_values.numpy().tolist())
            while len(counts) > _MOST_COUNTED:
                forgotten += 1
                counts = Counter({t: n for t, n in counts.items() if n > forgotten})
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
        """The tokens of each text, before the vocabulary and the cut.

        >>> TextVectorizer().tokenize(["It's 5 o'clock", ""])
        [['it', "'", 's', '5', 'o', "'", 'clock'], []]
        """
        return [
            [token.decode() for token in row]
            for strings in _chunks(texts)
            for row in self._tokens(strings).to_list()
        ]

    def _to_ids(self, strings: tf.Tensor) -> tf.Tensor:
        if keras.backend.backend() != "tensorflow":
            return super().call(strings)  # through NumPy, in no graph
        # A graph: operation by operation from Python, one text takes ten times as
        # long. A concrete one: TensorFlow warns of too many tracings by function,
        # not by object, and so would after five vectorizers.
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

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Token ids of `texts` as one array, padded to the longest of them."""
        chunks = [np.zeros((0, 1), np.int32)]
        num_cut = 0
        for strings in _chunks(texts):
            ids = np.asarray(self._to_ids(strings), np.int32)
            if self.max_length is not None:
                num_cut += int(np.count_nonzero(ids[:, self.max_length :]))
                ids = ids[:, : self.max_length]
            longest = int((ids != PADDING_ID).sum(axis=1).max(initial=1))
            chunks.append(ids[:, :longest])
        return Encoded(concatenate_ids(chunks), num_cut)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The tokens in the order of their ids; without the first two on request."""
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

    # The vocabulary lies in the configuration: there is no asset to write or read.
    def save_assets(self, dir_path: str) -> None:
        pass

    def load_assets(self, dir_path: str) -> None:
        pass


def concatenate_ids(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Token ids of several lists of texts as one array, padded to the widest."""
    widest = max(part.shape[1] for part in parts)
    padded = [np.pad(p, ((0, 0), (0, widest - p.shape[1]))) for p in parts]
    return np.concatenate(padded)


def _chunks(texts: Iterable[str]) -> Iterator[tf.Tensor]:
    """`texts` as UTF-8, some at a time; a lone surrogate, not encodable, gives "?"."""
    if isinstance(texts, str):
        raise InputError("one string, where a list of strings is expected")
    numbered = enumerate(texts)
    while chunk := list(islice(numbered, _CHUNK)):
        for i, text in chunk:
            if not isinstance(text, str):
                kind = type(text).__name__
                raise InputError(f"text {i} is no string but {kind}: {text!r:.40}")
        utf8 = [text.encode("utf-8", errors="replace") for _, text in chunk]
        yield tf.constant(utf8, dtype=tf.string)
