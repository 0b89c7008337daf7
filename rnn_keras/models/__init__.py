"""Builders of networks, and what each task needs around its network.

`builders` comes first. Then by task: `generation` and `ngrams` (text), `translation`
and `beam_search`, `forecasting` (series), `speech`.
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
from rnn_keras.models.generation import Reader, draw, generate, windows
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
    "ngram_losses",
    "pad_ids",
    "pad_waves",
    "pair_batches",
    "recognize",
    "string_batches",
    "teacher_forcing",
    "translate",
    "windows",
]
