"""Builders of networks, and for each task the functions around its network.

Read `builders` first. The other modules belong to one task each: `generation` and
`ngrams` to language models, `translation` and `beam_search` to translation,
`forecasting` to time series, `speech` to speech recognition.
"""

from rnn_keras.utils.quiet import import_quietly

import_quietly()  # before a module below imports TensorFlow or Keras

from rnn_keras.models.beam_search import Decoded, decode
from rnn_keras.models.builders import (
    CELLS,
    build_classifier,
    build_forecaster,
    build_language_model,
    build_speech_recognizer,
    build_translator,
)
from rnn_keras.models.forecasting import QuantileLoss, calendar, forecast_windows
from rnn_keras.models.generation import Reader, draw, generate, next_token_sequences
from rnn_keras.models.ngrams import ngram_losses
from rnn_keras.models.speech import (
    BLANK_ID,
    Strings,
    align,
    classify,
    error_rate,
    join_recordings,
    log_probability,
    pad_ids,
    pad_waves,
    recognize,
    string_batches,
)
from rnn_keras.models.translation import (
    Detokenizer,
    Translation,
    pair_batches,
    teacher_forcing,
    translate,
)

__all__ = [
    "BLANK_ID",
    "CELLS",
    "Decoded",
    "Detokenizer",
    "QuantileLoss",
    "Reader",
    "Strings",
    "Translation",
    "align",
    "build_classifier",
    "build_forecaster",
    "build_language_model",
    "build_speech_recognizer",
    "build_translator",
    "calendar",
    "classify",
    "decode",
    "draw",
    "error_rate",
    "forecast_windows",
    "generate",
    "join_recordings",
    "log_probability",
    "next_token_sequences",
    "ngram_losses",
    "pad_ids",
    "pad_waves",
    "pair_batches",
    "recognize",
    "string_batches",
    "teacher_forcing",
    "translate",
]
