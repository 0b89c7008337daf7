"""A network and token ids in, a trained network out.

Start with `trainer`: it chooses batches (`batches`), runs the loop over them (`loop`),
and writes its state down on the way (`checkpoints`). `distributed` is what changes when
several processes train one network.
"""

from rnn_keras.utils.quiet import import_quietly

import_quietly()  # before a module below imports TensorFlow or Keras

from rnn_keras.training.checkpoints import Checkpoints
from rnn_keras.training.trainer import (
    compile_network,
    hold_out,
    make_callbacks,
    make_optimizer,
    restart,
    train,
)

__all__ = [
    "Checkpoints",
    "compile_network",
    "hold_out",
    "make_callbacks",
    "make_optimizer",
    "restart",
    "train",
]
