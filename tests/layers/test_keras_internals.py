"""Each function gives what its docstring promises, with the Keras installed here.

`clear_layout` needs several processes: `tests/training/test_distributed.py` holds it.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rnn_keras.layers import keras_internals


def small_model():
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="deep")])
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(1, name="top")(inner(inputs))
    return keras.Model(inputs, outputs)


def test_layers_inside_of_layers_are_listed():
    model = small_model()
    names = [layer.name for layer in keras_internals.flatten_layers(model)]
    assert {"deep", "top", model.name} <= set(names)
    assert len(names) == len(set(names))


def test_an_untracked_layer_has_left_the_model():
    class Holder(keras.Model):
        def __init__(self):
            super().__init__()
            self.side = keras.layers.Dense(1)

    holder = Holder()
    former, holder.side = holder.side, None
    assert holder.layers == [former]  # otherwise Keras needs no help
    keras_internals.untrack(holder, former)
    assert holder.layers == []


def test_the_initial_epoch_is_the_one_that_a_backup_restores(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise InterruptedError

    model = small_model()
    assert keras_internals.initial_epoch(model) == 0
    x, y = np.ones((2, 3)), np.ones((2, 1))
    model.compile("adam", "mse", run_eagerly=True)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(InterruptedError):
        model.fit(x, y, epochs=3, verbose=0, callbacks=[backup, Stop()])
    backup.on_train_begin()
    assert keras_internals.initial_epoch(model) == 2


def test_the_configuration_is_another_object_after_each_compile():
    model = small_model()
    assert keras_internals.compile_config(model) is None
    model.compile("adam", "mse")
    first = keras_internals.compile_config(model)
    assert keras_internals.compile_config(model) is first is not None
    model.compile("adam", "mse")
    assert keras_internals.compile_config(model) is not first


def test_the_learning_rate_is_the_variable_or_the_schedule():
    adam = keras.optimizers.Adam(0.5)
    variable = keras_internals.learning_rate_variable(adam)
    variable.assign(0.25)
    assert float(adam.learning_rate) == 0.25
    scaled = keras.optimizers.LossScaleOptimizer(adam)
    assert keras_internals.learning_rate_variable(scaled) is variable
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 10, 0.9)
    optimizer = keras.optimizers.SGD(schedule)
    assert keras_internals.learning_rate_variable(optimizer) is schedule


def test_the_second_moments_are_those_of_adam():
    assert keras_internals.second_moments(keras.optimizers.SGD()) is None
    adam = keras.optimizers.Adam(beta_2=0.75)
    variable = keras.Variable([1.0, 2.0])
    adam.build([variable])
    adam.apply([tf.constant([4.0, 0.0])])
    # The mean starts at 0 and moves a quarter of the way to 4^2.
    for optimizer in (adam, keras.optimizers.LossScaleOptimizer(adam)):
        (moments,) = keras_internals.second_moments(optimizer)
        np.testing.assert_allclose(moments, [4.0, 0.0])


def test_the_lookup_table_gives_the_ids_of_tokens():
    vectorization = keras.layers.TextVectorization(vocabulary=["a", "b"])
    table = keras_internals.lookup_table(vectorization)
    assert table.lookup(tf.constant(["b", "a"])).numpy().tolist() == [3, 2]
