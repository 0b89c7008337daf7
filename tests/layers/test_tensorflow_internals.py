"""Private parts of TensorFlow do what this package uses them for."""

import gc
import weakref

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context
from tensorflow.python.framework import ops

from rnn_keras import layers
from rnn_keras.layers.tensorflow_internals import (
    FunctionOfContent,
    tie_gradients_to_graphs,
)


@tf.custom_gradient
def square_with_a_gradient_of_seven(x):
    return x * x, lambda dy: 7 * dy


def registered():
    """Names of custom gradients; graphs that are gone count no more."""
    gc.collect()
    return {n for n in ops.gradient_registry.list() if n.startswith("CustomGradient")}


def traced(function, *specs):
    """Return a concrete function, and a weak reference to its graph."""
    concrete = tf.function(function).get_concrete_function(*specs)
    return concrete, weakref.ref(concrete.graph)


def test_tensorflow_itself_keeps_the_graph_of_a_custom_gradient():
    """If this fails, `tie_gradients_to_graphs` is no longer needed."""
    before = registered()
    concrete, graph = traced(square_with_a_gradient_of_seven, tf.TensorSpec(()))
    del concrete
    assert len(registered() - before) == 1
    assert graph() is not None
    tie_gradients_to_graphs()
    assert registered() <= before
    assert graph() is None


def test_a_gradient_that_is_tied_to_its_graph_still_counts():
    def inside(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = square_with_a_gradient_of_seven(x)
        tie_gradients_to_graphs()
        return y, tape.gradient(y, x)

    def in_a_branch(x):
        return tf.cond(x > 0, lambda: square_with_a_gradient_of_seven(x), lambda: x)

    both, _ = traced(inside, tf.TensorSpec(()))
    branch, _ = traced(in_a_branch, tf.TensorSpec(()))
    tie_gradients_to_graphs()
    gc.collect()
    x = tf.constant(3.0)
    assert [float(y) for y in both(x)] == [9.0, 7.0]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y, _ = both(x)
        z = branch(x)
    assert float(tape.gradient(y, x)) == 7.0
    assert float(tape.gradient(z, x)) == 7.0


@pytest.mark.parametrize(
    ("cell", "compiled"), [("SimpleRNN", False), ("GRU", True), ("LSTM", False)]
)
def test_a_graph_with_a_recurrent_layer_is_freed(cell, compiled):
    before = registered()
    layer = getattr(layers, cell)(2)
    layer.build((None, 3, 2))
    weights = [v.value for v in layer.trainable_variables]

    @tf.function(jit_compile=compiled)
    def gradients(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x))
        return tape.gradient(loss, weights)

    example = tf.ones((2, 3, 2))
    gradients(example)
    if not compiled:  # TensorFlow cannot differentiate what XLA has compiled
        with tf.GradientTape() as tape:
            loss = sum(map(tf.reduce_sum, gradients(example)))
        assert tape.gradient(loss, weights[0]) is not None
        del loss, tape
    alive = weakref.ref(gradients.get_concrete_function(example).graph)
    assert alive() is not None
    del gradients
    assert registered() <= before
    assert alive() is None


def loop_and_branch(variable, factor, name):
    """A concrete function with operations called `name`, which changes a variable."""

    def function(x):
        with tf.name_scope(name):
            _, y = tf.while_loop(
                lambda i, _: i < 3, lambda i, y: (i + 1, y * factor), (0, x)
            )
            variable.assign_add(tf.reduce_sum(y))
            smaller = tf.cond(y[0] > 8, lambda: y - 1, lambda: y)
            return {"y": y, "smaller": smaller, "sum": variable.value()}

    options = {"jit_compile": True, "autograph": False}
    made = tf.function(function, **options)
    return made.get_concrete_function(tf.TensorSpec((2,)))


def test_functions_that_differ_in_names_alone_are_one_to_the_compiler():
    variables = [tf.Variable(float(start), name=f"v{start}") for start in range(3)]
    first = FunctionOfContent(loop_and_branch(variables[0], 2.0, "one"))
    same = FunctionOfContent(loop_and_branch(variables[1], 2.0, "two"))
    other = FunctionOfContent(loop_and_branch(variables[2], 3.0, "one"))
    assert first.name == same.name != other.name
    for _ in range(2):
        for function in (first, same, other):
            function(tf.constant([1.0, 2.0]))
    # 8 * (1 + 2) twice for the first two, 27 * (1 + 2) twice for the other.
    assert [float(v) for v in variables] == [48.0, 49.0, 164.0]
    results = same(tf.constant([1.5, 0.0]))
    np.testing.assert_array_equal(results["y"], [12, 0])
    np.testing.assert_array_equal(results["smaller"], [11, -1])
    assert float(results["sum"]) == 61.0


def test_a_function_is_forgotten_with_the_last_of_its_content():
    variable = tf.Variable(0.0)
    one, other = (
        FunctionOfContent(loop_and_branch(variable, 5.0, "name")) for _ in range(2)
    )
    name = one.name
    del one
    gc.collect()
    assert float(other(tf.constant([1.0, 1.0]))["sum"]) == 250.0
    assert context.context().has_function(name)
    del other
    gc.collect()
    assert not context.context().has_function(name)
    again = FunctionOfContent(loop_and_branch(variable, 5.0, "name"))
    assert again.name == name
    assert float(again(tf.constant([1.0, 1.0]))["sum"]) == 500.0


def test_dtypes_shapes_and_constants_belong_to_the_content():
    def content(constant, spec):
        function = tf.function(lambda x: x + tf.cast(constant, x.dtype))
        return FunctionOfContent(function.get_concrete_function(spec)).name

    float_pair = tf.TensorSpec((2,), "float32")
    names = {
        content(1, float_pair),
        content(2, float_pair),
        content(1, tf.TensorSpec((3,), "float32")),
        content(1, tf.TensorSpec((2,), "float64")),
    }
    assert len(names) == 4
    assert content(1, float_pair) in names
