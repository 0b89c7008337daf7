from . import (
    classification,
    datasets,
    diagnostics,
    doctor,
    experiments,
    export,
    exported,
    layers,
    models,
    plots,
    scoring,
    synthetic,
    training,
)
from .classification import TextClassifier
from .datasets.labelled import LabelledTexts
from .datasets.loaders import (
    load_dataset,
    load_pairs,
    load_recordings,
    load_series,
    load_text,
)
from .layers.masked import MaskedPooling1D
from .layers.text_vectorizer import TextVectorizer
from .models.builders import (
    build_classifier,
    build_forecaster,
    build_language_model,
    build_speech_recognizer,
    build_translator,
)
from .models.generation import generate
from .models.speech import recognize
from .models.translation import translate
from .utils.errors import InputError
from .utils.predictions import Prediction
from .utils import __version__

__all__ = [
    "InputError",
    "LabelledTexts",
    "MaskedPooling1D",
    "Prediction",
    "TextClassifier",
    "TextVectorizer",
    "__version__",
    "build_classifier",
    "build_forecaster",
    "build_language_model",
    "build_speech_recognizer",
    "build_translator",
    "classification",
    "datasets",
    "diagnostics",
    "doctor",
    "experiments",
    "export",
    "exported",
    "generate",
    "layers",
    "load_dataset",
    "load_pairs",
    "load_recordings",
    "load_series",
    "load_text",
    "models",
    "plots",
    "recognize",
    "scoring",
    "synthetic",
    "training",
    "translate",
]
