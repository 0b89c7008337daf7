"""The loops over time, forward and backward, that the three recurrences share.

What makes them fast when XLA compiles them for a CPU, and changes no result:

- A batch of fixed shape is cut into as many parts as there are cores. Each part is a
  chain of steps in tensors of its own, and the chains stand side by side in one body:
  XLA runs them at the same time, as nothing of one waits for the other.
- A step's results are written where its inputs stood, so that nothing is allocated,
  filled with zeros, or read into the cache in vain. XLA does so only where all
  readers of a place provably come before its writer; else it copies the whole tensor
  at every step. Hence `in_place`, and the order within the body of the backward loop.
"""

import math
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

# Rows below which a part of the batch is not worth a core of its own, and a number
# of parts beyond which the loop's body takes long to compile.
_SMALLEST_PART = 16
_MOST_PARTS = 4

Tensors = Sequence[tf.Tensor]
States = tuple[tf.Tensor, ...]


class Cell(NamedTuple):
    """A recurrence in four functions, each for one part of the batch.

    Attributes:
        step: from the inputs' products, the states and the weights at one step to
            the new states, and what is saved for the gradient.
        back: from the gradients of the new states, what was saved, and the new h to
            the part of the gradients of the states before that does not go through
            a product, and da, a list.
        through: from da and the blocks of U^T to the part of dh that does.
        weight_gradients: from h before every step and da at every step to the
            gradients of the weights.
    """

    step: Callable[..., tuple[Tensors, Tensors]]
    back: Callable[..., tuple[Tensors, Tensors]]
    through: Callable[..., tf.Tensor]
    weight_gradients: Callable[..., Tensors]


def cut(tensor: tf.Tensor) -> list[tf.Tensor]:
    """The parts, along axis 1, of a tensor `(timesteps, batch, ...)`."""
    fixed = None not in tensor.shape[:2] and not tf.executing_eagerly()
    return tf.split(tensor, _num_parts(tensor.shape[1]) if fixed else 1, axis=1)


