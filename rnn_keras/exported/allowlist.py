"""What the configuration of a saved classifier may name: layers that only compute.

Keras builds whatever class `config.json` names, with the arguments that it gives. Some
classes run code (`Lambda`), read a file (`StringLookup` with the path of a vocabulary:
CVE-2025-12058) or load another model (`TFSMLayer`). Keras refuses these in its safe
mode; but `keras.config.enable_unsafe_deserialization`, called anywhere in the process,
overrules the argument `safe_mode=True`. So this module lists what may be named, and
refuses anything else, including what a later version of Keras adds.

Sizes are checked here, too. Keras builds all layers before it reads their weights, and
Keras 3.15 compares no size in a configuration with the weights in the file, neither in
its safe mode nor otherwise (it does so for the arrays in the file of weights). A few
bytes in a configuration could therefore ask for more memory than there is.

Whatever the process itself has registered (`keras.saving.register_keras_serializable`)
may be named, too: whoever registers a class says that files may build it.

How long an allowed network computes when it is asked is not limited here.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

_PACKAGE = "rnn_keras>"
_MODELS = {"Functional", "Model", "Sequential"}
# fmt: off
LAYERS = {
    "Activation", "ActivityRegularization", "AdaptiveAveragePooling1D",
    "AdaptiveMaxPooling1D", "Add", "AdditiveAttention", "AlphaDropout", "Attention",
    "Average", "AveragePooling1D", "AveragePooling2D", "AvgPool1D",
    "BatchNormalization", "Bidirectional", "CategoryEncoding", "Concatenate", "Conv1D",
    "Conv1DTranspose", "Conv2D", "Conv2DTranspose", "ConvLSTM1D", "Convolution1D",
    "Convolution1DTranspose", "Cropping1D", "Cropping2D", "Dense", "DepthwiseConv1D",
    "DepthwiseConv2D", "Dot", "Dropout", "ELU", "EinsumDense", "Embedding", "Flatten",
    "GRU", "GRUCell", "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalAvgPool1D", "GlobalMaxPool1D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GroupNormalization",
    "GroupQueryAttention", "Identity", "InputLayer", "LSTM", "LSTMCell",
    "LayerNormalization", "LeakyReLU", "Masking", "MaxPool1D", "MaxPooling1D",
    "MaxPooling2D", "Maximum", "Minimum", "MultiHeadAttention", "Multiply",
    "Normalization", "PReLU", "Permute", "RMSNormalization", "RNN", "ReLU",
    "RepeatVector", "Rescaling", "Reshape", "ReversibleEmbedding", "SeparableConv1D",
    "SeparableConv2D", "SeparableConvolution1D", "SimpleRNN", "SimpleRNNCell",
    "Softmax", "SpatialDropout1D", "SpatialDropout2D", "SpectralNormalization",
    "StackedRNNCells", "Subtract", "TimeDistributed", "UnitNormalization",
    "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D",
}
# Operations whose arguments are tensors and numbers. The other ones of `core` take
# functions, and so does `linalg.JVP`.
CORE_OPERATIONS = {
    "Cast", "ConvertToTensor", "SaturateCast", "Scatter", "ScatterUpdate", "Slice",
    "SliceUpdate", "StopGradient", "Unstack",
}
# fmt: on
_CLASS_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
# Modules in which every class computes with numbers only.
_NUMERIC_MODULES = {
    "keras.constraints",
    "keras.dtype_policies",
    "keras.initializers",
    "keras.losses",
    "keras.metrics",
    "keras.optimizers",
    "keras.optimizers.schedules",
    "keras.regularizers",
    "keras.src.ops.math",
    "keras.src.ops.nn",
    "keras.src.ops.numpy",
}
_CLASSES = {
    "keras": _MODELS | {"DTypePolicy", "FloatDTypePolicy"},
    "keras.layers": LAYERS,
    "keras.models": _MODELS,
    "keras.random": {"SeedGenerator"},
    "keras.src.models.functional": {"Functional"},
    "keras.src.models.sequential": {"Sequential"},
    "keras.src.ops.core": CORE_OPERATIONS,
}
# Modules of Keras's functions; Keras writes "builtins" for some of its own.
_FUNCTION_MODULES = {
    "builtins",
    "keras.activations",
    "keras.losses",
    "keras.metrics",
}
_FUNCTION = re.compile(r"(?!(?:get|serialize|deserialize)$)[a-z0-9_]+")
_VALUES = {
    "__bytes__",
    "__ellipsis__",
    "__keras_tensor__",
    "__numpy__",
    "__slice__",
    "__tensor__",
}
_DTYPES = re.compile(r"(u?int|float)\d{1,2}|bfloat16|bool")
_PARTS = {"preprocessor": "TextVectorizer", "linear": "LinearPath"}
# fmt: off
# Classes that make an array as large as the value of an argument, or as its square.
_ARRAY_MAKERS = {
    "keras.src.ops.numpy": {
        "Arange", "Bartlett", "Blackman", "Eye", "Full", "Geomspace", "Hamming",
        "Hanning", "Identity", "Kaiser", "Logspace", "Ones", "Tri", "Zeros",
    },
    "keras.metrics": {"BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"},
}
# Sizes of which a layer has at least as many weights.
_WIDTHS = {"units", "output_dim", "filters", "num_classes", "rows", "key_dim"}
# Numbers of rows of a table, which may be long and narrow.
_ROWS = {"rows", "num_classes", "input_dim", "input_length", "vocab_size"}
# Numbers to compute with or to count to: no array is as large as they are.
_HARMLESS = {
    "args", "boundaries", "clipnorm", "clipvalue", "constant_values", "decay_steps",
    "dynamic_growth_steps", "epsilon", "fill_value", "first_decay_steps",
    "global_clipnorm", "initial_learning_rate", "initial_scale", "keras_history",
    "learning_rate", "loss_scale_factor", "mask_value", "max_length", "max_tokens",
    "max_value", "maximal_learning_rate", "maxval", "mean", "min_value", "minval",
    "nan", "neginf", "offset", "posinf", "scale", "seed", "shared_object_id",
    "threshold", "value", "values", "variance", "warmup_steps", "warmup_target", "x1",
    "x2", "x_max", "x_min",
}
# fmt: on
_WIDEST = 2**14
# Size that a file may ask for without having weights for it.
_NARROW = 2**10
_LARGEST_ARRAY = 2**24
DEEPEST = 100
# What this package registers with Keras: the `__name__` of each class and function.
OWN_NAMES: dict[str, str | None] = {
    _PACKAGE + name: name
    for name in (
        "Dropout", "GRU", "LSTM", "LinearPath", "LogMel", "MaskedPooling1D",
        "MissingValues", "QuantileLoss", "ReversibleEmbedding", "SimpleRNN",
        "SureBlank", "TextClassifier", "TextVectorizer", "replace_nul",
        "separate_cased_words", "separate_words",
    )
}  # fmt: skip


def check_config(
    config: Any, registered: Mapping[str, str | None], weights: int
) -> None:
    """Refuse a configuration that names what it may not, or is larger than its weights.

    Args:
        config: content of `config.json`.
        registered: the `__name__` of each class and function that the process has
            registered, by the name under which it is registered.
        weights: how many numbers the file of weights holds.

    Raises:
        ValueError: with what is wrong, as the end of a sentence about `config.json`.
    """
    if not isinstance(config, dict) or "class_name" not in config:
        raise ValueError("describes no model")
    for node in _nodes(config, 0):
        if "class_name" in node:
            _check_named(node, registered)
        _check_values(node, weights)
    if _name_of(config) == _PACKAGE + "TextClassifier":
        _check_parts(config.get("config"), registered)


def _nodes(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield every object in a value, the outer ones before the inner."""
    if depth > DEEPEST:
        raise ValueError(f"is nested more than {DEEPEST} deep")
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            if isinstance(part, dict | list):
                yield from _nodes(part, depth + 1)


