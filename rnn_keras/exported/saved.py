"""Reads a saved classifier without Keras: the parts of a `.keras` file, in NumPy.

`rnn_keras.exported.archive` has looked through the file by then. What is left to find
out is whether this package can compute what Keras would: a classifier as `rnn-keras
train` makes it, a chain of the layers that `rnn_keras.exported.network` has, with the
settings that it computes. Every name, setting, connection and shape is compared with
what is expected, and anything else raises `NotCoveredError`. Then Keras must read the
file, and says what is wrong with it, if anything is.
"""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import h5py
import numpy as np

from rnn_keras.exported.allowlist import OWN_NAMES
from rnn_keras.exported.archive import RULES, read_archive
from rnn_keras.exported.network import (
    NUM_BLOCKS,
    Direction,
    Network,
    NotCoveredError,
    RecurrentLayer,
)
from rnn_keras.exported.ngrams import LinearModel
from rnn_keras.exported.vectorizer import rule_faults
from rnn_keras.utils.choices import CellName, Pooling
from rnn_keras.utils.errors import InputError, reason_of
from rnn_keras.utils.predictions import softmax

_CELLS: dict[str, CellName] = {"SimpleRNN": "simple_rnn", "GRU": "gru", "LSTM": "lstm"}
_SPECIAL_TOKENS = ["", "[UNK]"]
_LAYERS_PATH = "layers/functional/layers"
# Settings of layers that change nothing once the layer is trained.
_HARMLESS = re.compile(
    r"name|trainable|.*_(initializer|regularizer|constraint)|"
    r"seed|rate|noise_shape|dropout|recurrent_dropout|unit_forget_bias|"
    # All outputs of padding are masked, whatever they are.
    r"zero_output_for_mask|unroll"
)
_RECURRENT = {
    "return_state": False,
    "stateful": False,
    "activation": "tanh",
    "use_bias": True,
}
# The settings that a layer must have; those that are `...` are read.
_SETTINGS: dict[str, dict[str, Any]] = {
    "InputLayer": {
        "batch_shape": [None, None],
        "dtype": "int32",
        "sparse": False,
        "ragged": False,
        "optional": False,
    },
    "Embedding": {
        "input_dim": ...,
        "output_dim": ...,
        "mask_zero": True,
        "quantization_config": None,
    },
    "NotEqual": {},
    "Dropout": {},
    "Bidirectional": {"merge_mode": "concat", "layer": ..., "backward_layer": ...},
    "SimpleRNN": {**_RECURRENT},
    "GRU": {**_RECURRENT, "recurrent_activation": "sigmoid", "reset_after": True},
    "LSTM": {**_RECURRENT, "recurrent_activation": "sigmoid"},
    "MaskedPooling1D": {"mode": ...},
    "Dense": {
        "units": ...,
        "activation": "linear",
        "use_bias": True,
        "quantization_config": None,
    },
    "TextVectorizer": {
        "unit": ...,
        "lowercase": ...,
        "max_tokens": ...,
        "min_count": ...,
        "max_length": ...,
        "vocabulary": ...,
    },
    "LinearPath": {"num_classes": ..., "rows": ..., "max_ngram": ...},
}
for _cell in _CELLS:
    _SETTINGS[_cell] |= {"units": ..., "return_sequences": ..., "go_backwards": ...}
_ENDS = "input_layers", "output_layers"
_WITHOUT_DTYPE = {"InputLayer", "NotEqual"}


class SavedClassifier(NamedTuple):
    """The parts of a saved classifier.

    Attributes:
        class_names: the name of each class.
        description: what `ExportedVectorizer` takes.
        network: from token ids to logits.
        linear: adds the logits of n-grams, if the classifier has such a model.
    """

    class_names: tuple[str, ...]
    description: dict[str, Any]
    network: Network
    linear: LinearModel | None

    def probabilities(self, ids: np.ndarray) -> np.ndarray:
        """Return class probabilities, float32 `(texts, classes)`.

        Args:
            ids: token ids `(texts, timesteps)`, padded on the right with 0.

        Raises:
            InputError: if an id is unknown, or a 0 stands before another id.
        """
        highest = len(self.network.embedding) - 1
        if ids.min() < 0 or ids.max() > highest:
            raise InputError(f"ids have to be from 0 to {highest}")
        if ((ids[:, :-1] == 0) & (ids[:, 1:] != 0)).any():
            raise InputError("0 is padding, which has to stand behind all other ids")
        with _overflow_is_allowed():
            logits = self.network.logits(ids)
            if self.linear is not None:
                logits = self.linear.add_to(logits, ids)
            return softmax(logits)


