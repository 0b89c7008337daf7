r"""Gradients, Jacobians, gates and saturation inside a recurrence, step by step.

The functions take the models of `rnn_keras.models.build_classifier`, and any other
chain of layers whose recurrent ones are SimpleRNN, GRU or LSTM.

They return dictionaries whose keys name the layer and the quantity, as `"lstm_1/c"`;
inside `Bidirectional` Keras calls the two layers `forward_lstm_1` and
`backward_lstm_1`. Step t is the t-th token of the text, also for a layer that reads
the text from its end. Positions of padding hold `nan`. The letters are those of
`rnn_keras.layers.recurrence`.

The bound on the Jacobian: for h_t = f(a_t), a_t = x_t W + h_{t-1} U + b, the chain
rule gives (vectors are rows, as in the equation)

    dh_T/dh_t = U diag(f'(a_{t+1})) U diag(f'(a_{t+2})) ... U diag(f'(a_T)).

The norm of a product is at most the product of the norms. If s is the largest singular
value of U and m the largest slope of f, it is at most (m s)^(T-t). See R. Pascanu,
T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML
2013, section 2.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.diagnostics.stepwise import LayerTrace, run_by_step
from rnn_keras.layers.recurrence import ACTIVATIONS, Activation
from rnn_keras.layers.recurrent import (
    ACTIVATION_NAMES,
    STATE_NAMES,
    recurrent_kind,
    recurrent_layers_in,
)
from rnn_keras.layers.scan import OPERATIONS

_BLOCKS = {"SimpleRNN": ("h",), "GRU": ("z", "r", "c"), "LSTM": ("i", "f", "g", "o")}
_GATES = {"SimpleRNN": "", "GRU": "zr", "LSTM": "ifo"}


class Jacobians(NamedTuple):
    """How much the state after the last step depends on the states before it.

    Attributes:
        norms: `(texts, timesteps)`. The spectral norm of the derivative of the last
            state with respect to the state after that step; 1 at the last step.
        bound: `(texts, timesteps)`. The bound (m s)^(T-t) on these norms; `None` for
            GRU and LSTM, where it does not hold, and for activations other than
            tanh, sigmoid, ReLU and linear.
    """

    norms: np.ndarray
    bound: np.ndarray | None


def gradient_flow(
    network: keras.Model,
    ids: np.ndarray,
    targets: np.ndarray,
    loss: keras.losses.Loss | None = None,
) -> dict[str, np.ndarray]:
    """Compute the norm of the gradient of the loss with respect to every state.

    Args:
        network: a model from token ids to logits.
        ids: token ids `(texts, timesteps)`; 0 is padding.
        targets: class indices `(texts,)`, or whatever `loss` takes, one per text.
        loss: a Keras loss; by default cross-entropy from logits.

    Returns:
        For each layer `"<layer>/h"`, `(texts, timesteps)`: the Euclidean norm of the
        gradient of that text's own loss with respect to the state h after that step.
        All paths to the loss count: through later states and, if the layer above
        reads every state, through that layer. An LSTM also has `"<layer>/c"`, the
        gradient with respect to c while the h of the same step is held fixed: the
        gradient that reaches c through the next c, 0 after the last step.

    Raises:
        ValueError: if `run_by_step` refuses the network or the ids, or if the number
            of targets differs from the number of texts.
    """
    targets = np.asarray(targets)
    if len(targets) != len(ids):
        raise ValueError(
            f"`targets` must have one target for each of {len(ids)} texts. "
            f"Received: {len(targets)}"
        )
    if loss is None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        outputs, traces = run_by_step(network, ids, tape)
        # Text by text, because a loss returns the mean over the texts it is given.
        rows = [slice(i, i + 1) for i in range(len(ids))]
        total = tf.add_n([loss(targets[row], outputs[row]) for row in rows])
    after = [trace.states[1:] for trace in traces]
    gradients = tape.gradient(total, after, unconnected_gradients="zero")
    flow = {}
    for trace, steps in zip(traces, gradients, strict=True):
        for i, state in enumerate(STATE_NAMES[trace.kind]):
            # Squares of gradients may leave the range of single precision.
            exact = [np.asarray(step[i], "float64") for step in steps]
            norms = [np.linalg.norm(step, axis=1) for step in exact]
            flow[f"{trace.name}/{state}"] = trace.by_position(norms)
    return flow


def jacobian_norms(network: keras.Model, ids: np.ndarray) -> dict[str, Jacobians]:
    """Compute the norm of the Jacobian of each layer's last state by its earlier ones.

    The inputs of the layer are held fixed. In a network of several layers these are
    the Jacobians of each recurrence by itself.

    The computation holds about `timesteps * texts * units^2` numbers in memory, and
    four times as many for LSTM. A few texts are enough.

    Args:
        network: a model from token ids to logits.
        ids: token ids `(texts, timesteps)`; 0 is padding.

    Returns:
        For each layer `"<layer>/h"`: the `Jacobians` of the last h with respect to
        earlier h. An LSTM also has `"<layer>/c"`, those of the last c with respect to
        earlier c, along the cell state. All paths through later steps count, and the
        other one of h and c is held fixed at step t. For a layer that reads the text
        from its end, the last state is the one after the first token.

    Raises:
        ValueError: if `run_by_step` refuses the network or the ids.
    """
    result = {}
    for trace in run_by_step(network, ids)[1]:
        steps, names = _step_jacobians(trace), STATE_NAMES[trace.kind]
        units = trace.cell.units
        norms: dict[str, list[np.ndarray]] = {state: [] for state in names}
        # The Jacobian of the last state by the state after step t, from the last t on.
        product = np.tile(np.eye(len(names) * units), (len(ids), 1, 1))
        for step in steps[::-1]:
            for i, state in enumerate(names):
                block = slice(i * units, (i + 1) * units)
                norms[state].append(_spectral_norm(product[:, block, block]))
            product = product @ step.astype("float64")
        for state in names:
            by_position = trace.by_position(norms[state][::-1])
            result[f"{trace.name}/{state}"] = Jacobians(by_position, _bound(trace))
    return result


def spectral_radius(matrix: np.ndarray) -> float:
    """Return the largest absolute value of an eigenvalue of a square matrix."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def recurrent_kernels(network: keras.Model) -> dict[str, np.ndarray]:
    """Return U of every recurrent layer, in blocks `(units, units)`.

    The `spectral_radius` of a block says whether a small state grows. Its largest
    singular value, `numpy.linalg.norm(U, 2)`, says how far one step can stretch a
    gradient.

    Returns:
        `"<layer>/h"` for SimpleRNN; `"<layer>/z"`, `/r` and `/c` for GRU;
        `"<layer>/i"`, `/f`, `/g` and `/o` for LSTM.
    """
    kernels = {}
    for layer in network.layers:
        for reader in recurrent_layers_in(layer):
            names = _BLOCKS[recurrent_kind(reader)]
            kernel = np.asarray(reader.cell.recurrent_kernel)
            blocks = np.split(kernel, len(names), axis=1)
            for name, block in zip(names, blocks, strict=True):
                kernels[f"{reader.name}/{name}"] = block
    return kernels


