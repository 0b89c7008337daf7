"""Recurrent networks on text with Keras: builders, a text classifier, data.

The names below are imported when they are first used, so that `import
rnn_keras` (and `rnn-keras --help`) does not wait for TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnn_keras.classifier import TextClassifier
    from rnn_keras.datasets import (
        load_dataset,
        load_pairs,
        load_recordings,
        load_series,
        load_text,
    )
    from rnn_keras.errors import InputError
    from rnn_keras.generation import generate
    from rnn_keras.labelled import LabelledTexts
    from rnn_keras.layers import MaskedPooling1D
    from rnn_keras.models import (
        build_classifier,
        build_language_model,
        build_translator,
    )
    from rnn_keras.predictions import Prediction
    from rnn_keras.series_models import build_forecaster, build_speech_recognizer
    from rnn_keras.speech import recognize
    from rnn_keras.translation import translate
    from rnn_keras.vectorization import TextVectorizer

__version__ = "0.1.0"

_MODULE_OF = {
    "InputError": "errors",
    "LabelledTexts": "labelled",
    "MaskedPooling1D": "layers",
    "Prediction": "predictions",
    "TextClassifier": "classifier",
    "TextVectorizer": "vectorization",
    "build_classifier": "models",
    "build_forecaster": "series_models",
    "build_language_model": "models",
    "build_speech_recognizer": "series_models",
    "build_translator": "models",
    "generate": "generation",
    "load_dataset": "datasets",
    "load_pairs": "datasets",
    "load_recordings": "datasets",
    "load_series": "datasets",
    "load_text": "datasets",
    "recognize": "speech",
    "translate": "translation",
}
_NEEDS_TENSORFLOW = {
    "audio",
    "batches",
    "checkpoints",
    "checkup",
    "classifier",
    "comparison",
    "contestants",
    "decoding",
    "detokenization",
    "diagnostics",
    "doctor",
    "embedding_checks",
    "explanation",
    "export",
    "export_check",
    "export_onnx",
    "export_tensorflow",
    "forecasting",
    "generation",
    "inference",
    "layers",
    "linear",
    "loop",
    "matching",
    "models",
    "network_checks",
    "pipeline",
    "recipe",
    "recurrence",
    "results",
    "runs",
    "scan",
    "series_models",
    "speech",
    "state",
    "steps",
    "store",
    "text_rules",
    "training",
    "translation",
    "vectorization",
    "windows",
}

__all__ = [
    "InputError",
    "LabelledTexts",
    "MaskedPooling1D",
    "Prediction",
    "TextClassifier",
    "TextVectorizer",
    "build_classifier",
    "build_forecaster",
    "build_language_model",
    "build_speech_recognizer",
    "build_translator",
    "generate",
    "load_dataset",
    "load_pairs",
    "load_recordings",
    "load_series",
    "load_text",
    "recognize",
    "translate",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF and name not in _NEEDS_TENSORFLOW:
        raise AttributeError(f"module 'rnn_keras' has no attribute {name!r}")
    module = _MODULE_OF.get(name, name)
    if module in _NEEDS_TENSORFLOW:
        from rnn_keras._tensorflow import import_quietly

        import_quietly()
    imported = import_module(f"rnn_keras.{module}")
    # A module itself, for `from rnn_keras import layers`, which asks here first.
    return getattr(imported, name) if name in _MODULE_OF else imported


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
