"""Trains a network on token ids and class indices.

Start with `trainer`: it makes batches (`batches`), runs the loop over them (`loop`) and
stores the state on the way (`checkpoints`). `distributed` holds what changes when
several processes train one network.
"""

from rnn_keras.utils.quiet import attach_quietly

__getattr__, __dir__, __all__ = attach_quietly(__name__, __file__)
