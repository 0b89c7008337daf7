"""A healthy run, which several tests examine or copy and spoil."""

import keras
import pytest

from rnn_keras.experiments import run as runs


@pytest.fixture(scope="session")
def run(healthy, tmp_path_factory):
    """The folder of a run on texts that can be learned completely."""
    out = tmp_path_factory.mktemp("run") / "healthy"
    keras.utils.set_random_seed(0)
    metrics = runs.train(
        healthy.split(seed=0),
        out,
        source="nowhere.csv",
        units=4,
        embedding_dim=8,
        epochs=10,
        learning_rate=0.02,
        min_count=2,
    )
    assert metrics["test"]["accuracy"] == 1
    return out
