"""The network of a classifier in NumPy: from token ids to logits.

The equations are those of `rnn_keras.layers.recurrence`, forward only, for the layers
that `rnn_keras.models.build_classifier` makes: an embedding, recurrent layers in one or
two directions, pooling, a dense layer. Dropout does nothing here.

**No padding.** The texts of a batch are sorted by falling length, and their tokens lie
one step after the other, without gaps: first the first token of each text, then the
second of each text that has one, and so on. `_Batch` holds that order. A step computes
the first `sizes[t]` texts of the batch, so padding costs nothing and changes nothing.

**Both directions at once.** The backward direction reads each text from its own last
token, so its step t, too, needs the first `sizes[t]` texts. The two directions are one
array with a leading axis of two, and one call of NumPy computes both.

**Few calls.** x_t W + b is computed before the loop. In the first layer x_t is a row of
the embedding, so x W + b of the whole vocabulary is a table, and a step reads rows of
it. The sigmoid is tanh: sigmoid(a) = (tanh(a / 2) + 1) / 2; the weights of the gates
are halved once, so that a step has no a / 2 to compute.

What is computed depends on its arguments only, so any number of threads may use one
`Network` at the same time.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, NamedTuple

import numpy as np

from rnn_keras.utils.choices import CellName, Pooling
from rnn_keras.utils.errors import InputError

# The largest array of what is computed before the loop of a layer: 64 MB.
_MOST_NUMBERS = 2**24


class NotCoveredError(InputError):
    """A saved classifier that only Keras can run, if anything can."""


class _Batch(NamedTuple):
    """The tokens of some texts without padding, one step after the other.

    Attributes:
        lengths: tokens of each text, falling, `(texts,)`.
        sizes: number of texts that have a token at each step.
        starts: where the tokens of each step begin, and where the last ones end.
        tokens: token ids `(tokens,)`.
        mirror: for each token, where the token lies that is as far from the end of its
            text as this one is from the beginning.
    """

    lengths: np.ndarray
    sizes: list[int]
    starts: list[int]
    tokens: np.ndarray
    mirror: np.ndarray

    @classmethod
    def of(cls, ids: np.ndarray) -> "_Batch":
        """Lay out token ids `(texts, timesteps)` of texts sorted by falling length."""
        real = ids.T != 0
        sizes = real.sum(axis=1)
        starts = np.r_[0, np.cumsum(sizes)]
        lengths = real.sum(axis=0)
        steps, texts = np.nonzero(real)
        mirror = starts[lengths[texts] - 1 - steps] + texts
        sizes = sizes[sizes > 0]
        return cls(lengths, sizes.tolist(), starts.tolist(), ids.T[real], mirror)


class Direction(NamedTuple):
    """The weights of a recurrent layer in one direction, in Keras's blocks.

    Attributes:
        kernel: W, `(features, blocks * units)`.
        recurrent_kernel: U, `(units, blocks * units)`.
        bias: b, `(blocks * units,)`; for a GRU b and b', `(2, blocks * units)`.
    """

    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray


class _Part(NamedTuple):
    """Blocks of a recurrence that a step computes by one product.

    Attributes:
        kernels: W of each direction, `(directions, features, width)`.
        recurrent_kernels: U, `(directions, units, width)`.
        bias: what is added to x W, `(directions, 1, width)`.
    """

    kernels: np.ndarray
    recurrent_kernels: np.ndarray
    bias: np.ndarray


class _Cell(ABC):
    """The states of some texts, and the scratch arrays of a step.

    Args:
        layer: the layer, whose weights a step uses.
        count: number of texts.

    Attributes:
        states: the states after the last step, `(directions, texts, units)` each.
        inputs: x W + b of the next step, for each part of the weights.
    """

    # The blocks of Keras's kernels that are computed together, and those of sigmoids.
    blocks: ClassVar[tuple[tuple[int, ...], ...]]
    sigmoids: ClassVar[tuple[int, ...]] = ()
    num_states: ClassVar[int] = 1

    def __init__(self, layer: "RecurrentLayer", count: int):
        self.layer = layer
        shape = len(layer.directions), count, layer.units
        self.states = [np.zeros(shape, np.float32) for _ in range(self.num_states)]
        self.keep(count)

    @property
    def h(self) -> np.ndarray:
        return self.states[0]

    def keep(self, count: int) -> None:
        """Go on with the first `count` texts only."""
        self.states = [state[:, :count].copy() for state in self.states]
        shapes = [(*self.h.shape[:2], p.bias.shape[-1]) for p in self.layer.parts]
        self.inputs = [np.empty(shape, np.float32) for shape in shapes]
        self.products = [np.empty(shape, np.float32) for shape in shapes]

    def step(self) -> None:
        """Compute the next state from `inputs`, which hold x W + b of this step."""
        for part, product in zip(self.layer.parts, self.products, strict=True):
            np.matmul(self.h, part.recurrent_kernels, out=product)
        self.activate()

    @abstractmethod
    def activate(self) -> None:
        """Compute the next state from `inputs` and `products`, which are h U."""


class _SimpleRNN(_Cell):
    """h = tanh(x W + h U + b)."""

    blocks = ((0,),)

    def activate(self) -> None:
        (x,), (a,) = self.inputs, self.products
        a += x
        np.tanh(a, out=self.h)


class _GRU(_Cell):
    """z, r = sigmoid(...), c = tanh(x W_c + b_c + r*p), h = c + z*(h - c).

    Here p = h U_c + b'_c.
    """

    blocks = ((0, 1), (2,))
    sigmoids = (0, 1)

    def activate(self) -> None:
        (x_gates, x_c), (gates, c) = self.inputs, self.products
        units = self.layer.units
        gates += x_gates
        _finish_sigmoid(np.tanh(gates, out=gates))
        z, r = gates[..., :units], gates[..., units:]
        c += self.layer.late_bias
        c *= r
        c += x_c
        np.tanh(c, out=c)
        h = self.h
        h -= c
        h *= z
        h += c


class _LSTM(_Cell):
    """i, f, o = sigmoid(...), g = tanh(...), c = f*c + i*g, h = o*tanh(c)."""

    blocks = ((0, 1, 3), (2,))
    sigmoids = (0, 1, 3)
    num_states = 2

    def activate(self) -> None:
        (x_gates, x_g), (gates, g) = self.inputs, self.products
        units = self.layer.units
        gates += x_gates
        _finish_sigmoid(np.tanh(gates, out=gates))
        i, f, o = (gates[..., k * units : (k + 1) * units] for k in range(3))
        g += x_g
        np.tanh(g, out=g)
        h, c = self.states
        c *= f
        g *= i
        c += g
        np.tanh(c, out=h)
        h *= o


_CELLS: dict[CellName, type[_Cell]] = {
    "simple_rnn": _SimpleRNN,
    "gru": _GRU,
    "lstm": _LSTM,
}
NUM_BLOCKS: dict[CellName, int] = {"simple_rnn": 1, "gru": 3, "lstm": 4}


def _finish_sigmoid(tanh: np.ndarray) -> None:
    """Turn tanh(a / 2) into sigmoid(a), in place."""
    tanh += 1
    tanh *= 0.5


class RecurrentLayer:
    """A SimpleRNN, GRU or LSTM with Keras's weights, in one or two directions.

    Args:
        cell: which of them.
        directions: the weights of the forward and, if there is one, of the backward
            direction.

    Attributes:
        units: size of the state in each direction.
        parts: the weights as a step uses them.
        late_bias: the b'_c of a GRU, which the reset gate multiplies, `(directions, 1,
            units)`.
    """

    def __init__(self, cell: CellName, directions: Sequence[Direction]):
        self.cell, self.directions = cell, directions
        self.units = units = len(directions[0].recurrent_kernel)
        biases = [direction.bias for direction in directions]
        if cell == "gru":
            # Of the second bias, b', the first two blocks are plain biases.
            self.late_bias = np.stack([b[1:, 2 * units :] for b in biases])
            plain = np.arange(3 * units) < 2 * units
            biases = [b[0] + np.where(plain, b[1], 0) for b in biases]
        of_all = (
            [direction.kernel for direction in directions],
            [direction.recurrent_kernel for direction in directions],
            [bias[None] for bias in biases],
        )
        self.parts = [
            _Part(*(self._select(kernels, blocks) for kernels in of_all))
            for blocks in _CELLS[cell].blocks
        ]

    def _select(
        self, kernels: Sequence[np.ndarray], blocks: Sequence[int]
    ) -> np.ndarray:
        """Return some blocks of each direction's kernel, those of sigmoids halved."""
        units, sigmoids = self.units, _CELLS[self.cell].sigmoids
        columns = np.concatenate([np.arange(units) + units * b for b in blocks])
        scale = np.repeat([0.5 if b in sigmoids else 1.0 for b in blocks], units)
        stacked = np.stack([kernel[:, columns] for kernel in kernels])
        return stacked * scale.astype(np.float32)

    def project(self, x: np.ndarray) -> list[np.ndarray]:
        """Return x W + b for each part, one direction below the other.

        Args:
            x: `(rows, features)`.

        Returns:
            For each part `(directions * rows, width)`.
        """
        projected = []
        for part in self.parts:
            product = np.matmul(x, part.kernels)
            product += part.bias
            projected.append(product.reshape(-1, product.shape[-1]))
        return projected

    def run(
        self, projected: Sequence[np.ndarray], rows: np.ndarray, batch: _Batch
    ) -> Iterator[np.ndarray]:
        """Yield the states after each step.

        Args:
            projected: what `project` returns.
            rows: which row of what was projected each token has, `(tokens,)`.
            batch: the texts.

        Yields:
            The state of each text that has a token there, `(directions, texts, units)`.
            The next step overwrites it.
        """
        if not batch.sizes:
            return
        # The rows of the backward direction lie below those of the forward one.
        height = len(projected[0]) // len(self.directions)
        both = [rows, rows[batch.mirror] + height][: len(self.directions)]
        each = np.stack(both)
        count = batch.sizes[0]
        cell = _CELLS[self.cell](self, count)
        for size, start in zip(batch.sizes, batch.starts, strict=False):
            if size < count:
                cell.keep(size)
                count = size
            at = each[:, start : start + size]
            for table, inputs in zip(projected, cell.inputs, strict=True):
                # With the mode "raise", NumPy would write to a copy of `out` first.
                np.take(table, at, axis=0, out=inputs, mode="clip")
            cell.step()
            yield cell.h

    def sequences(
        self, projected: Sequence[np.ndarray], rows: np.ndarray, batch: _Batch
    ) -> np.ndarray:
        """Return the states of all steps, `(tokens, directions * units)`.

        The arguments are those of `run`.
        """
        each = np.empty(
            (len(self.directions), len(batch.tokens), self.units), np.float32
        )
        steps = self.run(projected, rows, batch)
        for start, states in zip(batch.starts, steps, strict=False):
            each[:, start : start + states.shape[1]] = states
        forward, *backward = each
        # The backward direction read each text from its end.
        return np.concatenate([forward, *(s[batch.mirror] for s in backward)], axis=1)


class _Pool:
    """What becomes of the states of all steps: their maximum, mean, or the last.

    Args:
        pooling: which of them.
        shape: `(directions, texts, features)`.
    """

    def __init__(self, pooling: Pooling, shape: tuple[int, ...]):
        self._pooling = pooling
        self._last = np.zeros(shape, np.float32) if pooling == "last" else None
        has_max, has_mean = "max" in pooling, "mean" in pooling
        self._max = np.full(shape, -np.inf, np.float32) if has_max else None
        self._sum = np.zeros(shape, np.float32) if has_mean else None

    def add(self, states: np.ndarray) -> None:
        """Take the states after a step, `(directions, texts, features)`."""
        count = states.shape[1]
        if self._last is not None:
            self._last[:, :count] = states
        if self._max is not None:
            highest = self._max[:, :count]
            np.maximum(highest, states, out=highest)
        if self._sum is not None:
            self._sum[:, :count] += states

    def result(self, lengths: np.ndarray) -> np.ndarray:
        """Return the pooled vectors `(texts, features)`; zeros for an empty text."""
        parts = [] if self._last is None else [self._last]
        if self._max is not None:
            parts.append(np.where(lengths[:, None] > 0, self._max, 0))
        if self._sum is not None:
            parts.append(self._sum / np.maximum(lengths, 1)[:, None].astype(np.float32))
        return np.concatenate([half for part in parts for half in part], axis=1)


class Network:
    """A text classifier's network.

    Args:
        embedding: the vector of each token id, float32 `(vocabulary, features)`.
        layers: the recurrent layers, from the first one up; at least one.
        pooling: how the states of the last one become one vector.
        kernel: of the dense layer, `(features, classes)`.
        bias: of the dense layer, `(classes,)`.
    """

    def __init__(
        self,
        embedding: np.ndarray,
        layers: Sequence[RecurrentLayer],
        pooling: Pooling,
        kernel: np.ndarray,
        bias: np.ndarray,
    ):
        self.embedding, self.layers, self.pooling = embedding, layers, pooling
        self.kernel, self.bias = kernel, bias
        self._num_read = 0
        self._table: list[np.ndarray] | None = None

    def logits(self, ids: np.ndarray) -> np.ndarray:
        """Return the logits of texts, float32 `(texts, classes)`.

        Args:
            ids: token ids `(texts, timesteps)`, padded on the right with 0.
        """
        lengths = np.count_nonzero(ids, axis=1)
        order = np.argsort(-lengths, kind="stable")
        logits = np.empty((len(ids), len(self.bias)), np.float32)
        for rows in np.array_split(order, self._num_parts(lengths)):
            pooled = self._pool(_Batch.of(ids[rows]))
            logits[rows] = pooled @ self.kernel + self.bias
        return logits

    def _num_parts(self, lengths: np.ndarray) -> int:
        """Return into how many parts to divide texts, for the sake of memory.

        Above the first layer, x W + b of all tokens is in memory.
        """
        widths = (
            part.bias[:, 0].size for layer in self.layers[1:] for part in layer.parts
        )
        numbers = int(lengths.sum()) * max(widths, default=0)
        return max(1, min(len(lengths), -(-numbers // _MOST_NUMBERS)))

    def _pool(self, batch: _Batch) -> np.ndarray:
        projected, rows = self._project_tokens(batch.tokens)
        for layer, above in pairwise(self.layers):
            x = layer.sequences(projected, rows, batch)
            projected, rows = above.project(x), np.arange(len(x))
        top = self.layers[-1]
        shape = len(top.directions), len(batch.lengths), top.units
        pool = _Pool(self.pooling, shape)
        for states in top.run(projected, rows, batch):
            pool.add(states)
        return pool.result(batch.lengths)

    def _project_tokens(
        self, tokens: np.ndarray
    ) -> tuple[Sequence[np.ndarray], np.ndarray]:
        """Return x W + b of the first layer, and the row of each token in it.

        Once as many tokens have been read as the vocabulary has, the table of all of
        them is worth its time and memory. (Two threads may both make it.)
        """
        self._num_read += len(tokens)
        if self._table is None and self._num_read > len(self.embedding):
            self._table = self.layers[0].project(self.embedding)
        if self._table is not None:
            return self._table, tokens
        return self.layers[0].project(self.embedding[tokens]), np.arange(len(tokens))
