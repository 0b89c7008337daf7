"""An ONNX graph that is written node by node."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

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
