"""Classifiers for other programs: TensorFlow SavedModel, ONNX, LiteRT.

Read `writer` first: it writes an export, compares it with the original classifier
(`verification`) and puts it in place (`files`). `onnx` and `tensorflow` write the
models. `rnn_keras.exported` runs ONNX and LiteRT exports without TensorFlow.
"""

from rnn_keras.utils.quiet import attach_quietly

__getattr__, __dir__, __all__ = attach_quietly(__name__, __file__)
