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
The loops take care of that.

**Two backends.** The equations are written once, with the operators of Python and the
few functions of `Operations`, which TensorFlow and JAX have both. The loops are
written twice, because each backend has its own way to make one fast: in
`rnn_keras.layers.scan` for TensorFlow, in `rnn_keras.layers.scan_jax` for JAX.

Tensors are time-major, `(timesteps, batch, features)`, so that a step reads and
writes one contiguous block.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

# A tensor of TensorFlow or an array of JAX.
Tensor = Any
Tensors = Sequence[Tensor]
States = tuple[Tensor, ...]


class Operations(NamedTuple):
    """What the equations need of a backend beside Python's operators.

    Attributes:
        tanh: the hyperbolic tangent.
        sigmoid: the logistic function.
        relu: the maximum of 0 and the argument.
        sign: 1 for a positive number, 0 for zero.
        matmul: from two matrices to their product.
        summed_product: from two tensors, `(timesteps, rows, m)` and
            `(timesteps, rows, n)`, to the sum over the steps of the transpose of the
            first times the second, `(m, n)`.
        concat: from a list of tensors and an `axis` to one tensor.
        split: from a tensor, the widths of the pieces or their number, and an `axis`
            to a list of tensors.
        sum: from a tensor and an `axis`, or several, to the sum over them.
        zeros_like: zeros of the shape of a tensor.
        ones_like: ones of the shape of a tensor.
    """

    tanh: Callable[[Tensor], Tensor]
    sigmoid: Callable[[Tensor], Tensor]
    relu: Callable[[Tensor], Tensor]
    sign: Callable[[Tensor], Tensor]
    matmul: Callable[[Tensor, Tensor], Tensor]
    summed_product: Callable[[Tensor, Tensor], Tensor]
    concat: Callable[..., Tensor]
    split: Callable[..., list[Tensor]]
    sum: Callable[..., Tensor]
    zeros_like: Callable[[Tensor], Tensor]
    ones_like: Callable[[Tensor], Tensor]


class Activation(NamedTuple):
    """An activation function, whose derivative is known from its output.

    Attributes:
        function: from the argument a to the output y.
        slope: from the output y to the derivative at a.
        largest_slope: the maximum of the derivative.
    """

    function: Callable[[Operations, Tensor], Tensor]
    slope: Callable[[Operations, Tensor], Tensor]
    largest_slope: float = 1.0

    def __call__(self, ops: Operations, a: Tensor) -> Tensor:
        return self.function(ops, a)


ACTIVATIONS = {
    "tanh": Activation(lambda ops, a: ops.tanh(a), lambda ops, y: 1 - y * y),
    "sigmoid": Activation(
        lambda ops, a: ops.sigmoid(a), lambda ops, y: y * (1 - y), 0.25
    ),
    "relu": Activation(lambda ops, a: ops.relu(a), lambda ops, y: ops.sign(y)),
    "linear": Activation(lambda ops, a: a, lambda ops, y: ops.ones_like(y)),
}

# These take long, so XLA computes them once, however many operations read the result.
# The others it computes again for every reader, which would need the inputs again.
_COMPUTED_ONCE = {"tanh", "sigmoid"}


