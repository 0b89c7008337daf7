"""Keras layers: recurrences with a fast loop on the CPU, and what stands around them.

`recurrence` derives forward and backward equations of the three cells, `scan` runs
them over time, and `recurrent` puts them into Keras's own layers; read them in this
order. `masked` holds layers that leave padding out, `text_vectorizer` turns texts into
token ids, `ngram_logits` is the linear path beside a network, `audio` reads sound.
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
