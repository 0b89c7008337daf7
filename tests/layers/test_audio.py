"""Frames of sound against NumPy, and blanks in place of padding."""

import keras
import numpy as np

from rnn_keras.layers.audio import LogMel, SureBlank

RATE = 8000


def noise(*lengths):
    """Waves padded with `nan`, `(waves, samples)`."""
    random = np.random.default_rng(1)
    waves = [random.normal(0, 0.1, n).astype("float32") for n in lengths]
    return keras.utils.pad_sequences(
        waves, dtype="float32", padding="post", value=np.nan
    )


def test_log_mel_agrees_with_numpy():
    """Hann windows, power spectra, triangles on HTK's mel scale, logarithms."""
    wave = noise(1000)[0]
    frames = LogMel(RATE, 12, stride=100, window=256)(wave[None])[0]
    padded = np.pad(np.pad(wave, (0, 256)), (128, 0), mode="reflect")
    hann = np.hanning(257)[:256]
    cut = np.stack([padded[100 * i : 100 * i + 256] * hann for i in range(10)])
    power = np.abs(np.fft.rfft(cut)) ** 2

    def mel(hertz):
        return 1127 * np.log(1 + hertz / 700)

    edges = np.linspace(mel(20), mel(4000), 14)
    bins = mel(np.linspace(0, 4000, 129))[:, None]
    up = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    energy = power @ np.maximum(0, np.minimum(up, down))
    logs = np.log(np.maximum(energy, 1e-4 * energy.max()))
    logs -= logs.mean(axis=0)
    # The middle of the eleventh frame lies at the end of the wave: it is masked.
    np.testing.assert_allclose(frames[:10], logs / logs.std(), atol=2e-3)
    np.testing.assert_array_equal(frames[10], np.zeros(12))


def test_a_frame_is_real_if_its_middle_lies_in_the_wave():
    layer = LogMel(RATE, 5, stride=100)
    waves = noise(0, 1, 100, 101, 250)
    counts = np.asarray(layer.compute_mask(waves)).sum(axis=1)
    assert counts.tolist() == [0, 1, 1, 2, 3]
    assert layer(waves).shape == (5, 3, 5)
    assert layer.compute_output_shape((5, 250)) == (5, 3, 5)
    assert layer.compute_output_shape((None, None)) == (None, None, 5)


def test_masked_frames_become_sure_blanks():
    logits = np.ones((1, 2, 3), "float32")
    layer = SureBlank()
    np.testing.assert_array_equal(layer(logits), logits)
    shown = layer(logits, mask=np.array([[True, False]]))
    np.testing.assert_array_equal(shown[0], [[1, 1, 1], [0, -1e9, -1e9]])
