"""Layers that know padding: pooling, missing values, an embedding read backward.

Keras's own pooling layers count padding as data, its `ReversibleEmbedding` drops the
mask of what it reads, and no layer of it masks missing values. `Dropout` is here too:
it differs from Keras's only in how fast XLA draws its random numbers on a CPU.
"""

from typing import Any, Literal, get_args

import keras
import tensorflow as tf
from keras import ops

from rnn_keras.utils.errors import check_choice

PoolingMode = Literal["max", "mean", "max_mean"]
POOLING_MODES: tuple[PoolingMode, ...] = get_args(PoolingMode)


@keras.saving.register_keras_serializable(package="rnn_keras")
class MaskedPooling1D(keras.layers.Layer):
    """Pools each feature over the real steps of a sequence.

    `keras.layers.GlobalMaxPooling1D` also takes the maximum over padding, and
    `GlobalAveragePooling1D` divides by zero if all steps are padding. This layer
    leaves padding out, and a sequence without a real step gives zeros.

    Args:
        mode: `"max"`, `"mean"`, or `"max_mean"` for both, concatenated.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: `(batch, timesteps, features)`.
        mask: booleans `(batch, timesteps)`, `True` for a real step. Without a mask
            every step is real.

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
        # `where` rather than a product with the mask, as infinity times 0 is `nan`.
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
    """Replaces missing values, given as `nan`, and tells the network where they were.

    A missing value becomes 0, which is the mean of a standardised feature. A second
    feature for each feature is 1 where the value was missing and 0 elsewhere (Z. C.
    Lipton, D. C. Kale, R. Wetzel, "Directly modeling missing data in sequences with
    RNNs", 2016).

    The steps before the first known value are padding and masked. A later step is
    never masked, even if all its values are missing, because the network would lose
    count of time.

    Call arguments:
        inputs: floats `(batch, timesteps, features)`.

    Returns:
        `(batch, timesteps, 2 * features)`: the features, then the indicators.
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
    """A `keras.layers.ReversibleEmbedding` whose logits keep the mask of their input.

    Without the mask, a loss would count padding among the tokens to predict.
    """

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        if len(inputs.shape) == 3:  # states, which become logits
            return mask
        return ops.not_equal(inputs, 0) if self.mask_zero else None


@keras.saving.register_keras_serializable(package="rnn_keras")
class Dropout(keras.layers.Dropout):
    """A `keras.layers.Dropout` whose random numbers XLA draws fast on a CPU.

    It uses the generator Philox. The one that TensorFlow chooses by default takes ten
    times as long as the rest of a training step (230 ms against 20 ms for
    32 x 256 x 64 values).
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
