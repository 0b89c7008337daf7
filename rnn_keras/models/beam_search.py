"""Greedy and beam search for the best target sequence of an encoder-decoder.

`decode` runs the encoder once, then the decoder one step at a time for all texts
together. A hypothesis is the beginning of a target sequence, or a finished one; the
hypotheses kept after a step are the beam: A. Graves, "Sequence transduction with
recurrent neural networks", 2012. Left out: penalties on length and on source tokens
that get no attention.
"""

from typing import Any, NamedTuple

import keras
import numpy as np
from scipy.special import log_softmax

from rnn_keras.layers.text_vectorizer import PADDING_ID, UNKNOWN_ID
from rnn_keras.utils.errors import InputError, check_sizes


class Decoded(NamedTuple):
    """The best sequence found for each source.

    Attributes:
        ids: token ids of each sequence without start and end, `(tokens,)` each.
        scores: natural logarithm of the probability of each sequence, `(sources,)`.
            It includes the probability of the end where the end was reached.
        attention: attention weights of each sequence, `(tokens + 1, source tokens)`
            each. The last row belongs to the end; it is missing where the end was not
            reached. A network without attention gives no columns.
        finished: whether the end was reached within the length, `(sources,)`.
    """

    ids: list[np.ndarray]
    scores: np.ndarray
    attention: list[np.ndarray]
    finished: np.ndarray


def decode(
    network: keras.Model, sources: np.ndarray, *, beam_size: int = 1, length: int = 40
) -> Decoded:
    """Search for the best target sequence of each source, token by token.

    Each step extends every hypothesis by every token and keeps the `beam_size` best.
    Finished hypotheses stay as they are and compete with the others. Hypotheses are
    ranked by the mean log probability of their tokens, because a sum favours short
    sequences. With `beam_size=1` the search is greedy: it takes the most probable
    token at each step.

    Args:
        network: a model from `rnn_keras.build_translator`.
        sources: source ids `(texts, timesteps)`, padded with 0.
        beam_size: number of hypotheses kept for each source.
        length: maximum number of tokens.

    Raises:
        InputError: if there are no sources.
        ValueError: if a size is below 1.
    """
    return search(StepwiseDecoder(network), sources, beam_size, length)


def search(
    decoder: "StepwiseDecoder", sources: np.ndarray, beam_size: int, length: int
) -> Decoded:
    """Search like `decode`, with a decoder that serves several batches of sources."""
    check_sizes(beam_size=beam_size, length=length)
    if not len(sources):
        raise InputError("no texts to translate")
    constants, states = (
        [np.repeat(array, beam_size, axis=0) for array in arrays]
        for arrays in decoder.encode(sources)
    )
    num_weights = decoder.num_weights(sources)
    beam = _Beam(len(sources), beam_size, decoder.start_id, num_weights)
    for _ in range(length + 1):  # one step more for the end
        last_tokens = beam.tokens[:, :, -1].ravel()
        logits, weights, states = decoder.read(last_tokens, constants, states)
        parents = beam.extend(logits, weights)
        states = [state[parents] for state in states]
        if beam.ended.all():
            break
    return beam.best(np.count_nonzero(sources, axis=1))


