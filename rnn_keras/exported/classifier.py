"""ExportedClassifier: answers of a saved or exported classifier without TensorFlow."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from rnn_keras.exported.description import read_description
from rnn_keras.exported.runtimes import LOADERS, Forward
from rnn_keras.exported.vectorizer import ExportedVectorizer
from rnn_keras.scoring import score_chunks
from rnn_keras.utils.errors import InputError, check_pairs, reason_within
from rnn_keras.utils.files import RUN_MODEL, kind_of_path
from rnn_keras.utils.predictions import (
    Prediction,
    name_predictions,
    run_by_length,
)
from rnn_keras.utils.threads import num_cores, one_blas_thread

# For so few texts, a product is too small for NumPy's library to use several threads.
_FEW = 32
# LiteRT copies the states of all steps at every step: large batches leave the cache.
_BATCH_SIZES = {"keras": 256, "onnx": 32, "litert": 8}


class ExportedClassifier:
    """Raw strings in, class names and probabilities out, without TensorFlow.

    A saved classifier answers any number of threads at the same time, and also in a
    process that was forked after it was loaded. An export answers one caller at a time.

    Args:
        path: a `.keras` file that `TextClassifier.save` wrote, the folder of a run, or
            an exported `.onnx` or `.tflite` file. The description of an export lies
            beside it, under the same name with `.json` appended.

    Attributes:
        format: `"keras"`, `"onnx"` or `"litert"`.
        class_names: name of each class, in the order of the probabilities.
        length: number of token ids per text that a LiteRT model takes; `None` for
            the others, which take any number.
        vectorizer: turns texts into token ids.

    Raises:
        InputError: if a file is missing, damaged or of another kind, if an export and
            its description do not belong together, or if the package that runs the
            model is not installed.
        NotCoveredError: an `InputError`: if only Keras can read a saved classifier,
            because an earlier version saved it or because its network is not one of
            `build_classifier`'s. `TextClassifier.load` reads it.
    """

    def __init__(self, path: str | Path):
        self.format: str
        self.class_names: tuple[str, ...]
        self.length: int | None
        self._forward: Forward
        path = Path(path)
        kind = kind_of_path(path)
        if kind is None:
            raise InputError(
                f"{path}: no such file; expected a saved or an exported classifier"
            )
        if kind == "folder":
            path = path / RUN_MODEL
        if path.suffix == ".keras":
            self._open_saved(path)
        else:
            self._open_export(path)

    def _open_saved(self, path: Path) -> None:
        try:
            from rnn_keras.exported.saved import read_saved
        except ImportError as error:
            raise InputError(f"{path}: needs h5py: pip install h5py") from error
        saved = read_saved(path)
        self.format = "keras"
        self.class_names = saved.class_names
        self.length = None
        self.vectorizer = ExportedVectorizer(saved.description)
        self._forward = saved.probabilities

    def _open_export(self, path: Path) -> None:
        description = read_description(path)
        self.format = description["format"]
        self.class_names = tuple(description["class_names"])
        self.length = description["length"]
        self.vectorizer = ExportedVectorizer(description)
        try:
            self._forward = LOADERS[self.format](path)
        except InputError:
            raise
        except Exception as error:  # each runtime has exception classes of its own
            reason = reason_within(error)
            raise InputError(f"{path}: cannot be loaded ({reason})") from error
        self._check_model(path)

    def _check_model(self, path: Path) -> None:
        """Run one empty text, which must give one probability for each class."""
        try:
            shape = np.shape(self.run(np.zeros((1, 1), np.int32)))
        except Exception as error:
            reason = reason_within(error)
            raise InputError(f"{path}: cannot be run ({reason})") from error
        if shape != (1, len(self.class_names)):
            raise InputError(
                f"{path}: gives an array of shape {shape} for one text, but its "
                f"description has {len(self.class_names)} class names"
            )

    def run(self, ids: np.ndarray) -> np.ndarray:
        """Class probabilities of token ids.

        Args:
            ids: int32 `(batch, timesteps)`, padded on the right with 0. A LiteRT model
                takes at most `length` timesteps.

        Returns:
            float32 `(batch, classes)`.

        Raises:
            InputError: if `ids` has another shape.
        """
        ids = np.asarray(ids, np.int32)
        if ids.ndim != 2 or 0 in ids.shape:
            raise InputError(
                f"ids have shape {ids.shape}; expected (batch, timesteps), both at "
                "least 1"
            )
        if self.length is not None:
            if ids.shape[1] > self.length:
                raise InputError(
                    f"ids have {ids.shape[1]} steps; this export takes {self.length}"
                )
            ids = np.pad(ids, ((0, 0), (0, self.length - ids.shape[1])))
        return self._forward(ids)

    def predict_proba(
        self, texts: Iterable[str], batch_size: int | None = None
    ) -> np.ndarray:
        """Class probabilities `(texts, classes)`, with columns as in `class_names`.

        Args:
            texts: strings, but not one string.
            batch_size: number of texts per batch; by default 256 for a saved
                classifier, 32 for ONNX and 8 for LiteRT, which are fast.

        Raises:
            InputError: if `texts` holds anything but strings, or `batch_size` is
                below 1.
        """
        if batch_size is None:
            batch_size = _BATCH_SIZES[self.format]
        ids = self.vectorizer.encode(texts)
        sizes = (len(self.class_names), batch_size)
        if self.format != "keras" or len(ids) <= _FEW:
            return run_by_length(self.run, ids, *sizes)
        with one_blas_thread() as is_limited:
            threads = num_cores() if is_limited else 1
            return run_by_length(self.run, ids, *sizes, threads)

    # A string is an iterable of strings, too; the first signature that fits counts.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self, texts: str, batch_size: int | None = None
    ) -> Prediction: ...
    @overload
    def predict(
        self, texts: Iterable[str], batch_size: int | None = None
    ) -> list[Prediction]: ...
    def predict(self, texts, batch_size=None):
        """Class name and probabilities of each text; one string gets one answer.

        Args:
            texts: one string, or several.
            batch_size: as in `predict_proba`.
        """
        if isinstance(texts, str):
            return self.predict([texts])[0]
        texts = list(texts)
        probabilities = self.predict_proba(texts, batch_size)
        return name_predictions(texts, probabilities, self.class_names)

    def labels_of(
        self, texts: Iterable[str], batch_size: int | None = None
    ) -> list[str]:
        """Most probable class of each text; of equals the first."""
        best = self.predict_proba(texts, batch_size).argmax(axis=1)
        return [self.class_names[i] for i in best]

    def evaluate(
        self,
        texts: Sequence[str],
        labels: Sequence[Any],
        batch_size: int | None = None,
    ) -> dict[str, Any]:
        """Score the classifier on labelled texts: see `rnn_keras.scoring.score`.

        Raises:
            InputError: if a label is not in `class_names`, or the number of labels is
                not the number of texts.
        """
        check_pairs(texts, labels)
        return self.evaluate_chunks([(texts, labels)], batch_size)

    def evaluate_chunks(
        self,
        chunks: Iterable[tuple[Sequence[str], Sequence[Any]]],
        batch_size: int | None = None,
    ) -> dict[str, Any]:
        """Score the classifier on texts and labels that come some at a time.

        Raises:
            InputError: if a label is not in `class_names`.
        """
        labels_of = partial(self.labels_of, batch_size=batch_size)
        return score_chunks(labels_of, chunks, self.class_names)
