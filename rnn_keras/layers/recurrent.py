"""SimpleRNN, GRU and LSTM as in Keras, with a faster loop over time.

The three layers are Keras's own, except that `rnn_keras.layers.recurrence` computes
the recurrence. Constructor, weights, calls, masks, saved files and results are the
same, and weights can be copied either way. A layer leaves to Keras what this
recurrence does not cover: `unroll`; recurrent dropout in training; in training also
a dropout of 1, or `implementation=1`, which draws a dropout mask for each gate;
`reset_after=False`; activations that are not in `rnn_keras.layers.recurrence`; half
precision; inputs whose dtype differs from the layer's; cuDNN on a GPU; and the PyTorch
backend.

The loop is fast when XLA compiles it and all shapes are known, which means
`compile(jit_compile=True)` with TensorFlow, and batches of one shape or few.
`rnn_keras.training.train` sees to both. JAX compiles it always. There `jax.grad` works
as with Keras's layers, also twice, but `jax.jvp` alone does not.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

import keras
import tensorflow as tf
from keras import ops

from rnn_keras.layers import scan
from rnn_keras.layers.recurrence import (
    ACTIVATIONS,
    GRURecurrence,
    LSTMRecurrence,
    Recurrence,
    SimpleRNNRecurrence,
)

# Keras's activation functions and their keys in `ACTIVATIONS`.
ACTIVATION_NAMES = {getattr(keras.activations, name): name for name in ACTIVATIONS}


class _FastLoop(keras.layers.RNN):
    """Replaces the inner loop of the Keras layer that follows among the bases.

    `super()` is that layer, since it comes before `RNN` in the order of the bases.
    """

    recurrence_class: ClassVar[type[Recurrence]]
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
            # Keras has drawn one dropout mask for all steps of this call.
            dropped = self.cell.get_dropout_mask(sequences[:, 0])
            sequences = sequences * ops.expand_dims(dropped, 1)
        real = None
        if mask is not None:
            real = self._time_major(_as_column(keras.tree.flatten(mask)[0]))
        each, states = _loop_of_backend().run_recurrence(
            self._make_recurrence(),
            self._time_major(sequences),
            real,
            tuple(keras.tree.flatten(initial_state)),
            self._recurrence_weights(),
            return_sequences=self.return_sequences,
        )
        last, shown = states[0], self._shown(real)
        if shown is not None:
            last = ops.where(shown[-1], last, ops.zeros_like(last))
        if each is None:
            return last, last[:, None], list(states)
        if shown is not None:
            each = ops.where(shown, each, ops.zeros_like(each))
        return last, ops.transpose(each, (1, 0, 2)), list(states)

    def _is_covered(self, sequences: Any, training: bool) -> bool:
        cell = self.cell
        functions = [cell.activation, getattr(cell, "recurrent_activation", None)]
        # With `implementation=1` Keras draws a dropout mask for each gate.
        mask_per_gate = getattr(cell, "implementation", 2) == 1
        dropout_differs = cell.recurrent_dropout or cell.dropout == 1 or mask_per_gate
        use_cudnn = getattr(self, "use_cudnn", False)
        return (
            keras.backend.backend() in ("tensorflow", "jax")
            and self.compute_dtype in ("float32", "float64")
            and sequences.dtype == self.compute_dtype
            and all(f in ACTIVATION_NAMES for f in functions if f is not None)
            and getattr(cell, "reset_after", True)
            and not self.unroll
            and sequences.shape[1] != 0
            and not (training and dropout_differs)
            and use_cudnn is not True
            and not (use_cudnn and _has_gpu())
        )

    def _shown(self, real: Any) -> Any:
        """Return where the output is the state rather than zero; `None`: everywhere.

        At a step of padding, Keras outputs zero or repeats the output of the step
        before. Before the first real step there is none to repeat. Keras then outputs
        the initial state with JAX, but zero with TensorFlow.
        """
        if real is None or self.zero_output_for_mask:
            return real
        if self._starts_at_zero or keras.backend.backend() == "jax":
            return None
        return ops.cumsum(ops.cast(real, "int32"), axis=0) > 0

    def _time_major(self, tensor: Any) -> Any:
        tensor = ops.transpose(tensor, (1, 0, 2))
        return ops.flip(tensor, 0) if self.go_backwards else tensor

    def _make_recurrence(self) -> Recurrence:
        options = {"activation": ACTIVATION_NAMES[self.cell.activation]}
        if hasattr(self.cell, "recurrent_activation"):
            gate = ACTIVATION_NAMES[self.cell.recurrent_activation]
            options["recurrent_activation"] = gate
        return self.recurrence_class(**options)

    def _recurrence_weights(self) -> list[Any]:
        """Return W, U and one bias, or a GRU's two; zeros if the layer has none."""
        cell = self.cell
        kernel, u = (
            ops.convert_to_tensor(weight.value)
            for weight in (cell.kernel, cell.recurrent_kernel)
        )
        if cell.bias is None:
            num_biases = 2 if self.recurrence_class is GRURecurrence else 1
            return [kernel, u, *[ops.zeros_like(kernel[0])] * num_biases]
        bias = ops.convert_to_tensor(cell.bias.value)
        return [kernel, u, *(ops.unstack(bias) if len(bias.shape) == 2 else [bias])]


