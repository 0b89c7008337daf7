"""The choices that both the command line and the builders offer, written once.

The command line needs them before it imports TensorFlow, which takes seconds.
"""

from typing import Literal, get_args

CellName = Literal["simple_rnn", "lstm", "gru"]
CELL_NAMES: tuple[CellName, ...] = get_args(CellName)

Pooling = Literal["last", "max", "mean", "max_mean"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
