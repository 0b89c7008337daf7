"""Builders: plain functional Keras models of Embedding, recurrent layers, Dense.

One a task: `build_classifier`, `build_language_model` and `build_forecaster`, which
reads numbers. The smallest classifier, one layer in one direction that answers from
its last state, is Elman's network with an embedding in front: J. L. Elman, "Finding
structure in time", Cognitive Science 14 (1990), 179-211.
"""

import math
from typing import Any, Literal

import keras

from rnn_keras.layers import (
    GRU,
    LSTM,
    POOLINGS,
    Dropout,
    MaskedPooling1D,
    MissingValues,
    SimpleRNN,
)

Cell = Literal["simple_rnn", "lstm", "gru"]
Pooling = Literal["last", "max", "mean", "max_mean"]
CELLS = {
    "simple_rnn": SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
}


def build_classifier(
    vocabulary_size: int,
    num_classes: int,
    *,
    cell: Cell = "simple_rnn",
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
    _check_choice("cell", cell, tuple(CELLS))
    _check_choice("pooling", pooling, ("last", *POOLINGS))
    _check_sizes(
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
    cell: Cell = "gru",
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
    _check_choice("cell", cell, tuple(CELLS))
    _check_sizes(
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
    _check_choice("cell", cell, tuple(CELLS))
    _check_sizes(
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
    return keras.Model(series, keras.ops.sort(x, axis=-1), name=name)


def _embedded(
    vocabulary_size: int,
    embedding_dim: int,
    dropout: float,
    token_dropout: float = 0.0,
) -> tuple[Any, Any]:
    """An input of ids, and the vectors of its tokens, of which 0 is masked."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = keras.layers.Embedding(
        vocabulary_size, embedding_dim, mask_zero=True, name="embedding"
    )(ids)
    if token_dropout:
        x = Dropout(token_dropout, noise_shape=(None, None, 1), name="token_dropout")(x)
    if dropout:
        x = Dropout(dropout, name="embedding_dropout")(x)
    return ids, x


def _check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{argument}` must be one of {choices}. Received: {value!r}")


def _check_sizes(**sizes: int) -> None:
    for argument, value in sizes.items():
        if value < 1:
            raise ValueError(f"`{argument}` must be at least 1. Received: {value}")
