"""Files to texts, pairs of texts, series and sound. No TensorFlow.

`loaders` holds the functions to call; they return what `labelled` and `series` define.
`corpora` knows the data sets that have a name, `tables` and `table_formats` read
people's files, and `streaming` reads what is larger than memory.
"""

from rnn_keras.datasets.corpora import CORPORA, Recordings, cache_folder
from rnn_keras.datasets.labelled import LabelledTexts, Splits
from rnn_keras.datasets.loaders import (
    load_dataset,
    load_pairs,
    load_recordings,
    load_series,
    load_text,
)
from rnn_keras.datasets.streaming import Stream, table_rows

__all__ = [
    "CORPORA",
    "LabelledTexts",
    "Recordings",
    "Splits",
    "Stream",
    "cache_folder",
    "load_dataset",
    "load_pairs",
    "load_recordings",
    "load_series",
    "load_text",
    "table_rows",
]
