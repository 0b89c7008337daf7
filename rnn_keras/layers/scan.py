"""The loop over time for TensorFlow, forward and backward, that all recurrences share.

A `Recurrence` describes one time step and its gradient; `recur` runs it over a
sequence. Two things make the loop fast when XLA compiles it for a CPU, and neither
changes a result:

- A batch whose shape is known is split into as many parts as there are cores. Each
  part is a chain of steps on tensors of its own, and the chains stand side by side in
  the body of one loop. No chain waits for another, so XLA runs them in parallel.
- A step writes its results over inputs that it has already read, so that nothing is
  allocated, filled with zeros or loaded into the cache for them. XLA writes in place
  only if every reader of a place provably runs before its writer; otherwise it copies
  the whole tensor at every step. `Recurrence.in_place` and the order of operations in
  `_BackwardPart.step` are chosen for that.

The equations are not here but in `rnn_keras.layers.recurrence`. Tensors are
time-major, `(timesteps, batch, features)`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import tensorflow as tf

from rnn_keras.layers.recurrence import Operations, Recurrence, States, Tensors
from rnn_keras.layers.tensorflow_internals import tie_gradients_to_graphs
from rnn_keras.utils.threads import num_cores

# A part with fewer rows costs more than a core saves, and a loop body of more parts
# takes long to compile.
_FEWEST_ROWS = 16
_MOST_PARTS = 4


def _summed_product(h: tf.Tensor, da: tf.Tensor) -> tf.Tensor:
    """Compute sum_t h_t^T da_t as one matrix product."""
    return tf.matmul(_rows(h), _rows(da), transpose_a=True)


def _rows(tensor: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tensor, (-1, tensor.shape[-1]))


OPERATIONS = Operations(
    tanh=tf.tanh,
    sigmoid=tf.sigmoid,
    relu=tf.nn.relu,
    sign=tf.sign,
    matmul=tf.matmul,
    summed_product=_summed_product,
    concat=tf.concat,
    split=tf.split,
    sum=tf.reduce_sum,
    zeros_like=tf.zeros_like,
    ones_like=tf.ones_like,
)


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
    kernel, *rest = weights
    widths = [width * states[0].shape[-1] for width in recurrence.blocks]
    kernels = tf.split(kernel, widths, axis=1)
    products = [[_project(part, block) for block in kernels] for part in split_batch(x)]
    return recur(
        recurrence, products, states, rest, mask, return_sequences=return_sequences
    )


def _project(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Compute x_t W for all steps as one matrix product."""
    shape = tf.concat([tf.shape(x)[:2], kernel.shape[1:]], axis=0)
    product = tf.reshape(tf.matmul(_rows(x), kernel), shape)
    return tf.ensure_shape(product, (*x.shape[:2], kernel.shape[1]))


def split_batch(tensor: tf.Tensor) -> list[tf.Tensor]:
    """Split `(timesteps, batch, ...)` along the batch into parts, one for each core.

    In eager mode, or if the number of steps or rows is unknown, there is one part.
    """
    fixed = None not in tensor.shape[:2] and not tf.executing_eagerly()
    parts = num_parts(tensor.shape[1], num_cores()) if fixed else 1
    return tf.split(tensor, parts, axis=1)


def num_parts(batch_size: int, cores: int) -> int:
    """Return the largest useful power of two that divides the batch.

    It is at most the number of cores and at most 4, and no part has under 16 rows.
    """
    parts = 1
    while (
        parts * 2 <= min(cores, _MOST_PARTS)
        and batch_size % (parts * 2) == 0
        and batch_size // (parts * 2) >= _FEWEST_ROWS
    ):
        parts *= 2
    return parts


def recur(
    recurrence: Recurrence,
    inputs: Sequence[Tensors],
    states: States,
    weights: Tensors,
    mask: tf.Tensor | None,
    *,
    return_sequences: bool,
) -> tuple[tf.Tensor | None, States]:
    """Run a recurrence over time. The result can be differentiated.

    Args:
        recurrence: what one step computes.
        inputs: for each part of `split_batch`, the products x_t W of all steps in
            blocks, `(timesteps, rows, width * units)` each.
        states: the states before the first step, `(batch, units)` each.
        weights: U `(units, sum(blocks) * units)` and the biases.
        mask: booleans `(timesteps, batch, 1)`, `True` for a real step, or `None` if
            all steps are real. At a step of padding the states stay as they are.
        return_sequences: whether to return h after every step.

    Returns:
        h after every step, `(timesteps, batch, units)`, or `None`; and the states
        after the last step, `(batch, units)` each.
    """
    parts = len(inputs)
    masks = [None] * parts if mask is None else tf.split(mask, parts, axis=1)
    call = _Call(recurrence, masks, return_sequences)

    @tf.custom_gradient
    def differentiable(*arguments):
        outputs, kept = call.forward(*arguments)
        return outputs, lambda *doutputs: call.backward(kept, doutputs)

    outputs = differentiable(inputs, states, weights)
    tie_gradients_to_graphs()
    if return_sequences:
        return outputs[0], tuple(outputs[1:])
    return None, tuple(outputs)


