"""Runs an exported classifier, ONNX or LiteRT, without TensorFlow and Keras.

Needs NumPy, and onnxruntime or ai-edge-litert, on the machine that answers:

    pip install --no-deps rnn_keras
    pip install numpy onnxruntime

Beside `model.onnx` lies `model.onnx.json` with vocabulary, class names and the rules of
the tokens (`rnn_keras.text_rules` says how they were found): texts become the same ids
as with the classifier that was exported, whatever they hold, and whichever version of
Unicode this Python knows.

The JSON file beside an export, looked through before anything rests on it.

It comes with the model from somebody else, and may be damaged or made up. What is
checked: that everything is there, of the right type, and no larger than Unicode has
characters. Left out: whether the rules are those of the classifier that was exported.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from rnn_keras.utils.errors import InputError, reason_within
from rnn_keras.utils.predictions import Prediction, name_predictions, run_by_length

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


FORMAT_VERSION = 1
FORMATS = ("onnx", "litert")
# A LiteRT model holds the states of all its steps, however short the text.
MOST_STEPS = 4096
_LAST_POINT = 0x10FFFF


def description_path(path: Path) -> Path:
    """Where the description of the model at `path` lies: `model.onnx.json`."""
    return path.with_name(path.name + ".json")


def read_description(path: str | Path) -> dict[str, Any]:
    """What the JSON file beside the export at `path` holds.

    Raises:
        InputError: if one of the two is missing, or the JSON is another's, of another
            version, or not as export writes it.
    """
    path = Path(path)
    beside = description_path(path)
    for file in (path, beside):
        if not file.is_file():
            raise InputError(f"{file}: no such file; expected what export wrote")
    try:
        description = json.loads(beside.read_text(encoding="utf-8"))
        version, model = description["format_version"], description["model"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{beside}: not written by export, or damaged") from error
    if version != FORMAT_VERSION:
        raise InputError(
            f"{beside}: format version {str(version)[:40]}; expected {FORMAT_VERSION}"
        )
    if model != path.name:
        raise InputError(f"{beside}: belongs to {str(model)[:200]}, not to {path.name}")
    wrong = next(_wrong(description), None)
    if wrong is not None:
        raise InputError(f"{beside}: not written by export, or damaged ({wrong})")
    return description


def in_groups(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """So many at a time."""
    return (numbers[i : i + size] for i in range(0, len(numbers), size))


def _wrong(description: dict[str, Any]) -> Iterator[str]:
    format, length = description.get("format"), description.get("length")
    if format not in FORMATS:
        yield f"format: expected one of {', '.join(FORMATS)}"
    if not _is_texts(description.get("class_names")):
        yield "class_names: expected a list of strings"
    if not _is_texts(description.get("vocabulary")):
        yield "vocabulary: expected a list of strings"
    if description.get("max_length") is not None and not _is_whole(
        description["max_length"], 1
    ):
        yield "max_length: expected a number of tokens, or null"
    if (length is not None or format == "litert") and not _is_whole(
        length, 1, MOST_STEPS
    ):
        yield f"length: expected 1 to {MOST_STEPS}, of litert alone"
    rules = description.get("tokenizer")
    if not isinstance(rules, dict):
        yield "tokenizer: expected its rules"
        return
    if rules.get("unit") not in ("word", "character"):
        yield "unit: expected word or character"
    if not isinstance(rules.get("lowercase"), bool):
        yield "lowercase: expected true or false"
    if not _is_whole(rules.get("unknown_id"), 0, len(description["vocabulary"]) - 1):
        yield "unknown_id: expected a position in the vocabulary"
    if rules["unit"] == "word":
        yield from _wrong_of_words(rules)


def _wrong_of_words(rules: dict[str, Any]) -> Iterator[str]:
    ranges = ["alone", "spaces"]
    if rules["lowercase"]:
        ranges += ["cased", "ignorable"]
        if not _is_runs(rules.get("lower")):
            yield "lower: expected runs of code points"
        if not _is_special(rules.get("special")):
            yield "special: expected the text that each character becomes"
    for name in ranges:
        if not _is_ranges(rules.get(name)):
            yield f"{name}: expected ranges of code points"


def _is_texts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(text, str) for text in value)
    )


def _is_whole(value: Any, least: int, most: int | None = None) -> bool:
    return type(value) is int and value >= least and (most is None or value <= most)


def _is_points(value: Any, size: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) % size == 0
        and all(type(number) is int for number in value)
    )


def _is_ranges(value: Any) -> bool:
    """Whether it is first and last code points, of no more than there are in all."""
    return (
        _is_points(value, 2)
        and len(value) > 0
        and all(0 <= a <= b <= _LAST_POINT for a, b in in_groups(value, 2))
        and sum(b - a + 1 for a, b in in_groups(value, 2)) <= _LAST_POINT + 1
    )


def _is_runs(value: Any) -> bool:
    """Whether it is first, last, step and offset, of no more points than there are."""
    return (
        _is_points(value, 4)
        and all(
            0 <= a <= b <= _LAST_POINT
            and step >= 0
            and 0 <= a + offset <= b + offset <= _LAST_POINT
            for a, b, step, offset in in_groups(value, 4)
        )
        and sum((b - a) // (step or 1) + 1 for a, b, step, _ in in_groups(value, 4))
        <= _LAST_POINT + 1
    )


def _is_special(value: Any) -> bool:
    return isinstance(value, dict) and all(
        len(one) == 1 and isinstance(text, str) for one, text in value.items()
    )
