"""Writes a classifier as an ONNX graph, with ONNX's own recurrent operations.

ONNX has RNN, GRU and LSTM, each with a length for every text, so the graph is written
layer by layer. tf2onnx 1.17 was tried instead: it takes seconds, its loops are slower,
it makes of `rnn_keras.layers` a file that onnxruntime cannot load, and it writes a
choice between two numbers as a sum of products, so that the infinity in a masked
maximum becomes `nan` for a text without tokens.

A network must be a chain of an embedding, recurrent layers, pooling over time and
Dense, with dropout anywhere. Layers with an option that no builder of this package sets
may be refused, or may come out wrong; `rnn_keras.export.writer` compares the answers.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnn_keras.layers.masked import MaskedPooling1D
from rnn_keras.layers.ngram_logits import KEY_MULTIPLIER, LinearPath
from rnn_keras.layers.recurrent import (
    ACTIVATION_NAMES,
    recurrent_kind,
    recurrent_layers_in,
)
from rnn_keras.utils.errors import InputError

if TYPE_CHECKING:
    from rnn_keras.classification.classifier import TextClassifier


# Versions of 2021 and 2022, which every runtime in use can read.
_OPSET, _IR_VERSION = 17, 8
_ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu"}
# Positions of Keras's blocks i, f, g, o in ONNX's order i, o, f, c (c is g).
_LSTM_ORDER = [0, 3, 1, 2]


class Graph:
    """An ONNX graph that is written node by node; names are numbered."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, operation: str, *inputs: Any, name: str = "", **options: Any) -> str:
        """Add a node with one output.

        Args:
            operation: name of an ONNX operation.
            *inputs: names of outputs; or constants: arrays, and Python's numbers,
                which become int32 or float32.
            name: of the node and its output; by default a numbered one.
            **options: attributes of the operation.

        Returns:
            The name of the output.
        """
        name = name or f"{operation}_{len(self._nodes)}"
        self._add_node(operation, inputs, name, [name], options)
        return name

    def add_with_outputs(
        self, operation: str, outputs: int, *inputs: Any, **options: Any
    ) -> list[str]:
        """Add a node with several outputs, and return their names.

        Args:
            operation: name of an ONNX operation.
            outputs: number of its outputs.
            *inputs: as in `add`.
            **options: attributes of the operation.
        """
        name = f"{operation}_{len(self._nodes)}"
        names = [f"{name}_{i}" for i in range(outputs)]
        self._add_node(operation, inputs, name, names, options)
        return names

    def _add_node(
        self,
        operation: str,
        inputs: Sequence[Any],
        name: str,
        outputs: list[str],
        options: dict[str, Any],
    ) -> None:
        names = [i if isinstance(i, str) else self._add_constant(i) for i in inputs]
        node = helper.make_node(operation, names, outputs, name=name, **options)
        self._nodes.append(node)

    def _add_constant(self, value: Any) -> str:
        if not isinstance(value, np.ndarray):
            value = np.array(value, np.int32 if isinstance(value, int) else np.float32)
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(value, name))
        return name

    def cast(self, x: str, dtype: Any) -> str:
        """`x` with another type of number."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", x, to=to)

    def slice(self, x: str, start: int, end: int | None, axis: int) -> str:
        """`x[start:end]` along an axis."""
        end = np.iinfo(np.int64).max if end is None else end
        return self.add("Slice", x, *[np.array([n]) for n in (start, end, axis)])

    def sum(self, x: str, axis: int, keepdims: bool) -> str:
        """The sum of `x` over an axis."""
        return self.add("ReduceSum", x, np.array([axis]), keepdims=int(keepdims))

    def to_model(self, class_names: Sequence[str], answer: str) -> onnx.ModelProto:
        """The finished model, from int32 `ids` `(batch, timesteps)` to an answer.

        Args:
            class_names: stored as the metadata `class_names`, one per line.
            answer: name of the output, float32 `(batch, classes)`.
        """
        ids = helper.make_tensor_value_info(
            "ids", onnx.TensorProto.INT32, ["batch", "timesteps"]
        )
        output = helper.make_tensor_value_info(
            answer, onnx.TensorProto.FLOAT, ["batch", len(class_names)]
        )
        graph = helper.make_graph(
            self._nodes, "rnn_keras", [ids], [output], self._constants
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="rnn_keras",
        )
        helper.set_model_props(model, {"class_names": "\n".join(class_names)})
        onnx.checker.check_model(model)
        return model


def write_onnx(classifier: "TextClassifier", path: Path) -> None:
    """Write a model from `ids` `(batch, timesteps)` to `probabilities`.

    Raises:
        InputError: if ONNX has no counterpart for a layer.
    """
    graph = Graph()
    masks = _Masks(graph)
    x = "ids"
    for layer in classifier.network.layers:
        if not isinstance(layer, keras.layers.InputLayer | keras.layers.Dropout):
            x = _add_layer(graph, layer, x, masks)
    if classifier.linear is not None:
        x = _add_linear_path(graph, classifier.linear, x, masks)
    answer = graph.add("Softmax", x, name="probabilities", axis=-1)
    model = graph.to_model(classifier.class_names, answer)
    path.write_bytes(model.SerializeToString())


class _Masks:
    """Which token ids are not padding, in the shapes that the layers need.

    Attributes:
        lengths: number of tokens `(batch,)`.
        length_column: the same, `(batch, 1)`.
        has_tokens: booleans `(batch, 1)`.
        real: booleans `(timesteps, batch, 1)`, `False` at padding.
    """

    def __init__(self, graph: Graph):
        real = graph.add("Not", graph.add("Equal", "ids", 0))
        counted = graph.cast(real, np.int32)
        self.lengths = graph.sum(counted, 1, keepdims=False)
        self.length_column = graph.sum(counted, 1, keepdims=True)
        self.has_tokens = graph.add("Greater", self.length_column, 0)
        time_first = graph.add("Transpose", real, perm=[1, 0])
        self.real = graph.add("Unsqueeze", time_first, np.array([2]))


def _add_layer(graph: Graph, layer: keras.layers.Layer, x: str, masks: _Masks) -> str:
    """Add a layer. Sequences are `(timesteps, batch, features)`, as ONNX reads them."""
    if isinstance(layer, keras.layers.Embedding):
        vectors = graph.add("Gather", _array(layer.embeddings), x)
        return graph.add("Transpose", vectors, perm=[1, 0, 2])
    if isinstance(layer, MaskedPooling1D):
        return _add_pooling(graph, layer, x, masks)
    if isinstance(layer, keras.layers.Dense):
        return _add_dense(graph, layer, x)
    rnns = list(recurrent_layers_in(layer))
    if not rnns or getattr(layer, "merge_mode", "concat") != "concat":
        raise _no_counterpart(layer, f"a {type(layer).__name__}")
    read = [_add_recurrence(graph, rnn, x, masks) for rnn in rnns]
    return read[0] if len(read) == 1 else graph.add("Concat", *read, axis=-1)


def _add_dense(graph: Graph, layer: keras.layers.Dense, x: str) -> str:
    product = graph.add("MatMul", x, _array(layer.kernel))
    if layer.use_bias:
        product = graph.add("Add", product, _array(layer.bias))
    if layer.activation is keras.activations.linear:
        return product
    return graph.add(_activation(layer, layer.activation), product)


def _add_pooling(graph: Graph, layer: MaskedPooling1D, x: str, masks: _Masks) -> str:
    pooled = []
    if "max" in layer.mode:
        shown = graph.add("Where", masks.real, x, -np.inf)
        highest = graph.add("ReduceMax", shown, axes=[0], keepdims=0)
        pooled.append(graph.add("Where", masks.has_tokens, highest, 0.0))
    if "mean" in layer.mode:
        total = graph.sum(graph.add("Where", masks.real, x, 0.0), 0, keepdims=False)
        count = graph.cast(graph.add("Max", masks.length_column, 1), np.float32)
        pooled.append(graph.add("Div", total, count))
    return pooled[0] if len(pooled) == 1 else graph.add("Concat", *pooled, axis=-1)


def _add_recurrence(graph: Graph, rnn: keras.layers.RNN, x: str, masks: _Masks) -> str:
    """Add a recurrent layer that reads in one direction."""
    try:
        kind = recurrent_kind(rnn)
    except ValueError as error:
        raise _no_counterpart(rnn, f"a {type(rnn).__name__}") from error
    cell, options = rnn.cell, {}
    activations = [_activation(rnn, cell.activation)]
    if kind != "SimpleRNN":
        gate = _activation(rnn, cell.recurrent_activation)
        activations = [gate, *activations]
    if kind == "LSTM":
        activations.append(activations[1])
    if kind == "GRU":
        options["linear_before_reset"] = int(cell.reset_after)
    each, last = graph.add_with_outputs(
        {"SimpleRNN": "RNN"}.get(kind, kind),
        2,
        x,
        *_recurrent_weights(cell, kind),
        masks.lengths,
        hidden_size=cell.units,
        direction="reverse" if rnn.go_backwards else "forward",
        activations=activations,
        **options,
    )
    # The states have an extra axis, for the directions of one operation.
    if rnn.return_sequences:
        return graph.add("Squeeze", each, np.array([1]))
    last = graph.add("Squeeze", last, np.array([0]))
    return graph.add("Where", masks.has_tokens, last, 0.0)


def _recurrent_weights(cell: Any, kind: str) -> list[np.ndarray]:
    """W, U and the biases of a cell, in ONNX's layout.

    Returns:
        W `(1, blocks * units, features)`, U `(1, blocks * units, units)` and the
        biases of W and of U side by side `(1, 2 * blocks * units)`. The first axis is
        that of the directions.
    """
    kernels = [_array(cell.kernel).T, _array(cell.recurrent_kernel).T]
    biases = np.zeros((2, len(kernels[0])), np.float32)
    if cell.use_bias:
        bias = _array(cell.bias)
        biases[: len(bias) if bias.ndim == 2 else 1] = bias
    if kind == "LSTM":
        kernels = [_reorder_lstm_blocks(k, 0) for k in kernels]
        biases = _reorder_lstm_blocks(biases, 1)
    return [array[None] for array in (*kernels, biases.ravel())]


def _reorder_lstm_blocks(array: np.ndarray, axis: int) -> np.ndarray:
    blocks = np.split(array, 4, axis)
    return np.concatenate([blocks[i] for i in _LSTM_ORDER], axis)


def _add_linear_path(graph: Graph, path: LinearPath, logits: str, masks: _Masks) -> str:
    """Add `LinearPath.call`, operation by operation."""
    keys, real = _add_ngrams(graph, path.max_ngram, masks)
    rows = graph.add("Where", real, _add_lookup(graph, path, keys), -1)
    # Once sorted, equal rows are neighbours, and only the first of them counts.
    positions = graph.slice(graph.add("Shape", rows), 1, 2, 0)
    rows, _ = graph.add_with_outputs("TopK", 2, rows, positions, axis=1)
    start = graph.add("Sub", graph.add("Mul", graph.slice(rows, 0, 1, 1), 0), 2)
    before = graph.add("Concat", start, graph.slice(rows, 0, -1, 1), axis=1)
    first = graph.add("Not", graph.add("Equal", rows, before))
    counted = graph.add("And", first, graph.add("GreaterOrEqual", rows, 0))
    counted = graph.add("Unsqueeze", graph.cast(counted, np.float32), np.array([1]))
    found = graph.add("Gather", _array(path.table), graph.add("Max", rows, 0))
    sums = graph.add("Squeeze", graph.add("MatMul", counted, found), np.array([1]))
    square = graph.add("Max", graph.slice(sums, -1, None, 1), 1e-12)
    own = graph.add("Div", graph.slice(sums, 0, -1, 1), graph.add("Sqrt", square))
    own = graph.add("Add", own, _array(path.bias))
    scales = _array(path.scales)
    logits = graph.add("Mul", logits, scales[:1])
    return graph.add("Add", logits, graph.add("Mul", own, scales[1:]))


def _add_ngrams(graph: Graph, max_ngram: int, masks: _Masks) -> tuple[str, str]:
    """Add `rnn_keras.layers.ngram_logits.ngram_keys`, operation by operation."""
    pads = np.array([0, 1, 0, 1])
    ids = graph.add("Pad", "ids", pads, 0)
    key = graph.add("Add", graph.add("Mul", ids, 0), 1)
    position = graph.add("Sub", graph.add("CumSum", key, np.array(1)), 1)
    after = graph.add("Add", masks.length_column, 1)
    keys, real = [], []
    for n in range(1, max_ngram + 1):
        if n > 1:
            key = graph.slice(key, 0, -1, 1)
        tokens, end = (graph.slice(x, n - 1, None, 1) for x in (ids, position))
        key = graph.add("Add", graph.add("Mul", key, KEY_MULTIPLIER), tokens)
        if n == 1:
            begun = graph.add("GreaterOrEqual", end, 1)
            inside = graph.add("LessOrEqual", end, masks.length_column)
            inside = graph.add("And", begun, inside)
        else:
            inside = graph.add("LessOrEqual", end, after)
        keys.append(key)
        real.append(graph.add("And", inside, masks.has_tokens))
    return graph.add("Concat", *keys, axis=1), graph.add("Concat", *real, axis=1)


def _add_lookup(graph: Graph, path: LinearPath, keys: str) -> str:
    """Add `LinearPath.find_rows`: the table row of each key, or -1."""
    table = graph.add("Identity", _array(path.keys, np.int32))
    row = graph.add("Mul", keys, 0)
    for i in reversed(range((path.rows - 1).bit_length())):
        further = graph.add("Min", graph.add("Add", row, 1 << i), path.rows - 1)
        below = graph.add("LessOrEqual", graph.add("Gather", table, further), keys)
        row = graph.add("Where", below, further, row)
    found = graph.add("Equal", graph.add("Gather", table, row), keys)
    return graph.add("Where", found, row, -1)


def _activation(layer: keras.layers.Layer, function: Any) -> str:
    """ONNX's name of an activation function."""
    name = ACTIVATION_NAMES.get(function)
    if name not in _ACTIVATIONS:
        name = name or getattr(function, "__name__", str(function))
        raise _no_counterpart(layer, f"with activation {name!r}")
    return _ACTIVATIONS[name]


def _no_counterpart(layer: keras.layers.Layer, what: str) -> InputError:
    return InputError(f"layer {layer.name!r} ({what}) has no counterpart in ONNX")


def _array(variable: Any, dtype: Any = np.float32) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype)
