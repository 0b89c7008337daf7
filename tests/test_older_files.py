"""Files written before the package was divided into rooms load and answer as then.

`tests/files` holds one small `.keras` file of each kind, and `answers.json` what the
version that wrote them answered to a few inputs. None of them is ever written anew.
"""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from rnn_keras import TextClassifier, models  # noqa: F401

FILES = Path(__file__).parent / "files"
ANSWERS = json.loads((FILES / "answers.json").read_text(encoding="utf-8"))
CLASSIFIERS = [name for name in ANSWERS if "texts" in ANSWERS[name]]
NETWORKS = [name for name in ANSWERS if "inputs" in ANSWERS[name]]


def test_there_is_a_file_of_each_kind_with_its_answers():
    assert {path.stem for path in FILES.glob("*.keras")} == set(ANSWERS)
    assert len(CLASSIFIERS) >= 3
    assert len(NETWORKS) >= 4


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_an_older_classifier_answers_as_before(name):
    answer = ANSWERS[name]
    classifier = TextClassifier.load(FILES / f"{name}.keras")
    assert classifier.class_names == tuple(answer["class_names"])
    found = classifier.predict_proba(answer["texts"])
    np.testing.assert_allclose(found, answer["probabilities"], atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_an_older_network_answers_as_before(name):
    answer = ANSWERS[name]
    network = keras.saving.load_model(FILES / f"{name}.keras")
    pairs = zip(answer["inputs"], answer["dtypes"], strict=True)
    inputs = [np.array(values, dtype) for values, dtype in pairs]
    found = network(inputs if len(inputs) > 1 else inputs[0])
    np.testing.assert_allclose(found, answer["outputs"], atol=1e-6)


def test_keras_finds_the_layers_of_an_older_file_by_itself():
    """A user may import nothing of the package but its name."""
    code = (
        "import rnn_keras.models, keras, sys\n"
        "print(keras.saving.load_model(sys.argv[1]).name)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code, str(FILES / "translator.keras")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "translator\n"
