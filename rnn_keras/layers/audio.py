"""The first and the last layer of a speech recogniser.

`LogMel` turns waves into frames of mel energies. `SureBlank` turns the logits of
padding into certain blanks, so that CTC needs no lengths. Reading sound files is the
job of `rnn_keras.datasets`.
"""

from typing import Any

import keras
from keras import ops

from rnn_keras.utils.errors import check_sizes


@keras.saving.register_keras_serializable(package="rnn_keras")
class LogMel(keras.layers.Layer):
    """Computes the logarithmic energy of a wave in mel bands, frame by frame.

    The layer takes these steps:

    1. A window every `stride` samples, and its power spectrum.
    2. Sums over mel bands, which get wider with frequency as the bands of the ear do
       (S. S. Stevens, J. Volkmann, E. B. Newman, "A scale for the measurement of the
       psychological magnitude pitch", 1937).
    3. The logarithm of these energies. Energies below a ten-thousandth of the
       recording's highest (40 decibels) are raised to it, since they are mostly the
       noise of the room.
    4. Each band minus its mean over the recording, which removes the effect of a
       louder voice or another microphone (B. S. Atal, "Effectiveness of linear
       prediction characteristics of the speech wave for automatic speaker
       identification and verification", 1974).
    5. All of it divided by its standard deviation over the recording.

    A `nan` after the end of a wave is padding. Frames centred on padding are masked,
    and padding does not change the other frames. With
    `keras.layers.MelSpectrogram` alone they would depend on the batch: it reflects the
    end of the longest wave, and counts decibels from the loudest one.

    Args:
        rate: samples per second.
        num_mel_bins: number of bands, from 20 Hz to half the rate.
        stride: samples from one frame to the next.
        window: samples in a frame. The Fourier transform has the smallest power of 2
            that is not below it.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: floats `(batch, samples)`.

    Returns:
        `(batch, samples // stride + 1, num_mel_bins)`, 0 where masked.

    Raises:
        ValueError: for a size below 1, or a `window` below `stride`, because the
            samples between two windows would be lost.
    """

    def __init__(
        self,
        rate: int = 8000,
        num_mel_bins: int = 40,
        stride: int = 120,
        window: int = 200,
        **kwargs: Any,
    ):
        check_sizes(rate=rate, num_mel_bins=num_mel_bins, stride=stride)
        check_sizes(stride, window=window)
        super().__init__(**kwargs)
        self.rate = rate
        self.num_mel_bins = num_mel_bins
        self.stride = stride
        self.window = window
        self.mel = keras.layers.MelSpectrogram(
            fft_length=1 << (window - 1).bit_length(),
            sequence_stride=stride,
            sequence_length=window,
            sampling_rate=rate,
            num_mel_bins=num_mel_bins,
            power_to_db=False,
            dtype=self.dtype_policy,
        )

    def build(self, input_shape: Any) -> None:
        # Without this method Keras warns that it may not have built the inner layer.
        self.mel.build(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        mask = self.compute_mask(inputs)
        waves = ops.where(ops.isnan(inputs), ops.zeros_like(inputs), inputs)
        # With silence after every wave, the end of the longest is not reflected.
        waves = ops.pad(waves, ((0, 0), (0, self.mel.fft_length)))
        energy = ops.swapaxes(self.mel(waves), 1, 2)[:, : ops.shape(mask)[1]]
        known = ops.cast(mask, energy.dtype)[:, :, None]
        energy = known * energy
        highest = ops.max(energy, axis=(1, 2), keepdims=True)
        logs = ops.log(ops.maximum(energy, 1e-4 * highest + 1e-20))
        count = ops.maximum(ops.sum(known, axis=1, keepdims=True), 1)
        logs = known * (logs - ops.sum(known * logs, axis=1, keepdims=True) / count)
        squares = ops.mean(ops.square(logs), axis=2, keepdims=True)
        variance = ops.sum(squares, axis=1, keepdims=True) / count
        return logs / ops.sqrt(variance + 1e-6)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        # One more sample, so that a wave without samples has one frame of padding.
        real = ops.pad(ops.logical_not(ops.isnan(inputs)), ((0, 0), (0, 1)))
        return real[:, :: self.stride]

    def compute_output_shape(self, input_shape: Any) -> tuple:
        samples = input_shape[1]
        frames = None if samples is None else samples // self.stride + 1
        return (input_shape[0], frames, self.num_mel_bins)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "num_mel_bins": self.num_mel_bins,
            "stride": self.stride,
            "window": self.window,
        }


@keras.saving.register_keras_serializable(package="rnn_keras")
class SureBlank(keras.layers.Layer):
    """Makes padding a blank with probability 1.

    A CTC loss or decoder that takes no lengths, such as `keras.losses.CTC`, is then
    exact: blanks at the end change neither the label sequence nor its probability.

    Call arguments:
        inputs: logits `(batch, frames, vocabulary_size)`; id 0 is the blank.
        mask: booleans `(batch, frames)`, `True` for a real frame.

    Returns:
        Logits of the same shape.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return inputs
        # Not infinite, because a loss subtracts logits from each other.
        blank = ops.one_hot(0, inputs.shape[-1], dtype=inputs.dtype) * 1e9 - 1e9
        return ops.where(ops.expand_dims(mask, 2), inputs, blank)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        # Keras would multiply the loss, one value per recording, by the mask of frames.
        return None

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return tuple(input_shape)
