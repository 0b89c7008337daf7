import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from inspect import signature

import pytest

from rnn_keras.classification.recipe import Recipe
from rnn_keras.classification.settings import FitSettings, ModelSettings, Settings
from rnn_keras.models import build_classifier
from rnn_keras.utils.errors import InputError


def test_the_settings_of_a_run_are_those_of_model_and_training_together():
    of_run, of_model, of_fit = (
        {field.name: field.default for field in fields(kind)}
        for kind in (Settings, ModelSettings, FitSettings)
    )
    assert of_run == of_model | of_fit
    assert not set(of_model) & set(of_fit)


def test_what_the_recipe_chooses_is_left_open():
    chosen = {field.name for field in fields(Recipe)} - {"max_ngram"}
    left_open = {name for name in vars(Settings()) if getattr(Settings(), name) is None}
    assert left_open == chosen


def test_the_settings_of_the_network_are_arguments_of_its_builder():
    network = ModelSettings(cell="lstm", units=3).network()
    assert (network["cell"], network["units"]) == ("lstm", 3)
    assert set(network) <= set(signature(build_classifier).parameters)


def test_settings_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Settings().units = 3


def test_settings_do_not_wait_for_tensorflow():
    code = (
        "import sys\nfrom rnn_keras.classification.settings import Settings\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", [FitSettings, ModelSettings, Settings])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_setting_that_is_no_finite_number_is_refused(kind, value):
    name = "dropout" if kind is ModelSettings else "learning_rate"
    with pytest.raises(InputError, match=f"{name} {value}: expected a finite number"):
        kind(**{name: value})