class _Kept(NamedTuple):
    """What the backward loop needs of the forward one. Lists go by part.

    Attributes:
        inputs: the products x_t W.
        u: the recurrent kernel U.
        last: the states after the last step.
        saved: the tensors that all steps have saved.
        h_before: the state h before every step.
    """

    inputs: Sequence[Tensors]
    u: tf.Tensor
    last: list[list[tf.Tensor]]
    saved: list[list[tf.Tensor]]
    h_before: list[tf.Tensor]


@dataclass(frozen=True)
class _Call:
    """One call of `recur`, forward and backward; arguments are explained there.

    Attributes:
        recurrence: what one step computes.
        masks: for each part of the batch, the real steps or `None`.
        return_sequences: whether to return h after every step.
    """

    recurrence: Recurrence
    masks: Sequence[tf.Tensor | None]
    return_sequences: bool

    def forward(
        self, inputs: Sequence[Tensors], states: Tensors, weights: Tensors
    ) -> tuple[list[tf.Tensor], _Kept]:
        """Return h after every step, if asked for, and the last states."""
        parts = [
            _ForwardPart(self.recurrence, part, mask, weights)
            for part, mask in zip(inputs, self.masks, strict=True)
        ]
        starts = _split_rows(states, len(self.masks))
        last, saved, h_before = _run_forward(parts, starts)
        outputs = _join_rows(last)
        if self.return_sequences:
            later = tf.concat(h_before, axis=1)[1:]
            outputs.insert(0, tf.concat([later, outputs[0][tf.newaxis]], axis=0))
        return outputs, _Kept(inputs, weights[0], last, saved, h_before)

    def backward(
        self, kept: _Kept, doutputs: Tensors
    ) -> tuple[list[Tensors], list[tf.Tensor], list[tf.Tensor]]:
        """Return the gradients of the arguments of `forward` from its outputs'."""
        num_states = len(kept.last[0])
        u_transposed = _transposed_blocks(kept.u, self.recurrence.blocks)
        parts = [
            _BackwardPart(self.recurrence, *of_part, u_transposed)
            for of_part in zip(
                kept.inputs,
                self.masks,
                kept.saved,
                kept.h_before,
                self._dh_each(doutputs),
                strict=True,
            )
        ]
        dlast = _split_rows(doutputs[-num_states:], len(self.masks))
        da, dstates = _run_backward(parts, kept.last, dlast)
        dweights = [
            self.recurrence.weight_gradients(OPERATIONS, *of_part)
            for of_part in zip(kept.h_before, da, strict=True)
        ]
        return (
            [of_part[: len(self.recurrence.blocks)] for of_part in da],
            _join_rows(dstates),
            [tf.add_n(d) for d in zip(*dweights, strict=True)],
        )

    def _dh_each(self, doutputs: Tensors) -> Sequence[tf.Tensor | None]:
        """Split the gradients of h after every step, if these are an output."""
        if not self.return_sequences:
            return [None] * len(self.masks)
        return tf.split(doutputs[0], len(self.masks), axis=1)


class _ForwardCarry(NamedTuple):
    """What one step of the forward loop hands to the next, for one part.

    Attributes:
        states: the states after the step.
        arrays: the places of the saved tensors, then of h before every step.
    """

    states: list[tf.Tensor]
    arrays: list[tf.TensorArray]


@dataclass(frozen=True)
class _ForwardPart:
    """The forward loop on one part of the batch; attributes as in `recur`."""

    recurrence: Recurrence
    inputs: Tensors
    mask: tf.Tensor | None
    weights: Tensors

    def start(self, states: list[tf.Tensor]) -> _ForwardCarry:
        over = self.inputs if self.recurrence.in_place else ()
        widths = (*self.recurrence.saved, 1)
        arrays = _arrays(self.inputs[0], states[0].shape[-1], widths, over)
        return _ForwardCarry(states, arrays)

    def step(self, t: tf.Tensor, carry: _ForwardCarry) -> _ForwardCarry:
        before, arrays = carry
        in_place = self.recurrence.in_place
        inputs = arrays[: len(self.inputs)] if in_place else self.inputs
        real = None if self.mask is None else self.mask[t]
        new, saved = self.recurrence.step(
            OPERATIONS, _at(t, inputs), before, self.weights
        )
        after = _choose(real, new, before)
        return _ForwardCarry(after, _write(t, arrays, [*saved, before[0]]))


