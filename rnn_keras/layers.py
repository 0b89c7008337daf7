"""Layers that Keras lacks: pooling over time that never sees padding."""

from typing import Any, Literal, get_args

import keras
from keras import ops

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
        if mode not in POOLINGS:
            raise ValueError(f"`mode` must be one of {POOLINGS}. Received: {mode!r}")
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
