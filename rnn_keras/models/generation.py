"""Text from a language model, token after token, and the windows to train it on.

The state is carried: a token costs one step of the recurrence, however much text
stands before it, so the cost is linear in the length. Left out: beam search, which
finds the likeliest text where here one is drawn.
"""

from typing import Any

import keras
import numpy as np

from rnn_keras.layers.text_vectorizer import PADDING_ID, UNKNOWN_ID, TextVectorizer
from rnn_keras.utils.errors import InputError, check_sizes


def windows(ids: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a long text into pieces, and what comes next at each of their steps.

    Args:
        ids: tokens of the text `(tokens,)`.
        length: of a piece; what is left over at the end has no part.

    Returns:
        Inputs and targets, `(pieces, length)` each, the targets one token later.

    Raises:
        InputError: if there is not one piece and a token after it.
        ValueError: for a size below 1, or ids that are not of one text.

    >>> inputs, targets = windows(np.arange(1, 8), 3)
    >>> inputs.tolist(), targets.tolist()
    ([[1, 2, 3], [4, 5, 6]], [[2, 3, 4], [5, 6, 7]])
    """
    check_sizes(length=length)
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise ValueError(
            "`ids` must be of one text, (tokens,), as `encode([text]).ids[0]` is. "
            f"Received the shape {ids.shape}"
        )
    pieces = (len(ids) - 1) // length
    if pieces < 1:
        raise InputError(
            f"a text of {len(ids):,} tokens, where windows of {length:,} and the token "
            f"after each need {length + 1:,}"
        )
    end = pieces * length
    shape = (pieces, length)
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
    """Go on from `prompt`: each token is drawn from what the network expects next.

    Args:
        network: of `rnn_keras.models.build_language_model`.
        vectorizer: the one that its training ids came from.
        prompt: read first, from a state of zeros. A token that is not in the vocabulary
            is read as unknown; where texts are of characters it is refused, since such
            a vocabulary has all there were in training.
        length: tokens to add.
        temperature: by which the logits are divided. 1 draws as the network expects,
            less draws the likely more often, and 0 takes the likeliest always.
        top_k: draw among so many likeliest only; `None`: among all (A. Fan et al.,
            "Hierarchical neural story generation", ACL 2018).
        seed: of the draws; equal seeds give equal text. `None`: another each time.

    Returns:
        The text that follows the prompt, without it; words with spaces between them.
        A token that is not in the vocabulary is never drawn.

    Raises:
        InputError: if there is no token in the prompt, an unknown character, or more
            than the vectorizer's `max_length`.
        ValueError: for a size or temperature that cannot be, or where vocabulary and
            network do not belong together.
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
            f"the vectorizer must have the {network.output_shape[-1]} tokens that the "
            f"network was built for. Received: {len(vocabulary)}"
        )
    encoded = vectorizer.encode([prompt])
    if encoded.num_cut:
        raise InputError(
            f"the prompt has more than the {vectorizer.max_length:,} tokens at which "
            "the vectorizer cuts"
        )
    given = encoded.ids[0][encoded.ids[0] != PADDING_ID]
    if not len(given):
        raise InputError("the prompt is empty: there must be a token to follow")
    if vectorizer.unit == "character" and (given == UNKNOWN_ID).any():
        tokens = vectorizer.tokenize([prompt])[0]
        unknown = sorted(
            {t for t, i in zip(tokens, given, strict=True) if i == UNKNOWN_ID}
        )
        raise InputError(
            f"the prompt has characters that the vectorizer never saw: {unknown}"
        )

    random = np.random.default_rng(seed)
    reader = Reader(network)
    for token in given[:-1]:
        reader.read(np.array([token]))
    last, drawn = given[-1], []
    while len(drawn) < length:
        logits = reader.read(np.array([last]))[0]
        last = draw(logits, random, temperature, top_k)
        drawn.append(last)
    between = "" if vectorizer.unit == "character" else " "
    return between.join(vocabulary[token] for token in drawn)


class Reader:
    """A language model that reads a token at a time, and keeps its state.

    Args:
        network: of `rnn_keras.models.build_language_model`. Its weights are shared,
            not copied.

    Raises:
        ValueError: for a network that does not answer at each step, answers `nan`, has
            layers that are no chain, or a recurrent layer that could not read so: in
            both directions, or backwards.
    """

    def __init__(self, network: keras.Model):
        self._step = _Step(network)
        if len(network.output_shape) != 3:
            raise ValueError(
                f"{network.name!r} must give logits at each step, (batch, timesteps, "
                f"vocabulary_size). Received the shape {network.output_shape}"
            )
        self._states: list[np.ndarray] = []
        # Whatever makes a network another one than it is taken for shows here.
        read = [self.read(np.array([UNKNOWN_ID])) for _ in range(3)][-1]
        expected = np.asarray(network(np.full((1, 3), UNKNOWN_ID)))[:, -1]
        if not np.isfinite(expected).all():
            raise ValueError(f"{network.name!r} answers nan: its weights have diverged")
        if not np.allclose(read, expected, rtol=1e-3, atol=1e-3):
            raise ValueError(
                f"the layers of {network.name!r} must be a chain: read token by token, "
                "they give another result"
            )
        self._states = []

    def read(self, tokens: np.ndarray) -> np.ndarray:
        """What may follow: logits `(batch, vocabulary_size)`.

        Args:
            tokens: the next id of each text, `(batch,)`; no padding.
        """
        if not self._states:
            shapes = [(len(tokens), size) for size in self._step.state_sizes]
            self._states = [np.zeros(shape, "float32") for shape in shapes]
        logits, *self._states = self._step.predict_on_batch([tokens, *self._states])
        return logits


class _Step(keras.Model):
    """From ids `(batch,)` and states to logits and states, with the cells of layers."""

    def __init__(self, network: keras.Model):
        super().__init__(name="step")
        skipped = keras.layers.InputLayer | keras.layers.Dropout
        self.chain = [x for x in network.layers if not isinstance(x, skipped)]
        self.state_sizes: list[int] = []
        for layer in self.chain:
            if isinstance(layer, keras.layers.RNN) and not layer.go_backwards:
                self.state_sizes += keras.tree.flatten(layer.cell.state_size)
            elif isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
                raise ValueError(
                    f"layer {layer.name!r} must read forwards only, to go on from a "
                    f"state. Received: {type(layer).__name__}"
                )

    def call(self, inputs: list[Any]) -> list[Any]:
        x, *states = inputs
        after = []
        for layer in self.chain:
            if isinstance(layer, keras.layers.RNN):
                count = len(keras.tree.flatten(layer.cell.state_size))
                before, states = states[:count], states[count:]
                # A copy has no mask, of which a cell would warn: no token is padding.
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
    """An id, drawn by its probability; padding and unknown never are.

    Args:
        logits: of all ids `(vocabulary_size,)`.
        random: where the chance comes from.
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
    chances = np.exp((logits - logits.max()) / temperature)
    return int(random.choice(len(chances), p=chances / chances.sum()))
