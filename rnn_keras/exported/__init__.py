"""What answers without TensorFlow and Keras: saved and exported classifiers.

Start with `classifier`. `vectorizer` turns texts into token ids. A saved `.keras` file
is looked through by `archive` and `allowlist`, which `TextClassifier.load` uses too,
and read by `saved`; `network` and `ngrams` compute its answers in NumPy. The answers of
an export are computed by `runtimes`, and `description` reads the file beside it.

The machine that answers needs NumPy, `lazy-loader`, and `h5py`, `onnxruntime` or
`ai-edge-litert`:

    pip install --no-deps rnn_keras
    pip install numpy lazy-loader h5py
"""

from rnn_keras.exported.classifier import ExportedClassifier
from rnn_keras.exported.description import (
    FORMAT_VERSION,
    MOST_STEPS,
    description_path,
    read_description,
)
from rnn_keras.exported.network import NotCoveredError
from rnn_keras.exported.runtimes import INSTALL
from rnn_keras.exported.vectorizer import ExportedVectorizer

__all__ = [
    "FORMAT_VERSION",
    "INSTALL",
    "MOST_STEPS",
    "ExportedClassifier",
    "ExportedVectorizer",
    "NotCoveredError",
    "description_path",
    "read_description",
]
