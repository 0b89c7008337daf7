"""The loop over time that the three recurrences share, forward and backward."""

import math
import os
from collections.abc import Callable, Sequence

import tensorflow as tf

# Rows below which a part of the batch is not worth a core of its own, and a number
# of parts beyond which the loop's body takes long to compile.
_SMALLEST_PART = 16
_MOST_PARTS = 4

States = tuple[tf.Tensor, ...]


def recur(
    cell: tuple[Callable, Callable, Callable],
    inputs: list[tf.Tensor],
    states: States,
    weights: list[tf.Tensor],
    mask: tf.Tensor | None,
    *,
    gates: int,
    gradients: list[int],
    blocks: list[int] | None = None,
    unrolled: int = 2,
    return_sequences: bool,
) -> tuple[tf.Tensor | None, States]:
    """What the cells share: padding, what is saved, and the loss's own gradient.

    Args:
        cell: the step forward, the step backward, and the gradients of the weights.
        inputs: what the inputs' product gives, `(timesteps, batch, ...)`.
        states: before the first step.
        weights: of the steps: the recurrent kernel and the biases.
        mask: or `None`.
        gates: number of tensors of `units` features that the step forward leaves
            for the step backward.
        gradients: features, in units, of those that the step backward leaves, the
            ones of `inputs` first.
        blocks: columns of the recurrent kernel that the step backward takes apart.
        unrolled: see `_scan`.
        return_sequences: whether the states h of all steps are asked for.
    """
    step, back, weight_gradients = cell
    masks = [] if mask is None else [mask]
    units = states[0].shape[-1]
    num_inputs, num_states = len(inputs), len(states)

    @tf.custom_gradient
    def loops(*tensors):
        inputs, rest = tensors[:num_inputs], tensors[num_inputs:]
        states, weights = rest[:num_states], rest[num_states:]

        def forward(states, now):
            new, saved = step(now[:num_inputs], states, *weights)
            new = [
                _where(now[num_inputs:], *pair)
                for pair in zip(new, states, strict=True)
            ]
            return new, (*saved, *states)

        last, saved = _scan(
            forward,
            states,
            [*inputs, *masks],
            [units] * (gates + num_states),
            unrolled=unrolled,
        )
        h_before = saved[gates]

        def gradient(*dlast):
            # The loss may depend on every h_t, besides the last.
            dh_each = [dlast[0]] if return_sequences else []
            # Once, not at every step; nor is the transposed kernel cut there.
            u = tf.split(weights[0], blocks or [weights[0].shape[1]], axis=1)
            u_transposed = [tf.transpose(block) for block in u]

            def backward(carried, now):
                dstates, after = list(carried[:num_states]), carried[num_states:]
                saved, now = now[: gates + num_states], now[gates + num_states :]
                if dh_each:
                    dstates[0] += now[0]
                real = now[len(dh_each) :]
                before = saved[gates:]
                zeros = [tf.zeros_like(d) for d in dstates]
                at_step = [
                    _where(real, *pair) for pair in zip(dstates, zeros, strict=True)
                ]
                new, da = back(at_step, saved[:gates], before, after, *u_transposed)
                if real:
                    passed = [
                        _where(real, *pair) for pair in zip(zeros, dstates, strict=True)
                    ]
                    new = [n + p for n, p in zip(new, passed, strict=True)]
                return (*new, *before), da

            carried, da = _scan(
                backward,
                [*dlast[-num_states:], *last],
                [*saved, *dh_each, *masks],
                [units * g for g in gradients],
                unrolled=unrolled,
                reverse=True,
                over=inputs,
            )
            dweights = weight_gradients(h_before, *da)
            return (*da[:num_inputs], *carried[:num_states], *dweights)

        if return_sequences:
            each = tf.concat([h_before[1:], last[0][tf.newaxis]], axis=0)
            return (each, *last), gradient
        return tuple(last), gradient

    outputs = loops(*inputs, *states, *weights)
    if return_sequences:
        return outputs[0], tuple(outputs[1:])
    return None, tuple(outputs) if isinstance(outputs, list | tuple) else (outputs,)


def _scan(
    step: Callable,
    state: Sequence[tf.Tensor],
    read: Sequence[tf.Tensor],
    widths: Sequence[int],
    *,
    unrolled: int,
    reverse: bool = False,
    over: Sequence[tf.Tensor] = (),
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Loop over time: `step(state, now)` gives the next state and what to keep.

    A batch of fixed shape is cut into as many parts as there are cores, whose steps
    stand side by side in the loop's body: XLA runs them at the same time. Several
    steps stand in one body, so that the parts wait for each other less often.

    Args:
        step: gets the state and the slices of `read` at one time, each of a part of
            the batch.
        state: tensors `(batch, units)`.
        read: tensors `(timesteps, batch, ...)`.
        widths: features of the tensors that `step` keeps.
        unrolled: steps in the body of a compiled loop; fewer where they do not divide
            the number of steps. More take longer to compile.
        reverse: from the last step to the first.
        over: tensors no longer needed, of the shapes of the first kept ones, into
            whose memory XLA writes these; a new tensor it would fill with zeros
            first.

    Returns:
        The state after the last step taken, and the kept tensors
        `(timesteps, batch, width)`.
    """
    steps, batch = read[0].shape[:2]
    fixed = None not in (steps, batch) and not tf.executing_eagerly()
    parts = _num_parts(batch) if fixed else 1
    unrolled = math.gcd(steps, unrolled) if fixed else 1
    if steps is None:
        steps = tf.shape(read[0])[0]

    def cut(tensor):
        # Part p of time t is row t * parts + p: another view, not a copy.
        if parts == 1:
            return tensor
        return tf.reshape(tensor, (-1, batch // parts, *tensor.shape[2:]))

    read = [cut(tensor) for tensor in read]
    states = [tuple(s) for s in zip(*[tf.split(s, parts) for s in state], strict=True)]
    rows = states[0][0].shape[0]
    kept = [
        tf.TensorArray(state[0].dtype, steps * parts, element_shape=(rows, width))
        for width in widths
    ]
    if fixed:
        kept[: len(over)] = [
            array.unstack(cut(tensor))
            for array, tensor in zip(kept, over, strict=False)
        ]

    def body(done, states, kept):
        states = list(states)
        for ahead in range(unrolled):
            t = steps - 1 - done - ahead if reverse else done + ahead
            for part in range(parts):
                row = t * parts + part
                new, keep = step(states[part], [tensor[row] for tensor in read])
                states[part] = tuple(new)
                kept = [k.write(row, v) for k, v in zip(kept, keep, strict=True)]
        return done + unrolled, states, kept

    _, states, kept = tf.while_loop(
        lambda done, *_: done < steps,
        body,
        (0, states, kept),
        maximum_iterations=steps // unrolled,
    )
    state = [tf.concat(s, axis=0) for s in zip(*states, strict=True)]
    shape = tf.shape(state[0])[0] if batch is None else batch
    kept = [
        tf.reshape(k.stack(), (steps, shape, width))
        for k, width in zip(kept, widths, strict=True)
    ]
    return state, kept


def _num_parts(batch: int) -> int:
    """The largest power of two, up to the cores, that cuts the batch evenly."""
    parts = 1
    while (
        parts * 2 <= min(_num_cores(), _MOST_PARTS)
        and batch % (parts * 2) == 0
        and batch // (parts * 2) >= _SMALLEST_PART
    ):
        parts *= 2
    return parts


def _num_cores() -> int:
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _where(real: Sequence[tf.Tensor], then: tf.Tensor, otherwise: tf.Tensor):
    return tf.where(real[0], then, otherwise) if real else then
