r"""The equations of SimpleRNN, GRU and LSTM, and their gradients, derived by hand.

Notation: a sequence of inputs x_1 ... x_T, a state h_t, kernels W (inputs to
state) and U (state to state), a bias b. The sign * multiplies element by element.
Matrices stand on the right, because the rows of a tensor are examples:
x_t W + h_{t-1} U + b. The gradient of the loss with respect to a quantity q is written
dq. Two observations make a recurrence fast on a processor, and both hold for all
three.

**Forward.** x_t W needs no state. All T of these products are computed before the
loop, as one matrix product; h_{t-1} U and the activations stay in the loop.

**Backward.** Let a_t be the argument of an activation. If the loop, which runs from
T down to 1, stores every da_t, the gradients of the kernels are single products over
all steps, computed after the loop:

    dW = sum_t x_t^T da_t,   dU = sum_t h_{t-1}^T da_t,   db = sum_t da_t

(and dx_t = da_t W^T). The product da_t U^T, which carries the gradient from h_t to
h_{t-1}, stays in the loop. The slope of an activation is written in terms of its
output y: 1 - y*y for tanh, y*(1 - y) for the sigmoid.

*SimpleRNN* (J. L. Elman, "Finding structure in time", 1990):

    h_t = tanh(a_t),  a_t = x_t W + h_{t-1} U + b
    da_t = dh_t * (1 - h_t*h_t),   dh_{t-1} = da_t U^T

*GRU* (K. Cho et al., arXiv:1406.1078v1; here the reset gate is applied after the
product with U). The kernels hold three blocks, for the update gate z, the reset gate
r and the candidate c:

    z, r = sigmoid(x W + b + h_{t-1} U + b')     p = h_{t-1} U_c + b'_c
    c    = tanh(x W_c + b_c + r*p)               h_t = z*h_{t-1} + (1-z)*c

    dz = dh * (h_{t-1} - c)*z*(1-z)              dc = dh * C,   C = (1-z)*(1-c*c)
    dr = dh * C*p*r*(1-r)                        dp = dh * C*r
    dh_{t-1} = dh*z + [dz, dr, dp] U^T

where dz, dr and dc stand for the gradients of the arguments of the activations. dU
is computed from [dz, dr, dp], and dW from [dz, dr, dc].

*LSTM* (S. Hochreiter, J. Schmidhuber, 1997; F. Gers et al., 2000). The kernels hold
four blocks, for the input gate i, the forget gate f, the candidate g and the output
gate o; the cell state c is a second state:

    i, f, o = sigmoid(a_t)   g = tanh(a_t)       c_t = f*c_{t-1} + i*g
                             y = tanh(c_t)       h_t = o*y

    k  = dc + dh * o*(1-y*y)                     dc_{t-1} = k*f
    di = k * g*i*(1-i)                           df = k * c_{t-1}*f*(1-f)
    dg = k * i*(1-g*g)                           do = dh * y*o*(1-o)
    dh_{t-1} = [di, df, dg, do] U^T

The forward loop saves the factors that dh and k are multiplied by, not the gates.

**Padding.** Where the mask is False, h_t = h_{t-1}; so da_t = 0, dh_{t-1} = dh_t.
`rnn_keras.layers.scan` takes care of that, and of the loop.

Tensors are time-major, `(timesteps, batch, features)`, so that a step reads and
writes one contiguous block. Everything here is plain TensorFlow: it runs eagerly, in
graphs, and fast when XLA compiles it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from rnn_keras.layers.scan import Recurrence, States, Tensors, recur, split_batch


class Activation(NamedTuple):
    """An activation function, whose derivative is known from its output.

    Attributes:
        function: from the argument a to the output y.
        slope: from the output y to the derivative at a.
        largest_slope: the maximum of the derivative.
    """

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

# These take long, so XLA computes them once, however many operations read the result.
# The others it computes again for every reader, which would need the inputs again.
_COMPUTED_ONCE = {"tanh", "sigmoid"}


def run_recurrence(
    recurrence: Recurrence,
    x: tf.Tensor,
    mask: tf.Tensor | None,
    states: States,
    weights: Sequence[tf.Tensor],
    *,
    return_sequences: bool = True,
) -> tuple[tf.Tensor | None, States]:
    """Run a recurrence over a batch of sequences. The result can be differentiated.

    Args:
        recurrence: one of the classes below.
        x: `(timesteps, batch, features)`.
        mask: booleans `(timesteps, batch, 1)`, `True` for a real step, or `None` if
            all steps are real.
        states: the states before the first step, `(batch, units)` each.
        weights: W, U and the biases, as the class of `recurrence` says.
        return_sequences: whether to return h after every step.

    Returns:
        h after every step, `(timesteps, batch, units)`, or `None`; and the states
        after the last step, `(batch, units)` each.
    """
    kernel, *rest = weights
    widths = [width * states[0].shape[-1] for width in recurrence.blocks]
    kernels = tf.split(kernel, widths, axis=1)
    products = [[_project(part, block) for block in kernels] for part in split_batch(x)]
    return recur(
        recurrence, products, states, rest, mask, return_sequences=return_sequences
    )


class _OneBlock(Recurrence):
    """A recurrence that multiplies by U as a whole."""

    def through_kernel(self, da: Tensors, u_transposed: Tensors) -> tf.Tensor:
        return tf.matmul(da[0], u_transposed[0])

    def weight_gradients(self, h_before: tf.Tensor, da: Tensors) -> Tensors:
        return _product(h_before, da[0]), _sum(da[0])


@dataclass(frozen=True)
class SimpleRNNRecurrence(_OneBlock):
    """Elman's recurrence: h_t = tanh(x_t W + h_{t-1} U + b).

    States: h. Weights: W `(features, units)`, U `(units, units)`, b `(units,)`.

    Args:
        activation: a key of `ACTIVATIONS`, used instead of tanh.
    """

    activation: str = "tanh"

    blocks = (1,)
    gradients = (1,)
    unrolled = 4

    def step(
        self, inputs: Tensors, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        (xw,), (h,), (u, b) = inputs, states, weights
        return [ACTIVATIONS[self.activation](xw + tf.matmul(h, u) + b)], []

    def step_back(
        self, dstates: Tensors, saved: Tensors, h: tf.Tensor
    ) -> tuple[Tensors, Tensors]:
        (dh,) = dstates
        return [tf.zeros_like(dh)], [dh * ACTIVATIONS[self.activation].slope(h)]


@dataclass(frozen=True)
class _Gates(Recurrence):
    """What GRU and LSTM have in common.

    Args:
        activation: a key of `ACTIVATIONS`, used instead of tanh.
        recurrent_activation: a key of `ACTIVATIONS`, used for the gates.
    """

    activation: str = "tanh"
    recurrent_activation: str = "sigmoid"

    @property
    def in_place(self) -> bool:
        return {self.activation, self.recurrent_activation} <= _COMPUTED_ONCE


@dataclass(frozen=True)
class GRURecurrence(_Gates):
    """The gated recurrent unit, with the reset gate after the product with U.

    States: h. Weights: W `(features, 3 * units)` and U `(units, 3 * units)` in blocks
    z, r, c, and their biases b and b', `(3 * units,)` each.

    Args:
        activation: a key of `ACTIVATIONS`, for the candidate c.
        recurrent_activation: a key of `ACTIVATIONS`, for the gates z and r.
    """

    blocks = (2, 1)  # the two gates together, the candidate
    gradients = (2, 1, 1)
    saved = (2, 1, 1, 1)

    def step(
        self, inputs: Tensors, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        f, gate = ACTIVATIONS[self.activation], ACTIVATIONS[self.recurrent_activation]
        (xw_gates, xw_c), (h,), (u, b, b_recurrent) = inputs, states, weights
        units = h.shape[-1]
        widths = [2 * units, units]
        hu_gates, p = tf.split(tf.matmul(h, u) + b_recurrent, widths, axis=1)
        b_gates, b_c = tf.split(b, widths)
        gates = gate(xw_gates + b_gates + hu_gates)
        z, r = tf.split(gates, 2, axis=1)
        c = f(xw_c + b_c + r * p)
        of_c = (1 - z) * f.slope(c)
        of_gates = tf.concat([h - c, of_c * p], axis=1) * gate.slope(gates)
        return [z * h + (1 - z) * c], [of_gates, of_c, of_c * r, z]

    def step_back(
        self, dstates: Tensors, saved: Tensors, h: tf.Tensor
    ) -> tuple[Tensors, Tensors]:
        (dh,), (of_gates, of_c, of_p, z) = dstates, saved
        dgates = tf.concat([dh, dh], axis=1) * of_gates
        return [dh * z], [dgates, dh * of_c, dh * of_p]

    def through_kernel(self, da: Tensors, u_transposed: Tensors) -> tf.Tensor:
        (dgates, _, dp), (u_gates, u_c) = da, u_transposed
        return tf.matmul(dgates, u_gates) + tf.matmul(dp, u_c)

    def weight_gradients(self, h_before: tf.Tensor, da: Tensors) -> Tensors:
        dgates, dc, dp = da
        du = tf.concat([_product(h_before, dgates), _product(h_before, dp)], axis=1)
        db_gates = _sum(dgates)
        db = tf.concat([db_gates, _sum(dc)], axis=0)
        return du, db, tf.concat([db_gates, _sum(dp)], axis=0)


@dataclass(frozen=True)
class LSTMRecurrence(_Gates, _OneBlock):
    """Long short-term memory with a forget gate.

    States: h and c. Weights: W `(features, 4 * units)` and U `(units, 4 * units)` in
    blocks i, f, g, o, and b `(4 * units,)`.

    Args:
        activation: a key of `ACTIVATIONS`, for the candidate g and for tanh(c).
        recurrent_activation: a key of `ACTIVATIONS`, for the gates i, f and o.
    """

    blocks = (4,)
    gradients = (4,)
    saved = (4, 1, 1)
    unrolled = 2

    def step(
        self, inputs: Tensors, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        phi = ACTIVATIONS[self.activation]
        (xw,), (h, c_before), (u, b) = inputs, states, weights
        gates, slopes = self._gates(xw + tf.matmul(h, u) + b)
        i, f, g, o = tf.split(gates, 4, axis=1)
        c = f * c_before + i * g
        y = phi(c)
        of_a = tf.concat([g, c_before, i, y], axis=1) * slopes
        return [o * y, c], [of_a, o * phi.slope(y), f]

    def step_back(
        self, dstates: Tensors, saved: Tensors, h: tf.Tensor
    ) -> tuple[Tensors, Tensors]:
        (dh, dc), (of_a, of_c, f) = dstates, saved
        k = dc + dh * of_c
        da = tf.concat([k, k, k, dh], axis=1) * of_a
        return [tf.zeros_like(dh), k * f], [da]

    def _gates(self, a: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the outputs of the blocks i, f, g and o, and their slopes."""
        if (self.activation, self.recurrent_activation) == ("tanh", "sigmoid"):
            return _lstm_gates_at_once(a)
        phi, gate = ACTIVATIONS[self.activation], ACTIVATIONS[self.recurrent_activation]
        functions = (gate, gate, phi, gate)
        gates = [f(b) for f, b in zip(functions, tf.split(a, 4, axis=1), strict=True)]
        slopes = [f.slope(y) for f, y in zip(functions, gates, strict=True)]
        return tf.concat(gates, axis=1), tf.concat(slopes, axis=1)


def _lstm_gates_at_once(a: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Apply one function to all four blocks, so that XLA makes one loop of them.

    It is the sigmoid, because tanh(a) = 2 sigmoid(2a) - 1.
    """
    zero = tf.zeros_like(a[:1, : a.shape[1] // 4])
    for_g = tf.concat([zero, zero, zero + 1, zero], axis=1)
    gates = (1 + for_g) * tf.sigmoid((1 + for_g) * a) - for_g
    return gates, (gates + for_g) * (1 - gates)


def _project(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Compute x_t W for all steps as one matrix product."""
    shape = tf.concat([tf.shape(x)[:2], kernel.shape[1:]], axis=0)
    product = tf.reshape(tf.matmul(_rows(x), kernel), shape)
    return tf.ensure_shape(product, (*x.shape[:2], kernel.shape[1]))


def _product(h: tf.Tensor, da: tf.Tensor) -> tf.Tensor:
    """Compute sum_t h_t^T da_t as one matrix product."""
    return tf.matmul(_rows(h), _rows(da), transpose_a=True)


def _rows(tensor: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tensor, (-1, tensor.shape[-1]))


def _sum(da: tf.Tensor) -> tf.Tensor:
    return tf.reduce_sum(da, axis=(0, 1))
