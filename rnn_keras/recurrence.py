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

    dz = dh*(h_{t-1} - c)*z*(1-z)                dc = dh*(1-z)*(1-c*c)
    dr = dc*p*r*(1-r)                            dp = dc*r
    dh_{t-1} = dh*z + [dz, dr, dp] U^T

where dz, dr, dc stand for the gradients at the arguments of the activations. dU
takes [dz, dr, dp], dW takes [dz, dr, dc].

*LSTM* (S. Hochreiter, J. Schmidhuber, 1997; F. Gers et al., 2000), four blocks,
for i, f, g and o, and a second state c:

    i, f, o = sigmoid(a_t)   g = tanh(a_t)       c_t = f*c_{t-1} + i*g
                                                 h_t = o*tanh(c_t)

    k  = dc + dh*o*(1 - tanh(c_t)^2)             dc_{t-1} = k*f
    di = k*g*i*(1-i)                             df = k*c_{t-1}*f*(1-f)
    dg = k*i*(1-g*g)                             do = dh*tanh(c_t)*o*(1-o)
    dh_{t-1} = [di, df, dg, do] U^T

**Padding.** Where the mask is False a step is no step: h_t = h_{t-1}, hence
da_t = 0 and dh_{t-1} = dh_t.

Tensors are time-major, `(timesteps, batch, features)`, as a step then reads and
writes one contiguous block. Everything is plain TensorFlow and runs eagerly, in
graphs, and compiled by XLA, which is where it is fast.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from rnn_keras.scan import States, recur


class Activation(NamedTuple):
    """An activation, and its slope in terms of its output."""

    function: Callable[[tf.Tensor], tf.Tensor]
    slope: Callable[[tf.Tensor], tf.Tensor]

    def __call__(self, a: tf.Tensor) -> tf.Tensor:
        return self.function(a)


ACTIVATIONS = {
    "tanh": Activation(tf.tanh, lambda y: 1 - y * y),
    "sigmoid": Activation(tf.sigmoid, lambda y: y * (1 - y)),
    "relu": Activation(tf.nn.relu, lambda y: tf.cast(y > 0, y.dtype)),
    "linear": Activation(tf.identity, tf.ones_like),
}


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

    def back(dstates, gates, before, after, u_transposed):
        (dh,), (h,) = dstates, after
        da = dh * f.slope(h)
        return (tf.matmul(da, u_transposed),), (da,)

    def weight_gradients(h, da):
        return _product(h, da), _sum(da)

    return recur(
        (step, back, weight_gradients),
        [_project(x, kernel)],
        states,
        weights,
        mask,
        gates=0,
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
        z, r = tf.split(gate(xw_gates + b_gates + hu_gates), 2, axis=1)
        c = f(xw_c + b_c + r * p)
        return (z * h + (1 - z) * c,), (z, r, c, p)

    def back(dstates, gates, before, after, u_gates, u_c):
        (dh,), (z, r, c, p), (h,) = dstates, gates, before
        dz = dh * (h - c) * gate.slope(z)
        dc = dh * (1 - z) * f.slope(c)
        dr, dp = dc * p * gate.slope(r), dc * r
        dgates = tf.concat([dz, dr], axis=1)
        dh = dh * z + tf.matmul(dgates, u_gates) + tf.matmul(dp, u_c)
        return (dh,), (dgates, dc, dp)

    def weight_gradients(h, dgates, dc, dp):
        du = tf.concat([_product(h, dgates), _product(h, dp)], axis=1)
        db_gates = _sum(dgates)
        db = tf.concat([db_gates, _sum(dc)], axis=0)
        return du, db, tf.concat([db_gates, _sum(dp)], axis=0)

    return recur(
        (step, back, weight_gradients),
        [_project(x, w) for w in tf.split(kernel, blocks, axis=1)],
        states,
        weights,
        mask,
        gates=4,
        gradients=[2, 1, 1],
        blocks=blocks,
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
        (xw,), (h, c) = inputs, states
        i, f, g, o = tf.split(xw + tf.matmul(h, u) + b, 4, axis=1)
        i, f, g, o = gate(i), gate(f), phi(g), gate(o)
        c = f * c + i * g
        return (o * phi(c), c), (i, f, g, o)

    def back(dstates, gates, before, after, u_transposed):
        (dh, dc), (i, f, g, o) = dstates, gates
        (_, c_before), (_, c) = before, after
        y = phi(c)
        k = dc + dh * o * phi.slope(y)
        di = k * g * gate.slope(i)
        df = k * c_before * gate.slope(f)
        dg = k * i * phi.slope(g)
        do = dh * y * gate.slope(o)
        da = tf.concat([di, df, dg, do], axis=1)
        return (tf.matmul(da, u_transposed), k * f), (da,)

    def weight_gradients(h, da):
        return _product(h, da), _sum(da)

    return recur(
        (step, back, weight_gradients),
        [_project(x, kernel)],
        states,
        weights,
        mask,
        gates=4,
        gradients=[4],
        return_sequences=return_sequences,
    )


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