def _run_forward(
    parts: list[_ForwardPart], states: list[list[tf.Tensor]]
) -> tuple[list[list[tf.Tensor]], list[list[tf.Tensor]], list[tf.Tensor]]:
    """Run the forward loop.

    Args:
        parts: the parts of the batch.
        states: for each part, the states before the first step.

    Returns:
        For each part: the states after the last step; the saved tensors of all steps;
        and h before every step.
    """
    num_steps = _num_steps(parts[0].inputs[0])
    unrolled = _steps_in_body(num_steps, parts[0].recurrence)

    def body(t, carries):
        for _ in range(unrolled):
            carries = [p.step(t, c) for p, c in zip(parts, carries, strict=True)]
            t += 1
        return t, carries

    _, carries = tf.while_loop(
        lambda t, _: t < num_steps,
        body,
        (0, [part.start(s) for part, s in zip(parts, states, strict=True)]),
        maximum_iterations=num_steps // unrolled,
    )
    saved = [[array.stack() for array in carry.arrays] for carry in carries]
    h_before = [of_part.pop() for of_part in saved]
    return [carry.states for carry in carries], saved, h_before


class _BackwardCarry(NamedTuple):
    """What the backward loop's step at t hands to the one at t-1, for one part.

    Attributes:
        da: da_t.
        passed: the part of the gradients of the states after step t-1 that does not
            go through the product with U at step t.
        h: the state h after step t-1.
        arrays: the places of da of every step.
        dstates: gradients of the states after step t.
    """

    da: list[tf.Tensor]
    passed: list[tf.Tensor]
    h: tf.Tensor
    arrays: list[tf.TensorArray]
    dstates: list[tf.Tensor]


@dataclass(frozen=True)
class _BackwardPart:
    """The backward loop on one part of the batch.

    Attributes:
        recurrence: what one step computes.
        inputs: the products x_t W.
        mask: the real steps, or `None`.
        saved: the saved tensors of all steps.
        h_before: h before every step.
        dh_each: gradients of h after every step as an output, or `None`.
        u_transposed: the blocks of U, transposed.
    """

    recurrence: Recurrence
    inputs: Tensors
    mask: tf.Tensor | None
    saved: Tensors
    h_before: tf.Tensor
    dh_each: tf.Tensor | None
    u_transposed: Tensors

    def start(self, last: list[tf.Tensor], dlast: list[tf.Tensor]) -> _BackwardCarry:
        """Take the last step, from the last states and their gradients."""
        widths = self.recurrence.gradients
        # The inputs are not read again; a saved tensor is not, once its da is known.
        over = (self.saved or self.inputs)[: len(widths)]
        arrays = _arrays(self.inputs[0], last[0].shape[-1], widths, over)
        t = _num_steps(self.inputs[0]) - 1
        return self._gradients_at(t, last[0], dlast, arrays)

    def step(self, t: tf.Tensor, carry: _BackwardCarry) -> _BackwardCarry:
        # Write first, and below read from the arrays as written: then nothing reads
        # them as they were, and XLA need not copy them.
        arrays = _write(t + 1, carry.arrays, carry.da)
        through = self.recurrence.through_kernel(
            OPERATIONS, carry.da, self.u_transposed
        )
        dstates = [carry.passed[0] + through, *carry.passed[1:]]
        # In the last round t is -1. Only `dstates` of its results is used.
        return self._gradients_at(tf.maximum(t, 0), carry.h, dstates, arrays)

    def _gradients_at(
        self,
        t: tf.Tensor,
        h: tf.Tensor,
        dstates: list[tf.Tensor],
        arrays: list[tf.TensorArray],
    ) -> _BackwardCarry:
        """Take step t backward, from h and the gradients of the states after it."""
        saved = []
        if self.saved:
            saved = _at(t, [*arrays, *self.saved[len(arrays) :]])
        outer = list(dstates)
        if self.dh_each is not None:
            outer[0] += self.dh_each[t]
        if self.mask is None:
            passed, da = self.recurrence.step_back(OPERATIONS, outer, saved, h)
        else:
            real, zeros = self.mask[t], [tf.zeros_like(d) for d in outer]
            at_real = _choose(real, outer, zeros)
            passed, da = self.recurrence.step_back(OPERATIONS, at_real, saved, h)
            at_padding = _choose(real, zeros, outer)
            passed = [a + b for a, b in zip(passed, at_padding, strict=True)]
        return _BackwardCarry(list(da), list(passed), self.h_before[t], arrays, dstates)


