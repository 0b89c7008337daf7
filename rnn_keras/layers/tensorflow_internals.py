"""Private parts of TensorFlow that this package needs, as `keras_internals` for Keras.

Nothing else in the package reads a private attribute of TensorFlow. All were checked
with TensorFlow 2.21.
"""

import contextlib
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops


@contextlib.contextmanager
def gradients_end_with_graphs() -> Iterator[None]:
    """Inside, a custom gradient of a graph is kept no longer than the graph.

    TensorFlow registers a gradient under a name of its own for every call of a function
    with a custom gradient in a graph, and never removes it. The gradient refers to the
    graph and so to the network, which stay in memory until the process ends. Such
    calls are those of `tf.custom_gradient` here, and within Keras and TensorFlow those
    of most optimizers, of the CTC loss and of some activations.

    At the end, what has been registered in the meantime is handed over to the graphs,
    and the registry keeps only a weak reference. Gradients stay as they are, those of
    other threads, too.

    Stands for `ops.gradient_registry._registry`, a dictionary of dictionaries whose
    `"type"` is the gradient; holds for TensorFlow 2.21. Where it does not hold, the
    graphs stay in memory, and all else works.
    """
    registry = getattr(ops.gradient_registry, "_registry", {})
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            _tie_to_graph(registry, name)


def _tie_to_graph(registry: dict[str, dict[str, Any]], name: str) -> None:
    """Replace a registered gradient by a weak reference that its graph keeps alive."""
    gradient = registry[name].get("type")
    graph = _graph_of(gradient)
    if graph is None:
        return
    graph.own_gradients = [*getattr(graph, "own_gradients", ()), gradient]
    alive = weakref.ref(gradient, lambda _: registry.pop(name, None))

    def call(op: tf.Operation, *doutputs: tf.Tensor) -> Any:
        return alive()(op, *doutputs)

    registry[name]["type"] = call


def _graph_of(function: Callable[..., Any], depth: int = 2) -> tf.Graph | None:
    """Return the graph of a tensor that a function refers to, itself or indirectly."""
    for cell in getattr(function, "__closure__", None) or ():
        for value in tf.nest.flatten(cell.cell_contents):
            if tf.is_symbolic_tensor(value):
                return value.graph
            if depth and callable(value):
                graph = _graph_of(value, depth - 1)
                if graph is not None:
                    return graph
    return None
