r"""The three recurrences and their gradients, derived by hand for speed.

Notation: a sequence of inputs x_1 ... x_T, a state h_t, kernels W (inputs to
state) and U (state to state), a bias b; * is the product of elements, and matrices
stand on the right, as rows of a tensor are examples: x_t W + h_{t-1} U + b. The
loss is E; its gradient at a quantity q is written dq. Two observations make a
recurrence fast on a processor, and both are the same for every cell.

**Forward.** x_t W needs no state. All T products are taken at once, before the
loop, as one matrix product; the loop keeps h_{t-1} U and the activations.

**Backward.** Let a_t be what an activation is applied to. If the loop, running from
T down to 1, leaves every da_t behind, the kernels' gradients are single products
over all steps, after the loop:

    dW = sum_t x_t^T da_t,   dU = sum_t h_{t-1}^T da_t,   db = sum_t da_t

(and dx_t = da_t W^T). The loop keeps da_t U^T, which carries the gradient from
h_t to h_{t-1}. Here s'(y) is the slope of an activation written in terms of its
output y: 1 - y*y for tanh, y*(1 - y) for the sigmoid.

*SimpleRNN* (J. L. Elman, "Finding structure in time", 1990):

    h_t = tanh(a_t),  a_t = x_t W + h_{t-1} U + b
    da_t = dh_t * (1 - h_t*h_t),   dh_{t-1} = da_t U^T

*GRU* (K. Cho et al., arXiv:1406.1078v1; the reset gate r after the product), whose
kernels hold three blocks, for z, r and c:

    z, r = sigmoid(x W + b + h_{t-1} U + b')     p = h_{t-1} U_c + b'_c
    c    = tanh(x W_c + b_c + r*p)               h_t = z*h_{t-1} + (1-z)*c

    dz = dh * (h_{t-1} - c)*z*(1-z)              dc = dh * C,   C = (1-z)*(1-c*c)
    dr = dh * C*p*r*(1-r)                        dp = dh * C*r
    dh_{t-1} = dh*z + [dz, dr, dp] U^T

where dz, dr, dc stand for the gradients at the arguments of the activations. dU
takes [dz, dr, dp], dW takes [dz, dr, dc].

*LSTM* (S. Hochreiter, J. Schmidhuber, 1997; F. Gers et al., 2000), four blocks,
for i, f, g and o, and a second state c:

    i, f, o = sigmoid(a_t)   g = tanh(a_t)       c_t = f*c_{t-1} + i*g
                             y = tanh(c_t)       h_t = o*y

    k  = dc + dh * o*(1-y*y)                     dc_{t-1} = k*f
    di = k * g*i*(1-i)                           df = k * c_{t-1}*f*(1-f)
    dg = k * i*(1-g*g)                           do = dh * y*o*(1-o)
    dh_{t-1} = [di, df, dg, do] U^T

The loop forward saves what dh and k are multiplied by, instead of the gates.

**Padding.** Where the mask is False, h_t = h_{t-1}; so da_t = 0, dh_{t-1} = dh_t.

Tensors are time-major, `(timesteps, batch, features)`: a step reads and writes one
block. All is plain TensorFlow, which runs eagerly, in graphs, and fast under XLA.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from rnn_keras.layers.scan import Cell, States, cut, recur


class Activation(NamedTuple):
    """An activation, its slope in terms of its output, and the largest slope."""

    function: Callable[[tf.Tensor], tf.Tensor]
    slope: Callable[[tf.Tensor], tf.Tensor]
    largest_slope: float = 1.0

    def __call__(self, a: tf.Tensor) -> tf.Tensor:
        return self.function(a)


ACTIVATIONS = {
    "tanh": Activation(tf.tanh, lambda y: 1 - y * y),
    "sigmoid": Activation(tf.sigmoid, lambda y: y * (1 - y), 0.25),
    "relu": Activation(tf.nn.relu, lambda y: tf.cast(y > 0, y.dtype)),
    "linear": Activation(tf.identity, tf.ones_like),
}

# By XLA, however many read them, as they take long.
_COMPUTED_ONCE = {"tanh", "sigmoid"}


def simple_rnn(
    x: tf.Tensor,
    mask: tf.Tensor | None,
    states: States,
    weights: Sequence[tf.Tensor],
    *,
    activation: str = "tanh",
    return_sequences: bool = True,
) -> tuple[tf.Tensor | None, States]:
    """h_t = tanh(x_t W + h_{t-1} U + b).

    Args:
        x: `(timesteps, batch, features)`.
        mask: booleans `(timesteps, batch, 1)`, `True` for a real step, or `None`.
        states: h before the first step, `(batch, units)`.
        weights: W `(features, units)`, U `(units, units)`, b `(units,)`.
        activation: a key of `ACTIVATIONS`.
        return_sequences: whether the states of all steps are asked for.

    Returns:
        h after each step, `(timesteps, batch, units)`, or `None`; and after the
        last, `(batch, units)`.
    """
    f = ACTIVATIONS[activation]
    kernel, *weights = weights

    def step(inputs, states, u, b):
        (xw,), (h,) = inputs, states
        return (f(xw + tf.matmul(h, u) + b),), ()

    def back(dstates, saved, h):
        (dh,) = dstates
        return (tf.zeros_like(dh),), (dh * f.slope(h),)

    return recur(
        Cell(step, back, _through, _weight_gradients),
        [[_project(part, kernel)] for part in cut(x)],
        states,
        weights,
        mask,
        gradients=[1],
        unrolled=4,
        return_sequences=return_sequences,
    )


def gru(
    x: tf.Tensor,
    mask: tf.Tensor | None,
    states: States,
    weights: Sequence[tf.Tensor],
    *,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    return_sequences: bool = True,
) -> tuple[tf.Tensor | None, States]:
    """The gated recurrent unit, with the reset gate after the product.

    Args:
        x: this and the next two as in `simple_rnn`, which it returns the same as.
        mask: or `None`.
        states: h before the first step, `(batch, units)`.
        weights: W `(features, 3 * units)` and U `(units, 3 * units)` in blocks z,
            r, c, and their biases b and b', each `(3 * units,)`.
        activation: of the candidate c.
        recurrent_activation: of the gates z and r.
        return_sequences: whether the states of all steps are asked for.
    """
    f, gate = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    kernel, *weights = weights
    units = states[0].shape[-1]
    blocks = [2 * units, units]  # the two gates together, the candidate

    def step(inputs, states, u, b, b_recurrent):
        (xw_gates, xw_c), (h,) = inputs, states
        hu_gates, p = tf.split(tf.matmul(h, u) + b_recurrent, blocks, axis=1)
        b_gates, b_c = tf.split(b, blocks)
        gates = gate(xw_gates + b_gates + hu_gates)
        z, r = tf.split(gates, 2, axis=1)
        c = f(xw_c + b_c + r * p)
        of_c = (1 - z) * f.slope(c)
        of_gates = tf.concat([h - c, of_c * p], axis=1) * gate.slope(gates)
        return (z * h + (1 - z) * c,), (of_gates, of_c, of_c * r, z)

    def back(dstates, saved, h):
        (dh,), (of_gates, of_c, of_p, z) = dstates, saved
        dgates = tf.concat([dh, dh], axis=1) * of_gates
        return (dh * z,), (dgates, dh * of_c, dh * of_p)

    def through(da, u_gates, u_c):
        dgates, _, dp = da
        return tf.matmul(dgates, u_gates) + tf.matmul(dp, u_c)

    def weight_gradients(h, da):
        dgates, dc, dp = da
        du = tf.concat([_product(h, dgates), _product(h, dp)], axis=1)
        db_gates = _sum(dgates)
        db = tf.concat([db_gates, _sum(dc)], axis=0)
        return du, db, tf.concat([db_gates, _sum(dp)], axis=0)

    kernels = tf.split(kernel, blocks, axis=1)
    return recur(
        Cell(step, back, through, weight_gradients),
        [[_project(part, block) for block in kernels] for part in cut(x)],
        states,
        weights,
        mask,
        saved=[2, 1, 1, 1],
        gradients=[2, 1, 1],
        blocks=blocks,
        in_place={activation, recurrent_activation} <= _COMPUTED_ONCE,
        return_sequences=return_sequences,
    )


def lstm(
    x: tf.Tensor,
    mask: tf.Tensor | None,
    states: States,
    weights: Sequence[tf.Tensor],
    *,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    return_sequences: bool = True,
) -> tuple[tf.Tensor | None, States]:
    """Long short-term memory with a forget gate.

    Args:
        x: this and the next as in `simple_rnn`, which it returns the same as, with
            c after the last step besides.
        mask: or `None`.
        states: h and c before the first step, each `(batch, units)`.
        weights: W `(features, 4 * units)` and U `(units, 4 * units)` in blocks i,
            f, g, o, and b `(4 * units,)`.
        activation: of g and of c.
        recurrent_activation: of the gates i, f and o.
        return_sequences: whether the states h of all steps are asked for.
    """
    phi, gate = ACTIVATIONS[activation], ACTIVATIONS[recurrent_activation]
    kernel, *weights = weights

    def step(inputs, states, u, b):
        (xw,), (h, c_before) = inputs, states
        gates, slopes = _lstm_gates(xw + tf.matmul(h, u) + b, phi, gate)
        i, f, g, o = tf.split(gates, 4, axis=1)
        c = f * c_before + i * g
        y = phi(c)
        of_a = tf.concat([g, c_before, i, y], axis=1) * slopes
        return (o * y, c), (of_a, o * phi.slope(y), f)

    def back(dstates, saved, h):
        (dh, dc), (of_a, of_c, f) = dstates, saved
        k = dc + dh * of_c
        da = tf.concat([k, k, k, dh], axis=1) * of_a
        return (tf.zeros_like(dh), k * f), (da,)

    return recur(
        Cell(step, back, _through, _weight_gradients),
        [[_project(part, kernel)] for part in cut(x)],
        states,
        weights,
        mask,
        saved=[4, 1, 1],
        gradients=[4],
        in_place={activation, recurrent_activation} <= _COMPUTED_ONCE,
        unrolled=2,
        return_sequences=return_sequences,
    )


def _lstm_gates(
    a: tf.Tensor, phi: Activation, gate: Activation
) -> tuple[tf.Tensor, tf.Tensor]:
    """The activations of the blocks i, f, g and o, and their slopes."""
    if (phi, gate) != (ACTIVATIONS["tanh"], ACTIVATIONS["sigmoid"]):
        functions = (gate, gate, phi, gate)
        gates = [f(b) for f, b in zip(functions, tf.split(a, 4, axis=1), strict=True)]
        slopes = [f.slope(y) for f, y in zip(functions, gates, strict=True)]
        return tf.concat(gates, axis=1), tf.concat(slopes, axis=1)
    # One function for all blocks, and so one loop: tanh(a) = 2 sigmoid(2a) - 1.
    zero = tf.zeros_like(a[:1, : a.shape[1] // 4])
    for_g = tf.concat([zero, zero, zero + 1, zero], axis=1)
    gates = (1 + for_g) * tf.sigmoid((1 + for_g) * a) - for_g
    return gates, (gates + for_g) * (1 - gates)


def _through(da: Sequence[tf.Tensor], u_transposed: tf.Tensor) -> tf.Tensor:
    return tf.matmul(da[0], u_transposed)


def _weight_gradients(h: tf.Tensor, da: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
    return _product(h, da[0]), _sum(da[0])


def _project(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """x_t W for all steps as one matrix product."""
    shape = tf.concat([tf.shape(x)[:2], kernel.shape[1:]], axis=0)
    product = tf.reshape(tf.matmul(_rows(x), kernel), shape)
    return tf.ensure_shape(product, (*x.shape[:2], kernel.shape[1]))


def _product(h: tf.Tensor, da: tf.Tensor) -> tf.Tensor:
    """sum_t h_t^T da_t as one matrix product."""
    return tf.matmul(_rows(h), _rows(da), transpose_a=True)


def _rows(tensor: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tensor, (-1, tensor.shape[-1]))


def _sum(da: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(da, axis=(0, 1))
