"""The loop over time for the JAX backend, forward and backward.

The twin of `rnn_keras.layers.scan`, which explains what makes such a loop fast on a
CPU: parts of the batch side by side, and results written over what has been read. Here
too the gradients of the kernels are products over all steps, computed after the loop.
If the rows of a batch lie on several devices, these products are therefore added up
over the devices once, not at every time step. A batch is split into parts only where
there is a single device, because the rows of a part would lie on some devices only.

`jax.grad` differentiates the result as often as one likes, but only the first gradient
uses the equations of `rnn_keras.layers.recurrence`: gradients of gradients are JAX's
own, those of `_plain`. `jax.jvp` can follow `jax.grad`, as in `jax.hessian`, but cannot
come first. Only this module imports JAX, and only the JAX backend imports this module.
Tensors are time-major, `(timesteps, batch, features)`.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from rnn_keras.layers.recurrence import (
    Operations,
    Recurrence,
    States,
    Tensor,
    Tensors,
)
from rnn_keras.layers.scan import num_parts
from rnn_keras.utils.threads import num_cores


def _summed_product(h: Tensor, da: Tensor) -> Tensor:
    """Compute sum_t h_t^T da_t as one matrix product.

    With steps and rows made one axis first, as for TensorFlow, XLA would gather the
    rows of all devices.
    """
    return lax.dot_general(h, da, (((0, 1), (0, 1)), ((), ())))


def _split(tensor: Tensor, widths: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Split as TensorFlow does: by the widths of the pieces, not by where they end."""
    if not isinstance(widths, int):
        return jnp.split(tensor, list(itertools.accumulate(widths[:-1])), axis)
    return jnp.split(tensor, widths, axis)


OPERATIONS = Operations(
    tanh=jnp.tanh,
    sigmoid=jax.nn.sigmoid,
    relu=jax.nn.relu,
    sign=jnp.sign,
    matmul=jnp.matmul,
    summed_product=_summed_product,
    concat=jnp.concatenate,
    split=_split,
    sum=jnp.sum,
    zeros_like=jnp.zeros_like,
    ones_like=jnp.ones_like,
)


