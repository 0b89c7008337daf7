"""One seed for every test, and the corpora that only some machines have."""

import os

import pytest

from rnn_keras._tensorflow import import_quietly

import_quietly()


@pytest.fixture(autouse=True)
def _seed():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture
def needs_corpus():
    """Skip, or fail where the data must be there, if a corpus is not cached."""

    def check(name: str) -> None:
        from rnn_keras.corpora import CORPORA

        path = CORPORA[name].cached
        if path.exists():
            return
        reason = f"{path} is not there (RNN_KERAS_CACHE names the folder)"
        if os.environ.get("RNN_KERAS_REQUIRE_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)

    return check
