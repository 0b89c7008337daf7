"""Runs an exported classifier, ONNX or LiteRT, without TensorFlow and Keras.

Needs NumPy, and onnxruntime or ai-edge-litert, on the machine that answers:

    pip install --no-deps rnn_keras
    pip install numpy onnxruntime

Beside `model.onnx` lies `model.onnx.json` with vocabulary, class names and the rules of
the tokens (`rnn_keras.text_rules` says how they were found): texts become the same ids
as with the classifier that was exported, whatever they hold, and whichever version of
Unicode this Python knows.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from rnn_keras.errors import InputError
from rnn_keras.exported_description import in_groups, read_description
from rnn_keras.opening import reason_within
from rnn_keras.predictions import Prediction, name_predictions, run_by_length

INSTALL = 'pip install "rnn_keras[export]"'
# LiteRT copies the states of all steps at every step: large batches leave the cache.
_BATCH_SIZES = {"onnx": 32, "litert": 8}


class ExportedVectorizer:
    """`TextVectorizer.encode`, by Python's own means.

    Args:
        description: what the JSON file beside an export holds.
    """

    def __init__(self, description: dict[str, Any]):
        rules = description["tokenizer"]
        self.max_length: int | None = description["max_length"]
        self._by_word = rules["unit"] == "word"
        self._unknown = rules["unknown_id"]
        self._ids = {token: i for i, token in enumerate(description["vocabulary"])}
        if self._by_word:
            alone, spaces = _characters(rules["alone"]), _characters(rules["spaces"])
            self._token = re.compile(f"[{alone}]|[^{alone}{spaces}]+")
        self._lower: dict[int, int | str] = {}
        if self._by_word and rules["lowercase"]:
            self._lower = {ord(a): b for a, b in rules["special"].items()}
            for first, last, step, offset in in_groups(rules["lower"], 4):
                self._lower |= {
                    p: p + offset for p in range(first, last + 1, step or 1)
                }
            cased, passed = map(_characters, (rules["cased"], rules["ignorable"]))
            self._final_sigma = re.compile(
                f"([{cased}][{passed}]*)Σ(?![{passed}]*[{cased}])"
            )

    def tokenize(self, texts: Sequence[str]) -> list[list[str]]:
        """The tokens of each text, before the vocabulary and the cut.

        Raises:
            InputError: if `texts` is one string, or one of them is no string.
        """
        return [self._tokens(text) for text in _checked(texts)]

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Token ids, int32 `(texts, longest)`, padded on the right with 0.

        There is at least one column. A text of more tokens than `max_length` is cut
        at its end.

        Raises:
            InputError: if `texts` is one string, or one of them is no string.
        """
        rows = [
            [self._ids.get(token, self._unknown) for token in tokens[: self.max_length]]
            for tokens in self.tokenize(texts)
        ]
        ids = np.zeros((len(rows), max(map(len, rows), default=0) or 1), np.int32)
        for row, found in zip(ids, rows, strict=True):
            row[: len(found)] = found
        return ids

    def _tokens(self, text: str) -> list[str]:
        # A lone surrogate, not encodable, gives "?".
        text = text.encode("utf-8", errors="replace").decode()
        if not self._by_word:
            return list(text.replace("\0", "\ufffd"))
        if self._lower:
            if "Σ" in text:
                text = self._final_sigma.sub(r"\1ς", text)
            text = text.translate(self._lower)
        return self._token.findall(text)


