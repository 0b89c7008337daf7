"""SimpleRNN, GRU, LSTM, faster than Keras's; pooling and series without padding.

The three recurrent layers are Keras's own, with another loop over time: that of
`rnn_keras.recurrence`. Constructor, weights, calls, masks, files and results are
the same, and weights can be copied either way. What that loop does not cover is
left to Keras: `unroll`, recurrent dropout in training (or dropout of 1, or of a mask
for each gate with `implementation=1`), `reset_after=False`, activations without a
slope in `rnn_keras.recurrence.ACTIVATIONS`, half precision, inputs of another dtype
than the layer's, cuDNN where there is a GPU for it, and other backends than
TensorFlow.

The loop is fast when compiled by XLA, with shapes known: `compile(jit_compile=True)`
and batches of one shape or few. `rnn_keras.training.train` sees to both.
"""

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from rnn_keras.layers import recurrence

# Keras's functions, which a layer holds, and their names in the recurrence.
ACTIVATION_NAMES = {
    getattr(keras.activations, name): name for name in recurrence.ACTIVATIONS
}


class _FastLoop:
    """Stands before a Keras layer among the bases and replaces its inner loop."""

    _starts_at_zero = False

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        self._starts_at_zero = initial_state is None and not self.stateful
        return super().call(
            sequences, initial_state=initial_state, mask=mask, training=training
        )

    def inner_loop(
        self, sequences: Any, initial_state: Any, mask: Any, training: bool = False
    ) -> tuple[Any, Any, list[Any]]:
        if not self._is_covered(sequences, training):
            return super().inner_loop(
                sequences, initial_state, mask=mask, training=training
            )
        if training and self.dropout:
            # One mask for all steps, which Keras has drawn for this call.
            dropped = self.cell.get_dropout_mask(sequences[:, 0])
            sequences = sequences * tf.expand_dims(dropped, 1)
        real = None
        if mask is not None:
            real = self._time_major(_as_column(keras.tree.flatten(mask)[0]))
        each, states = self._recur(
            self._time_major(sequences), real, tuple(keras.tree.flatten(initial_state))
        )
        last = states[0]
        shown = self._shown(real)
        if shown is not None:
            last = tf.where(shown[-1], last, tf.zeros_like(last))
            if each is not None:
                each = tf.where(shown, each, tf.zeros_like(each))
        outputs = last[:, tf.newaxis] if each is None else tf.transpose(each, (1, 0, 2))
        return last, outputs, list(states)

    def _is_covered(self, sequences: Any, training: bool) -> bool:
        cell = self.cell
        functions = [cell.activation, getattr(cell, "recurrent_activation", None)]
        # With `implementation=1` Keras draws a mask of the inputs for each gate.
        mask_a_gate = getattr(cell, "implementation", 2) == 1
        dropout_differs = cell.recurrent_dropout or cell.dropout == 1 or mask_a_gate
        use_cudnn = getattr(self, "use_cudnn", False)
        return (
            keras.backend.backend() == "tensorflow"
            and self.compute_dtype in ("float32", "float64")
            and sequences.dtype == self.compute_dtype
            and all(f in ACTIVATION_NAMES for f in functions if f is not None)
            and getattr(cell, "reset_after", True)
            and not self.unroll
            and sequences.shape[1] != 0
            and not (training and dropout_differs)
            and use_cudnn is not True
            and not (use_cudnn and tf.config.list_logical_devices("GPU"))
        )

    def _shown(self, real: Any) -> Any:
        """Where the output is the state and not zero; `None` for everywhere.

        Keras's output at a step of padding is zero, or that of the step before; and
        before the first of these it is zero, whatever the initial state.
        """
        if real is None or self.zero_output_for_mask:
            return real
        if self._starts_at_zero:
            return None
        return tf.cumsum(tf.cast(real, "int32")) > 0

    def _time_major(self, tensor: Any) -> Any:
        tensor = tf.transpose(tensor, (1, 0, 2))
        return tf.reverse(tensor, [0]) if self.go_backwards else tensor

    def _recur(self, x: Any, mask: Any, states: tuple) -> tuple[Any, tuple]:
        cell = self.cell
        recur = getattr(recurrence, self._recurrence)
        functions = {"activation": ACTIVATION_NAMES[cell.activation]}
        if hasattr(cell, "recurrent_activation"):
            functions["recurrent_activation"] = ACTIVATION_NAMES[
                cell.recurrent_activation
            ]
        kernels = [
            tf.convert_to_tensor(kernel.value)
            for kernel in (cell.kernel, cell.recurrent_kernel)
        ]
        return recur(
            x,
            mask,
            states,
            [*kernels, *self._biases(kernels[0])],
            return_sequences=self.return_sequences,
            **functions,
        )

    def _biases(self, kernel: Any) -> list[Any]:
        """One bias, or the two rows of a GRU's; zeros where the layer has none."""
        if self.cell.bias is None:
            zeros = tf.zeros_like(kernel[0])
            return [zeros, zeros] if self._recurrence == "gru" else [zeros]
        bias = tf.convert_to_tensor(self.cell.bias.value)
        return tf.unstack(bias) if len(bias.shape) == 2 else [bias]


def _as_column(mask: Any) -> Any:
    """A mask as Keras takes it, `(batch, timesteps)` or with a third axis of 1."""
    mask = tf.cast(mask, "bool")
    return mask if len(mask.shape) == 3 else tf.expand_dims(mask, 2)


@keras.saving.register_keras_serializable(package="rnn_keras")
class SimpleRNN(_FastLoop, keras.layers.SimpleRNN):
    """`keras.layers.SimpleRNN`, faster: Elman's h_t = tanh(x_t W + h_{t-1} U + b).

    Arguments, calls, weights and results are Keras's; the module says when the
    faster loop is taken.

    Example:
    >>> import numpy as np
    >>> layer = SimpleRNN(4)
    >>> layer(np.zeros((2, 10, 8), "float32")).shape
    TensorShape([2, 4])
    """

    _recurrence = "simple_rnn"


@keras.saving.register_keras_serializable(package="rnn_keras")
class GRU(_FastLoop, keras.layers.GRU):
    """`keras.layers.GRU`, faster; see `SimpleRNN`."""

    _recurrence = "gru"


@keras.saving.register_keras_serializable(package="rnn_keras")
class LSTM(_FastLoop, keras.layers.LSTM):
    """`keras.layers.LSTM`, faster; see `SimpleRNN`."""

    _recurrence = "lstm"


STATES = {"SimpleRNN": "h", "GRU": "h", "LSTM": "hc"}


def readers_of(layer: keras.layers.Layer) -> Iterator[keras.layers.RNN]:
    """The recurrent layers in a layer: two in `Bidirectional`, itself, or none."""
    if isinstance(layer, keras.layers.Bidirectional):
        yield layer.forward_layer
        yield layer.backward_layer
    elif isinstance(layer, keras.layers.RNN):
        yield layer


def kind_of(reader: keras.layers.RNN) -> str:
    """The key of `STATES` that a recurrent layer belongs to."""
    for kind in STATES:
        if isinstance(reader, getattr(keras.layers, kind)):
            return kind
    raise ValueError(
        f"layer {reader.name!r} must be a SimpleRNN, GRU or LSTM. "
        f"Received: {type(reader).__name__}"
    )
