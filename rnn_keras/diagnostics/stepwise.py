"""Runs a network step by step, so that each of its states is a tensor of its own.

Every recurrent layer runs in a plain Python loop over its own Keras cell, not in the
fast loop of `rnn_keras.layers`. Dropout is off. Only the TensorFlow backend is
supported.
"""

import inspect
from typing import NamedTuple

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rnn_keras.layers.recurrent import STATE_NAMES, recurrent_kind, recurrent_layers_in


class LayerTrace(NamedTuple):
    """Inputs and states of one recurrent layer at every step.

    Lists and first axes go by step, in the order in which the layer reads the text.

    Attributes:
        name: name of the layer; inside `Bidirectional` Keras puts `forward_` or
            `backward_` before it.
        kind: a key of `STATE_NAMES`.
        cell: the Keras cell of the layer.
        order: the positions in the text, in the order in which the layer reads them.
        real: booleans `(texts, timesteps)` by position, `False` at padding.
        inputs: the inputs of each step, `(texts, features)`.
        states: h and for LSTM also c, `(texts, units)` each. The states before the
            first step come first, so the list is one longer than `inputs`.
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
        """The inputs of all steps in one tensor, `(timesteps * texts, features)`."""
        return tf.concat(self.inputs, axis=0)

    @property
    def before(self) -> list[tf.Tensor]:
        """The states before each step, likewise, `(timesteps * texts, units)` each."""
        columns = zip(*self.states[:-1], strict=True)
        return [tf.concat(column, axis=0) for column in columns]

    def as_read(self, by_position: np.ndarray) -> np.ndarray:
        """Turn `(texts, timesteps)` by position into `(timesteps, texts)` by step."""
        return by_position.T[list(self.order)]

    def by_position(self, as_read: npt.ArrayLike) -> np.ndarray:
        """Turn `(timesteps, texts, ...)` by step into `(texts, timesteps, ...)`.

        Positions of padding get `nan`.
        """
        array = np.swapaxes(np.asarray(as_read)[np.argsort(self.order)], 0, 1)
        real = self.real.reshape((*self.real.shape, *[1] * (array.ndim - 2)))
        return np.where(real, array, np.nan)


def run_by_step(
    network: keras.Model, ids: np.ndarray, tape: tf.GradientTape | None = None
) -> tuple[tf.Tensor, list[LayerTrace]]:
    """Run a network whose layers follow each other in a chain.

    Args:
        network: a model from `rnn_keras.models.build_classifier`, or a similar one.
        ids: token ids `(texts, timesteps)` with at least one text and one step; or
            numbers `(texts, timesteps, features)`, if the network has no embedding.
        tape: a recording tape, if you want gradients with respect to the states.

    Returns:
        The output, equal to `network(ids)`, and a `LayerTrace` of each recurrent
        layer; a layer in both directions gives two.

    Raises:
        ValueError: if the backend is not TensorFlow, the input is empty, a recurrent
            layer is not a SimpleRNN, GRU or LSTM, or the output differs from
            `network(ids)`, because the network is not such a chain of layers.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "running a network step by step needs the TensorFlow backend. "
            f"Received: {keras.backend.backend()!r}"
        )
    x, mask = tf.cast(tf.convert_to_tensor(ids), network.inputs[0].dtype), None
    if x.shape.rank not in (2, 3) or 0 in x.shape:
        raise ValueError(
            "the input must be (texts, timesteps) with at least one of each. "
            f"Received: {tuple(x.shape)}"
        )
    given = x
    if tape is not None and x.dtype.is_floating:
        tape.watch(x)
    traces: list[LayerTrace] = []
    for layer in network.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if recurrent := list(recurrent_layers_in(layer)):
            real = np.ones(x.shape[:2], bool) if mask is None else np.asarray(mask)
            new = [_trace(each, x, real) for each in recurrent]
            x = tf.concat([_output(trace, layer) for trace in new], axis=-1)
            traces += new
        elif isinstance(layer, keras.layers.Embedding):
            mask = layer.compute_mask(x)
            x = layer(x)
            if tape is not None:
                tape.watch(x)  # otherwise no state is recorded if nothing is trainable
        elif "mask" in inspect.signature(layer.call).parameters:
            x = layer(x, mask=mask)
        else:
            x = layer(x)
    _check_equal(network, given, x, traces)
    return x, traces


def _check_equal(
    network: keras.Model, ids: tf.Tensor, x: tf.Tensor, traces: list[LayerTrace]
) -> None:
    """Refuse a network that is not the chain of layers that this module runs."""
    expected = tf.cast(network(ids), "float32")
    close = 1e-4 if network.compute_dtype in ("float32", "float64") else 0.05
    if not traces or not np.allclose(tf.cast(x, "float32"), expected, close, close):
        raise ValueError(
            f"{network.name!r} must be a chain of layers (an embedding, SimpleRNN, GRU "
            "or LSTM from a state of zero, in one direction or both, and others), "
            "one after the other. Run step by step, it gives a different result."
        )


def _trace(layer: keras.layers.RNN, x: tf.Tensor, real: np.ndarray) -> LayerTrace:
    kind = recurrent_kind(layer)
    order = range(x.shape[1])[:: -1 if layer.go_backwards else 1]
    zeros = tf.zeros((x.shape[0], layer.units), x.dtype)
    inputs = [x[:, t] for t in order]
    states = [[zeros] * len(STATE_NAMES[kind])]
    for t, x_t in zip(order, inputs, strict=True):
        _, new = layer.cell(x_t, states[-1])
        pairs = zip(new, states[-1], strict=True)
        states.append([tf.where(real[:, t, None], n, s) for n, s in pairs])
    return LayerTrace(layer.name, kind, layer.cell, order, real, inputs, states)


def _output(trace: LayerTrace, layer: keras.layers.Layer) -> tf.Tensor:
    if not layer.return_sequences:
        return trace.states[-1][0]
    after = [states[0] for states in trace.states[1:]]
    return tf.stack([after[trace.order.index(t)] for t in range(len(after))], axis=1)
