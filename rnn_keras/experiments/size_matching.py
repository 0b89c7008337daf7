"""Sizes at which different cells can be compared.

An LSTM of 64 units has four times the recurrent parameters of a SimpleRNN of 64 units,
and takes longer: which of them is the better cell depends on what is held equal.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import keras
import numpy as np

from rnn_keras.training import loop
from rnn_keras.training.batches import Batches
from rnn_keras.utils.choices import CellName

# What can be held equal across cells.
HeldEqual = Literal["units", "parameters", "seconds"]
_MOST_UNITS = 4096
_STEPS = 12
_PASSES = 4


def match_parameters(
    cells: Sequence[CellName], units: int, count: Callable[[CellName, int], int]
) -> dict[CellName, int]:
    """Return units at which all cells have about as many parameters as the largest.

    Args:
        cells: cells to compare.
        units: units of the cell that has the most parameters with that many.
        count: returns the number of parameters of a network of a cell and its units.
    """
    # The number of parameters is a polynomial of degree 2 in the units: of input
    # weights and biases there are as many as units, of recurrent weights the square.
    sizes = units * np.array([1, 2, 3])
    counts = {cell: [count(cell, int(n)) for n in sizes] for cell in cells}
    target = max(numbers[0] for numbers in counts.values())
    matched = {}
    for cell, numbers in counts.items():
        square, line, rest = np.polyfit(sizes, numbers, 2)
        root = np.roots([square, line, rest - target]).max()
        matched[cell] = max(units, round(float(root.real)))
    return matched


def match_seconds(
    cells: Sequence[CellName], units: int, seconds: Callable[[CellName, int], float]
) -> dict[CellName, int]:
    """Return units at which a step of all cells takes about as long as the slowest.

    The size is doubled until a step takes longer than the slowest. The answer lies
    between the last two sizes, on the line through the logarithms of sizes and times.
    The times are those of the process that asks, which may have more threads than the
    processes that train.

    Args:
        cells: cells to compare.
        units: units of the cell that is slowest with that many.
        seconds: returns the seconds of a training step of a cell and its units.
    """
    taken = {cell: seconds(cell, units) for cell in cells}
    target = max(taken.values())
    return {cell: _units_taking(target, cell, units, taken, seconds) for cell in cells}


def _units_taking(
    target: float,
    cell: CellName,
    units: int,
    taken: Mapping[CellName, float],
    seconds: Callable[[CellName, int], float],
) -> int:
    """Return the units at which a step of `cell` takes `target` seconds."""
    low, high, quicker, slower = units, units, taken[cell], taken[cell]
    while slower < target and high < _MOST_UNITS:
        low, quicker = high, slower
        high *= 2
        slower = seconds(cell, high)
    share = 0.0
    if slower > quicker:
        share = min(1.0, np.log(target / quicker) / np.log(slower / quicker))
    return round(low * (high / low) ** share)


def step_seconds(
    network: keras.Model,
    ids: np.ndarray,
    labels: np.ndarray,
    epochs: int,
    batch_size: int,
) -> float:
    """Return how long a training step of `network` takes on texts of usual length.

    It is the least of several passes over a few batches. The first pass, in which the
    step is traced or compiled, does not count.

    Args:
        network: compiled network; its weights are trained by this.
        ids: token ids `(texts, timesteps)`, padded on the right with 0.
        labels: class indices `(texts,)`.
        epochs: number of epochs that will be trained: steps of a long training are
            compiled by XLA, those of a short one are not.
        batch_size: number of texts in a step.
    """
    order = np.argsort((ids != 0).sum(axis=1), kind="stable")
    size = min(len(ids), _STEPS * batch_size)
    start = (len(ids) - size) // 2
    rows = order[start : start + size]
    batches = Batches(
        ids[rows], labels[rows], batch_size=batch_size, num_lengths=1, multiple=4
    )
    clock = _EpochClock()
    if keras.backend.backend() == "tensorflow":
        loop.fit(
            network,
            batches,
            None,
            compiled=loop.num_compiled_lengths(network, ids, epochs, batch_size) > 0,
            epochs=_PASSES,
            callbacks=[clock],
        )
    else:
        network.fit(batches, verbose=0, epochs=_PASSES, callbacks=[clock])
    return min(clock.seconds[1:]) / len(batches)


class _EpochClock(keras.callbacks.Callback):
    """Measures the seconds of every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(time.perf_counter() - self.started)