def gate_openness(network: keras.Model, ids: np.ndarray) -> dict[str, np.ndarray]:
    """Compute how far each gate is open, from 0 (shut) to 1 (open).

    Args:
        network: a model from token ids to logits.
        ids: token ids `(texts, timesteps)`; 0 is padding.

    Returns:
        `"<layer>/<gate>"`, `(texts, timesteps, units)`. An LSTM has the input gate i
        (how much of the candidate enters c), the forget gate f (how much of c stays)
        and the output gate o (how much of c becomes h). A GRU has the update gate z
        (how much of h stays) and the reset gate r (how much of h the candidate sees).
        A SimpleRNN has no gate.

    Raises:
        ValueError: if `run_by_step` refuses the network or the ids, or for a GRU
            with `reset_after=False`.
    """
    openness = {}
    for trace in run_by_step(network, ids)[1]:
        values = _activations(trace)
        for name in _GATES[trace.kind]:
            openness[f"{trace.name}/{name}"] = trace.by_position(values[name])
    return openness


def saturation(
    network: keras.Model, ids: np.ndarray, threshold: float = 0.1
) -> dict[str, np.ndarray]:
    """Compute how often each unit is saturated, so that its input hardly changes it.

    Args:
        network: a model from token ids to logits.
        ids: token ids `(texts, timesteps)`; 0 is padding.
        threshold: a unit is saturated at a step if the slope of its activation is
            below this share of the largest slope. At 0.1, tanh is saturated beyond
            +-0.949, and a ReLU where it is 0.

    Returns:
        `(units,)`, the share of real steps at which each unit is saturated, 0 to 1:
        `"<layer>/h"` for SimpleRNN; the gates and the candidate of the others
        (`"<layer>/c"` of GRU, `"<layer>/g"` of LSTM).

    Raises:
        ValueError: if `run_by_step` refuses the network or the ids, for a GRU with
            `reset_after=False`, or for an activation other than tanh, sigmoid, ReLU
            and linear.
    """
    shares = {}
    for trace in run_by_step(network, ids)[1]:
        for name, values in _activations(trace).items():
            activation = _known_activation(_keras_activation(trace, name))
            real = tf.constant(values[trace.as_read(trace.real)])
            slopes = activation.slope(OPERATIONS, real)
            flat = slopes.numpy() < threshold * activation.largest_slope
            shares[f"{trace.name}/{name}"] = flat.mean(axis=0)
    return shares


