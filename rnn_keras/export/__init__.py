"""Classifiers for other programs: ONNX, LiteRT, TensorFlow SavedModel.

`writer` writes and then compares with the original (`verification`); `onnx`,
`tensorflow` and `tokenizer_rules` make the parts. `rnn_keras.exported` runs
the result without TensorFlow.
"""

from rnn_keras.utils.quiet import attach_quietly

__getattr__, __dir__, __all__ = attach_quietly(__name__, __file__)
