"""Layers at both ends of a speech recogniser: waves to frames, padding to blanks."""

from typing import Any

import keras
from keras import ops

from rnn_keras.utils.errors import check_sizes


@keras.saving.register_keras_serializable(package="rnn_keras")
class LogMel(keras.layers.Layer):
    """Logarithms of a wave's energy in mel bands, frame by frame, of mean 0, spread 1.

    A window every `stride` samples; its power spectrum; sums over bands that get wider
    upwards as those of the ear do (S. S. Stevens, J. Volkmann, E. B. Newman, "A scale
    for the measurement of the psychological magnitude pitch", 1937); the logarithm,
    from a ten-thousandth of the recording's highest on (40 decibels: what is below is
    mostly the room). Of each band the mean over the recording is taken away, which a
    louder voice or another microphone adds to (B. S. Atal, "Effectiveness of linear
    prediction characteristics of the speech wave for automatic speaker identification
    and verification", 1974), and all is divided by one spread.

    `nan` after the end of a wave is padding. Frames whose middle lies there are masked,
    and none of it gets into the others: `keras.layers.MelSpectrogram` alone reflects
    the end of the batch's longest, and its decibels are counted from the loudest of the
    batch.

    Args:
        rate: samples a second.
        num_mel_bins: bands, from 20 Hz to half the rate.
        stride: samples from one frame to the next.
        window: samples that a frame looks at; the transform has as many, or those up to
            the next power of 2.
        **kwargs: of `keras.layers.Layer`.

    Call arguments:
        inputs: floats `(batch, samples)`.

    Returns:
        `(batch, samples // stride + 1, num_mel_bins)`, 0 where masked.

    Raises:
        ValueError: for a size below 1, or a `window` below `stride`: of what lies
            between two windows nothing would be seen.
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
        # Nothing to make: said, as Keras warns of a layer in a layer.
        self.mel.build(input_shape)
        self.built = True

    def call(self, inputs: Any) -> Any:
        mask = self.compute_mask(inputs)
        waves = ops.where(ops.isnan(inputs), ops.zeros_like(inputs), inputs)
        # Silence behind every wave, or the end of the longest would be reflected.
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
        # One more: a wave of no samples has a frame too, all padding.
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
    """Logits of padding become those of a blank with probability 1.

    A CTC loss or decoder that knows no lengths, as `keras.losses.CTC`, is exact then:
    blanks at the end change neither what is read nor its probability.

    Call arguments:
        inputs: logits `(batch, frames, vocabulary_size)`, id 0 the blank.
        mask: booleans `(batch, frames)`, `True` for a real frame.

    Returns:
        The logits, as the inputs.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return inputs
        # Not infinite: a loss would subtract one from another.
        blank = ops.one_hot(0, inputs.shape[-1], dtype=inputs.dtype) * 1e9 - 1e9
        return ops.where(ops.expand_dims(mask, 2), inputs, blank)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        # A loss would weigh by it, frame by frame, what it has one of a recording.
        return None

    def compute_output_shape(self, input_shape: Any) -> tuple:
        return tuple(input_shape)
