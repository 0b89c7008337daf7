"""A classifier as an ONNX graph, of ONNX's own recurrent operations.

ONNX has RNN, GRU and LSTM with a length for each text, so the graph is written layer
by layer. tf2onnx 1.17 was tried: it takes seconds, its loops are slower, of
`rnn_keras.layers` it makes a file that onnxruntime does not load, and it writes a
choice between numbers as a sum of products, so that the infinity of a masked maximum
becomes `nan` for a text without tokens.

Left out: networks that are no chain of an embedding, recurrent layers, pooling over
time and Dense, with dropout anywhere; and layers with an option that no builder of
this package sets. `rnn_keras.export` compares the results.

An ONNX graph that is written node by node.
"""

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


# Of 2021 and 2022: any runtime that is in use has them.
_OPSET, _IR_VERSION = 17, 8


class Graph:
    """Nodes and constants, under names that count up."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(
        self, kind: str, *inputs: Any, name: str = "", outputs: int = 1, **options: Any
    ) -> Any:
        """A node.

        Args:
            kind: of ONNX's operations.
            *inputs: names; what is none is a constant, Python's numbers of one
                value, int32 or float32.
            name: of the node and its output, where that matters.
            outputs: how many.
            **options: ONNX's attributes.

        Returns:
            The name of its output, or a list of several.
        """
        names = [i if isinstance(i, str) else self._constant(i) for i in inputs]
        name = name or f"{kind}_{len(self.nodes)}"
        given = [name] if outputs == 1 else [f"{name}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, given, name=name, **options))
        return given[0] if outputs == 1 else given

    def _constant(self, value: Any) -> str:
        if not isinstance(value, np.ndarray):
            value = np.array(value, np.int32 if isinstance(value, int) else np.float32)
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def cast(self, x: str, dtype: Any) -> str:
        """`x` as another type of number."""
        to = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.add("Cast", x, to=to)

    def slice(self, x: str, start: int, end: int | None, axis: int) -> str:
        """`x[start:end]` along an axis."""
        end = np.iinfo(np.int64).max if end is None else end
        return self.add("Slice", x, *[np.array([n]) for n in (start, end, axis)])

    def total(self, x: str, axis: int, keepdims: bool) -> str:
        """The sum over an axis."""
        return self.add("ReduceSum", x, np.array([axis]), keepdims=int(keepdims))

    def model(self, class_names: list[str], answer: str) -> onnx.ModelProto:
        """From int32 `ids` `(batch, timesteps)` to floats `(batch, classes)`.

        Args:
            class_names: kept as the metadata `class_names`, one a line.
            answer: the name of the output.
        """
        inputs = [
            helper.make_tensor_value_info(
                "ids", onnx.TensorProto.INT32, ["batch", "timesteps"]
            )
        ]
        outputs = [
            helper.make_tensor_value_info(
                answer, onnx.TensorProto.FLOAT, ["batch", len(class_names)]
            )
        ]
        graph = helper.make_graph(
            self.nodes, "rnn_keras", inputs, outputs, self.constants
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


_ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu"}
# Keras's blocks i, f, g, o in the order of ONNX, where g is called c.
_LSTM_ORDER = [0, 3, 1, 2]


def write_onnx(classifier: "TextClassifier", path: Path) -> None:
    """Write a graph from `ids` `(batch, timesteps)` to `probabilities`.

    Raises:
        InputError: for a layer that has no counterpart.
    """
    graph = Graph()
    masks = _Masks(graph)
    x = "ids"
    for layer in classifier.network.layers:
        if not isinstance(layer, keras.layers.InputLayer | keras.layers.Dropout):
            x = _layer(graph, layer, x, masks)
    if classifier.linear is not None:
        x = _linear(graph, classifier.linear, x, masks)
    answer = graph.add("Softmax", x, name="probabilities", axis=-1)
    model = graph.model(list(classifier.class_names), answer)
    path.write_bytes(model.SerializeToString())


class _Masks:
    """Which steps are real, in the shapes that layers need."""

    def __init__(self, graph: Graph):
        real = graph.add("Not", graph.add("Equal", "ids", 0))
        counted = graph.cast(real, np.int32)
        self.length = graph.total(counted, 1, keepdims=True)  # (batch, 1)
        self.lengths = graph.total(counted, 1, keepdims=False)  # (batch,)
        self.any = graph.add("Greater", self.length, 0)  # (batch, 1)
        time_first = graph.add("Transpose", real, perm=[1, 0])
        # (timesteps, batch, 1)
        self.real = graph.add("Unsqueeze", time_first, np.array([2]))


def _layer(graph: Graph, layer: keras.layers.Layer, x: str, masks: _Masks) -> str:
    if isinstance(layer, keras.layers.Embedding):
        vectors = graph.add("Gather", _array(layer.embeddings), x)
        return graph.add("Transpose", vectors, perm=[1, 0, 2])  # time first
    if isinstance(layer, MaskedPooling1D):
        return _pooled(graph, layer, x, masks)
    if isinstance(layer, keras.layers.Dense):
        product = graph.add("MatMul", x, _array(layer.kernel))
        if layer.use_bias:
            product = graph.add("Add", product, _array(layer.bias))
        if layer.activation is keras.activations.linear:
            return product
        return graph.add(_activation(layer, layer.activation), product)
    readers = list(recurrent_layers_in(layer))
    if not readers or getattr(layer, "merge_mode", "concat") != "concat":
        raise _no_counterpart(layer, f"a {type(layer).__name__}")
    read = [_recurrent(graph, reader, x, masks) for reader in readers]
    return read[0] if len(read) == 1 else graph.add("Concat", *read, axis=-1)


def _recurrent(graph: Graph, reader: keras.layers.RNN, x: str, masks: _Masks) -> str:
    try:
        kind = recurrent_kind(reader)
    except ValueError as error:
        raise _no_counterpart(reader, f"a {type(reader).__name__}") from error
    cell, options = reader.cell, {}
    activations = [_activation(reader, cell.activation)]
    if kind != "SimpleRNN":
        gate = _activation(reader, cell.recurrent_activation)
        activations = [gate, *activations]
    if kind == "LSTM":
        activations.append(activations[1])
    if kind == "GRU":
        options["linear_before_reset"] = int(cell.reset_after)
    each, last = graph.add(
        {"SimpleRNN": "RNN"}.get(kind, kind),
        x,
        *_weights(cell, kind),
        masks.lengths,
        outputs=2,
        hidden_size=cell.units,
        direction="reverse" if reader.go_backwards else "forward",
        activations=activations,
        **options,
    )
    # In front of the states stands an axis for the directions of one operation.
    if reader.return_sequences:
        return graph.add("Squeeze", each, np.array([1]))
    last = graph.add("Squeeze", last, np.array([0]))
    return graph.add("Where", masks.any, last, 0.0)


def _weights(cell: Any, kind: str) -> list[np.ndarray]:
    """W and U as rows, and the two biases in a row, behind an axis of one direction."""
    kernels = [_array(cell.kernel).T, _array(cell.recurrent_kernel).T]
    biases = np.zeros((2, len(kernels[0])), np.float32)
    if cell.use_bias:
        bias = _array(cell.bias)
        biases[: len(bias) if bias.ndim == 2 else 1] = bias
    if kind == "LSTM":
        kernels = [_reordered(k, 0) for k in kernels]
        biases = _reordered(biases, 1)
    return [array[None] for array in (*kernels, biases.ravel())]


def _reordered(array: np.ndarray, axis: int) -> np.ndarray:
    blocks = np.split(array, 4, axis)
    return np.concatenate([blocks[i] for i in _LSTM_ORDER], axis)


def _pooled(graph: Graph, layer: MaskedPooling1D, x: str, masks: _Masks) -> str:
    pooled = []
    if "max" in layer.mode:
        shown = graph.add("Where", masks.real, x, -np.inf)
        highest = graph.add("ReduceMax", shown, axes=[0], keepdims=0)
        pooled.append(graph.add("Where", masks.any, highest, 0.0))
    if "mean" in layer.mode:
        total = graph.total(graph.add("Where", masks.real, x, 0.0), 0, keepdims=False)
        count = graph.cast(graph.add("Max", masks.length, 1), np.float32)
        pooled.append(graph.add("Div", total, count))
    return pooled[0] if len(pooled) == 1 else graph.add("Concat", *pooled, axis=-1)


def _linear(graph: Graph, path: LinearPath, logits: str, masks: _Masks) -> str:
    """`LinearPath.call`, operation by operation."""
    keys, real = _ngrams(graph, path.max_ngram, masks)
    rows = graph.add("Where", real, _find_rows(graph, path, keys), -1)
    # Equal ones stand side by side once sorted, and count once.
    positions = graph.slice(graph.add("Shape", rows), 1, 2, 0)
    rows, _ = graph.add("TopK", rows, positions, outputs=2, axis=1)
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


def _ngrams(graph: Graph, max_ngram: int, masks: _Masks) -> tuple[str, str]:
    """`rnn_keras.linear.ngrams`."""
    pads = np.array([0, 1, 0, 1])
    ids = graph.add("Pad", "ids", pads, 0)
    key = graph.add("Add", graph.add("Mul", ids, 0), 1)
    position = graph.add("Sub", graph.add("CumSum", key, np.array(1)), 1)
    after = graph.add("Add", masks.length, 1)
    keys, real = [], []
    for n in range(1, max_ngram + 1):
        if n > 1:
            key = graph.slice(key, 0, -1, 1)
        tokens, end = (graph.slice(x, n - 1, None, 1) for x in (ids, position))
        key = graph.add("Add", graph.add("Mul", key, KEY_MULTIPLIER), tokens)
        if n == 1:
            begun = graph.add("GreaterOrEqual", end, 1)
            inside = graph.add("LessOrEqual", end, masks.length)
            inside = graph.add("And", begun, inside)
        else:
            inside = graph.add("LessOrEqual", end, after)
        keys.append(key)
        real.append(graph.add("And", inside, masks.any))
    return graph.add("Concat", *keys, axis=1), graph.add("Concat", *real, axis=1)


def _find_rows(graph: Graph, path: LinearPath, keys: str) -> str:
    """`LinearPath.find_rows`: where keys stand in the table, or -1."""
    table = graph.add("Identity", _array(path.keys, np.int32))
    row = graph.add("Mul", keys, 0)
    for i in reversed(range((path.rows - 1).bit_length())):
        further = graph.add("Min", graph.add("Add", row, 1 << i), path.rows - 1)
        below = graph.add("LessOrEqual", graph.add("Gather", table, further), keys)
        row = graph.add("Where", below, further, row)
    found = graph.add("Equal", graph.add("Gather", table, row), keys)
    return graph.add("Where", found, row, -1)


def _activation(layer: keras.layers.Layer, function: Any) -> str:
    name = ACTIVATION_NAMES.get(function)
    if name not in _ACTIVATIONS:
        name = name or getattr(function, "__name__", str(function))
        raise _no_counterpart(layer, f"with activation {name!r}")
    return _ACTIVATIONS[name]


def _no_counterpart(layer: keras.layers.Layer, what: str) -> InputError:
    return InputError(f"layer {layer.name!r} ({what}) has no counterpart in ONNX")


def _array(variable: Any, dtype: Any = np.float32) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), dtype)
