"""Builders: plain functional Keras models of Embedding, recurrent layers, Dense.

One a task: `build_classifier`, `build_language_model`, `build_translator`; those that
read numbers are in `rnn_keras.series_models`. The smallest classifier, one layer in
one direction that answers from its last state, is Elman's network with an embedding
in front: J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990),
179-211.

Builders for numbers over time: plain functional Keras models, as in `models`.
"""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from rnn_keras.layers.audio import LogMel, SureBlank
from rnn_keras.layers.masked import (
    Dropout,
    MaskedPooling1D,
    MissingValues,
    ReversibleEmbedding,
)
from rnn_keras.layers.recurrent import GRU, LSTM, SimpleRNN
from rnn_keras.utils.choices import CELL_NAMES, POOLINGS, CellName, Pooling
from rnn_keras.utils.errors import check_choice, check_sizes

# The recurrent layer of each cell; the keys are all names that `cell` may have.
CELLS: dict[CellName, Callable[..., keras.layers.RNN]] = {
    "simple_rnn": SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
}


def build_classifier(
    vocabulary_size: int,
    num_classes: int,
    *,
    cell: CellName = "simple_rnn",
    units: int = 64,
    embedding_dim: int = 64,
    num_layers: int = 1,
    bidirectional: bool = False,
    pooling: Pooling = "last",
    dropout: float = 0.0,
    token_dropout: float = 0.0,
    name: str = "text_classifier",
) -> keras.Model:
    """Embedding, recurrent layers, pooling over time and Dense: ids to logits.

    Id 0 is padding, masked in every layer: the answer to a text is the same
    alone, in any batch, and padded to any length, and a row of nothing but
    padding is an empty text with an answer of its own.

    Args:
        vocabulary_size: number of token ids, padding and unknown included.
        num_classes: number of logits.
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the state, in each direction.
        embedding_dim: size of a token's vector.
        num_layers: recurrent layers, one on top of the other. 0 pools the embedded
            tokens themselves: the network that any recurrent one must beat.
        bidirectional: read from both ends; the two states are put side by side.
        pooling: what the logits are computed from: the state after the last
            real token (`"last"`; with `bidirectional` also the backward
            reader's state after the first), or the maximum, the mean, or both,
            of the top layer's states over the real tokens.
        dropout: share of values set to 0 in training, of the embedded tokens
            and of the pooled states.
        token_dropout: share of tokens whose whole vector is set to 0 in training,
            so that no single word decides (Y. Gal, Z. Ghahramani, "A theoretically
            grounded application of dropout in recurrent neural networks", 2016).
        name: of the model.

    Returns:
        A functional model from int ids `(batch, timesteps)` to float logits
        `(batch, num_classes)`.

    Raises:
        ValueError: for an unknown `cell` or `pooling`, a size below 1, or no layer
            whose last state there would be.

    Example, the network of four sentences, 282 parameters:

    >>> build_classifier(16, 2, units=8, embedding_dim=8).count_params()
    282
    """
    check_choice("cell", cell, CELL_NAMES)
    check_choice("pooling", pooling, POOLINGS)
    check_sizes(
        vocabulary_size=vocabulary_size,
        num_classes=num_classes,
        units=units,
        embedding_dim=embedding_dim,
    )
    if num_layers < (pooling == "last"):
        least = '1, or 0 with another `pooling` than "last"'
        raise ValueError(
            f"`num_layers` must be at least {least}. Received: {num_layers}"
        )

    ids, x = _embedded(vocabulary_size, embedding_dim, dropout, token_dropout)
    for i in range(num_layers):
        last_of_all = i == num_layers - 1
        layer = CELLS[cell](
            units,
            return_sequences=not last_of_all or pooling != "last",
            name=f"{cell}_{i + 1}",
        )
        if bidirectional:
            layer = keras.layers.Bidirectional(layer, name=f"bidirectional_{i + 1}")
        x = layer(x)
    if pooling != "last":
        x = MaskedPooling1D(pooling, name="pooling")(x)
    if dropout:
        x = Dropout(dropout, name="state_dropout")(x)
    logits = keras.layers.Dense(num_classes, name="logits")(x)
    return keras.Model(ids, logits, name=name)


def build_language_model(
    vocabulary_size: int,
    *,
    cell: CellName = "gru",
    units: int = 256,
    embedding_dim: int = 64,
    num_layers: int = 1,
    dropout: float = 0.0,
    name: str = "language_model",
) -> keras.Model:
    """Embedding, recurrent layers and Dense at each step: what comes next.

    The logits of a step depend on the tokens up to it, so the targets are the inputs
    one step later (`rnn_keras.generation.windows` cuts both out of a text): Elman's
    prediction task, and T. Mikolov et al., "Recurrent neural network based language
    model", Interspeech 2010. Id 0 is padding: a step of it leaves the state as it was.

    Args:
        vocabulary_size: number of token ids, padding and unknown included.
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the state of each layer.
        embedding_dim: size of a token's vector.
        num_layers: recurrent layers, one on top of the other.
        dropout: share of values set to 0 in training, of the embedded tokens and of
            what each recurrent layer gives: never from one step to the next (W.
            Zaremba et al., "Recurrent neural network regularization", 2014).
        name: of the model.

    Returns:
        A functional model from int ids `(batch, timesteps)` to float logits
        `(batch, timesteps, vocabulary_size)`.

    Raises:
        ValueError: for an unknown `cell` or a size below 1.

    >>> build_language_model(66, units=8, embedding_dim=4).output_shape
    (None, None, 66)
    """
    check_choice("cell", cell, CELL_NAMES)
    check_sizes(
        vocabulary_size=vocabulary_size,
        units=units,
        embedding_dim=embedding_dim,
        num_layers=num_layers,
    )
    ids, x = _embedded(vocabulary_size, embedding_dim, dropout)
    for i in range(num_layers):
        x = CELLS[cell](units, return_sequences=True, name=f"{cell}_{i + 1}")(x)
        if dropout:
            x = Dropout(dropout, name=f"state_dropout_{i + 1}")(x)
    logits = keras.layers.Dense(vocabulary_size, name="logits")(x)
    return keras.Model(ids, logits, name=name)


