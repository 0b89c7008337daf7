"""A classifier as a SavedModel and for LiteRT.

The SavedModel holds the classifier as it is, from strings to class names. LiteRT's
interpreter has no strings, and no lists of tensors, on which TensorFlow's loops over
time are built: it needs TensorFlow's own operations for these. Here each recurrent
layer is replaced by a loop that carries plain tensors and writes every step in its
place, which LiteRT's built-in operations suffice for. The loop ends with the longest
text of the batch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from rnn_keras.layers.recurrent import recurrent_layers_in
from rnn_keras.utils.errors import InputError

if TYPE_CHECKING:
    from rnn_keras.classification.classifier import TextClassifier


def write_saved_model(classifier: "TextClassifier", path: Path) -> None:
    """Write a SavedModel whose `serving_default` takes `texts`, strings `(batch,)`.

    It gives `label` and `probability` `(batch,)`, and `class_names` and
    `probabilities` `(batch, classes)`, a row for each text, as serving asks for.
    """
    names = tf.constant(classifier.class_names)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="texts")])
    def serve(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = tf.cast(classifier.preprocessor(texts), tf.int32)
        # One column at least, as `encode` gives: padding changes no answer.
        ids = tf.pad(ids, [[0, 0], [0, tf.maximum(1 - tf.shape(ids)[1], 0)]])
        probabilities = _probabilities(classifier(ids, training=False))
        best = tf.argmax(probabilities, axis=1)
        return {
            "label": tf.gather(names, best),
            "probability": tf.reduce_max(probabilities, axis=1),
            "class_names": tf.tile(names[None], [tf.shape(texts)[0], 1]),
            "probabilities": probabilities,
        }

    module = tf.Module()
    module.weights = _weights(classifier.network, classifier.linear)
    module.vocabulary = classifier.preprocessor._lookup_layer.lookup_table
    module.serve = serve
    tf.saved_model.save(
        module,
        str(path),
        signatures={"serving_default": serve},
        options=tf.saved_model.SaveOptions(experimental_custom_gradients=False),
    )


def write_litert(classifier: "TextClassifier", path: Path, length: int) -> None:
    """Write a LiteRT model from `ids` int32 `(batch, length)` to `probabilities`.

    Raises:
        InputError: if the network is no functional model, or has a recurrent layer
            that returns its state, keeps it, or gets one.
    """
    network = without_lists(classifier.network)
    linear = classifier.linear

    @tf.function(input_signature=[tf.TensorSpec((None, length), tf.int32, name="ids")])
    def answer(ids: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = network(ids, training=False)
        if linear is not None:
            logits = linear(ids, logits)
        return {"probabilities": _probabilities(logits)}

    module = tf.Module()
    module.weights = _weights(network, linear)
    module.answer = answer
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [answer.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())


def _weights(*layers: keras.layers.Layer | None) -> list[tf.Variable]:
    return [v.value for layer in layers if layer for v in layer.variables]


def without_lists(network: keras.Model) -> keras.Model:
    """A copy of a functional network whose loops carry plain tensors.

    Raises:
        InputError: see `write_litert`.
    """

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not list(recurrent_layers_in(layer)):
            return type(layer).from_config(layer.get_config())
        return _PlainLoops(layer)

    try:
        copied = keras.models.clone_model(network, clone_function=copy)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"network {network.name!r} must be a functional model whose recurrent "
            "layers begin from zeros"
        ) from error
    for layer, its_copy in zip(network.layers, copied.layers, strict=True):
        if not isinstance(its_copy, _PlainLoops):
            its_copy.set_weights(layer.get_weights())
    return copied


class _PlainLoops(keras.layers.Layer):
    """What a recurrent layer, or one in both directions, gives; with its weights."""

    def __init__(self, layer: keras.layers.Layer):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer = layer
        for reader in recurrent_layers_in(layer):
            if reader.return_state or reader.stateful:
                raise InputError(
                    f"layer {layer.name!r} keeps or returns its state; an export of "
                    "this format cannot"
                )
        if getattr(layer, "merge_mode", "concat") != "concat":
            raise InputError(f"layer {layer.name!r} must put its directions together")
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            mask = tf.ones(tf.shape(inputs)[:2], tf.bool)
        x = tf.transpose(inputs, (1, 0, 2))
        real = tf.transpose(mask)[:, :, tf.newaxis]
        read = [_read(reader, x, real) for reader in recurrent_layers_in(self.layer)]
        return tf.concat(read, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.layer.compute_mask(inputs, mask)


def _read(reader: keras.layers.RNN, x: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Run one reader.

    Args:
        reader: gives the cell and the direction.
        x: `(timesteps, batch, features)`.
        real: booleans `(timesteps, batch, 1)`.

    Returns:
        The states after each step `(batch, timesteps, units)`, or after the last
        real one `(batch, units)`.
    """
    timesteps, batch = tf.shape(x)[0], tf.shape(x)[1]
    after = tf.range(1, timesteps + 1)[:, tf.newaxis]
    total = tf.reduce_max(tf.where(real[:, :, 0], after, 0))
    states = tuple(reader.get_initial_state(batch))
    each = ()
    if reader.return_sequences:
        each = (tf.zeros((timesteps, batch, states[0].shape[1]), states[0].dtype),)

    def step(t: tf.Tensor, states: tuple, each: tuple) -> tuple:
        at = total - 1 - t if reader.go_backwards else t
        _, new = reader.cell(x[at], states)
        states = tuple(
            tf.where(real[at], n, s) for n, s in zip(new, states, strict=True)
        )
        each = tuple(
            tf.tensor_scatter_nd_update(e, [[at]], states[0][tf.newaxis]) for e in each
        )
        return t + 1, states, each

    _, states, each = tf.while_loop(lambda t, *_: t < total, step, (0, states, each))
    return tf.transpose(each[0], (1, 0, 2)) if each else states[0]


def _probabilities(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax(tf.cast(logits, tf.float32))
