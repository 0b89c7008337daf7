"""Private parts of TensorFlow that this package needs, as `keras_internals` for Keras.

Nothing else in the package reads a private attribute of TensorFlow. All were checked
with TensorFlow 2.21.
"""

import contextlib
import hashlib
import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops

# Attributes of operations and functions that hold names of others, which change from
# one trace to the next. They serve differentiation and the placement on devices.
_ATTRIBUTES_WITH_NAMES = {
    "_class",
    "_gradient_op_type",
    "backward_function_name",
    "forward_function_name",
}


def tie_gradients_to_graphs() -> None:
    """Let the custom gradients in graphs be kept no longer than their graphs.

    TensorFlow registers a gradient under a name of its own for every call of a function
    with a custom gradient in a graph, and never removes it. The gradient refers to the
    graph and so to the network, which stay in memory until the process ends. Such
    functions are made by `tf.custom_gradient`, which `rnn_keras.layers.scan` uses, and
    so do most optimizers of Keras, the CTC loss and some activations.

    What is registered at the time of the call is handed over to the graphs, and the
    registry keeps only a weak reference. The gradients stay as they are.

    Stands for `ops.gradient_registry._registry`, a dictionary of dictionaries whose
    `"type"` is the gradient; holds for TensorFlow 2.21. Where it does not hold, the
    graphs stay in memory, and all else works.
    """
    registry = getattr(ops.gradient_registry, "_registry", {})
    for name, entry in list(registry.items()):
        gradient = entry.get("type")
        is_custom = name.startswith("CustomGradient-")
        if not is_custom or isinstance(gradient, _WeakGradient):
            continue
        graph = _graph_of(gradient)
        if graph is not None:
            # An attribute for each, because another thread may be here, too.
            setattr(graph, name, gradient)
            weakref.finalize(gradient, registry.pop, name, None).atexit = False
            entry["type"] = _WeakGradient(gradient)


class _WeakGradient:
    """Calls a registered gradient without keeping it alive."""

    def __init__(self, gradient: Callable[..., Any]):
        self.gradient = weakref.ref(gradient)

    def __call__(self, op: tf.Operation, *doutputs: tf.Tensor) -> Any:
        gradient = self.gradient()
        if gradient is None:
            raise LookupError("the graph of this gradient is gone")
        return gradient(op, *doutputs)


def _graph_of(function: Callable[..., Any], depth: int = 2) -> tf.Graph | None:
    """Return the graph of a tensor that a function refers to, itself or indirectly."""
    referred: list[Any] = []
    for cell in getattr(function, "__closure__", None) or ():
        with contextlib.suppress(ValueError):  # a variable without a value yet
            content = cell.cell_contents
            referred += content if isinstance(content, list | tuple) else [content]
    for value in referred:
        if tf.is_symbolic_tensor(value):
            return value.graph
    graphs = (_graph_of(value, depth - 1) for value in referred if depth)
    return next((graph for graph in graphs if graph is not None), None)


class FunctionOfContent:
    """A concrete function that TensorFlow knows by a name made from its content.

    XLA keeps every program that it has compiled until the process ends, under the name
    of the function. TensorFlow gives each function a name of its own, so that equal
    networks are compiled and kept one by one. Here functions have one name if they are
    the same but for the names of what is inside, and XLA compiles and keeps one
    program for all of them.

    Stands for `ConcreteFunction.function_def` and `captured_inputs`, and for
    `add_function_def`, `remove_function` and `call_function` of `context.context()`,
    which counts how often a function has been added; holds for TensorFlow 2.21.

    Args:
        concrete: a function that is called eagerly and never differentiated.

    Attributes:
        name: the name by which TensorFlow knows it, in bytes.
    """

    def __init__(self, concrete: Any):
        library = concrete.graph.as_graph_def().library.function
        renaming = _RenamingByContent({f.signature.name: f for f in library})
        self._concrete = concrete
        self.name = renaming.rename(concrete.function_def).encode()
        runtime = context.context()
        for definition in renaming.renamed.values():
            runtime.add_function_def(definition)
            remove = weakref.finalize(
                self, runtime.remove_function, definition.signature.name
            )
            remove.atexit = False

    def __call__(self, *args: Any) -> Any:
        function_type = self._concrete.function_type
        flat = function_type.unpack_inputs(function_type.bind(*args))
        outputs = context.context().call_function(
            self.name,
            [*flat, *self._concrete.captured_inputs],
            len(function_type.flat_outputs),
        )
        return function_type.pack_output(outputs)


class _RenamingByContent:
    """Renames functions and all that is in them, so that equal ones have equal names.

    Args:
        library: the functions that others call, by name.

    Attributes:
        renamed: the definitions under their new names, by their former ones.
    """

    def __init__(self, library: dict[str, Any]):
        self.library = library
        self.renamed: dict[str, Any] = {}

    def rename(self, definition: Any) -> str:
        """Return the new name of a function; add it and those that it calls."""
        former = definition.signature.name
        if former not in self.renamed:
            copy = type(definition)()
            copy.CopyFrom(definition)
            self._rename_inside(copy)
            copy.signature.name = ""
            content = copy.SerializeToString(deterministic=True)
            digest = hashlib.sha256(content).hexdigest()
            copy.signature.name = f"__inference_of_content_{digest}"
            self.renamed[former] = copy
        return self.renamed[former].signature.name

    def _rename_inside(self, copy: Any) -> None:
        signature, names = copy.signature, {}
        for kind, parts in (("in", signature.input_arg), ("node", copy.node_def)):
            for i, part in enumerate(parts):
                names[part.name] = part.name = f"{kind}_{i}"

        def renamed(reference: str) -> str:
            # A tensor is `node:output:index` or an input's name, and an operation to
            # be waited for `^node`.
            head, *rest = reference.removeprefix("^").split(":")
            control = "^" * reference.startswith("^")
            return control + ":".join([names[head], *rest])

        for node in copy.node_def:
            node.input[:] = map(renamed, node.input)
            node.ClearField("experimental_debug_info")
            if node.op in self.library:
                node.op = self.rename(self.library[node.op])
            for name in _ATTRIBUTES_WITH_NAMES & set(node.attr):
                del node.attr[name]
            self._rename_called(node.attr)
        for name in _ATTRIBUTES_WITH_NAMES & set(copy.attr):
            del copy.attr[name]
        for attributes in copy.arg_attr.values():
            attributes.attr.pop("_user_specified_name", None)
        results = [renamed(copy.ret[arg.name]) for arg in signature.output_arg]
        copy.ret.clear()
        for i, (arg, result) in enumerate(
            zip(signature.output_arg, results, strict=True)
        ):
            arg.name = f"out_{i}"
            copy.ret[arg.name] = result
        waited_for = sorted(
            names[copy.control_ret[c]] for c in signature.control_output
        )
        copy.control_ret.clear()
        signature.control_output[:] = waited_for
        for name in waited_for:
            copy.control_ret[name] = name

    def _rename_called(self, attributes: Any) -> None:
        """Rename the functions that an operation calls."""
        for value in attributes.values():
            called = [value.func] if value.HasField("func") else value.list.func
            for function in called:
                function.name = self.rename(self.library[function.name])
