"""ONNX graphs of networks that no builder makes."""

import keras
import pytest

from rnn_keras.export.verification import ExportError
from rnn_keras.export.writer import export
from rnn_keras.layers.recurrent import GRU
from rnn_keras.utils.errors import InputError


@pytest.mark.parametrize(
    "options",
    [
        {"reset_after": False},
        {"activation": "relu", "recurrent_activation": "sigmoid", "use_bias": False},
    ],
    ids=str,
)
def test_options_that_no_builder_sets_are_kept(options, tmp_path, make_chain):
    classifier = make_chain(GRU(3, **options), keras.layers.Dense(4, "tanh"))
    export(classifier, tmp_path / "model.onnx", "onnx")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([keras.layers.UnitNormalization(), GRU(3)], "a UnitNorm.* has no"),
        ([GRU(3, activation="gelu")], "with activation 'gelu'. has no"),
    ],
    ids=["layer", "activation"],
)
def test_layers_without_a_counterpart_are_named(layers, message, tmp_path, make_chain):
    with pytest.raises(InputError, match=message) as error:
        export(make_chain(*layers), tmp_path / "model.onnx", "onnx")
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_network_that_reads_padding_is_refused(tmp_path, make_chain):
    classifier = make_chain(GRU(3), mask_zero=False)
    with pytest.raises(ExportError, match=r"onnx differs from the classifier by"):
        export(classifier, tmp_path / "model.onnx", "onnx")
    assert not list(tmp_path.iterdir())
