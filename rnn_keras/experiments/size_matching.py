"""Sizes at which different cells can be compared.

An LSTM of 64 units has four times the recurrent parameters of a SimpleRNN of 64, and
takes longer: which of them is the better cell depends on what is held equal.
"""

import time
from collections.abc import Callable, Sequence
from typing import Literal

import keras
import numpy as np

from rnn_keras.training import loop
from rnn_keras.training.batches import Batches
from rnn_keras.utils.choices import CellName

Match = Literal["units", "parameters", "seconds"]
_MOST_UNITS = 4096
_STEPS = 12
_PASSES = 4


def match_parameters(
    cells: Sequence[CellName], units: int, count: Callable[[CellName, int], int]
) -> dict[CellName, int]:
    """Units at which all cells have about as many parameters as the largest.

    Args:
        cells: to be compared.
        units: of the cell that has the most parameters with so many.
        count: from a cell and its units to the parameters of the network.
    """
    # W grows with the units, U with their square, and nothing with a higher power.
    sizes = units * np.array([1, 2, 3])
    counts = {c: [count(c, int(n)) for n in sizes] for c in cells}
    target = max(of_cell[0] for of_cell in counts.values())
    matched = {}
    for cell, (of_units, of_double, of_triple) in counts.items():
        square, line, rest = np.polyfit(sizes, (of_units, of_double, of_triple), 2)
        root = np.roots([square, line, rest - target]).max()
        matched[cell] = max(units, round(float(root.real)))
    return matched


def match_seconds(
    cells: Sequence[CellName], units: int, seconds: Callable[[CellName, int], float]
) -> dict[CellName, int]:
    """Units at which a step of all cells takes about as long as the slowest.

    The size is doubled until it takes longer; the answer lies between the last two,
    on the line through the logarithms of sizes and times. These are of the process
    that asks, whose threads may be more than those of the processes that train.

    Args:
        cells: to be compared.
        units: of the cell that is slowest with so many.
        seconds: from a cell and its units to the seconds of a training step.
    """
    taken = {cell: seconds(cell, units) for cell in cells}
    target = max(taken.values())
    matched = {}
    for cell in cells:
        low, high, quicker, slower = units, units, taken[cell], taken[cell]
        while slower < target and high < _MOST_UNITS:
            low, quicker = high, slower
            high *= 2
            slower = seconds(cell, high)
        share = 0.0
        if slower > quicker:
            share = min(1.0, np.log(target / quicker) / np.log(slower / quicker))
        matched[cell] = round(low * (high / low) ** share)
    return matched


def step_seconds(
    network: keras.Model,
    ids: np.ndarray,
    labels: np.ndarray,
    epochs: int,
    batch_size: int,
) -> float:
    """How long a training step of `network` takes on texts of the usual length.

    The least of several passes over a few batches, the first of which, where the
    step is traced or compiled, does not count.

    Args:
        network: compiled; its weights are trained by this.
        ids: token ids `(texts, timesteps)`, padded on the right with 0.
        labels: class indices `(texts,)`.
        epochs: that will be trained: many are compiled by XLA, few are not.
        batch_size: texts in a step.
    """
    order = np.argsort((ids != 0).sum(axis=1), kind="stable")
    size = min(len(ids), _STEPS * batch_size)
    start = (len(ids) - size) // 2
    rows = order[start : start + size]
    batches = Batches(
        ids[rows], labels[rows], batch_size=batch_size, num_lengths=1, multiple=4
    )
    clock = _Clock()
    passes = {"epochs": _PASSES, "callbacks": [clock]}
    if keras.backend.backend() == "tensorflow":
        compiled = loop.num_compiled_lengths(network, ids, epochs, batch_size) > 0
        loop.fit(network, batches, None, compiled=compiled, **passes)
    else:
        network.fit(batches, verbose=0, **passes)
    return min(clock.seconds[1:]) / len(batches)


class _Clock(keras.callbacks.Callback):
    """The seconds of every epoch."""

    def __init__(self):
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.perf_counter() - self.started)