def read_saved(path: Path) -> SavedClassifier:
    """Read a classifier that `TextClassifier.save` wrote.

    Raises:
        InputError: if there is no such file, or it is damaged or refused.
        NotCoveredError: if only Keras can read it.
    """
    archive = read_archive(path, OWN_NAMES)
    if archive.rules is None:
        reason = "it holds no tokenizer's rules; saving it again adds them"
        raise _not_covered(path, reason)
    try:
        with (
            h5py.File(io.BytesIO(archive.weights), "r") as weights,
            _overflow_is_allowed(),
        ):
            parts = _read_parts(archive.config, weights)
    # Whatever else is wrong with a file, Keras finds it and says so.
    except Exception as error:
        raise _not_covered(path, reason_of(error)) from error
    size = len(parts.description["vocabulary"])
    parts.description["tokenizer"] = _read_rules(path, archive.rules, parts, size)
    return parts


def _overflow_is_allowed() -> np.errstate:
    """Inside, NumPy does not warn: the weights of a stranger may be any numbers."""
    return np.errstate(all="ignore")


def _not_covered(path: Path, reason: str) -> NotCoveredError:
    return NotCoveredError(f"{path}: only TextClassifier.load can read it ({reason})")


def _read_rules(
    path: Path, content: bytes, parts: SavedClassifier, vocabulary_size: int
) -> dict[str, Any]:
    try:
        rules = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its {RULES} is not JSON ({error})") from error
    for fault in rule_faults(rules, vocabulary_size):
        raise InputError(f"{path}: its {RULES} is damaged ({fault})")
    for name in ("unit", "lowercase"):
        if rules[name] != parts.description[name]:
            raise InputError(
                f"{path}: its {RULES} is damaged ({name}: expected "
                f"{parts.description[name]})"
            )
    return rules


def _require(condition: Any, what: object) -> None:
    """Raise `ValueError`, which becomes a `NotCoveredError`, unless `condition`."""
    if not condition:
        raise ValueError(str(what)[:200])


