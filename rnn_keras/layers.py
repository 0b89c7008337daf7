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

from typing import Any, Literal, get_args

import keras
import tensorflow as tf
from keras import ops

from rnn_keras import recurrence
from rnn_keras.arguments import check_choice

Pooling = Literal["max", "mean", "max_mean"]
POOLINGS = get_args(Pooling)


@keras.saving.register_keras_serializable(package="rnn_keras")
class MaskedPooling1D(keras.layers.Layer):
    """Pools the real steps of a sequence, feature by feature.

    `keras.layers.GlobalMaxPooling1D` takes the maximum over padding too, and
    `GlobalAveragePooling1D` divides by zero where all steps are padding. Here
    padding has no part, and a sequence without a real step gives zeros.

    Args:
        mode: `"max"`, `"mean"`, or `"max_mean"` for the two side by side.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, timesteps, features)`.
        mask: booleans `(batch, timesteps)`, `True` for a real step; without a
            mask every step is real.

    Returns:
        `(batch, features)`, or `(batch, 2 * features)` for `"max_mean"`.

    Raises:
        ValueError: for an unknown `mode`.
    """

    def __init__(self, mode: Pooling = "max_mean", **kwargs: Any):
        check_choice("mode", mode, POOLINGS)
        super().__init__(**kwargs)
        self.mode = mode
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            mask = ops.ones(ops.shape(inputs)[:2], dtype="bool")
        real = ops.expand_dims(mask, 2)
        count = ops.sum(ops.cast(real, inputs.dtype), axis=1)
        # `where`, not products: infinity times 0 would let padding through.
        pooled = []
        if "max" in self.mode:
            highest = ops.max(ops.where(real, inputs, -float("inf")), axis=1)
            pooled.append(ops.where(count > 0, highest, 0))
        if "mean" in self.mode:
            total = ops.sum(ops.where(real, inputs, 0), axis=1)
            pooled.append(total / ops.maximum(count, 1))
        return pooled[0] if len(pooled) == 1 else ops.concatenate(pooled, axis=-1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None

    def compute_output_shape(self, input_shape: Any) -> tuple:
        features = input_shape[-1] * (2 if self.mode == "max_mean" else 1)
        return (input_shape[0], features)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mode": self.mode}


@keras.saving.register_keras_serializable(package="rnn_keras")
class MissingValues(keras.layers.Layer):
    """Takes `nan` for a missing value; steps before the first known one are padding.

    Padding is masked. Later, a missing value becomes 0, the mean of a feature that was
    scaled, and beside each feature stands another, 1 where it was missing: a step of
    which nothing is known passes like any other, or the network would lose count of
    time (Z. C. Lipton, D. C. Kale, R. Wetzel, "Directly modeling missing data in
    sequences with RNNs", 2016).

    Call arguments:
        inputs: floats `(batch, timesteps, features)`.

    Returns:
        `(batch, timesteps, 2 * features)`, without a `nan`.
    """

    def call(self, inputs: Any) -> Any:
        missing = ops.isnan(inputs)
        values = ops.where(missing, ops.zeros_like(inputs), inputs)
        return ops.concatenate([values, ops.cast(missing, inputs.dtype)], axis=-1)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        known = ops.any(ops.logical_not(ops.isnan(inputs)), axis=-1)
        return ops.cumsum(ops.cast(known, "int32"), axis=1) > 0

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return (*input_shape[:-1], 2 * input_shape[-1])


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


@keras.saving.register_keras_serializable(package="rnn_keras")
class ReversibleEmbedding(keras.layers.ReversibleEmbedding):
    """`keras.layers.ReversibleEmbedding`, whose logits keep the mask of its input.

    Without it a loss would count padding among what is to be predicted.
    """

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if len(inputs.shape) == 3:  # vectors, so in reverse
            return mask
        return ops.not_equal(inputs, 0) if self.mask_zero else None


@keras.saving.register_keras_serializable(package="rnn_keras")
class Dropout(keras.layers.Dropout):
    """`keras.layers.Dropout`, with random numbers that XLA draws fast on a CPU.

    The generator that TensorFlow chooses there by itself takes ten times as long as
    the rest of a training step (230 ms against 20 ms, 32 x 256 x 64 values).
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or not self.rate or keras.backend.backend() != "tensorflow":
            return super().call(inputs, training=training)
        shape = ops.shape(inputs)
        if self.noise_shape is not None:
            shape = [s or n for s, n in zip(self.noise_shape, shape, strict=False)]
        seed = tf.cast(self.seed_generator.next(), "int32")
        drawn = tf.random.stateless_uniform(
            shape, seed, dtype=inputs.dtype, alg="philox"
        )
        kept = 1 - self.rate
        scaled = inputs * (1 / kept if kept else 0)
        return tf.where(drawn < kept, scaled, tf.zeros_like(inputs))
