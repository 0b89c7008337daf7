"""Runs an exported classifier (ONNX or LiteRT) without TensorFlow and Keras.

The machine that answers needs NumPy, `lazy-loader`, and `onnxruntime` or
`ai-edge-litert`:

    pip install --no-deps rnn_keras
    pip install numpy lazy-loader onnxruntime

Beside the model `model.onnx` lies its description `model.onnx.json`: the vocabulary,
the class names and the tokenizer's rules (`rnn_keras.layers.tokenizer_rules` says how
they were found). With it, `ExportedVectorizer` turns every text into the token ids that
the exported classifier gives it, whichever version of Unicode this Python knows.

The description comes with the model from somebody else and may be damaged or forged, so
`read_description` checks it before anything uses it: every entry is there, has the
right type, and is no larger than Unicode has code points. Whether the rules are those
of the exported classifier cannot be checked here.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from rnn_keras.utils.errors import InputError, checked_texts, reason_within
from rnn_keras.utils.predictions import Prediction, name_predictions, run_by_length

INSTALL = 'pip install "rnn_keras[export]"'
FORMAT_VERSION = 1
# A LiteRT model holds the states of all its steps, however short the text is.
MOST_STEPS = 4096
# LiteRT copies the states of all steps at every step: large batches leave the cache.
_BATCH_SIZES = {"onnx": 32, "litert": 8}
_LAST_CODE_POINT = 0x10FFFF

Forward = Callable[[np.ndarray], np.ndarray]


class ExportedClassifier:
    """Raw strings in, class names and probabilities out, from an export.

    One object answers one caller at a time.

    Args:
        path: the `.onnx` or `.tflite` file. Its description lies beside it, under the
            same name with `.json` appended.

    Attributes:
        format: `"onnx"` or `"litert"`.
        class_names: name of each class, in the order of the probabilities.
        length: number of token ids per text that a LiteRT model takes; `None` for
            ONNX, which takes any number.
        vectorizer: turns texts into token ids.

    Raises:
        InputError: if a file is missing or is not an export, if the two files do not
            belong together, or if the package that runs the model is not installed.
    """

    def __init__(self, path: str | Path):
        path = Path(path)
        description = read_description(path)
        self.format: str = description["format"]
        self.class_names: tuple[str, ...] = tuple(description["class_names"])
        self.length: int | None = description["length"]
        self.vectorizer = ExportedVectorizer(description)
        try:
            self._forward = _LOADERS[self.format](path)
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
            batch_size: number of texts per batch; by default 32 for ONNX and 8 for
                LiteRT, which are fast.

        Raises:
            InputError: if `texts` holds anything but strings, or `batch_size` is
                below 1.
        """
        if batch_size is None:
            batch_size = _BATCH_SIZES[self.format]
        ids = self.vectorizer.encode(texts)
        return run_by_length(self.run, ids, len(self.class_names), batch_size)

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


class ExportedVectorizer:
    """Turns texts into the token ids of `TextVectorizer.encode`, in plain Python.

    Args:
        description: content of the JSON file beside an export.
    """

    def __init__(self, description: dict[str, Any]):
        rules = description["tokenizer"]
        self.max_length: int | None = description["max_length"]
        self._unknown = rules["unknown_id"]
        self._ids = {token: i for i, token in enumerate(description["vocabulary"])}
        self._by_word = rules["unit"] == "word"
        self._lower: dict[int, int | str] = {}
        if self._by_word:
            alone = _character_class(rules["alone"])
            spaces = _character_class(rules["spaces"])
            self._token = re.compile(f"[{alone}]|[^{alone}{spaces}]+")
            if rules["lowercase"]:
                self._lower = _lower_case_table(rules)
                self._final_sigma = _final_sigma(rules)

    def tokenize(self, texts: Iterable[str]) -> list[list[str]]:
        """The tokens of each text: all of them, known or not.

        Raises:
            InputError: if `texts` is one string, or holds anything but strings.
        """
        return [self._split(text) for text in checked_texts(texts)]

    def encode(self, texts: Iterable[str]) -> np.ndarray:
        """Token ids, int32 `(texts, longest)`, padded on the right with 0.

        A text of more than `max_length` tokens is cut at its end. There is at least
        one column.

        Raises:
            InputError: if `texts` is one string, or holds anything but strings.
        """
        rows = [
            [self._ids.get(token, self._unknown) for token in tokens[: self.max_length]]
            for tokens in self.tokenize(texts)
        ]
        ids = np.zeros((len(rows), max(map(len, rows), default=0) or 1), np.int32)
        for row, found in zip(ids, rows, strict=True):
            row[: len(found)] = found
        return ids

    def _split(self, text: str) -> list[str]:
        # A lone surrogate cannot be encoded, and becomes "?".
        text = text.encode("utf-8", errors="replace").decode()
        if not self._by_word:
            return list(text.replace("\0", "\ufffd"))
        if self._lower:
            if "Σ" in text:
                text = self._final_sigma.sub(r"\1ς", text)
            text = text.translate(self._lower)
        return self._token.findall(text)


def _character_class(ranges: Sequence[int]) -> str:
    """Ranges of code points, as the inside of brackets in a regular expression."""
    return "".join(rf"\U{a:08x}-\U{b:08x}" for a, b in _in_groups(ranges, 2))