def _run_backward(
    parts: list[_BackwardPart],
    last: list[list[tf.Tensor]],
    dlast: list[list[tf.Tensor]],
) -> tuple[list[list[tf.Tensor]], list[list[tf.Tensor]]]:
    """Run the backward loop.

    Args:
        parts: the parts of the batch.
        last: for each part, the states after the last step.
        dlast: for each part, the gradients of these states.

    Returns:
        For each part: da of all steps; and the gradients of the states before the
        first step.
    """
    num_steps, recurrence = _num_steps(parts[0].inputs[0]), parts[0].recurrence
    # Saved tensors lie in the places of da. XLA would copy these places if one body
    # read from them and then wrote to them again.
    unrolled = 1 if recurrence.saved else _steps_in_body(num_steps, recurrence)

    def body(t, carries):
        for _ in range(unrolled):
            carries = [p.step(t, c) for p, c in zip(parts, carries, strict=True)]
            t -= 1
        return t, carries

    starts = [part.start(*pair) for part, *pair in zip(parts, last, dlast, strict=True)]
    _, carries = tf.while_loop(
        lambda t, _: t >= -1,
        body,
        (num_steps - 2, starts),
        maximum_iterations=num_steps // unrolled,
    )
    da = [[array.stack() for array in carry.arrays] for carry in carries]
    return da, [carry.dstates for carry in carries]


def _split_rows(tensors: Tensors, parts: int) -> list[list[tf.Tensor]]:
    """Split each tensor `(batch, units)`; return the shares of each part."""
    shares = [tf.split(tensor, parts, axis=0) for tensor in tensors]
    return [list(of_part) for of_part in zip(*shares, strict=True)]


def _join_rows(parts: Sequence[Tensors]) -> list[tf.Tensor]:
    """Undo `_split_rows`."""
    return [tf.concat(shares, axis=0) for shares in zip(*parts, strict=True)]


def _num_steps(inputs: tf.Tensor) -> int | tf.Tensor:
    """Return the number of steps; a tensor if it is known only when the loop runs."""
    return inputs.shape[0] or tf.shape(inputs)[0]


def _steps_in_body(num_steps: int | tf.Tensor, recurrence: Recurrence) -> int:
    """Return how many steps stand in the body of a compiled loop."""
    if tf.executing_eagerly() or not isinstance(num_steps, int):
        return 1
    return math.gcd(num_steps, recurrence.unrolled)


def _transposed_blocks(u: tf.Tensor, widths: tuple[int, ...]) -> list[tf.Tensor]:
    """Transpose the blocks of U once, before the loop."""
    blocks = tf.split(u, [width * u.shape[0] for width in widths], axis=1)
    return [tf.transpose(block) for block in blocks]


def _arrays(
    like: tf.Tensor,
    units: int,
    widths: Sequence[int],
    over: Tensors,
) -> list[tf.TensorArray]:
    """Make one array over the steps for each width.

    Args:
        like: a tensor `(timesteps, rows, ...)` of the same rows and dtype.
        units: features in a width of 1.
        widths: of the elements, in units.
        over: tensors whose memory the first arrays take over, contents included.
    """
    arrays = [
        tf.TensorArray(
            like.dtype,
            _num_steps(like),
            element_shape=(like.shape[1], units * width),
            clear_after_read=False,
        )
        for width in widths
    ]
    pairs = zip(arrays, over, strict=False)
    taken = [array.unstack(tensor) for array, tensor in pairs]
    return [*taken, *arrays[len(taken) :]]


def _at(t: tf.Tensor, tensors: Sequence[tf.Tensor | tf.TensorArray]) -> list[tf.Tensor]:
    return [
        tensor.read(t) if isinstance(tensor, tf.TensorArray) else tensor[t]
        for tensor in tensors
    ]


def _write(
    t: tf.Tensor, arrays: Sequence[tf.TensorArray], values: Tensors
) -> list[tf.TensorArray]:
    return [array.write(t, value) for array, value in zip(arrays, values, strict=True)]


def _choose(
    real: tf.Tensor | None, at_real: Tensors, at_padding: Tensors
) -> list[tf.Tensor]:
    """Take each row from `at_real` where the step is real, else from `at_padding`."""
    if real is None:
        return list(at_real)
    pairs = zip(at_real, at_padding, strict=True)
    return [tf.where(real, a, b) for a, b in pairs]