def _name_of(node: dict[str, Any]) -> Any:
    """Return what Keras looks up first: the name that the class is registered under."""
    return node.get("registered_name", node.get("class_name"))


def _check_named(node: dict[str, Any], registered: Mapping[str, str | None]) -> None:
    name, module = node["class_name"], node.get("module")
    if name == "function":
        name = node.get("config")
        known = isinstance(name, str) and (
            (name in registered and isinstance(module, str))
            or (module in _FUNCTION_MODULES and _FUNCTION.fullmatch(name))
        )
    elif not isinstance(name, str):
        known = False
    elif name in _VALUES:
        known = _is_value(node)
    else:
        alias = _name_of(node)
        known = _is_registered(module, name, alias, registered) or (
            alias in (None, name) and _is_of_keras(module, name)
        )
    if not known:
        shown = f"{module}.{name}" if isinstance(module, str) else str(name)
        raise ValueError(f"names {shown[:80]!r}, which a classifier's file may not")


def _is_registered(
    module: Any, name: str, alias: Any, registered: Mapping[str, str | None]
) -> bool:
    """Return whether Keras looks up the alias and finds what the node says it is.

    Keras does not look up `__lambda__` and its like, nor a layer without a module. It
    takes the latter for one of an older format, and looks up `name` among all layers.
    """
    return (
        isinstance(module, str)
        and isinstance(alias, str)
        and alias in registered
        and not name.startswith("__")
        and registered[alias] == name
    )


