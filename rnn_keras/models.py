"""Builders: plain functional Keras models of Embedding, recurrent layers, Dense.

The smallest of them, one layer in one direction that answers from its last
state, is Elman's network with an embedding in front and a classifier behind:
J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990), 179-211.
"""

from typing import Literal

import keras

from rnn_keras.layers import GRU, LSTM, POOLINGS, Dropout, MaskedPooling1D, SimpleRNN

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
    _check(cell, pooling)
    sizes = {
        "vocabulary_size": vocabulary_size,
        "num_classes": num_classes,
        "units": units,
        "embedding_dim": embedding_dim,
    }
    for argument, value in sizes.items():
        if value < 1:
            raise ValueError(f"`{argument}` must be at least 1. Received: {value}")
    if num_layers < (pooling == "last"):
        least = '1, or 0 with another `pooling` than "last"'
        raise ValueError(
            f"`num_layers` must be at least {least}. Received: {num_layers}"
        )

    ids = keras.Input((None,), dtype="int32", name="ids")
    x = keras.layers.Embedding(
        vocabulary_size, embedding_dim, mask_zero=True, name="embedding"
    )(ids)
    if token_dropout:
        x = Dropout(token_dropout, noise_shape=(None, None, 1), name="token_dropout")(x)
    if dropout:
        x = Dropout(dropout, name="embedding_dropout")(x)
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


def _check(cell: str, pooling: str) -> None:
    if cell not in CELLS:
        raise ValueError(f"`cell` must be one of {tuple(CELLS)}. Received: {cell!r}")
    if pooling not in ("last", *POOLINGS):
        raise ValueError(
            f"`pooling` must be one of {('last', *POOLINGS)}. Received: {pooling!r}"
        )