class Recurrence(ABC):
    """One time step of a recurrence and its gradient, for one part of the batch.

    The state h always comes first among the states, and the recurrent kernel U first
    among the weights. Gradients are written dh, da and so on; a_t is the argument of
    an activation. A width counts features in multiples of `units`.

    Attributes:
        blocks: widths of the blocks into which the columns of U are split. The
            inputs' products x_t W come in blocks of the same widths.
        gradients: widths of the tensors da_t that `step_back` returns. They begin
            with the gradients of the inputs' products, in order.
        saved: widths of the tensors that `step` saves for the gradient. They begin
            with the widths of `gradients`, because da_t is written over them.
        unrolled: steps in the body of a compiled loop, if they divide the number of
            steps. With more of them, the parts wait for each other less often and
            compiling takes longer.
    """

    blocks: ClassVar[tuple[int, ...]]
    gradients: ClassVar[tuple[int, ...]]
    saved: ClassVar[tuple[int, ...]] = ()
    unrolled: ClassVar[int] = 1

    @property
    def in_place(self) -> bool:
        """Whether what `step` saves is written over the inputs' products.

        `saved` must then begin with the widths of `blocks`.
        """
        return False

    @abstractmethod
    def step(
        self, ops: Operations, inputs: Tensors, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        """Go from t-1 to t.

        Args:
            ops: the operations of the backend.
            inputs: x_t W in blocks, `(rows, width * units)` each.
            states: the states after step t-1, `(rows, units)` each.
            weights: U and the biases.

        Returns:
            The states after step t, and the tensors to save.
        """

    @abstractmethod
    def step_back(
        self, ops: Operations, dstates: Tensors, saved: Tensors, h: Tensor
    ) -> tuple[Tensors, Tensors]:
        """Go from the gradients at t to those at t-1.

        Args:
            ops: the operations of the backend.
            dstates: gradients of the states after step t, `(rows, units)` each.
            saved: the tensors that step t has saved.
            h: the state h after step t.

        Returns:
            The part of the gradients of the states before step t that does not go
            through the product with U, and da_t.
        """

    @abstractmethod
    def through_kernel(
        self, ops: Operations, da: Tensors, u_transposed: Tensors
    ) -> Tensor:
        """Return the part of dh_{t-1} that goes through the product with U.

        Args:
            ops: the operations of the backend.
            da: da_t, as `step_back` returns it.
            u_transposed: the blocks of U, transposed.
        """

    @abstractmethod
    def weight_gradients(
        self, ops: Operations, h_before: Tensor, da: Tensors
    ) -> Tensors:
        """Return the gradients of the weights, in the order of `step`.

        Args:
            ops: the operations of the backend.
            h_before: the state h before every step, `(timesteps, rows, units)`.
            da: da_t at every step, `(timesteps, rows, width * units)` each.
        """


class _OneBlock(Recurrence):
    """A recurrence that multiplies by U as a whole."""

    def through_kernel(
        self, ops: Operations, da: Tensors, u_transposed: Tensors
    ) -> Tensor:
        return ops.matmul(da[0], u_transposed[0])

    def weight_gradients(
        self, ops: Operations, h_before: Tensor, da: Tensors
    ) -> Tensors:
        return ops.summed_product(h_before, da[0]), _sum(ops, da[0])


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
        self, ops: Operations, inputs: Tensors, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        (xw,), (h,), (u, b) = inputs, states, weights
        return [ACTIVATIONS[self.activation](ops, xw + ops.matmul(h, u) + b)], []

    def step_back(
        self, ops: Operations, dstates: Tensors, saved: Tensors, h: Tensor
    ) -> tuple[Tensors, Tensors]:
        (dh,) = dstates
        return [ops.zeros_like(dh)], [dh * ACTIVATIONS[self.activation].slope(ops, h)]


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
        self, ops: Operations, inputs: Tensors, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        f, gate = ACTIVATIONS[self.activation], ACTIVATIONS[self.recurrent_activation]
        (xw_gates, xw_c), (h,), (u, b, b_recurrent) = inputs, states, weights
        units = h.shape[-1]
        widths = [2 * units, units]
        hu_gates, p = ops.split(ops.matmul(h, u) + b_recurrent, widths, axis=1)
        b_gates, b_c = ops.split(b, widths)
        gates = gate(ops, xw_gates + b_gates + hu_gates)
        z, r = ops.split(gates, 2, axis=1)
        c = f(ops, xw_c + b_c + r * p)
        of_c = (1 - z) * f.slope(ops, c)
        of_gates = ops.concat([h - c, of_c * p], axis=1) * gate.slope(ops, gates)
        return [z * h + (1 - z) * c], [of_gates, of_c, of_c * r, z]

    def step_back(
        self, ops: Operations, dstates: Tensors, saved: Tensors, h: Tensor
    ) -> tuple[Tensors, Tensors]:
        (dh,), (of_gates, of_c, of_p, z) = dstates, saved
        dgates = ops.concat([dh, dh], axis=1) * of_gates
        return [dh * z], [dgates, dh * of_c, dh * of_p]

    def through_kernel(
        self, ops: Operations, da: Tensors, u_transposed: Tensors
    ) -> Tensor:
        (dgates, _, dp), (u_gates, u_c) = da, u_transposed
        return ops.matmul(dgates, u_gates) + ops.matmul(dp, u_c)

    def weight_gradients(
        self, ops: Operations, h_before: Tensor, da: Tensors
    ) -> Tensors:
        dgates, dc, dp = da
        du = [ops.summed_product(h_before, d) for d in (dgates, dp)]
        db_gates = _sum(ops, dgates)
        db = ops.concat([db_gates, _sum(ops, dc)], axis=0)
        db_recurrent = ops.concat([db_gates, _sum(ops, dp)], axis=0)
        return ops.concat(du, axis=1), db, db_recurrent


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
        self, ops: Operations, inputs: Tensors, states: Tensors, weights: Tensors
    ) -> tuple[Tensors, Tensors]:
        phi = ACTIVATIONS[self.activation]
        (xw,), (h, c_before), (u, b) = inputs, states, weights
        gates, slopes = self._gates(ops, xw + ops.matmul(h, u) + b)
        i, f, g, o = ops.split(gates, 4, axis=1)
        c = f * c_before + i * g
        y = phi(ops, c)
        of_a = ops.concat([g, c_before, i, y], axis=1) * slopes
        return [o * y, c], [of_a, o * phi.slope(ops, y), f]

    def step_back(
        self, ops: Operations, dstates: Tensors, saved: Tensors, h: Tensor
    ) -> tuple[Tensors, Tensors]:
        (dh, dc), (of_a, of_c, f) = dstates, saved
        k = dc + dh * of_c
        da = ops.concat([k, k, k, dh], axis=1) * of_a
        return [ops.zeros_like(dh), k * f], [da]

    def _gates(self, ops: Operations, a: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs of the blocks i, f, g and o, and their slopes."""
        if (self.activation, self.recurrent_activation) == ("tanh", "sigmoid"):
            return _lstm_gates_at_once(ops, a)
        phi, gate = ACTIVATIONS[self.activation], ACTIVATIONS[self.recurrent_activation]
        functions = (gate, gate, phi, gate)
        gates = [
            f(ops, b) for f, b in zip(functions, ops.split(a, 4, axis=1), strict=True)
        ]
        slopes = [f.slope(ops, y) for f, y in zip(functions, gates, strict=True)]
        return ops.concat(gates, axis=1), ops.concat(slopes, axis=1)


def _lstm_gates_at_once(ops: Operations, a: Tensor) -> tuple[Tensor, Tensor]:
    """Apply one function to all four blocks, so that XLA makes one loop of them.

    It is the sigmoid, because tanh(a) = 2 sigmoid(2a) - 1.
    """
    zero = ops.zeros_like(a[:1, : a.shape[1] // 4])
    for_g = ops.concat([zero, zero, zero + 1, zero], axis=1)
    gates = (1 + for_g) * ops.sigmoid((1 + for_g) * a) - for_g
    return gates, (gates + for_g) * (1 - gates)


def _sum(ops: Operations, da: Tensor) -> Tensor:
    return ops.sum(da, axis=(0, 1))
