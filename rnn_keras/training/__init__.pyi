from .batches import IdsInMemory, LabelledIds, StreamedIds
from .checkpoints import Checkpoints
from .trainer import (
    compile_network,
    hold_out,
    make_callbacks,
    make_optimizer,
    restart,
    train,
)

__all__ = [
    "Checkpoints",
    "IdsInMemory",
    "LabelledIds",
    "StreamedIds",
    "compile_network",
    "hold_out",
    "make_callbacks",
    "make_optimizer",
    "restart",
    "train",
]