def recur(
    cell: Cell,
    inputs: list[list[tf.Tensor]],
    states: States,
    weights: Tensors,
    mask: tf.Tensor | None,
    *,
    saved: Sequence[int] = (),
    gradients: Sequence[int],
    blocks: Sequence[int] | None = None,
    in_place: bool = False,
    unrolled: int = 1,
    return_sequences: bool,
) -> tuple[tf.Tensor | None, States]:
    """Run a cell over time, with its gradient.

    Args:
        cell: the recurrence.
        inputs: of each part what the inputs' products give, `(timesteps, rows, ...)`.
        states: before the first step, `(batch, units)`.
        weights: of the steps: the recurrent kernel U, then biases.
        mask: booleans `(timesteps, batch, 1)`, `True` for a real step, or `None`.
        saved: features, in units, of what `cell.step` saves. Of these the first are
            as those of `gradients`, whose place they give to them.
        gradients: features, in units, of the da, those of `inputs` first.
        blocks: columns of U that `cell.through` takes apart.
        in_place: whether what is saved takes the place of `inputs`, which it must
            begin with the widths of. For cells whose activations XLA computes once,
            and not again for every reader: tanh and sigmoid, not relu.
        unrolled: steps in the body of a compiled loop, where they divide the number
            of steps. More wait less often for each other, and take longer to compile.
        return_sequences: whether the states h of all steps are asked for.

    Returns:
        h after each step, `(timesteps, batch, units)`, or `None`; and the last states.
    """
    parts, num_inputs, num_states = len(inputs), len(inputs[0]), len(states)
    units = states[0].shape[-1]
    steps = inputs[0][0].shape[0]
    fixed = steps is not None and not tf.executing_eagerly()
    unrolled = math.gcd(steps, unrolled) if fixed else 1

    def of_parts(tensors, axis):
        """Of each part its share of every tensor."""
        shares = [tf.split(tensor, parts, axis=axis) for tensor in tensors]
        return [[share[p] for share in shares] for p in range(parts)]

    masks = of_parts([] if mask is None else [mask], 1)

    # A function of tensors in a row, of which TensorFlow asks the gradients.
    @tf.custom_gradient
    def loops(*tensors):
        first, rest = tensors[: parts * num_inputs], tensors[parts * num_inputs :]
        inputs = [first[p * num_inputs :][:num_inputs] for p in range(parts)]
        states, weights = rest[:num_states], rest[num_states:]
        total = tf.shape(inputs[0][0])[0] if steps is None else steps

        def arrays(p, widths, over):
            """For the results of each step of a part, over tensors or new."""
            new = [None] * (len(widths) - len(over))
            like = inputs[p][0]
            return [
                _array(total, like, units * width, tensor)
                for width, tensor in zip(widths, [*over, *new], strict=True)
            ]

        def forward(t, states, kept):
            states, kept = list(states), list(kept)
            for _ in range(unrolled):
                for p in range(parts):
                    source = kept[p][:num_inputs] if in_place else inputs[p]
                    real, before = _at(t, masks[p]), states[p]
                    new, save = cell.step(_at(t, source), before, *weights)
                    states[p] = [
                        _where(real, *pair) for pair in zip(new, before, strict=True)
                    ]
                    kept[p] = _write(t, kept[p], [*save, before[0]])
                t += 1
            return t, states, kept

        _, last, kept = tf.while_loop(
            lambda t, *_: t < total,
            forward,
            (
                0,
                of_parts(states, 0),
                [
                    arrays(p, [*saved, 1], inputs[p] if in_place else ())
                    for p in range(parts)
                ],
            ),
            maximum_iterations=total // unrolled,
        )
        kept = [[array.stack() for array in of_part] for of_part in kept]
        h_before = [of_part.pop() for of_part in kept]

        def gradient(*dlast):
            # The loss may depend on every h_t, besides the last.
            dh_each = of_parts([dlast[0]] if return_sequences else [], 1)
            # Once, not at every step.
            u = tf.split(weights[0], blocks or [weights[0].shape[1]], axis=1)
            u_transposed = [tf.transpose(block) for block in u]
            # Read in one body, the places of da must not be written again in it.
            again = 1 if saved else unrolled

            def local(t, p, dstates, h, places):
                """da_t, what passes by the product, and h_{t-1}."""
                save = []
                if saved:
                    save = _at(t, [*places, *kept[p][len(gradients) :]])
                at_step = list(dstates)
                if dh_each[p]:
                    at_step[0] += dh_each[p][0][t]
                real = _at(t, masks[p])
                zeros = [tf.zeros_like(d) for d in at_step]
                at_real = [
                    _where(real, *pair) for pair in zip(at_step, zeros, strict=True)
                ]
                passed, da = cell.back(at_real, save, h)
                if real:
                    by = [
                        _where(real, *pair) for pair in zip(zeros, at_step, strict=True)
                    ]
                    passed = [a + b for a, b in zip(passed, by, strict=True)]
                return list(passed), list(da), h_before[p][t]

            def backward(t, passed, da, h, places, dstates):
                passed, da, h, places = map(list, (passed, da, h, places))
                dstates = list(dstates)
                for _ in range(again):
                    for p in range(parts):
                        # What the step after has left is written first: all that
                        # is read from its place below is read after.
                        places[p] = _write(t + 1, places[p], da[p])
                        dh = passed[p][0] + cell.through(da[p], *u_transposed)
                        dstates[p] = [dh, *passed[p][1:]]
                        # At the end, t = -1, this is in vain.
                        passed[p], da[p], h[p] = local(
                            tf.maximum(t, 0), p, dstates[p], h[p], places[p]
                        )
                    t -= 1
                return t, passed, da, h, places, dstates

            places = [
                arrays(p, gradients, (kept[p] or inputs[p])[: len(gradients)])
                for p in range(parts)
            ]
            dstates = of_parts(dlast[-num_states:], 0)
            starts = [
                local(total - 1, p, dstates[p], last[p][0], places[p])
                for p in range(parts)
            ]
            passed, da, h = (list(start) for start in zip(*starts, strict=True))
            *_, places, dstates = tf.while_loop(
                lambda t, *_: t >= -1,
                backward,
                (total - 2, passed, da, h, places, dstates),
                maximum_iterations=total // again,
            )
            da = [[array.stack() for array in of_part] for of_part in places]
            dweights = [
                cell.weight_gradients(*pair) for pair in zip(h_before, da, strict=True)
            ]
            return (
                *[d for of_part in da for d in of_part[:num_inputs]],
                *[tf.concat(d, axis=0) for d in zip(*dstates, strict=True)],
                *[tf.add_n(d) for d in zip(*dweights, strict=True)],
            )

        joined = [tf.concat(s, axis=0) for s in zip(*last, strict=True)]
        if return_sequences:
            before = tf.concat(h_before, axis=1)
            each = tf.concat([before[1:], joined[0][tf.newaxis]], axis=0)
            return (each, *joined), gradient
        return tuple(joined), gradient

    flat = [tensor for of_part in inputs for tensor in of_part]
    outputs = loops(*flat, *states, *weights)
    if return_sequences:
        return outputs[0], tuple(outputs[1:])
    return None, tuple(outputs) if isinstance(outputs, list | tuple) else (outputs,)


def _array(
    steps: int | tf.Tensor, like: tf.Tensor, width: int, over: tf.Tensor | None
) -> tf.TensorArray:
    array = tf.TensorArray(
        like.dtype,
        steps,
        element_shape=(like.shape[1], width),
        clear_after_read=False,
    )
    return array if over is None else array.unstack(over)


def _at(t: tf.Tensor, tensors: Sequence[tf.Tensor | tf.TensorArray]) -> list:
    return [
        tensor.read(t) if isinstance(tensor, tf.TensorArray) else tensor[t]
        for tensor in tensors
    ]


def _write(t: tf.Tensor, arrays: list[tf.TensorArray], values: Tensors) -> list:
    return [a.write(t, value) for a, value in zip(arrays, values, strict=True)]


def _where(real: Tensors, then: tf.Tensor, otherwise: tf.Tensor) -> tf.Tensor:
    return tf.where(real[0], then, otherwise) if real else then


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
