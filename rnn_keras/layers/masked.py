"""TODO."""

from typing import Any, Literal, get_args

import keras
import tensorflow as tf
from keras import ops

from rnn_keras.utils.errors import check_choice

PoolingMode = Literal["max", "mean", "max_mean"]
POOLING_MODES: tuple[PoolingMode, ...] = get_args(PoolingMode)


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

    def __init__(self, mode: PoolingMode = "max_mean", **kwargs: Any):
        check_choice("mode", mode, POOLING_MODES)
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