def _lower_case_table(rules: dict[str, Any]) -> dict[int, int | str]:
    """What `str.translate` needs to lower-case a text."""
    table: dict[int, int | str] = {ord(a): b for a, b in rules["special"].items()}
    for first, last, step, offset in _in_groups(rules["lower"], 4):
        points = range(first, last + 1, step or 1)
        table |= {point: point + offset for point in points}
    return table


def _final_sigma(rules: dict[str, Any]) -> re.Pattern[str]:
    """Finds each capital sigma that ends a word, with what stands before it."""
    cased = _character_class(rules["cased"])
    ignorable = _character_class(rules["ignorable"])
    return re.compile(f"([{cased}][{ignorable}]*)Σ(?![{ignorable}]*[{cased}])")


def _in_groups(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """The numbers in consecutive groups of `size`."""
    return (numbers[i : i + size] for i in range(0, len(numbers), size))


# -- the runtimes -----------------------------------------------------------------


def _load_onnx(path: Path) -> Forward:
    try:
        from onnxruntime import InferenceSession
    except ImportError as error:
        raise InputError(f"{path}: needs onnxruntime: {INSTALL}") from error
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda ids: session.run(["probabilities"], {"ids": ids})[0]


def _load_litert(path: Path) -> Forward:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise InputError(f"{path}: needs ai-edge-litert: {INSTALL}") from error
    interpreter = Interpreter(str(path))
    (given,) = interpreter.get_input_details()
    (answer,) = interpreter.get_output_details()
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


_LOADERS: dict[str, Callable[[Path], Forward]] = {
    "onnx": _load_onnx,
    "litert": _load_litert,
}


# -- the description --------------------------------------------------------------


def description_path(path: Path) -> Path:
    """Path of the description of the model at `path`, as `model.onnx.json`."""
    return path.with_name(path.name + ".json")


def read_description(path: str | Path) -> dict[str, Any]:
    """Content of the JSON file beside the export at `path`, checked.

    Raises:
        InputError: if either file is missing, or the JSON belongs to another model,
            has another version, or is not as export writes it.
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
    fault = next(_description_faults(description), None)
    if fault is not None:
        raise InputError(f"{beside}: not written by export, or damaged ({fault})")
    return description


def _description_faults(description: dict[str, Any]) -> Iterator[str]:
    """A few words on each entry that export would not write so."""
    format, length = description.get("format"), description.get("length")
    if format not in _LOADERS:
        yield f"format: expected one of {', '.join(_LOADERS)}"
    for name in ("class_names", "vocabulary"):
        if not _is_list_of_strings(description.get(name)):
            yield f"{name}: expected a list of strings"
    max_length = description.get("max_length")
    if max_length is not None and not _is_integer(max_length, 1):
        yield "max_length: expected a number of tokens, or null"
    fixed = length is not None or format == "litert"
    if fixed and not _is_integer(length, 1, MOST_STEPS):
        yield f"length: expected 1 to {MOST_STEPS} for litert, null for onnx"
    rules = description.get("tokenizer")
    if not isinstance(rules, dict):
        yield "tokenizer: expected an object with the tokenizer's rules"
        return
    yield from _rule_faults(rules, len(description["vocabulary"]))


def _rule_faults(rules: dict[str, Any], vocabulary_size: int) -> Iterator[str]:
    if rules.get("unit") not in ("word", "character"):
        yield "unit: expected word or character"
    if not isinstance(rules.get("lowercase"), bool):
        yield "lowercase: expected true or false"
    if not _is_integer(rules.get("unknown_id"), 0, vocabulary_size - 1):
        yield "unknown_id: expected a position in the vocabulary"
    if rules["unit"] != "word":
        return
    ranges = ["alone", "spaces"]
    if rules["lowercase"]:
        ranges += ["cased", "ignorable"]
        if not _is_lower_case_runs(rules.get("lower")):
            yield "lower: expected runs of code points"
        if not _is_special_case_map(rules.get("special")):
            yield "special: expected the text that each character becomes"
    for name in ranges:
        if not _is_ranges(rules.get(name)):
            yield f"{name}: expected ranges of code points"


def _is_list_of_strings(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) > 0
        and all(isinstance(text, str) for text in value)
    )


def _is_integer(value: Any, least: int, most: int | None = None) -> bool:
    return type(value) is int and value >= least and (most is None or value <= most)


def _is_groups_of_integers(value: Any, size: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) % size == 0
        and all(type(number) is int for number in value)
    )


def _is_ranges(value: Any) -> bool:
    """Whether it lists first and last code points, not more than there are in all."""
    return (
        _is_groups_of_integers(value, 2)
        and len(value) > 0
        and all(0 <= a <= b <= _LAST_CODE_POINT for a, b in _in_groups(value, 2))
        and sum(b - a + 1 for a, b in _in_groups(value, 2)) <= _LAST_CODE_POINT + 1
    )


def _is_lower_case_runs(value: Any) -> bool:
    """Whether it lists first, last, step and offset, for not more points than exist."""
    return (
        _is_groups_of_integers(value, 4)
        and all(
            0 <= a <= b <= _LAST_CODE_POINT
            and step >= 0
            and 0 <= a + offset <= b + offset <= _LAST_CODE_POINT
            for a, b, step, offset in _in_groups(value, 4)
        )
        and sum((b - a) // (step or 1) + 1 for a, b, step, _ in _in_groups(value, 4))
        <= _LAST_CODE_POINT + 1
    )


def _is_special_case_map(value: Any) -> bool:
    return isinstance(value, dict) and all(
        len(character) == 1 and isinstance(text, str)
        for character, text in value.items()
    )