class _Beam:
    """The hypotheses of all texts, `(texts, beam_size, ...)` in every array."""

    def __init__(self, texts: int, beam_size: int, start_id: int, num_weights: int):
        self.tokens = np.full((texts, beam_size, 1), start_id)
        self.log_probs = np.full((texts, beam_size), -np.inf)
        # Only one hypothesis of each text counts at first: the others are its copies.
        self.log_probs[:, 0] = 0
        self.log_probs_before = self.log_probs  # without the last token
        self.counts = np.zeros((texts, beam_size), int)  # tokens, the end included
        self.ended = np.zeros((texts, beam_size), bool)
        self.weights = np.zeros((texts, beam_size, 0, num_weights))

    def extend(self, logits: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Replace the hypotheses by the best of their extensions.

        Args:
            logits: of the next token, `(texts * beam_size, vocabulary_size)`.
            weights: attention weights of this step, `(texts * beam_size, columns)`.

        Returns:
            The row of the hypothesis that each new one extends, `(texts * beam_size,)`.
        """
        texts, beam_size = self.ended.shape
        totals, counts = self._score_extensions(logits)
        vocabulary_size = totals.shape[2]
        means = (totals / counts[:, :, None]).reshape(texts, -1)
        best = _find_highest(means, beam_size)
        parents, tokens = np.divmod(best, vocabulary_size)
        rows = np.arange(texts)[:, None]
        self.log_probs_before = self.log_probs[rows, parents]
        self.log_probs = totals[rows, parents, tokens]
        self.counts = counts[rows, parents]
        self.ended = self.ended[rows, parents] | (tokens == vocabulary_size - 1)
        self.tokens = np.append(self.tokens[rows, parents], tokens[:, :, None], axis=2)
        weights = weights.reshape(texts, beam_size, 1, -1)
        self.weights = np.append(self.weights, weights, axis=2)[rows, parents]
        return (rows * beam_size + parents).ravel()

    def _score_extensions(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log probability of each extension by each token, and the token counts."""
        steps = log_softmax(logits, axis=1).reshape(*self.ended.shape, -1)
        start, end = steps.shape[2] - 2, steps.shape[2] - 1
        steps[:, :, [PADDING_ID, UNKNOWN_ID, start]] = -np.inf
        # A finished hypothesis is repeated with its probability.
        steps[self.ended] = -np.inf
        steps[self.ended, end] = 0
        return self.log_probs[:, :, None] + steps, self.counts + ~self.ended

    def best(self, source_lengths: np.ndarray) -> Decoded:
        """The best finished hypothesis of each text, or the best unfinished one."""
        # The last step is for the end; a token that came instead is cut off.
        log_probs = np.where(self.ended, self.log_probs, self.log_probs_before)
        chosen = self.ended.argmax(axis=1)  # the beam is sorted, the best first
        ids, attention = [], []
        for row, (place, width) in enumerate(zip(chosen, source_lengths, strict=True)):
            count = self.counts[row, place] - 1
            steps = count + self.ended[row, place]
            ids.append(self.tokens[row, place, 1 : count + 1])
            attention.append(self.weights[row, place, :steps, :width])
        rows = np.arange(len(chosen))
        scores, finished = log_probs[rows, chosen], self.ended[rows, chosen]
        return Decoded(ids, scores, attention, finished)


def _find_highest(values: np.ndarray, count: int) -> np.ndarray:
    """Positions of the highest values of each row, highest first: `(rows, count)`."""
    some = np.argpartition(-values, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(values, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


class StepwiseDecoder:
    """A translator taken apart: its encoder, and one step of its decoder.

    A step needs arrays that stay constant and states that change. With attention the
    constants are the mask of the source, the encoder's states and their keys; without
    attention there are none.
    """

    def __init__(self, network: keras.Model):
        self.start_id = network.output_shape[-1] - 2
        self._attends = any(layer.name == "attention" for layer in network.layers)
        encoded, *last = network.get_layer("encoder").output
        numbers = range(1, len(last) // 2 + 1)
        states = [network.get_layer(f"state_{i}").output for i in numbers]
        constants = [encoded, network.get_layer("keys").output] if self._attends else []
        self._num_states = len(states)
        self._encoder = keras.Model(network.inputs[0], [*constants, *states])
        self._step = _DecoderStep(network, self._attends)

    def encode(self, sources: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The constants and the first states of the decoder, `(texts, ...)` each."""
        sources = _pad_by_one(sources)
        arrays = keras.tree.flatten(self._encoder.predict_on_batch(sources))
        constants, states = arrays[: -self._num_states], arrays[-self._num_states :]
        return ([sources != 0, *constants] if self._attends else []), states

    def num_weights(self, sources: np.ndarray) -> int:
        """How many attention weights each step gives; 0 without attention."""
        return _pad_by_one(sources).shape[1] if self._attends else 0

    def read(
        self,
        tokens: np.ndarray,
        constants: list[np.ndarray],
        states: list[np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Run one step of the decoder.

        Args:
            tokens: the last token of each hypothesis, `(batch,)`.
            constants: see the class.
            states: states of the decoder before the step.

        Returns:
            Logits of the next token `(batch, vocabulary_size)`, attention weights
            `(batch, num_weights)`, and the states after the step.
        """
        logits, *rest = self._step.predict_on_batch([tokens, *constants, *states])
        if self._attends:
            return logits, rest[0], rest[1:]
        return logits, np.zeros((len(tokens), 0)), rest


def _pad_by_one(sources: np.ndarray) -> np.ndarray:
    """One column of padding more, because Keras warns of attention to a single step."""
    return np.pad(sources, ((0, 0), (0, 1)))


class _DecoderStep(keras.Model):
    """One step: `[tokens, *constants, *states]` to `[logits, (weights,) *states]`."""

    def __init__(self, network: keras.Model, attends: bool):
        super().__init__(name="decoder_step")
        self.embedding = network.get_layer("target_embedding")
        self.decoder = network.get_layer("decoder")
        self.attention = network.get_layer("attention") if attends else None
        self.readout = network.get_layer("readout")

    def call(self, inputs: list[Any]) -> list[Any]:
        tokens, *rest = inputs
        constants, states = (rest[:3], rest[3:]) if self.attention else ([], rest)
        # A cell warns of a mask. The copy has none; no token here is padding.
        x = keras.ops.copy(self.embedding(tokens))
        x, states = self.decoder.cell(x, states)
        weights = []
        if self.attention:
            mask, encoded, keys = constants
            context, scores = self.attention(
                [x[:, None], encoded, keys],
                mask=[None, mask],
                return_attention_scores=True,
            )
            x = keras.ops.concatenate([context[:, 0], x], axis=-1)
            weights = [scores[:, 0]]
        logits = self.embedding(self.readout(x), reverse=True)
        return [logits, *weights, *keras.tree.flatten(states)]
