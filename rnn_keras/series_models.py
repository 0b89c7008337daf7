"""Builders for numbers over time: plain functional Keras models, as in `models`."""

import math

import keras
from keras import ops

from rnn_keras.arguments import check_choice, check_sizes
from rnn_keras.audio import LogMel, SureBlank
from rnn_keras.layers import Dropout, MissingValues
from rnn_keras.models import CELLS, Cell


def build_forecaster(
    num_features: int,
    horizon: int,
    *,
    num_targets: int = 1,
    num_quantiles: int = 1,
    cell: Cell = "gru",
    units: int = 32,
    num_layers: int = 1,
    dropout: float = 0.0,
    name: str = "forecaster",
) -> keras.Model:
    """Recurrent layers on series, then Dense: the steps that follow, all at once.

    A value that is missing is `nan`. A series that is shorter than others is padded
    before its beginning with steps of nothing but `nan`, which change no answer; after
    the beginning such a step is one of which nothing is known.

    Args:
        num_features: series that are read, what is known of the calendar included.
        horizon: steps that are forecast.
        num_targets: series that are forecast.
        num_quantiles: rising values for each of these, the median and the bounds of an
            interval say: see `rnn_keras.forecasting.QuantileLoss`.
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the state of each layer.
        num_layers: recurrent layers, one on top of the other.
        dropout: share of values set to 0 in training, of what each layer gives.
        name: of the model.

    Returns:
        A functional model from floats `(batch, timesteps, num_features)` to floats
        `(batch, horizon, num_targets, num_quantiles)`.

    Raises:
        ValueError: for an unknown `cell` or a size below 1.

    >>> build_forecaster(3, 24, num_quantiles=3).output_shape
    (None, 24, 1, 3)
    """
    check_choice("cell", cell, tuple(CELLS))
    check_sizes(
        num_features=num_features,
        horizon=horizon,
        num_targets=num_targets,
        num_quantiles=num_quantiles,
        units=units,
        num_layers=num_layers,
    )
    series = keras.Input((None, num_features), name="series")
    x = MissingValues(name="missing_values")(series)
    for i in range(num_layers):
        more = i < num_layers - 1
        x = CELLS[cell](units, return_sequences=more, name=f"{cell}_{i + 1}")(x)
        if dropout:
            x = Dropout(dropout, name=f"state_dropout_{i + 1}")(x)
    shape = (horizon, num_targets, num_quantiles)
    x = keras.layers.Dense(math.prod(shape), name="values")(x)
    x = keras.layers.Reshape(shape, name="steps")(x)
    return keras.Model(series, ops.sort(x, axis=-1), name=name)


def build_speech_recognizer(
    vocabulary_size: int,
    *,
    rate: int = 8000,
    num_mel_bins: int = 20,
    stride: int = 160,
    window: int = 200,
    cell: Cell = "gru",
    units: int = 64,
    num_layers: int = 2,
    dropout: float = 0.0,
    name: str = "speech_recognizer",
) -> keras.Model:
    """Log-mel frames, recurrent layers in both directions, Dense: logits for CTC.

    The network of A. Graves, N. Jaitly, "Towards end-to-end speech recognition with
    recurrent neural networks", ICML 2014, but with words for letters;
    `keras.losses.CTC` trains it and `rnn_keras.speech` has what surrounds it. A wave
    is padded after its end with `nan`, and how loud it is does not matter: see
    `rnn_keras.audio.LogMel`.

    Args:
        vocabulary_size: number of ids, of which 0 is the blank.
        rate: samples a second.
        num_mel_bins: bands of a frame. Many show the pitch of a voice, few what is
            said.
        stride: samples from one frame to the next, 20 ms at the default `rate`.
        window: samples that a frame looks at, 25 ms likewise.
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the state of each layer, in each direction.
        num_layers: recurrent layers, one on top of the other.
        dropout: share of values set to 0 in training, of what each layer gives.
        name: of the model.

    Returns:
        A functional model from floats `(batch, samples)` to float logits `(batch,
        samples // stride + 1, vocabulary_size)`, where frames of padding are sure
        blanks.

    Raises:
        ValueError: for an unknown `cell` or a size below 1.

    >>> build_speech_recognizer(11, units=8).output_shape
    (None, None, 11)
    """
    check_choice("cell", cell, tuple(CELLS))
    check_sizes(
        vocabulary_size=vocabulary_size,
        rate=rate,
        num_mel_bins=num_mel_bins,
        stride=stride,
        units=units,
        num_layers=num_layers,
    )
    waves = keras.Input((None,), name="waves")
    x = LogMel(rate, num_mel_bins, stride, window, name="log_mel")(waves)
    for i in range(num_layers):
        layer = CELLS[cell](units, return_sequences=True, name=f"{cell}_{i + 1}")
        x = keras.layers.Bidirectional(layer, name=f"bidirectional_{i + 1}")(x)
        if dropout:
            x = Dropout(dropout, name=f"state_dropout_{i + 1}")(x)
    x = keras.layers.Dense(vocabulary_size, name="scores")(x)
    return keras.Model(waves, SureBlank(name="logits")(x), name=name)
