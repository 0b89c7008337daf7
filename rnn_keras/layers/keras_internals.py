"""Private parts of Keras that this package needs, each behind a function with a name.

Nothing else in the package reads a private attribute of Keras. Each function says
which attribute it stands for and for which versions of Keras that holds; all were
checked with Keras 3.15. When a new version of Keras changes one of them, the test of
that function fails and this module is the only place to change.
"""

from typing import Any

import keras


def flatten_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """Return a layer or model and all layers inside it, at any depth.

    Stands for `Layer._flatten_layers()`; holds for Keras 3.15. `Model.layers` lists
    only the outermost layers.
    """
    return layer._flatten_layers()


def untrack(model: keras.layers.Layer, layer: keras.layers.Layer) -> None:
    """Remove a layer from the sublayers of a model, and so from its saved files.

    Setting the attribute that holds a layer to `None` does not do that.

    Stands for `Layer._tracker.untrack(layer)`; holds for Keras 3.15.
    """
    model._tracker.untrack(layer)


def initial_epoch(model: keras.Model) -> int:
    """Return the epoch, from 0, at which a callback wants training to begin.

    `keras.callbacks.BackupAndRestore` sets it in `on_train_begin`.

    Stands for `Model._initial_epoch`, which is `None` where no callback has set it;
    holds for Keras 3.15.
    """
    return model._initial_epoch or 0


def compile_config(model: keras.Model) -> Any:
    """Return an object that is replaced at each call of `model.compile`, or `None`.

    Whoever keeps a training step compares it by identity, to find out whether the
    model has been compiled again since. A model that was never compiled gives `None`.

    Stands for `Model._compile_config`; holds for Keras 3.15.
    """
    return getattr(model, "_compile_config", None)


def learning_rate_variable(optimizer: keras.optimizers.Optimizer) -> Any:
    """Return the variable, schedule or function that holds the learning rate.

    `optimizer.learning_rate` returns the current value of a schedule instead. For
    the optimizer of a model with mixed precision, the rate of the inner optimizer is
    returned.

    Stands for `Optimizer._learning_rate`; holds for Keras 3.15.
    """
    return getattr(optimizer, "inner_optimizer", optimizer)._learning_rate


def second_moments(optimizer: keras.optimizers.Optimizer) -> list[Any] | None:
    """Return the running means of squared gradients, one for each variable.

    Adam and its relatives keep them. The result is `None` for an optimizer that
    keeps no such means, or that has not been built yet.

    Stands for `Adam._velocities`; holds for Keras 3.15.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return getattr(inner, "_velocities", None)


def lookup_table(vectorization: keras.layers.TextVectorization) -> Any:
    """Return the TensorFlow table that maps tokens to ids.

    A `tf.Module` must hold it as an attribute so that a SavedModel contains it.

    Stands for `TextVectorization._lookup_layer.lookup_table`; holds for Keras 3.15.
    """
    return vectorization._lookup_layer.lookup_table


def clear_layout(variable: keras.Variable) -> None:
    """Make a variable forget over which devices it is distributed (JAX backend).

    Call it after `keras.distribution.set_distribution(None)`, before assigning.

    Stands for `Variable._layout`; holds for Keras 3.15.
    """
    variable._layout = None
