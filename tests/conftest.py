"""Fixtures for all tests: one seed, data that may be missing, and examples."""

import os

import pytest
from hypothesis import HealthCheck, settings

from rnn_keras.utils.quiet import import_quietly

import_quietly()

# By default hypothesis tries the same few examples on every machine; with
# --hypothesis-profile=fuzz it tries many new ones. There is no deadline, because the
# first example may be the one that starts TensorFlow.
_COMMON = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("small", max_examples=25, derandomize=True, **_COMMON)
settings.register_profile("fuzz", max_examples=2000, print_blob=True, **_COMMON)
settings.load_profile("small")


@pytest.fixture(autouse=True)
def _seed():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture
def needs_corpus():
    """Return a function that skips the test if a corpus is not in the cache.

    If `RNN_KERAS_REQUIRE_DATA` is set, the test fails instead.
    """

    def check(name: str) -> None:
        from rnn_keras.datasets.corpora import CORPORA

        path = CORPORA[name].cached
        if path.exists():
            return
        reason = f"{path} is not there (RNN_KERAS_CACHE names the folder)"
        if os.environ.get("RNN_KERAS_REQUIRE_DATA"):
            pytest.fail(reason)
        pytest.skip(reason)

    return check


@pytest.fixture(scope="session")
def healthy():
    """Labelled texts without any fault, which a classifier can learn.

    Each text has three words from a list of twenty that only its class uses, and six
    from a list of sixty common words, in random order.
    """
    import numpy as np

    from rnn_keras.datasets.labelled import LabelledTexts

    rng = np.random.default_rng(0)
    common = [
        f"{a}{b}" for a in "bdfgklmnpr" for b in ("an", "el", "ir", "om", "ut", "y")
    ]
    telling = {
        "pos": [f"{a}oor" for a in "bcdfghjklmnpqrstvwxz"],
        "neg": [f"{a}eek" for a in "bcdfghjklmnpqrstvwxz"],
    }
    texts, labels = [], []
    for label in ["pos", "neg"] * 200:
        words = [*rng.choice(common, 6), *rng.choice(telling[label], 3)]
        texts.append(" ".join(rng.permutation(words).tolist()))
        labels.append(label)
    return LabelledTexts(texts, labels, "healthy")