def run_recurrence(
    recurrence: Recurrence,
    x: Tensor,
    mask: Tensor | None,
    states: States,
    weights: Sequence[Tensor],
    *,
    return_sequences: bool = True,
) -> tuple[Tensor | None, States]:
    """Run a recurrence over a batch of sequences, as `scan.run_recurrence` does.

    Args:
        recurrence: what one step computes.
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
    call = _Call(recurrence, _parts_of(x.shape[1]), return_sequences)
    return _compiled(call, mask, _Arguments(x, tuple(states), tuple(weights)))


def _parts_of(batch: Any) -> int:
    """Return into how many parts to split a batch, whose size may be symbolic."""
    on_one_cpu = jax.default_backend() == "cpu" and jax.device_count() == 1
    if not on_one_cpu or not isinstance(batch, int):
        return 1
    return num_parts(batch, num_cores())


@dataclass(frozen=True)
class _Call:
    """What JAX compiles a program for, beside the shapes of the arguments.

    Attributes:
        recurrence: what one step computes.
        parts: into how many parts the batch is split.
        return_sequences: whether to return h after every step.
    """

    recurrence: Recurrence
    parts: int
    return_sequences: bool


class _Arguments(NamedTuple):
    """What the result is differentiated by; as in `run_recurrence`."""

    x: Tensor
    states: States
    weights: tuple[Tensor, ...]


class _Kept(NamedTuple):
    """What the backward loop needs of the forward one. Lists go by part.

    Attributes:
        last: the state h after the last step.
        saved: the tensors that all steps have saved.
        places: tensors over which da of all steps may be written: what was saved or,
            if that is nothing, x_t W, which is not read again.
        h_before: the state h before every step.
    """

    last: list[Tensor]
    saved: list[list[Tensor]]
    places: list[list[Tensor]]
    h_before: list[Tensor]


Outputs = tuple[Tensor | None, States]


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _recur(call: _Call, mask: Tensor | None, arguments: _Arguments) -> Outputs:
    return _forward(call, mask, arguments)[0]


def _keep(call: _Call, mask: Tensor | None, arguments: _Arguments) -> tuple:
    outputs, kept = _forward(call, mask, arguments)
    return outputs, (mask, arguments, kept)


def _gradients(call: _Call, kept: tuple, doutputs: Outputs) -> tuple:
    return None, _backward(call, *kept, doutputs)


_recur.defvjp(_keep, _gradients)
# Outside of `jax.jit`, JAX would compile the loops anew at every call, because it
# knows a loop by its Python functions, and each call makes new ones.
_compiled = jax.jit(_recur, static_argnums=0)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _forward(
    call: _Call, mask: Tensor | None, arguments: _Arguments
) -> tuple[Outputs, _Kept]:
    """Run the forward loop; return the outputs and what `_backward` needs."""
    (kernel, *weights), recurrence = arguments.weights, call.recurrence
    units = arguments.states[0].shape[-1]
    kernels = _split(kernel, [w * units for w in recurrence.blocks], axis=1)
    products = [
        [jnp.matmul(part, block) for block in kernels]
        for part in jnp.split(arguments.x, call.parts, axis=1)
    ]
    masks = _split_steps(mask, call.parts)
    num_steps = arguments.x.shape[0]
    unrolled = _steps_in_body(num_steps, recurrence.unrolled)

    def step(t, inputs, real, states, arrays):
        read = arrays[: len(inputs)] if recurrence.in_place else inputs
        x_t = [_at(t, tensor) for tensor in read]
        new, saved = recurrence.step(OPERATIONS, x_t, states, weights)
        after = _choose(None if real is None else _at(t, real), new, states)
        return after, _write(t, arrays, [*saved, states[0]])

    def body(i, carries):
        for k in range(unrolled):
            carries = [
                step(i * unrolled + k, *of_part, *carry)
                for *of_part, carry in zip(products, masks, carries, strict=True)
            ]
        return carries

    widths = (*recurrence.saved, 1)
    starts = [
        (states, _arrays(of_part, units, widths, over=recurrence.in_place))
        for of_part, states in zip(
            products, _split_rows(arguments.states, call.parts), strict=True
        )
    ]
    carries = lax.fori_loop(0, num_steps // unrolled, body, starts)
    h_before = [arrays[-1] for _, arrays in carries]
    last = tuple(_join_rows([states for states, _ in carries]))
    each = None
    if call.return_sequences:
        later = jnp.concatenate(h_before, axis=1)[1:]
        each = jnp.concatenate([later, last[0][jnp.newaxis]])
    saved = [arrays[:-1] for _, arrays in carries]
    kept = _Kept(
        [states[0] for states, _ in carries],
        saved,
        saved if recurrence.saved else products,
        h_before,
    )
    return (each, last), kept


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _backward(
    call: _Call,
    mask: Tensor | None,
    arguments: _Arguments,
    kept: _Kept,
    doutputs: Outputs,
) -> _Arguments:
    """Return the gradients of the arguments from those of the outputs."""
    recurrence = call.recurrence
    kernel, u = arguments.weights[:2]
    num_steps, units = arguments.x.shape[0], u.shape[0]
    deach, dlast = doutputs
    parts = _backward_parts(call, mask, u, kept, deach)
    # Saved tensors lie in the places of da. XLA would copy these places if one body
    # read from them and then wrote to them again.
    unrolled = _steps_in_body(num_steps, 1 if recurrence.saved else recurrence.unrolled)

    def body(i, carries):
        for k in range(unrolled):
            t = num_steps - 2 - (i * unrolled + k)
            carries = [p.step(t, c) for p, c in zip(parts, carries, strict=True)]
        return carries

    # The loop begins with the gradients at the last step.
    starts = []
    for part, h, dstates, places in zip(
        parts, kept.last, _split_rows(dlast, call.parts), kept.places, strict=True
    ):
        arrays = _arrays(places, units, recurrence.gradients, over=True)
        starts.append(part.gradients_at(num_steps - 1, h, dstates, arrays))
    carries = lax.fori_loop(0, num_steps // unrolled, body, starts)
    da = [carry.arrays for carry in carries]
    of_parts = [
        recurrence.weight_gradients(OPERATIONS, *of_part)
        for of_part in zip(kept.h_before, da, strict=True)
    ]
    dweights = [sum(of_weight) for of_weight in zip(*of_parts, strict=True)]
    widths = [width * units for width in recurrence.blocks]
    dx, dkernel = _projected_back(arguments.x, kernel, widths, da)
    dbefore = tuple(_join_rows([carry.dstates for carry in carries]))
    return _Arguments(dx, dbefore, (dkernel, *dweights))


class _BackwardCarry(NamedTuple):
    """What the backward loop's step at t hands to the one at t-1, for one part.

    Attributes:
        da: da_t.
        passed: the part of the gradients of the states after step t-1 that does not
            go through the product with U at step t.
        h: the state h after step t-1.
        arrays: da of every step.
        dstates: gradients of the states after step t.
    """

    da: list[Tensor]
    passed: list[Tensor]
    h: Tensor
    arrays: list[Tensor]
    dstates: list[Tensor]


@dataclass(frozen=True)
class _BackwardPart:
    """The backward loop on one part of the batch.

    Attributes:
        recurrence: what one step computes.
        mask: the real steps, or `None`.
        saved: the saved tensors of all steps.
        h_before: h before every step.
        dh_each: gradients of h after every step as an output, or `None`.
        u_transposed: the blocks of U, transposed.
    """

    recurrence: Recurrence
    mask: Tensor | None
    saved: list[Tensor]
    h_before: Tensor
    dh_each: Tensor | None
    u_transposed: list[Tensor]

    def step(self, t: Tensor, carry: _BackwardCarry) -> _BackwardCarry:
        # Write first, and below read from the arrays as written: then nothing reads
        # them as they were, and XLA need not copy them.
        arrays = _write(t + 1, carry.arrays, carry.da)
        through = self.recurrence.through_kernel(
            OPERATIONS, carry.da, self.u_transposed
        )
        dstates = [carry.passed[0] + through, *carry.passed[1:]]
        # In the last round t is -1. Only `dstates` of its results is used.
        return self.gradients_at(jnp.maximum(t, 0), carry.h, dstates, arrays)

    def gradients_at(
        self, t: Any, h: Tensor, dstates: list[Tensor], arrays: list[Tensor]
    ) -> _BackwardCarry:
        """Take step t backward, from h and the gradients of the states after it."""
        saved = []
        if self.saved:
            saved = [_at(t, s) for s in (*arrays, *self.saved[len(arrays) :])]
        outer = list(dstates)
        if self.dh_each is not None:
            outer[0] += _at(t, self.dh_each)
        if self.mask is None:
            passed, da = self.recurrence.step_back(OPERATIONS, outer, saved, h)
        else:
            real, zeros = _at(t, self.mask), [jnp.zeros_like(d) for d in outer]
            at_real = _choose(real, outer, zeros)
            passed, da = self.recurrence.step_back(OPERATIONS, at_real, saved, h)
            at_padding = _choose(real, zeros, outer)
            passed = [a + b for a, b in zip(passed, at_padding, strict=True)]
        return _BackwardCarry(
            list(da), list(passed), _at(t, self.h_before), arrays, dstates
        )


def _backward_parts(
    call: _Call, mask: Tensor | None, u: Tensor, kept: _Kept, deach: Tensor | None
) -> list[_BackwardPart]:
    widths = [width * u.shape[0] for width in call.recurrence.blocks]
    # U is transposed once, before the loop.
    u_transposed = [block.T for block in _split(u, widths, axis=1)]
    return [
        _BackwardPart(call.recurrence, *of_part, u_transposed)
        for of_part in zip(
            _split_steps(mask, call.parts),
            kept.saved,
            kept.h_before,
            _split_steps(deach, call.parts),
            strict=True,
        )
    ]


def _plain(call: _Call, mask: Tensor | None, arguments: _Arguments) -> Outputs:
    """Compute the outputs of `_forward` in a way that JAX can differentiate itself."""
    x, states, (kernel, *weights) = arguments
    units = states[0].shape[-1]
    widths = [w * units for w in call.recurrence.blocks]

    def step(before, inputs):
        x_t, real = inputs
        products = _split(jnp.matmul(x_t, kernel), widths, axis=1)
        new, _ = call.recurrence.step(OPERATIONS, products, before, weights)
        after = tuple(_choose(real, new, before))
        return after, after[0] if call.return_sequences else None

    last, each = lax.scan(step, states, (x, mask))
    return each, last


@_forward.defjvp
def _forward_tangents(call: _Call, primals: tuple, tangents: tuple) -> tuple:
    mask, arguments = primals
    outputs, kept = _forward(call, mask, arguments)
    _, doutputs = jax.jvp(partial(_plain, call, mask), (arguments,), tangents[1:])
    # `_backward` differentiates the arguments instead of what is kept.
    return (outputs, kept), (doutputs, jax.tree.map(jnp.zeros_like, kept))


@_backward.defjvp
def _backward_tangents(call: _Call, primals: tuple, tangents: tuple) -> tuple:
    mask, arguments, _, doutputs = primals

    def gradients(arguments: _Arguments, doutputs: Outputs) -> _Arguments:
        _, back = jax.vjp(partial(_plain, call, mask), arguments)
        return back(doutputs)[0]

    return jax.jvp(gradients, (arguments, doutputs), (tangents[1], tangents[3]))


def _projected_back(
    x: Tensor, kernel: Tensor, widths: list[int], da: list[list[Tensor]]
) -> tuple[Tensor, Tensor]:
    """Return dx_t = da_t W^T for all steps, and dW."""
    transposed = [block.T for block in _split(kernel, widths, axis=1)]
    dx, dkernels = [], []
    for part, of_part in zip(jnp.split(x, len(da), axis=1), da, strict=True):
        blocks = of_part[: len(widths)]
        products = [jnp.matmul(*pair) for pair in zip(blocks, transposed, strict=True)]
        dx.append(sum(products))
        dkernels.append([_summed_product(part, block) for block in blocks])
    summed = [sum(of_block) for of_block in zip(*dkernels, strict=True)]
    return jnp.concatenate(dx, axis=1), jnp.concatenate(summed, axis=1)


def _split_steps(tensor: Tensor | None, parts: int) -> list[Tensor | None]:
    """Split `(timesteps, batch, ...)` along the batch; `None` gives `None` for each."""
    return [None] * parts if tensor is None else [*jnp.split(tensor, parts, axis=1)]


def _split_rows(tensors: Tensors, parts: int) -> list[list[Tensor]]:
    """Split each tensor `(batch, units)`; return the shares of each part."""
    shares = [jnp.split(tensor, parts) for tensor in tensors]
    return [list(of_part) for of_part in zip(*shares, strict=True)]


def _join_rows(parts: Sequence[Tensors]) -> list[Tensor]:
    """Undo `_split_rows`."""
    return [jnp.concatenate(shares) for shares in zip(*parts, strict=True)]


def _steps_in_body(num_steps: Any, unrolled: int) -> int:
    """Return how many steps stand in the body of the loop."""
    return math.gcd(num_steps, unrolled) if isinstance(num_steps, int) else 1


def _arrays(
    tensors: list[Tensor], units: int, widths: Sequence[int], *, over: bool
) -> list[Tensor]:
    """Make one array over the steps for each width.

    Args:
        tensors: tensors `(timesteps, rows, ...)`.
        units: features in a width of 1.
        widths: of the elements, in units.
        over: whether the first arrays take over the memory of `tensors`, contents
            included.
    """
    taken = tensors[: len(widths)] if over else []
    shape = tensors[0].shape[:2]
    return [
        *taken,
        *(
            jnp.zeros((*shape, width * units), tensors[0].dtype)
            for width in widths[len(taken) :]
        ),
    ]


def _at(t: Any, tensor: Tensor) -> Tensor:
    return lax.dynamic_index_in_dim(tensor, t, keepdims=False)


def _write(t: Any, arrays: Sequence[Tensor], values: Tensors) -> list[Tensor]:
    pairs = zip(arrays, values, strict=True)
    return [lax.dynamic_update_index_in_dim(array, v, t, 0) for array, v in pairs]


def _choose(real: Tensor | None, at_real: Tensors, at_padding: Tensors) -> list[Tensor]:
    """Take each row from `at_real` where the step is real, else from `at_padding`."""
    if real is None:
        return list(at_real)
    pairs = zip(at_real, at_padding, strict=True)
    return [jnp.where(real, a, b) for a, b in pairs]