class ExportedClassifier:
    """Raw strings in, class names and probabilities out, from an export.

    One object answers one caller at a time.

    Args:
        path: of the `.onnx` or `.tflite` file; its description, the same name and
            `.json`, lies beside it.

    Raises:
        InputError: if a file is missing or is no export, the two do not belong
            together, or the package that runs it is not installed.
    """

    def __init__(self, path: str | Path):
        path = Path(path)
        description = read_description(path)
        self.format: str = description["format"]
        self.class_names: tuple[str, ...] = tuple(description["class_names"])
        self.length: int | None = description["length"]
        self.vectorizer = ExportedVectorizer(description)
        try:
            self._forward = {"onnx": _onnx, "litert": _litert}[self.format](path)
        except InputError:
            raise
        except Exception as error:  # of classes that each runtime has for itself
            reason = reason_within(error)
            raise InputError(f"{path}: cannot be loaded ({reason})") from error
        self._check_answer(path)

    def _check_answer(self, path: Path) -> None:
        """A column for each class, as a batch of one empty text shows."""
        try:
            found = np.shape(self.run(np.zeros((1, 1), np.int32)))
        except Exception as error:
            reason = reason_within(error)
            raise InputError(f"{path}: cannot be run ({reason})") from error
        if found != (1, len(self.class_names)):
            raise InputError(
                f"{path}: gives an array of shape {found} for one text; its "
                f"description has {len(self.class_names)} class names"
            )

    def run(self, ids: np.ndarray) -> np.ndarray:
        """Probabilities `(batch, classes)` of token ids.

        Args:
            ids: int32 `(batch, timesteps)`, padded on the right with 0; for LiteRT
                of `length` steps at most.

        Raises:
            InputError: for ids of another shape.
        """
        ids = np.asarray(ids, np.int32)
        if ids.ndim != 2 or 0 in ids.shape:
            raise InputError(
                "ids must be (batch, timesteps) with one of each at least, not of "
                f"shape {ids.shape}"
            )
        if self.length is not None:
            if ids.shape[1] > self.length:
                raise InputError(
                    f"ids have {ids.shape[1]} steps; this export takes {self.length}"
                )
            ids = np.pad(ids, ((0, 0), (0, self.length - ids.shape[1])))
        return self._forward(ids)

    def predict_proba(
        self, texts: Sequence[str], batch_size: int | None = None
    ) -> np.ndarray:
        """Class probabilities `(texts, classes)`, columns as in `class_names`.

        Args:
            texts: a list of strings.
            batch_size: texts at a time; by default what is fast.

        Raises:
            InputError: for what is no list of strings, or a batch size below 1.
        """
        if batch_size is None:
            batch_size = _BATCH_SIZES[self.format]
        ids = self.vectorizer.encode(texts)
        return run_by_length(self.run, ids, len(self.class_names), batch_size)

    @overload
    def predict(self, texts: str, batch_size: int | None = None) -> Prediction: ...
    @overload
    def predict(
        self, texts: Sequence[str], batch_size: int | None = None
    ) -> list[Prediction]: ...
    def predict(self, texts, batch_size=None):
        """Class name and probabilities of each text; one text gets one answer.

        Args:
            texts: a list of strings, or one string.
            batch_size: texts at a time; by default what is fast.
        """
        if isinstance(texts, str):
            return self.predict([texts])[0]
        texts = list(texts)
        probabilities = self.predict_proba(texts, batch_size)
        return name_predictions(texts, probabilities, self.class_names)


def _onnx(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    try:
        from onnxruntime import InferenceSession
    except ImportError as error:
        raise InputError(f"{path}: needs onnxruntime: {INSTALL}") from error
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda ids: session.run(["probabilities"], {"ids": ids})[0]


def _litert(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise InputError(f"{path}: needs ai-edge-litert: {INSTALL}") from error
    interpreter = Interpreter(str(path))
    (given,), (answer,) = (
        interpreter.get_input_details(),
        interpreter.get_output_details(),
    )
    allocated = None

    def forward(ids: np.ndarray) -> np.ndarray:
        nonlocal allocated
        if ids.shape != allocated:
            interpreter.resize_tensor_input(given["index"], ids.shape)
            interpreter.allocate_tensors()
            allocated = ids.shape
        interpreter.set_tensor(given["index"], ids)
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"])

    return forward


def _checked(texts: Sequence[str]) -> Sequence[str]:
    if isinstance(texts, str):
        raise InputError("one string, where a list of strings is expected")
    texts = list(texts)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise InputError(f"text {i} is no string but {kind}: {text!r:.40}")
    return texts


def _characters(ranges: Sequence[int]) -> str:
    """Ranges of code points as the inside of brackets in a regular expression."""
    return "".join(rf"\U{a:08x}-\U{b:08x}" for a, b in in_groups(ranges, 2))
