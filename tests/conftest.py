"""One seed for every test, and the corpora that only some machines have."""

import os

import pytest
from hypothesis import HealthCheck, settings

from rnn_keras.utils.quiet import import_quietly

import_quietly()

# The same few examples everywhere; many new ones by --hypothesis-profile=fuzz. No
# deadline: the first example may be the one that TensorFlow starts in.
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
    """Skip, or fail where the data must be there, if a corpus is not cached."""

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
    """Labelled texts that nothing is wrong with, and that can be learned.

    Three words of a text tell its class, of twenty that do; six of sixty do not. The
    order is drawn.
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