def build_translator(
    source_vocabulary_size: int,
    target_vocabulary_size: int,
    *,
    attention: bool = True,
    cell: CellName = "gru",
    units: int = 256,
    embedding_dim: int = 128,
    dropout: float = 0.0,
    name: str = "translator",
) -> keras.Model:
    """An encoder in both directions, a decoder, and attention between them.

    The decoder begins with the encoder's last states, which without attention are all
    that it knows of the source: I. Sutskever, O. Vinyals, Q. V. Le, "Sequence to
    sequence learning with neural networks", NIPS 2014. With it, each step of the
    decoder also weighs the encoder's states: M.-T. Luong, H. Pham, C. D. Manning,
    "Effective approaches to attention-based neural machine translation", EMNLP 2015,
    global attention with the "general" score. `rnn_keras.translation` has what it is
    trained on, and decodes.

    Args:
        source_vocabulary_size: number of ids, padding and unknown included.
        target_vocabulary_size: likewise, and two more, the last: start and end.
        attention: whether the decoder looks back at the source.
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the decoder's state; the encoder has half of it in each
            direction.
        embedding_dim: size of a token's vector, of both languages. The logits are the
            products of a vector of this size, the readout, with those of all target
            tokens: O. Press, L. Wolf, "Using the output embedding to improve language
            models", EACL 2017.
        dropout: share of values set to 0 in training, of the embedded tokens and of
            the readout.
        name: of the model.

    Returns:
        A functional model from int ids of the source `(batch, source timesteps)` and
        those that the decoder has so far `(batch, timesteps)`, padded with 0, to
        float logits `(batch, timesteps, target_vocabulary_size)`.

    Raises:
        ValueError: for an unknown `cell`, a size below 1, or odd units.

    >>> build_translator(9, 12, units=8, embedding_dim=4).output_shape
    (None, None, 12)
    """
    check_choice("cell", cell, CELL_NAMES)
    check_sizes(
        source_vocabulary_size=source_vocabulary_size,
        target_vocabulary_size=target_vocabulary_size,
        units=units,
        embedding_dim=embedding_dim,
    )
    if units % 2:
        raise ValueError(f"`units` must be even. Received: {units}")

    sources, x = _embedded(source_vocabulary_size, embedding_dim, dropout, of="source_")
    encoder = CELLS[cell](units // 2, return_sequences=True, return_state=True)
    values, *states = keras.layers.Bidirectional(encoder, name="encoder")(x)
    each = len(states) // 2  # forwards, then backwards: two of LSTM, else one
    states = [
        keras.layers.Concatenate(name=f"state_{i + 1}")([states[i], states[each + i]])
        for i in range(each)
    ]
    previous = keras.Input((None,), dtype="int32", name="target_ids")
    tokens = ReversibleEmbedding(
        target_vocabulary_size,
        embedding_dim,
        # So that the first logits are of the readout's size.
        embeddings_initializer=keras.initializers.RandomNormal(
            stddev=embedding_dim**-0.5
        ),
        mask_zero=True,
        name="target_embedding",
    )
    x = tokens(previous)
    if dropout:
        x = Dropout(dropout, name="target_embedding_dropout")(x)
    decoder = CELLS[cell](units, return_sequences=True, name="decoder")
    x = decoder(x, initial_state=states)
    if attention:
        keys = keras.layers.Dense(units, use_bias=False, name="keys")(values)
        context = keras.layers.Attention(name="attention")([x, values, keys])
        x = keras.layers.Concatenate(name="with_context")([context, x])
    x = keras.layers.Dense(embedding_dim, name="readout")(x)
    if dropout:
        x = Dropout(dropout, name="readout_dropout")(x)
    logits = tokens(x, reverse=True)
    return keras.Model([sources, previous], logits, name=name)


def _embedded(
    vocabulary_size: int,
    embedding_dim: int,
    dropout: float,
    token_dropout: float = 0.0,
    of: str = "",
) -> tuple[Any, Any]:
    """An input of ids, and the vectors of its tokens, of which 0 is masked."""
    ids = keras.Input((None,), dtype="int32", name=f"{of}ids")
    x = keras.layers.Embedding(
        vocabulary_size, embedding_dim, mask_zero=True, name=f"{of}embedding"
    )(ids)
    if token_dropout:
        x = Dropout(token_dropout, noise_shape=(None, None, 1), name="token_dropout")(x)
    if dropout:
        x = Dropout(dropout, name=f"{of}embedding_dropout")(x)
    return ids, x


def build_forecaster(
    num_features: int,
    horizon: int,
    *,
    num_targets: int = 1,
    num_quantiles: int = 1,
    cell: CellName = "gru",
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
    check_choice("cell", cell, CELL_NAMES)
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
    cell: CellName = "gru",
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
    check_choice("cell", cell, CELL_NAMES)
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
