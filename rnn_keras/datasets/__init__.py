"""Data sets from files: labelled texts, pairs of texts, time series and recordings.

Start with `loaders`, which has the functions to call. `labelled` defines the labelled
texts that they return and their split, `series` the time series. `corpora` lists the
data sets that have a name, `tables` and `table_formats` read people's own files, and
`streaming` reads tables that do not fit in memory. Nothing here imports TensorFlow.
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
