"""One builder for each task; each returns a plain functional Keras model.

`build_classifier`, `build_language_model` and `build_translator` read token ids,
`build_forecaster` and `build_speech_recognizer` read numbers over time. All of them
put recurrent layers between an input layer that masks padding and a Dense layer. The
smallest classifier, one layer in one direction whose last state gives the logits, is
Elman's network with an embedding in front: J. L. Elman, "Finding structure in time",
Cognitive Science 14 (1990), 179-211.

The models are not compiled. Losses, batches and decoding are in the module of each
task: `generation`, `translation`, `forecasting`, `speech`.
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

# The recurrent layer of each cell name.
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
    """Build a text classifier: Embedding, recurrent layers, pooling, Dense.

    Id 0 is padding and is masked in every layer, so a text gets the same logits alone,
    in any batch, and padded to any length. A row of zeros is an empty text; it gets
    logits too.

    Args:
        vocabulary_size: number of token ids, padding and unknown included.
        num_classes: number of logits.
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the state in each direction.
        embedding_dim: size of the embedding of a token.
        num_layers: number of recurrent layers, one on top of the other. With 0 the
            token vectors themselves are pooled. A recurrent network should beat that.
        bidirectional: whether each layer reads the text in both directions and
            concatenates the two states.
        pooling: how the states of the top layer become one vector. `"last"` takes the
            state after the last token (and, with `bidirectional`, the state of the
            backward layer after the first token). `"max"`, `"mean"` and `"max_mean"`
            take the maximum, the mean, or both, over all tokens.
        dropout: dropout rate of the embeddings and of the pooled states.
        token_dropout: share of tokens whose whole vector is set to 0 in training, so
            that no single word decides: Y. Gal, Z. Ghahramani, "A theoretically
            grounded application of dropout in recurrent neural networks", NIPS 2016.
        name: name of the model.

    Returns:
        A functional model from integer ids `(batch, timesteps)` to float logits
        `(batch, num_classes)`.

    Raises:
        ValueError: if `cell` or `pooling` is unknown, a size is below 1, or
            `num_layers` is 0 with `pooling="last"`.

    Example, the network of the first notebook:

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

    ids, x = _embed(vocabulary_size, embedding_dim, dropout, token_dropout)
    for i in range(num_layers):
        x = _recurrent_layer(
            cell,
            units,
            i,
            bidirectional=bidirectional,
            return_sequences=i < num_layers - 1 or pooling != "last",
        )(x)
    if pooling != "last":
        x = MaskedPooling1D(pooling, name="pooling")(x)
    x = _drop(x, dropout, "state_dropout")
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
    """Build a language model: logits of the next token at every step.

    The logits of a step depend only on the tokens up to that step, so the targets are
    the inputs shifted by one step (`rnn_keras.models.next_token_sequences` cuts both
    out of a text). This is Elman's prediction task, and the network of T. Mikolov et
    al., "Recurrent neural network based language model", Interspeech 2010. Id 0 is
    padding: it leaves the state unchanged.

    Args:
        vocabulary_size: number of token ids, padding and unknown included.
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the state of each layer.
        embedding_dim: size of the embedding of a token.
        num_layers: number of recurrent layers, one on top of the other.
        dropout: dropout rate of the embeddings and of the outputs of each
            recurrent layer. Nothing is dropped between the steps of a layer: W.
            Zaremba et al., "Recurrent neural network regularization", 2014.
        name: name of the model.

    Returns:
        A functional model from integer ids `(batch, timesteps)` to float logits
        `(batch, timesteps, vocabulary_size)`.

    Raises:
        ValueError: if `cell` is unknown or a size is below 1.

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
    ids, x = _embed(vocabulary_size, embedding_dim, dropout)
    for i in range(num_layers):
        x = _recurrent_layer(cell, units, i)(x)
        x = _drop(x, dropout, f"state_dropout_{i + 1}")
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
    """Build an encoder-decoder: a bidirectional encoder, a decoder, attention.

    The decoder starts from the last states of the encoder. Without attention it knows
    nothing else of the source: I. Sutskever, O. Vinyals, Q. V. Le, "Sequence to
    sequence learning with neural networks", NIPS 2014. With attention, every step of
    the decoder also takes a weighted mean of the encoder's states: global attention
    with the "general" score of M.-T. Luong, H. Pham, C. D. Manning, "Effective
    approaches to attention-based neural machine translation", EMNLP 2015.
    `rnn_keras.models.teacher_forcing` makes the inputs and targets of training, and
    `rnn_keras.translate` translates texts.

    Args:
        source_vocabulary_size: number of source ids, padding and unknown included.
        target_vocabulary_size: number of target ids, padding and unknown included;
            the last two ids mark the start and the end of a text.
        attention: whether the decoder attends to the states of the encoder.
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the decoder's state, an even number; the encoder has half of
            it in each direction.
        embedding_dim: size of the embedding of a token in both languages. The decoder's
            output is projected to this size (the readout), and the logits are its
            products with the vectors of all target tokens: O. Press, L. Wolf, "Using
            the output embedding to improve language models", EACL 2017.
        dropout: dropout rate of the embeddings and of the readout.
        name: name of the model.

    Returns:
        A functional model with two inputs, the source ids `(batch, source timesteps)`
        and the target ids read so far `(batch, timesteps)`, both padded with 0. It
        returns float logits `(batch, timesteps, target_vocabulary_size)`.

    Raises:
        ValueError: if `cell` is unknown, a size is below 1, or `units` is odd.

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

    sources, x = _embed(source_vocabulary_size, embedding_dim, dropout, side="source_")
    encoded, states = _encode(x, cell, units)
    targets = keras.Input((None,), dtype="int32", name="target_ids")
    embedding = ReversibleEmbedding(
        target_vocabulary_size,
        embedding_dim,
        # With this spread the first logits are as large as the readout's values.
        embeddings_initializer=keras.initializers.RandomNormal(
            stddev=embedding_dim**-0.5
        ),
        mask_zero=True,
        name="target_embedding",
    )
    x = _drop(embedding(targets), dropout, "target_embedding_dropout")
    decoder = CELLS[cell](units, return_sequences=True, name="decoder")
    x = decoder(x, initial_state=states)
    if attention:
        keys = keras.layers.Dense(units, use_bias=False, name="keys")(encoded)
        context = keras.layers.Attention(name="attention")([x, encoded, keys])
        x = keras.layers.Concatenate(name="with_context")([context, x])
    x = keras.layers.Dense(embedding_dim, name="readout")(x)
    x = _drop(x, dropout, "readout_dropout")
    logits = embedding(x, reverse=True)
    return keras.Model([sources, targets], logits, name=name)


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
    """Build a forecaster of time series that predicts all steps ahead at once.

    A missing value is `nan`. Series that are shorter than the others in a batch are
    padded at their beginning with steps of `nan` only, which change no forecast. Such
    a step after the first known value counts as a step whose values are unknown.

    Args:
        num_features: number of series that are read, calendar features included.
        horizon: number of steps to forecast.
        num_targets: number of series to forecast.
        num_quantiles: number of quantiles of each forecast value, in increasing
            order, such as the median and the bounds of an interval. Train them with
            `rnn_keras.models.QuantileLoss`.
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the state of each layer.
        num_layers: number of recurrent layers, one on top of the other.
        dropout: dropout rate of the outputs of each recurrent layer.
        name: name of the model.

    Returns:
        A functional model from floats `(batch, timesteps, num_features)` to floats
        `(batch, horizon, num_targets, num_quantiles)`.

    Raises:
        ValueError: if `cell` is unknown or a size is below 1.

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
        x = _recurrent_layer(cell, units, i, return_sequences=i < num_layers - 1)(x)
        x = _drop(x, dropout, f"state_dropout_{i + 1}")
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
    """Build a speech recognizer: log-mel frames, bidirectional layers, Dense.

    This is the network of A. Graves, N. Jaitly, "Towards end-to-end speech recognition
    with recurrent neural networks", ICML 2014, with words in place of letters. Train
    it with `keras.losses.CTC`; `rnn_keras.models.speech` has the rest. Waves are padded
    at their end with `nan`. The loudness of a wave does not change its logits: see
    `rnn_keras.layers.LogMel`.

    Args:
        vocabulary_size: number of ids; id 0 is the blank.
        rate: samples per second.
        num_mel_bins: number of frequency bands of a frame. Many bands show the pitch
            of a voice, few show mostly the words.
        stride: samples from one frame to the next; 20 ms at the default `rate`.
        window: samples of a frame; 25 ms at the default `rate`.
        cell: `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the state of each layer, in each direction.
        num_layers: number of recurrent layers, one on top of the other.
        dropout: dropout rate of the outputs of each recurrent layer.
        name: name of the model.

    Returns:
        A functional model from floats `(batch, samples)` to float logits `(batch,
        samples // stride + 1, vocabulary_size)`. Frames of padding get a blank of
        probability 1.

    Raises:
        ValueError: if `cell` is unknown, a size is below 1, or `window` is below
            `stride`.

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
        x = _recurrent_layer(cell, units, i, bidirectional=True)(x)
        x = _drop(x, dropout, f"state_dropout_{i + 1}")
    x = keras.layers.Dense(vocabulary_size, name="scores")(x)
    return keras.Model(waves, SureBlank(name="logits")(x), name=name)


def _embed(
    vocabulary_size: int,
    embedding_dim: int,
    dropout: float,
    token_dropout: float = 0.0,
    side: str = "",
) -> tuple[Any, Any]:
    """An input of ids and its token vectors, both tensors; id 0 is masked.

    `side` begins the names of the layers where a network has several inputs.
    """
    ids = keras.Input((None,), dtype="int32", name=f"{side}ids")
    x = keras.layers.Embedding(
        vocabulary_size, embedding_dim, mask_zero=True, name=f"{side}embedding"
    )(ids)
    if token_dropout:
        x = Dropout(token_dropout, noise_shape=(None, None, 1), name="token_dropout")(x)
    return ids, _drop(x, dropout, f"{side}embedding_dropout")


def _recurrent_layer(
    cell: CellName,
    units: int,
    index: int,
    *,
    bidirectional: bool = False,
    return_sequences: bool = True,
) -> keras.layers.Layer:
    """Layer number `index`, from 0, of a stack; its name tells cell and number."""
    layer = CELLS[cell](
        units, return_sequences=return_sequences, name=f"{cell}_{index + 1}"
    )
    if not bidirectional:
        return layer
    return keras.layers.Bidirectional(layer, name=f"bidirectional_{index + 1}")


def _drop(x: Any, rate: float, name: str) -> Any:
    """The tensor after a dropout layer, or itself where the rate is 0."""
    return Dropout(rate, name=name)(x) if rate else x


def _encode(x: Any, cell: CellName, units: int) -> tuple[Any, list[Any]]:
    """The encoder's states at every step, and the states the decoder starts from."""
    forward = CELLS[cell](units // 2, return_sequences=True, return_state=True)
    encoded, *last = keras.layers.Bidirectional(forward, name="encoder")(x)
    count = len(last) // 2  # states of one direction: two in an LSTM, else one
    pairs = zip(last[:count], last[count:], strict=True)  # forward, backward
    return encoded, [
        keras.layers.Concatenate(name=f"state_{i}")(list(pair))
        for i, pair in enumerate(pairs, start=1)
    ]
