"""Runs the models of exports: ONNX and LiteRT, each by its own runtime."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from rnn_keras.utils.errors import InputError

INSTALL = 'pip install "rnn_keras[export]"'

Forward = Callable[[np.ndarray], np.ndarray]


def _load_onnx(path: Path) -> Forward:
    try:
        from onnxruntime import InferenceSession
    except ImportError as error:
        raise InputError(f"{path}: needs onnxruntime: {INSTALL}") from error
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda ids: session.run(["probabilities"], {"ids": ids})[0]


def _load_litert(path: Path) -> Forward:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise InputError(f"{path}: needs ai-edge-litert: {INSTALL}") from error
    interpreter = Interpreter(str(path))
    (given,) = interpreter.get_input_details()
    (answer,) = interpreter.get_output_details()
    allocated = None

    def forward(ids: np.ndarray) -> np.ndarray:
        nonlocal allocated
        if ids.shape != allocated:
            interpreter.resize_tensor_input(given["index"], ids.shape)
            interpreter.allocate_tensors()
            allocated = ids.shape
        interpreter.set_tensor(given["index"], ids)
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"])

    return forward


LOADERS: dict[str, Callable[[Path], Forward]] = {
    "onnx": _load_onnx,
    "litert": _load_litert,
}