def _settings(node: dict[str, Any], kinds: str | tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of a layer, if it is of this kind and has the usual ones."""
    kind, config = node["class_name"], node["config"]
    _require(kind in ((kinds,) if isinstance(kinds, str) else kinds), f"a {kind}")
    expected = _SETTINGS[kind]
    found = {k: v for k, v in config.items() if not _HARMLESS.fullmatch(k)}
    if kind not in _WITHOUT_DTYPE:
        policy = found.pop("dtype")
        if isinstance(policy, dict):
            policy = policy["config"]["name"]
        _require(policy == "float32", f"{kind}: dtype {policy}")
    _require(found.keys() == expected.keys(), f"{kind} with {', '.join(found)}")
    for name, value in expected.items():
        _require(value is ... or found[name] == value, f"{kind}: {name}={found[name]}")
    return found


def _read_parts(config: dict[str, Any], weights: h5py.File) -> SavedClassifier:
    _require(config["class_name"] == "TextClassifier", f"a {config['class_name']}")
    parts = config["config"]
    expected = {"name", "network", "preprocessor", "class_names", "linear"}
    _require(parts.keys() == expected, f"a classifier of {', '.join(parts)}")
    class_names = tuple(parts["class_names"])
    description = _read_preprocessor(parts["preprocessor"])
    network = _read_network(parts["network"], weights)
    vocabulary_size = len(description["vocabulary"])
    _require(len(network.embedding) >= vocabulary_size, "more tokens than vectors")
    _require(len(network.bias) == len(class_names), "logits of other classes")
    linear = None
    if parts["linear"] is not None:
        linear = _read_linear(parts["linear"], weights, len(class_names))
    return SavedClassifier(class_names, description, network, linear)


def _read_preprocessor(node: dict[str, Any]) -> dict[str, Any]:
    settings = _settings(node, "TextVectorizer")
    # The configuration has been looked through: it is a list of strings or nothing.
    tokens = settings["vocabulary"] or []
    _require(not set(tokens) & set(_SPECIAL_TOKENS), "special tokens in the vocabulary")
    _require(len(set(tokens)) == len(tokens), "equal tokens in the vocabulary")
    for token in tokens:
        token.encode()  # TensorFlow does not take a lone surrogate either
    for name in ("max_tokens", "min_count", "max_length"):
        value = settings[name]
        _require(value is None or (type(value) is int and value > 0), f"{name} {value}")
    limit = settings["max_tokens"]
    _require(limit is None or len(tokens) + 2 <= limit, f"more than {limit} tokens")
    return {**settings, "vocabulary": [*_SPECIAL_TOKENS, *tokens]}


def _read_network(node: dict[str, Any], weights: h5py.File) -> Network:
    _require(node["class_name"] == "Functional", f"a {node['class_name']} network")
    chain = _Chain(node["config"], weights)
    chain.take("InputLayer")
    embedding = chain.read_embedding()
    features = embedding.shape[1]
    layers: list[RecurrentLayer] = []
    returns_sequences = True
    while chain.next_is("Bidirectional", *_CELLS):
        _require(returns_sequences, "a layer above one that returns its last state")
        layer, returns_sequences = chain.read_recurrent(features)
        features = layer.units * len(layer.directions)
        layers.append(layer)
    _require(layers, "no recurrent layer")
    pooling: Pooling = "last"
    if returns_sequences:
        pooling = chain.take("MaskedPooling1D")["mode"]
        _require(pooling in get_args(Pooling) and pooling != "last", pooling)
    if pooling == "max_mean":
        features *= 2
    kernel, bias = chain.read_dense(features)
    return Network(embedding, layers, pooling, kernel, bias)


class _Chain:
    """The layers of a network, each of which takes what the one before it returns.

    Args:
        config: the configuration of a `Functional` model.
        weights: the file of all weights.

    Attributes:
        path: where the weights of the layer are that was taken last.
    """

    path: str

    def __init__(self, config: dict[str, Any], weights: h5py.File):
        expected = {"name", "trainable", "layers", *_ENDS}
        _require(config.keys() == expected, f"a model of {', '.join(config)}")
        self._weights = weights
        nodes = config["layers"]
        self._paths = dict(_paths_of(nodes))
        masks = [node for node in nodes if node["class_name"] == "NotEqual"]
        # Dropout does nothing to a trained network; it only hands on what it takes.
        self._layers = [node for node in nodes if node not in masks]
        self._mask, self._source = None, None
        _require(len(self._paths) == len(nodes) and len(masks) <= 1, "other layers")
        for node in masks:
            self._mask = node["name"]
            _settings(node, "NotEqual")
            (call,) = node["inbound_nodes"]
            ids, zero = call["args"]
            is_zero = type(zero) is int and zero == 0 and not call["kwargs"]
            _require(is_zero, "another mask")
            _require(_history(ids) == config["input_layers"], "another mask")
        first, last = self._layers[0]["name"], self._layers[-1]["name"]
        ends = [config[end] for end in _ENDS]
        _require(ends == [[first, 0, 0], [last, 0, 0]], "other inputs or outputs")

    def next_is(self, *kinds: str) -> bool:
        """Return whether the next layer but for dropout is one of these."""
        while self._layers and self._layers[0]["class_name"] == "Dropout":
            self._take("Dropout")
        return bool(self._layers) and self._layers[0]["class_name"] in kinds

    def take(self, *kinds: str) -> dict[str, Any]:
        """Return the settings of the next layer, which must be one of these."""
        self.next_is()
        return self._take(*kinds)

    def _take(self, *kinds: str) -> dict[str, Any]:
        node = self._layers.pop(0)
        settings = _settings(node, kinds)
        name = node["name"]
        _require(node["config"]["name"] == name, "a layer of two names")
        self._check_call(node)
        self._source = name
        self.path = self._paths[name]
        _check_name(self._weights, self.path, name)
        return settings

    def _check_call(self, node: dict[str, Any]) -> None:
        """Require that a layer takes what the last one returns, and the mask."""
        if self._source is None:
            _require(node["inbound_nodes"] == [], "an input that takes something")
            return
        (call,) = node["inbound_nodes"]
        (tensor,) = call["args"]
        _require(_history(tensor) == [self._source, 0, 0], "another order of layers")
        given = dict(call["kwargs"])
        _require(given.pop("training", False) in (False, None), "a layer in training")
        if node["class_name"] in ("Bidirectional", "MaskedPooling1D", *_CELLS):
            _require(self._mask is not None, "no mask")
            _require(_history(given.pop("mask")) == [self._mask, 0, 0], "another mask")
        _require(not given, f"a layer that takes {', '.join(given)}")

    def read_embedding(self) -> np.ndarray:
        settings = self.take("Embedding")
        shape = settings["input_dim"], settings["output_dim"]
        (table,) = _arrays(self._weights, self.path, [shape])
        return table

    def read_dense(self, features: int) -> tuple[np.ndarray, np.ndarray]:
        """Read the last layer."""
        units = self.take("Dense")["units"]
        _require(not self._layers, "more layers")
        kernel, bias = _arrays(self._weights, self.path, [(features, units), (units,)])
        return kernel, bias

    def read_recurrent(self, features: int) -> tuple[RecurrentLayer, bool]:
        """Read a recurrent layer, and whether it returns the states of all steps.

        Args:
            features: size of the layer's inputs.
        """
        node = self._layers[0]
        settings = self.take("Bidirectional", *_CELLS)
        if node["class_name"] == "Bidirectional":
            both = [settings["layer"], settings["backward_layer"]]
            paths = [f"{self.path}/forward_layer", f"{self.path}/backward_layer"]
        else:
            both, paths = [node], [self.path]
        each = [_settings(inner, tuple(_CELLS)) for inner in both]
        backwards = [inner.pop("go_backwards") for inner in each]
        _require(backwards == [False, True][: len(each)], "other directions")
        kinds = {inner["class_name"] for inner in both}
        _require(len(kinds) == 1 and each[0] == each[-1], "different directions")
        cell, units = _CELLS[kinds.pop()], each[0]["units"]
        returns_sequences = each[0]["return_sequences"]
        _require(type(units) is int and type(returns_sequences) is bool, "other sizes")
        width = NUM_BLOCKS[cell] * units
        bias = (2, width) if cell == "gru" else (width,)
        directions = []
        for inner, path in zip(both, paths, strict=True):
            _check_name(self._weights, path, inner["config"]["name"])
            shapes = (features, width), (units, width), bias
            arrays = _arrays(self._weights, f"{path}/cell", shapes)
            directions.append(Direction(*arrays))
        return RecurrentLayer(cell, directions), returns_sequences


def _history(tensor: dict[str, Any]) -> Any:
    """Return of which layer a tensor is the output, as Keras writes it down."""
    _require(tensor["class_name"] == "__keras_tensor__", "no tensor")
    return tensor["config"]["keras_history"]


def _paths_of(nodes: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield each layer's name and where Keras puts its weights.

    Keras counts the layers of each class in the order of the model.
    """
    counts: dict[str, int] = {}
    for node in nodes:
        kind = node["class_name"]
        _require(isinstance(kind, str) and kind in _SETTINGS, f"a {kind}")
        snake = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
        snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", snake).lower()
        number = counts[snake] = counts.get(snake, -1) + 1
        group = f"{snake}_{number}" if number else snake
        yield node["name"], f"{_LAYERS_PATH}/{group}"


def _check_name(weights: h5py.File, path: str, name: str) -> None:
    found = weights[f"{path}/vars"].attrs["name"]
    _require(found == name, f"weights of {found} for {name}")


def _arrays(
    weights: h5py.File, path: str, shapes: Any, dtypes: str = "ffff"
) -> list[np.ndarray]:
    """Read the arrays of a layer, if they have these shapes."""
    group = weights[f"{path}/vars"]
    expected = {str(i) for i in range(len(shapes))}
    _require(set(group) == expected, f"{len(group)} arrays at {path}")
    arrays = []
    for i, (shape, kind) in enumerate(zip(shapes, dtypes, strict=False)):
        array = group[str(i)][()]
        fits = array.shape == tuple(shape) and array.dtype == np.dtype(f"{kind}4")
        _require(fits, f"{array.dtype} {array.shape} at {path}")
        arrays.append(array)
    return arrays


def _read_linear(
    node: dict[str, Any], weights: h5py.File, num_classes: int
) -> LinearModel:
    settings = _settings(node, "LinearPath")
    rows, max_ngram = settings["rows"], settings["max_ngram"]
    _require(settings["num_classes"] == num_classes, "n-grams of other classes")
    _require(type(max_ngram) is int and max_ngram > 0, f"max_ngram={max_ngram}")
    path = "layers/linear_path"
    _check_name(weights, path, node["config"]["name"])
    shapes = (rows,), (rows, num_classes + 1), (num_classes,), (2,)
    keys, *others = _arrays(weights, path, shapes, "ifff")
    _require(len(keys) and (keys[1:] > keys[:-1]).all(), "n-grams in another order")
    return LinearModel(max_ngram, keys, *others)