def _is_of_keras(module: Any, name: str) -> bool:
    if not isinstance(module, str):
        return False
    if module in _NUMERIC_MODULES:
        makers = _ARRAY_MAKERS.get(module, ())
        return bool(_CLASS_NAME.fullmatch(name)) and name not in makers
    return name in _CLASSES.get(module, ())


def _is_value(node: dict[str, Any]) -> bool:
    """Return whether a node holds numbers, and no objects or strings."""
    content = node.get("config")
    if node["class_name"] not in ("__numpy__", "__tensor__"):
        return isinstance(content, dict)
    dtype = content.get("dtype") if isinstance(content, dict) else None
    return isinstance(dtype, str) and _DTYPES.fullmatch(dtype) is not None


def _check_values(node: dict[str, Any], weights: int) -> None:
    """Refuse a vocabulary that is a path, and a layer larger than the weights."""
    if not isinstance(node.get("vocabulary"), list | None):
        raise ValueError("has a vocabulary that is no list of tokens")
    largest = max(weights, _WIDEST)
    rows, columns = node.get("input_dim"), node.get("output_dim")
    if _is_number(rows) and _is_number(columns) and rows * columns > largest:
        raise ValueError(f"has an embedding of {rows} x {columns}, and no such weights")
    kernel, filters = _numbers(node.get("kernel_size")), _numbers(node.get("filters"))
    if "depthwise_initializer" in node:  # its kernel does not grow with the filters
        filters = []
    if math.prod([*kernel, *filters]) > largest:
        raise ValueError(
            f"has a kernel of {str(kernel)[:40]} and {str(filters)[:40]} filters, and "
            "no such weights"
        )
    for key, value in node.items():
        if key not in _HARMLESS:
            _check_size(key, value, weights)


def _check_size(key: str, value: Any, weights: int) -> None:
    # Two neighbouring layers may both be this wide; the number of weights between them
    # is the square. A layer of many classes with few features each is wider.
    limit = max(_WIDEST, round(32 * weights**0.5))
    if key in _ROWS:
        limit = weights if key in _WIDTHS else max(limit, weights)
    elif key in _WIDTHS:
        limit = min(limit, max(weights, _NARROW))
    sizes = [abs(size) for size in _numbers(value)]
    # An array may be large although each of its sizes is small.
    array = math.prod(size for size in sizes if size > 1) if len(sizes) < 16 else 1
    if any(size > limit for size in sizes) or array > max(weights, _LARGEST_ARRAY):
        raise ValueError(
            f"has a layer of {key[:40]}={str(value)[:40]}, and weights for none so "
            "large"
        )


def _numbers(value: Any) -> list[int | float]:
    """Return the numbers in a value: itself, or those in a list of any depth."""
    if isinstance(value, list):
        return [number for part in value for number in _numbers(part)]
    return [value] if _is_number(value) else []


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_parts(parts: Any, registered: Mapping[str, str | None]) -> None:
    """Refuse a classifier whose parts are not what they are called."""
    if not isinstance(parts, dict):
        raise ValueError("describes no classifier")
    names = parts.get("class_names")
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise ValueError("has no list of class names")
    for part, kind in _PARTS.items():
        node = parts.get(part)
        if node is None and part == "linear":  # it is optional, and older files lack it
            continue
        name = str(_name_of(node)) if isinstance(node, dict) else ""
        own = name in registered and not name.startswith(_PACKAGE)
        if name != _PACKAGE + kind and not own:
            raise ValueError(f"has as {part} no {kind}")
    network = parts.get("network")
    if not isinstance(network, dict) or "class_name" not in network:
        raise ValueError("has no network")
    settings = parts["preprocessor"].get("config")
    vocabulary = settings.get("vocabulary") if isinstance(settings, dict) else None
    if vocabulary and not all(isinstance(token, str) for token in vocabulary):
        raise ValueError("has a vocabulary that is no list of tokens")
