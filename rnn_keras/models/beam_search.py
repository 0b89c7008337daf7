"""The likeliest sequences that a translator finds: greedy and beam search."""

from typing import Any, NamedTuple

import keras
import numpy as np
from scipy.special import log_softmax

from rnn_keras.layers.text_vectorizer import PADDING_ID, UNKNOWN_ID
from rnn_keras.utils.errors import InputError, check_sizes


class Decoded(NamedTuple):
    """The best sequence found for each source, likeliest of the beam.

    Attributes:
        ids: of the target, without start and end, `(tokens,)` each.
        scores: natural logarithm of each one's probability, `(sources,)`; of the end
            too, where it was reached.
        attention: weights `(tokens + 1, source tokens)` each, the last row that of the
            end, which is lacking where it was not reached; no columns where the network
            has no attention.
        finished: whether the end was reached within the length, `(sources,)`.
    """

    ids: list[np.ndarray]
    scores: np.ndarray
    attention: list[np.ndarray]
    finished: np.ndarray


def decode(
    network: keras.Model, sources: np.ndarray, *, beam_size: int = 1, length: int = 40
) -> Decoded:
    """The likeliest sequences that a search finds, a token after the other.

    Of all continuations of the `beam_size` best beginnings, the `beam_size` best are
    kept; those that have ended compete with the others by the mean logarithm of the
    probability of their tokens, as sums favour short texts. 1 is greedy: always the
    likeliest token.

    Args:
        network: of `rnn_keras.models.build_translator`.
        sources: ids `(texts, timesteps)`, padded with 0.
        beam_size: beginnings that are kept.
        length: tokens at most.

    Raises:
        InputError: if there are no sources.
        ValueError: for a size below 1.
    """
    check_sizes(beam_size=beam_size, length=length)
    if not len(sources):
        raise InputError("no texts to translate")
    steps = _Steps(network)
    texts, size = len(sources), network.output_shape[-1]
    start, end = size - 2, size - 1
    rows = np.arange(texts)[:, None]
    # One beam of each text is alive at first: equal ones would be kept side by side.
    logs = np.full((texts, beam_size), -np.inf)
    logs[:, 0] = 0
    counts = np.zeros((texts, beam_size), int)
    ended = np.zeros((texts, beam_size), bool)
    tokens = np.full((texts, beam_size, 1), start)
    memory = [np.repeat(part, beam_size, axis=0) for part in steps.encode(sources)]
    weights = np.zeros((texts, beam_size, 0, steps.columns(memory)))
    for _ in range(length + 1):
        logits, attended, states = steps.read(tokens[:, :, -1].reshape(-1), memory)
        chance = log_softmax(logits, axis=1).reshape(texts, beam_size, -1)
        chance[:, :, [PADDING_ID, UNKNOWN_ID, start]] = -np.inf
        chance[ended] = -np.inf
        chance[ended, end] = 0  # stays as it is
        totals = logs[:, :, None] + chance
        sizes = counts + ~ended
        means = totals / sizes[:, :, None]
        parent, token = np.divmod(_highest(means.reshape(texts, -1), beam_size), size)
        before, logs = logs[rows, parent], totals[rows, parent, token]
        counts = sizes[rows, parent]
        ended = ended[rows, parent] | (token == end)
        tokens = np.concatenate([tokens[rows, parent], token[:, :, None]], axis=2)
        attended = attended.reshape(texts, beam_size, 1, -1)
        weights = np.concatenate([weights, attended], axis=2)[rows, parent]
        chosen = (rows * beam_size + parent).ravel()
        memory = [*memory[: steps.fixed], *(state[chosen] for state in states)]
        if ended.all():
            break
    # Nobody asked for what would come after the length, in place of an end.
    logs = np.where(ended, logs, before)
    # The best that has ended; the best at all where none has.
    chosen = ended.argmax(axis=1)
    ids, attention = [], []
    for row, beam in enumerate(chosen):
        count = counts[row, beam] - 1
        ids.append(tokens[row, beam, 1 : count + 1])
        real = np.count_nonzero(sources[row])
        attention.append(weights[row, beam, : count + ended[row, beam], :real])
    row = np.arange(texts)
    return Decoded(ids, logs[row, chosen], attention, ended[row, chosen])


def _highest(values: np.ndarray, count: int) -> np.ndarray:
    """The positions of the highest of each row, highest first."""
    some = np.argpartition(-values, count - 1, axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(values, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


class _Steps:
    """A translator taken apart: the encoder, and one step of the decoder.

    What a step needs is a list, its memory: with attention the source's mask, the
    encoder's states and their keys (`fixed` of them stay as they are), then the
    decoder's states.
    """

    def __init__(self, network: keras.Model):
        attends = any(layer.name == "attention" for layer in network.layers)
        self.fixed = 3 if attends else 0
        values, *encoded = network.get_layer("encoder").output
        each = len(encoded) // 2
        states = [network.get_layer(f"state_{i + 1}").output for i in range(each)]
        kept = [values, network.get_layer("keys").output] if attends else []
        self._encoder = keras.Model(network.inputs[0], [*kept, *states])
        self._step = _Step(network, self.fixed)

    def encode(self, sources: np.ndarray) -> list[np.ndarray]:
        # A column of padding more: Keras warns of attention to a single step.
        sources = np.pad(sources, ((0, 0), (0, 1)))
        encoded = keras.tree.flatten(self._encoder.predict_on_batch(sources))
        return [sources != 0, *encoded] if self.fixed else encoded

    def columns(self, memory: list[np.ndarray]) -> int:
        """Of the weights: steps of the source, or none where nothing is weighed."""
        return memory[0].shape[1] if self.fixed else 0

    def read(
        self, tokens: np.ndarray, memory: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """Logits of what follows `(batch, ids)`, weights `(batch, source)`, states."""
        logits, *rest = self._step.predict_on_batch([tokens, *memory])
        if self.fixed:
            return logits, rest[0], rest[1:]
        return logits, np.zeros((len(tokens), 0)), rest


class _Step(keras.Model):
    """From `[tokens, *memory]` to `[logits, weights where it attends, *states]`."""

    def __init__(self, network: keras.Model, fixed: int):
        super().__init__(name="step")
        names = ["target_embedding", "decoder", "readout"]
        names += ["attention"] if fixed else []
        self.parts = {name: network.get_layer(name) for name in names}
        self.fixed = fixed

    def call(self, inputs: list[Any]) -> list[Any]:
        tokens, *memory = inputs
        fixed, states = memory[: self.fixed], memory[self.fixed :]
        # A copy has no mask, of which a cell would warn: no token is padding.
        x = keras.ops.copy(self.parts["target_embedding"](tokens))
        x, after = self.parts["decoder"].cell(x, states)
        weights = []
        if fixed:
            mask, values, keys = fixed
            context, scores = self.parts["attention"](
                [x[:, None], values, keys],
                mask=[None, mask],
                return_attention_scores=True,
            )
            x = keras.ops.concatenate([context[:, 0], x], axis=-1)
            weights = [scores[:, 0]]
        logits = self.parts["target_embedding"](self.parts["readout"](x), reverse=True)
        return [logits, *weights, *keras.tree.flatten(after)]