def _loop_of_backend() -> Any:
    """Return the module that runs a recurrence. Without JAX, one cannot be imported."""
    if keras.backend.backend() == "tensorflow":
        return scan
    from rnn_keras.layers import scan_jax

    return scan_jax


def _has_gpu() -> bool:
    if keras.backend.backend() == "tensorflow":
        return bool(tf.config.list_logical_devices("GPU"))
    import jax

    return jax.default_backend() == "gpu"


def _as_column(mask: Any) -> Any:
    """Return a mask as `(batch, timesteps, 1)`; Keras also takes it without the 1."""
    mask = ops.cast(mask, "bool")
    return mask if len(mask.shape) == 3 else ops.expand_dims(mask, 2)


@keras.saving.register_keras_serializable(package="rnn_keras")
class SimpleRNN(_FastLoop, keras.layers.SimpleRNN):
    """A faster `keras.layers.SimpleRNN`: Elman's h_t = tanh(x_t W + h_{t-1} U + b).

    Arguments, calls, weights and results are those of Keras. The documentation of the
    module says when the faster loop is used.

    Example:
    >>> import numpy as np
    >>> layer = SimpleRNN(4)
    >>> layer(np.zeros((2, 10, 8), "float32")).shape
    TensorShape([2, 4])
    """

    recurrence_class = SimpleRNNRecurrence


@keras.saving.register_keras_serializable(package="rnn_keras")
class GRU(_FastLoop, keras.layers.GRU):
    """A faster `keras.layers.GRU`; see `SimpleRNN`."""

    recurrence_class = GRURecurrence


@keras.saving.register_keras_serializable(package="rnn_keras")
class LSTM(_FastLoop, keras.layers.LSTM):
    """A faster `keras.layers.LSTM`; see `SimpleRNN`."""

    recurrence_class = LSTMRecurrence


# The states of each kind of layer, in Keras's order.
STATE_NAMES = {"SimpleRNN": "h", "GRU": "h", "LSTM": "hc"}


def recurrent_layers_in(layer: keras.layers.Layer) -> Iterator[keras.layers.RNN]:
    """Yield both layers of a `Bidirectional`, a recurrent layer itself, or nothing."""
    if isinstance(layer, keras.layers.Bidirectional):
        yield layer.forward_layer
        yield layer.backward_layer
    elif isinstance(layer, keras.layers.RNN):
        yield layer


def recurrent_kind(layer: keras.layers.RNN) -> str:
    """Return the key of `STATE_NAMES` that a recurrent layer belongs to.

    Raises:
        ValueError: if the layer is not a SimpleRNN, GRU or LSTM.
    """
    for kind in STATE_NAMES:
        if isinstance(layer, getattr(keras.layers, kind)):
            return kind
    raise ValueError(
        f"layer {layer.name!r} must be a SimpleRNN, GRU or LSTM. "
        f"Received: {type(layer).__name__}"
    )
