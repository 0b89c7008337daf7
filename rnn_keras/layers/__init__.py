"""Keras layers: fast recurrent layers, and the layers used before and after them.

Read `recurrence` first: it derives the equations of the three recurrent layers,
forward and backward. `scan` runs them over time with TensorFlow, `scan_jax` with JAX,
and `recurrent` puts them into Keras's own layers. The other modules stand alone:
`masked` holds layers that know padding, `text_vectorizer` turns texts into token ids,
`ngram_logits` adds a linear model of n-grams to a network, and `audio` holds the layers
of a speech recogniser. `keras_internals` and `tensorflow_internals` are the only
modules that use private names of Keras and of TensorFlow.
"""

from rnn_keras.utils.quiet import import_quietly

import_quietly()  # before a module below imports TensorFlow or Keras

from rnn_keras.layers.audio import LogMel, SureBlank
from rnn_keras.layers.masked import (
    POOLING_MODES,
    Dropout,
    MaskedPooling1D,
    MissingValues,
    ReversibleEmbedding,
)
from rnn_keras.layers.ngram_logits import LinearPath
from rnn_keras.layers.recurrent import GRU, LSTM, SimpleRNN
from rnn_keras.layers.text_vectorizer import TextVectorizer

__all__ = [
    "GRU",
    "LSTM",
    "POOLING_MODES",
    "Dropout",
    "LinearPath",
    "LogMel",
    "MaskedPooling1D",
    "MissingValues",
    "ReversibleEmbedding",
    "SimpleRNN",
    "SureBlank",
    "TextVectorizer",
]
