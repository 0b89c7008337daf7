r"""What happens inside a recurrence: gradients by step, Jacobians, gates, saturation.

For the models of `rnn_keras.models.build_classifier`, and for any other chain of
layers whose recurrent ones are SimpleRNN, GRU or LSTM.

Results are dictionaries. A key names the layer and the quantity, `"lstm_1/c"`; in both
directions `"forward_lstm_1/c"` and `"backward_lstm_1/c"`. Step t is the t-th token of
the text, for a backward reader too, which reads it from its end. A position that is
padding holds `nan`. The letters are those of `rnn_keras.recurrence`.

The bound on the Jacobian: h_t = f(a_t), a_t = x_t W + h_{t-1} U + b, has, by the chain
rule (rows as vectors, as in the equation),

    dh_T/dh_t = U diag(f'(a_{t+1})) U diag(f'(a_{t+2})) ... U diag(f'(a_T)),

and the norm of a product is at most the product of the norms: with s the largest
singular value of U and m the largest slope of f, at most (m s)^(T-t). See
R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
networks", ICML 2013, section 2.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.diagnostics.stepwise import Run, run_by_step
from rnn_keras.layers.recurrence import ACTIVATIONS, Activation
from rnn_keras.layers.recurrent import ACTIVATION_NAMES, STATES, kind_of, readers_of

_BLOCKS = {"SimpleRNN": ("h",), "GRU": ("z", "r", "c"), "LSTM": ("i", "f", "g", "o")}
_GATES = {"SimpleRNN": "", "GRU": "zr", "LSTM": "ifo"}


class Jacobians(NamedTuple):
    """How the state after the last step depends on the states before it.

    Attributes:
        norms: `(texts, timesteps)`: the spectral norm of the last state's derivative
            by the state after that step, which is 1 at the last step.
        bound: as large, (m s)^(T-t); `None` for GRU and LSTM, where it does not hold,
            and for an activation that is not tanh, sigmoid, ReLU or linear.
    """

    norms: np.ndarray
    bound: np.ndarray | None


def gradient_flow(
    network: keras.Model,
    ids: np.ndarray,
    targets: np.ndarray,
    loss: keras.losses.Loss | None = None,
) -> dict[str, np.ndarray]:
    """Norm of the loss's gradient by every hidden state.

    Args:
        network: from token ids to logits.
        ids: `(texts, timesteps)`; 0 is padding.
        targets: class indices `(texts,)`, or what `loss` takes.
        loss: cross-entropy from logits by default.

    Returns:
        For each layer `"<layer>/h"`: `(texts, timesteps)`, the Euclidean norm of the
        gradient of that text's own loss by the state after that step, on all ways to
        the loss: through the later states and, where the layer above reads every
        state, through that. For LSTM also `"<layer>/c"`, by c with the h of the same
        step held fixed: what reaches c through the next c, 0 after the last step.

    Raises:
        ValueError: as `rnn_keras.steps.run_by_step`, or if there are not as many
            targets as texts.
    """
    targets = np.asarray(targets)
    if len(targets) != len(ids):
        raise ValueError(
            f"`targets` must be one for each of {len(ids)} texts. "
            f"Received: {len(targets)}"
        )
    if loss is None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        outputs, runs = run_by_step(network, ids, tape)
        # Text by text, as a loss takes the mean over those it is given.
        rows = [slice(i, i + 1) for i in range(len(ids))]
        total = tf.add_n([loss(targets[row], outputs[row]) for row in rows])
    after = [run.states[1:] for run in runs]
    gradients = tape.gradient(total, after, unconnected_gradients="zero")
    flow = {}
    for run, steps in zip(runs, gradients, strict=True):
        for i, state in enumerate(STATES[run.kind]):
            # Their squares would leave the range of single precision.
            exact = [np.asarray(step[i], "float64") for step in steps]
            norms = [np.linalg.norm(step, axis=1) for step in exact]
            flow[f"{run.name}/{state}"] = run.by_position(norms)
    return flow


def jacobian_norms(network: keras.Model, ids: np.ndarray) -> dict[str, Jacobians]:
    """Norm of the Jacobian of each layer's last state by its earlier states.

    The layer's inputs are held fixed: in a network of several layers these are the
    Jacobians of each recurrence by itself.

    Args:
        network: as in `gradient_flow`.
        ids: `(texts, timesteps)`; 0 is padding.

    Returns:
        For each layer `"<layer>/h"`: `Jacobians`; for LSTM of the last h by h, and
        `"<layer>/c"` of the last c by c, the path of the cell state. Either is on all
        ways through later steps, with the other of the two held fixed at step t. The
        last state of a backward reader is that after the first token.

        It takes some `timesteps * texts * units^2` numbers in memory, four times as
        many for LSTM: a few texts are enough.

    Raises:
        ValueError: as `rnn_keras.steps.run_by_step`.
    """
    result = {}
    for run in run_by_step(network, ids)[1]:
        steps, names, units = _step_jacobians(run), STATES[run.kind], run.cell.units
        norms: dict[str, list[np.ndarray]] = {state: [] for state in names}
        # Of the last state by the one after step t, from the last t to the first.
        product = np.tile(np.eye(len(names) * units), (len(ids), 1, 1))
        for step in steps[::-1]:
            for i, state in enumerate(names):
                block = slice(i * units, (i + 1) * units)
                norms[state].append(_spectral_norm(product[:, block, block]))
            product = product @ step.astype("float64")
        for state in names:
            by_position = run.by_position(norms[state][::-1])
            result[f"{run.name}/{state}"] = Jacobians(by_position, _bound(run))
    return result


def spectral_radius(matrix: np.ndarray) -> float:
    """The largest absolute value of an eigenvalue of a square matrix."""
    return float(np.abs(np.linalg.eigvals(matrix)).max())


def recurrent_kernels(network: keras.Model) -> dict[str, np.ndarray]:
    """U of every recurrent layer, `(units, units)`, for gated ones one a block.

    Returns:
        `"<layer>/h"` for SimpleRNN; `/z`, `/r`, `/c` for GRU; `/i`, `/f`, `/g`, `/o`
        for LSTM. `spectral_radius` of it says whether a small state grows,
        `numpy.linalg.norm(U, 2)`, the largest singular value, how far one step can
        stretch a gradient.
    """
    kernels = {}
    for layer in network.layers:
        for reader in readers_of(layer):
            names = _BLOCKS[kind_of(reader)]
            kernel = np.asarray(reader.cell.recurrent_kernel)
            blocks = np.split(kernel, len(names), axis=1)
            for name, block in zip(names, blocks, strict=True):
                kernels[f"{reader.name}/{name}"] = block
    return kernels


def gate_openness(network: keras.Model, ids: np.ndarray) -> dict[str, np.ndarray]:
    """How far each gate is open, from 0, shut, to 1.

    Args:
        network: as in `gradient_flow`.
        ids: `(texts, timesteps)`; 0 is padding.

    Returns:
        `"<layer>/<gate>"`: `(texts, timesteps, units)`. LSTM has i (what is let into
        c), f (what is kept of c), o (what is shown of it); GRU has z (what is kept of
        h) and r (what the candidate sees of h); SimpleRNN has no gate.

    Raises:
        ValueError: as `rnn_keras.steps.run_by_step`.
    """
    openness = {}
    for run in run_by_step(network, ids)[1]:
        values = _activations(run)
        for name in _GATES[run.kind]:
            openness[f"{run.name}/{name}"] = run.by_position(values[name])
    return openness


def saturation(
    network: keras.Model, ids: np.ndarray, threshold: float = 0.1
) -> dict[str, np.ndarray]:
    """How often each unit is saturated: where it hardly changes with its input.

    Args:
        network: as in `gradient_flow`.
        ids: `(texts, timesteps)`; 0 is padding.
        threshold: a unit is saturated at a step where the slope of its activation is
            below this share of the largest slope: for tanh at 0.1, beyond +-0.949;
            a ReLU where it is 0.

    Returns:
        Per layer `/h` for SimpleRNN, else its gates and its candidate (`/c` of GRU,
        `/g` of LSTM): the share of real steps, 0 to 1, `(units,)`.

    Raises:
        ValueError: for an activation other than tanh, sigmoid, ReLU and linear, and as
            `rnn_keras.steps.run_by_step`.
    """
    shares = {}
    for run in run_by_step(network, ids)[1]:
        for name, values in _activations(run).items():
            activation = _activation(_function(run, name))
            slopes = activation.slope(tf.constant(values[run.as_read(run.real)]))
            flat = slopes.numpy() < threshold * activation.largest_slope
            shares[f"{run.name}/{name}"] = flat.mean(axis=0)
    return shares


def _spectral_norm(matrices: np.ndarray) -> np.ndarray:
    """Of each, from the eigenvalues of A^T A: several times as fast as by an SVD."""
    squares = np.linalg.eigvalsh(np.swapaxes(matrices, 1, 2) @ matrices)
    return np.sqrt(np.maximum(squares[:, -1], 0))


def _step_jacobians(run: Run) -> np.ndarray:
    """Of each state by the one before: `(timesteps, texts, size, size)`.

    All steps at once: given the state before it, a step needs no other.
    """
    x, before = run.x, tf.concat(run.before, axis=1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(before)
        states = tf.split(before, len(run.states[0]), axis=1)
        after = tf.concat(run.cell(x, states)[1], axis=1)
    # Row by row: `batch_jacobian` would trace a graph anew at each call.
    size, real = after.shape[1], run.as_read(run.real)
    units = tf.one_hot(tf.range(size), size, dtype=after.dtype)[:, None]
    rows = [
        tape.gradient(after, before, tf.broadcast_to(unit, after.shape))
        for unit in units
    ]
    jacobians = np.stack(rows, axis=1)
    jacobians = jacobians.reshape(*real.shape, size, size)
    # At padding the state stays as it is.
    jacobians[~real] = np.eye(size)
    return jacobians


def _bound(run: Run) -> np.ndarray | None:
    if run.kind != "SimpleRNN" or run.cell.activation not in ACTIVATION_NAMES:
        return None
    slope = _activation(run.cell.activation).largest_slope
    largest = np.linalg.norm(np.asarray(run.cell.recurrent_kernel, "float64"), 2)
    real = run.as_read(run.real)
    later = real[::-1].cumsum(axis=0)[::-1] - real
    return run.by_position((slope * largest) ** later)


def _activations(run: Run) -> dict[str, np.ndarray]:
    """The values of each activation, `(timesteps, texts, units)`."""
    cell, names = run.cell, _BLOCKS[run.kind]
    shape = (len(run.inputs), len(run.real), cell.units)
    if run.kind == "SimpleRNN":
        return {"h": np.stack([states[0] for states in run.states[1:]])}
    if not getattr(cell, "reset_after", True):
        raise ValueError(f"`reset_after` of {run.name!r} must be True. Received: False")
    w, u, *bias = (tf.cast(weight, run.x.dtype) for weight in cell.weights[:3])
    of_x, of_h = tf.matmul(run.x, w), tf.matmul(run.before[0], u)
    if bias and run.kind == "GRU":
        of_x, of_h = of_x + bias[0][0], of_h + bias[0][1]
    elif bias:
        of_x = of_x + bias[0]
    values = {}
    blocks = (tf.split(a, len(names), axis=1) for a in (of_x, of_h))
    for name, from_x, from_h in zip(names, *blocks, strict=True):
        if run.kind == "GRU" and name == "c":
            from_h = values["r"] * from_h
        values[name] = _function(run, name)(from_x + from_h)
    return {name: np.asarray(value).reshape(shape) for name, value in values.items()}


def _function(run: Run, name: str) -> Callable:
    """Keras's, of a gate or of the rest."""
    gate = name in _GATES[run.kind]
    return run.cell.recurrent_activation if gate else run.cell.activation


def _activation(function: Callable) -> Activation:
    if function in ACTIVATION_NAMES:
        return ACTIVATIONS[ACTIVATION_NAMES[function]]
    raise ValueError(
        f"the activation must be one of {tuple(ACTIVATIONS)}. "
        f"Received: {getattr(function, '__name__', function)!r}"
    )