def _spectral_norm(matrices: np.ndarray) -> np.ndarray:
    """Return the largest singular value of each matrix.

    It is the root of the largest eigenvalue of A^T A, which is several times as fast
    to compute as a singular value decomposition.
    """
    squares = np.linalg.eigvalsh(np.swapaxes(matrices, 1, 2) @ matrices)
    return np.sqrt(np.maximum(squares[:, -1], 0))


def _step_jacobians(trace: LayerTrace) -> np.ndarray:
    """Return the Jacobians of each state by the one before.

    All steps are computed at once, since a step needs only the state before it.

    Returns:
        `(timesteps, texts, size, size)`, where `size` counts the features of all
        states of a layer.
    """
    x, before = trace.x, tf.concat(trace.before, axis=1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(before)
        states = tf.split(before, len(trace.states[0]), axis=1)
        after = tf.concat(trace.cell(x, states)[1], axis=1)
    # Row by row: `batch_jacobian` would trace a new graph at each call.
    size, real = after.shape[1], trace.as_read(trace.real)
    units = tf.one_hot(tf.range(size), size, dtype=after.dtype)[:, None]
    rows = [
        tape.gradient(after, before, tf.broadcast_to(unit, after.shape))
        for unit in units
    ]
    jacobians = np.stack(rows, axis=1)
    jacobians = jacobians.reshape(*real.shape, size, size)
    # At padding the state does not change.
    jacobians[~real] = np.eye(size)
    return jacobians


def _bound(trace: LayerTrace) -> np.ndarray | None:
    if trace.kind != "SimpleRNN" or trace.cell.activation not in ACTIVATION_NAMES:
        return None
    slope = _known_activation(trace.cell.activation).largest_slope
    largest = np.linalg.norm(np.asarray(trace.cell.recurrent_kernel, "float64"), 2)
    real = trace.as_read(trace.real)
    later = real[::-1].cumsum(axis=0)[::-1] - real
    return trace.by_position((slope * largest) ** later)


def _activations(trace: LayerTrace) -> dict[str, np.ndarray]:
    """Return the outputs of each activation, `(timesteps, texts, units)`."""
    if trace.kind == "SimpleRNN":
        return {"h": np.stack([states[0] for states in trace.states[1:]])}
    shape = (len(trace.inputs), len(trace.real), trace.cell.units)
    values: dict[str, tf.Tensor] = {}
    for name, (from_x, from_h) in _gate_arguments(trace).items():
        if trace.kind == "GRU" and name == "c":
            from_h = values["r"] * from_h
        values[name] = _keras_activation(trace, name)(from_x + from_h)
    return {name: np.asarray(value).reshape(shape) for name, value in values.items()}


def _gate_arguments(trace: LayerTrace) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    """Return x W + b and h U + b' of each gate and candidate, for all steps."""
    cell, names = trace.cell, _BLOCKS[trace.kind]
    if not getattr(cell, "reset_after", True):
        raise ValueError(
            f"`reset_after` of {trace.name!r} must be True. Received: False"
        )
    w, u, *bias = (tf.cast(weight, trace.x.dtype) for weight in cell.weights[:3])
    from_x, from_h = tf.matmul(trace.x, w), tf.matmul(trace.before[0], u)
    if bias and trace.kind == "GRU":
        from_x, from_h = from_x + bias[0][0], from_h + bias[0][1]
    elif bias:
        from_x = from_x + bias[0]
    blocks = [tf.split(a, len(names), axis=1) for a in (from_x, from_h)]
    return dict(zip(names, zip(*blocks, strict=True), strict=True))


def _keras_activation(trace: LayerTrace, name: str) -> Callable:
    """Return the Keras activation function of a gate or a candidate."""
    gate = name in _GATES[trace.kind]
    return trace.cell.recurrent_activation if gate else trace.cell.activation


def _known_activation(function: Callable) -> Activation:
    """Return the entry of `ACTIVATIONS` for a Keras function, which has a slope."""
    if function in ACTIVATION_NAMES:
        return ACTIVATIONS[ACTIVATION_NAMES[function]]
    raise ValueError(
        f"the activation must be one of {tuple(ACTIVATIONS)}. "
        f"Received: {getattr(function, '__name__', function)!r}"
    )
