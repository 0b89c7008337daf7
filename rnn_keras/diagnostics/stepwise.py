"""A network run step by step, so that each of its states is a tensor of its own.

Every recurrent layer is run in a plain loop with its own Keras cell, outside of the
fast loop of `rnn_keras.scan`. Dropout does nothing. For TensorFlow.
"""

import inspect
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.layers.recurrent import STATES, kind_of, readers_of


class Run(NamedTuple):
    """One recurrent layer on some texts. Lists and first axes go by step, as read.

    Attributes:
        name: of the layer; with `forward_` or `backward_` in front in both directions.
        kind: a key of `STATES`.
        cell: Keras's.
        order: the positions in the text, as the layer reads them.
        real: booleans `(texts, timesteps)`, by position; `False` at padding.
        inputs: `(texts, features)` each.
        states: `(texts, units)` each, h and for LSTM c; those before the first step
            come first, so that there is one more than there are steps.
    """

    name: str
    kind: str
    cell: keras.layers.Layer
    order: range
    real: np.ndarray
    inputs: list[tf.Tensor]
    states: list[list[tf.Tensor]]

    @property
    def x(self) -> tf.Tensor:
        """The inputs, all steps in one: `(timesteps * texts, features)`."""
        return tf.concat(self.inputs, axis=0)

    @property
    def before(self) -> list[tf.Tensor]:
        """The states before each step, likewise: `(timesteps * texts, units)`."""
        columns = zip(*self.states[:-1], strict=True)
        return [tf.concat(column, axis=0) for column in columns]

    def as_read(self, by_position: np.ndarray) -> np.ndarray:
        """`(timesteps, texts)` from `(texts, timesteps)`."""
        return by_position.T[list(self.order)]

    def by_position(self, as_read: np.ndarray) -> np.ndarray:
        """`(texts, timesteps, ...)` from `(timesteps, texts, ...)`; padding: `nan`."""
        array = np.swapaxes(np.asarray(as_read)[np.argsort(self.order)], 0, 1)
        real = self.real.reshape((*self.real.shape, *[1] * (array.ndim - 2)))
        return np.where(real, array, np.nan)


def run_by_step(
    network: keras.Model, ids: np.ndarray, tape: tf.GradientTape | None = None
) -> tuple[tf.Tensor, list[Run]]:
    """Run a network whose layers follow each other in a chain.

    Args:
        network: of `rnn_keras.models.build_classifier`, or the like.
        ids: its input `(texts, timesteps)`, at least one text and one step; or
            `(texts, timesteps, features)`, where it has no embedding.
        tape: one that is recording, to differentiate by states.

    Returns:
        The output, equal to `network(ids)`, and a `Run` of each recurrent layer, two
        for a layer in both directions.

    Raises:
        ValueError: for another backend than TensorFlow, an empty input, a recurrent
            layer that is not SimpleRNN, GRU or LSTM, or where what is found step by
            step is not what the network gives: then it is no such chain of layers.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"this needs the TensorFlow backend. Received: {keras.backend.backend()!r}"
        )
    x, mask = tf.cast(tf.convert_to_tensor(ids), network.inputs[0].dtype), None
    if x.shape.rank not in (2, 3) or 0 in x.shape:
        raise ValueError(
            "the input must be (texts, timesteps) with one of each at least. "
            f"Received: {tuple(x.shape)}"
        )
    given = x
    if tape is not None and x.dtype.is_floating:
        tape.watch(x)
    runs: list[Run] = []
    for layer in network.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if readers := list(readers_of(layer)):
            real = np.ones(x.shape[:2], bool) if mask is None else np.asarray(mask)
            these = [_read(reader, x, real) for reader in readers]
            x = tf.concat([_output(run, layer) for run in these], axis=-1)
            runs += these
        elif isinstance(layer, keras.layers.Embedding):
            mask = layer.compute_mask(x)
            x = layer(x)
            if tape is not None:
                tape.watch(x)  # the tape follows the states though nothing is trained
        elif "mask" in inspect.signature(layer.call).parameters:
            x = layer(x, mask=mask)
        else:
            x = layer(x)
    _check_equal(network, given, x, runs)
    return x, runs


def _check_equal(
    network: keras.Model, ids: tf.Tensor, x: tf.Tensor, runs: list
) -> None:
    """Whatever makes a network another one than this module takes it for shows here."""
    expected = tf.cast(network(ids), "float32")
    close = 1e-4 if network.compute_dtype in ("float32", "float64") else 0.05
    if not runs or not np.allclose(tf.cast(x, "float32"), expected, close, close):
        raise ValueError(
            f"{network.name!r} must be a chain of layers (an embedding, SimpleRNN, GRU "
            "or LSTM from a state of zero, in one direction or both, and others), "
            "one after the other. Run step by step it gives another result."
        )


def _read(reader: keras.layers.RNN, x: tf.Tensor, real: np.ndarray) -> Run:
    kind = kind_of(reader)
    order = range(x.shape[1])[:: -1 if reader.go_backwards else 1]
    zeros = tf.zeros((x.shape[0], reader.units), x.dtype)
    inputs = [x[:, t] for t in order]
    states = [[zeros] * len(STATES[kind])]
    for t, x_t in zip(order, inputs, strict=True):
        _, new = reader.cell(x_t, states[-1])
        pairs = zip(new, states[-1], strict=True)
        states.append([tf.where(real[:, t, None], n, s) for n, s in pairs])
    return Run(reader.name, kind, reader.cell, order, real, inputs, states)


def _output(run: Run, layer: keras.layers.Layer) -> tf.Tensor:
    if not layer.return_sequences:
        return run.states[-1][0]
    after = [states[0] for states in run.states[1:]]
    return tf.stack([after[run.order.index(t)] for t in range(len(after))], axis=1)
