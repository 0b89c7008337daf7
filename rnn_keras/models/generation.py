"""Text generation with a language model, and the sequences it is trained on.

`generate` draws one token after another. The state is carried from step to step, so
a token costs one step of the recurrence, however long the text before it is. Left
out: search for the most probable text, which `beam_search` does for translators.
"""

from typing import Any

import keras
import numpy as np

from rnn_keras.layers.text_vectorizer import PADDING_ID, UNKNOWN_ID, TextVectorizer
from rnn_keras.utils.errors import InputError, check_sizes


def next_token_sequences(ids: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a long text into input sequences, with the next token of each as target.

    Args:
        ids: token ids of the text, `(tokens,)`.
        length: tokens of a sequence. The rest of the text, which is too short for one
            more sequence, is left out.

    Returns:
        Inputs and targets, `(sequences, length)` each; the targets are the inputs
        one token later.

    Raises:
        InputError: if the text is too short for one sequence and the token after it.
        ValueError: if `length` is below 1, or `ids` has more than one axis.

    >>> inputs, targets = next_token_sequences(np.arange(1, 8), 3)
    >>> inputs.tolist(), targets.tolist()
    ([[1, 2, 3], [4, 5, 6]], [[2, 3, 4], [5, 6, 7]])
    """
    check_sizes(length=length)
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise ValueError(
            "`ids` must have the shape (tokens,), like `encode([text]).ids[0]`. "
            f"Received the shape {ids.shape}"
        )
    count = (len(ids) - 1) // length
    if count < 1:
        raise InputError(
            f"a text of {len(ids):,} tokens is too short: a sequence of {length:,} "
            f"tokens and the token after it need {length + 1:,}"
        )
    end, shape = count * length, (count, length)
    return ids[:end].reshape(shape), ids[1 : end + 1].reshape(shape)


def generate(
    network: keras.Model,
    vectorizer: TextVectorizer,
    prompt: str,
    length: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int | None = None,
) -> str:
    """Continue a text: draw each token from the network's predictions.

    Args:
        network: a model from `rnn_keras.build_language_model`.
        vectorizer: the vectorizer that made the training ids.
        prompt: text that the network reads first, from a state of zeros. Words that are
            not in the vocabulary are read as unknown tokens. Characters that are not
            in the vocabulary are refused, because no training text had them.
        length: number of tokens to add.
        temperature: number by which the logits are divided. 1 draws from the network's
            own probabilities, smaller numbers prefer probable tokens, and 0 always
            takes the most probable token.
        top_k: number of most probable tokens to draw from (A. Fan et al.,
            "Hierarchical neural story generation", ACL 2018); `None` means all.
        seed: seed of the draws. Equal seeds give equal text; `None` gives another
            text each time.

    Returns:
        The added text, without the prompt; words are separated by spaces. Padding and
        unknown tokens are never drawn.

    Raises:
        InputError: if the prompt is empty, has unknown characters, or has more tokens
            than the vectorizer's `max_length`.
        ValueError: if `length`, `temperature` or `top_k` is too small, or vectorizer
            and network have vocabularies of different sizes.
    """
    check_sizes(0, length=length)
    if not 0 <= temperature < np.inf:
        raise ValueError(
            f"`temperature` must be finite and at least 0. Received: {temperature}"
        )
    if top_k is not None:
        check_sizes(top_k=top_k)
    vocabulary = vectorizer.get_vocabulary()
    if network.output_shape[-1] != len(vocabulary):
        raise ValueError(
            "the vectorizer must have as many tokens as the network has logits, "
            f"{network.output_shape[-1]}. Received: {len(vocabulary)}"
        )
    *given, last = _encode_prompt(vectorizer, prompt)
    random = np.random.default_rng(seed)
    reader = Reader(network)
    for token in given:
        reader.read(np.array([token]))
    drawn: list[int] = []
    while len(drawn) < length:
        logits = reader.read(np.array([last]))[0]
        last = draw(logits, random, temperature, top_k)
        drawn.append(last)
    separator = "" if vectorizer.unit == "character" else " "
    return separator.join(vocabulary[token] for token in drawn)


def _encode_prompt(vectorizer: TextVectorizer, prompt: str) -> np.ndarray:
    """Ids of the prompt, `(tokens,)`; see `generate` for what is refused."""
    encoded = vectorizer.encode([prompt])
    if encoded.num_cut:
        raise InputError(
            "the prompt must have at most as many tokens as the vectorizer keeps, "
            f"{vectorizer.max_length:,}"
        )
    ids = encoded.ids[0][encoded.ids[0] != PADDING_ID]
    if not len(ids):
        raise InputError("the prompt is empty; it must have at least one token")
    if vectorizer.unit == "character" and (ids == UNKNOWN_ID).any():
        tokens = zip(vectorizer.tokenize([prompt])[0], ids, strict=True)
        unknown = sorted({token for token, i in tokens if i == UNKNOWN_ID})
        raise InputError(
            "the prompt has characters that are not in the vectorizer's vocabulary: "
            f"{unknown}"
        )
    return ids


class Reader:
    """Reads texts with a language model one token at a time, and keeps the state.

    Args:
        network: a model from `rnn_keras.build_language_model`. The reader shares its
            weights.

    Raises:
        ValueError: if the network gives no logits at each step, or `nan`, if its layers
            do not form a chain, or if one of its recurrent layers reads backwards or
            in both directions.
    """

    def __init__(self, network: keras.Model):
        self._step = _ChainStep(network)
        if len(network.output_shape) != 3:
            raise ValueError(
                f"{network.name!r} must give logits at each step, (batch, timesteps, "
                f"vocabulary_size). Received the shape {network.output_shape}"
            )
        self._states: list[np.ndarray] = []
        self._check(network)
        self._states = []

    def _check(self, network: keras.Model) -> None:
        """Compare three tokens read one by one with the network's own answer."""
        read = [self.read(np.array([UNKNOWN_ID])) for _ in range(3)][-1]
        expected = np.asarray(network(np.full((1, 3), UNKNOWN_ID)))[:, -1]
        if not np.isfinite(expected).all():
            raise ValueError(f"{network.name!r} answers nan: its weights have diverged")
        if not np.allclose(read, expected, rtol=1e-3, atol=1e-3):
            raise ValueError(
                f"the layers of {network.name!r} must form a chain: read token by "
                "token they give another result"
            )

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """Read the next token of each text.

        Args:
            tokens: ids `(batch,)`, without padding.

        Returns:
            Logits of the token after it, `(batch, vocabulary_size)`.
        """
        if not self._states:
            shapes = [(len(tokens), size) for size in self._step.state_sizes]
            self._states = [np.zeros(shape, "float32") for shape in shapes]
        logits, *self._states = self._step.predict_on_batch([tokens, *self._states])
        return logits


class _ChainStep(keras.Model):
    """One step of a chain of layers: `[ids, *states]` to `[logits, *states]`.

    The ids are `(batch,)`. Each recurrent layer is replaced by its cell.
    """

    def __init__(self, network: keras.Model):
        super().__init__(name="chain_step")
        skipped = keras.layers.InputLayer | keras.layers.Dropout
        self.chain = [x for x in network.layers if not isinstance(x, skipped)]
        self.state_sizes: list[int] = []
        for layer in self.chain:
            if isinstance(layer, keras.layers.RNN) and not layer.go_backwards:
                self.state_sizes += keras.tree.flatten(layer.cell.state_size)
            elif isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
                raise ValueError(
                    f"layer {layer.name!r} must read forwards only, so that its state "
                    f"can be carried. Received: {type(layer).__name__}"
                )

    def call(self, inputs: list[Any]) -> list[Any]:
        x, *states = inputs
        after = []
        for layer in self.chain:
            if isinstance(layer, keras.layers.RNN):
                count = len(keras.tree.flatten(layer.cell.state_size))
                before, states = states[:count], states[count:]
                # A cell warns of a mask. The copy has none; no token is padding.
                x, new = layer.cell(keras.ops.copy(x), before)
                after += keras.tree.flatten(new)
            else:
                x = layer(x)
        return [x, *after]


def draw(
    logits: np.ndarray,
    random: np.random.Generator,
    temperature: float = 1.0,
    top_k: int | None = None,
) -> int:
    """Draw an id by its probability; padding and unknown are never drawn.

    Args:
        logits: logits of all ids, `(vocabulary_size,)`.
        random: generator of the random numbers.
        temperature: see `generate`.
        top_k: see `generate`.

    >>> draw(np.array([9.0, 9.0, 1.0, 2.0]), np.random.default_rng(0), temperature=0)
    3
    """
    logits = np.array(logits, "float64")
    logits[[PADDING_ID, UNKNOWN_ID]] = -np.inf
    if top_k is not None and top_k < len(logits):
        logits[np.argsort(-logits, kind="stable")[top_k:]] = -np.inf
    if temperature == 0:
        return int(logits.argmax())
    weights = np.exp((logits - logits.max()) / temperature)
    return int(random.choice(len(weights), p=weights / weights.sum()))
