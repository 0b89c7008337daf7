"""Writes a classifier as a SavedModel, and as a LiteRT model.

The SavedModel holds the classifier as it is, from strings to class names.

LiteRT's interpreter has no strings and no lists of tensors. TensorFlow's loops over
time are built on such lists and would need TensorFlow's own operations there. So each
recurrent layer is replaced by a loop that carries plain tensors and writes every step
into its place, for which LiteRT's built-in operations are enough. The loop ends with
the longest text of the batch.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from rnn_keras.layers.keras_internals import lookup_table
from rnn_keras.layers.recurrent import recurrent_layers_in
from rnn_keras.utils.errors import InputError

if TYPE_CHECKING:
    from rnn_keras.classification.classifier import TextClassifier


def write_saved_model(classifier: "TextClassifier", path: Path) -> None:
    """Write a SavedModel whose `serving_default` takes `texts`, strings `(batch,)`.

    It returns `label` and `probability`, both `(batch,)`, and `class_names` and
    `probabilities`, both `(batch, classes)`: TensorFlow Serving expects the names in
    every row.
    """
    names = tf.constant(classifier.class_names)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="texts")])
    def serve(texts: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = tf.cast(classifier.preprocessor(texts), tf.int32)
        # At least one column, as `encode` gives: padding changes no answer.
        ids = tf.pad(ids, [[0, 0], [0, tf.maximum(1 - tf.shape(ids)[1], 0)]])
        probabilities = _softmax(classifier(ids, training=False))
        best = tf.argmax(probabilities, axis=1)
        return {
            "label": tf.gather(names, best),
            "probability": tf.reduce_max(probabilities, axis=1),
            "class_names": tf.tile(names[None], [tf.shape(texts)[0], 1]),
            "probabilities": probabilities,
        }

    module = tf.Module()
    module.weights = _variables(classifier.network, classifier.linear)
    module.vocabulary = lookup_table(classifier.preprocessor)
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
        InputError: if the network is not a functional model, or a recurrent layer in
            it returns its state, keeps it between batches, or receives one.
    """
    network = with_plain_loops(classifier.network)
    linear = classifier.linear

    @tf.function(input_signature=[tf.TensorSpec((None, length), tf.int32, name="ids")])
    def answer(ids: tf.Tensor) -> dict[str, tf.Tensor]:
        logits = network(ids, training=False)
        if linear is not None:
            logits = linear(ids, logits)
        return {"probabilities": _softmax(logits)}

    module = tf.Module()
    module.weights = _variables(network, linear)
    module.answer = answer
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [answer.get_concrete_function()], module
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    path.write_bytes(converter.convert())


def _variables(*layers: keras.layers.Layer | None) -> list[tf.Variable]:
    """TensorFlow's variables in the layers, which a `tf.Module` must hold to save."""
    return [v.value for layer in layers if layer for v in layer.variables]


def _softmax(logits: tf.Tensor) -> tf.Tensor:
    return tf.nn.softmax(tf.cast(logits, tf.float32))


def with_plain_loops(network: keras.Model) -> keras.Model:
    """A copy of a functional network whose recurrent loops carry plain tensors.

    Raises:
        InputError: as `write_litert`.
    """

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        if not list(recurrent_layers_in(layer)):
            return type(layer).from_config(layer.get_config())
        return _PlainLoop(layer)

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
        if not isinstance(its_copy, _PlainLoop):
            its_copy.set_weights(layer.get_weights())
    return copied


class _PlainLoop(keras.layers.Layer):
    """Computes what a recurrent layer does, in one or both directions.

    Args:
        layer: the recurrent layer, whose weights are used.
    """

    def __init__(self, layer: keras.layers.Layer):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer = layer
        for rnn in recurrent_layers_in(layer):
            if rnn.return_state or rnn.stateful:
                raise InputError(
                    f"layer {layer.name!r} keeps or returns its state; an export of "
                    "this format cannot"
                )
        if getattr(layer, "merge_mode", "concat") != "concat":
            raise InputError(f"layer {layer.name!r} must concatenate its directions")
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            mask = tf.ones(tf.shape(inputs)[:2], tf.bool)
        x = tf.transpose(inputs, (1, 0, 2))
        real = tf.transpose(mask)[:, :, tf.newaxis]
        read = [_run_loop(rnn, x, real) for rnn in recurrent_layers_in(self.layer)]
        return tf.concat(read, axis=-1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self.layer.compute_output_shape(input_shape)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return self.layer.compute_mask(inputs, mask)


def _run_loop(rnn: keras.layers.RNN, x: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Run a recurrent layer in its direction.

    Args:
        rnn: a recurrent layer; its cell and its options are used.
        x: `(timesteps, batch, features)`.
        real: booleans `(timesteps, batch, 1)`, `False` at padding.

    Returns:
        The states after every step, `(batch, timesteps, units)`, if the layer returns
        sequences; else the state after the last real step, `(batch, units)`.
    """
    timesteps, batch = tf.shape(x)[0], tf.shape(x)[1]
    after = tf.range(1, timesteps + 1)[:, tf.newaxis]
    longest = tf.reduce_max(tf.where(real[:, :, 0], after, 0))
    states = tuple(rnn.get_initial_state(batch))
    outputs: tuple[tf.Tensor, ...] = ()
    if rnn.return_sequences:
        shape = (timesteps, batch, states[0].shape[1])
        outputs = (tf.zeros(shape, states[0].dtype),)

    def step(t: tf.Tensor, states: tuple, outputs: tuple) -> tuple:
        at = longest - 1 - t if rnn.go_backwards else t
        _, new = rnn.cell(x[at], states)
        states = tuple(
            tf.where(real[at], n, s) for n, s in zip(new, states, strict=True)
        )
        outputs = tuple(
            tf.tensor_scatter_nd_update(output, [[at]], states[0][tf.newaxis])
            for output in outputs
        )
        return t + 1, states, outputs

    _, states, outputs = tf.while_loop(
        lambda t, *_: t < longest, step, (0, states, outputs)
    )
    return tf.transpose(outputs[0], (1, 0, 2)) if outputs else states[0]
