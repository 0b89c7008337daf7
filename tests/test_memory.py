"""Nothing of a model stays in memory once it is gone, however many there are.

Each loop runs in a process of its own, because memory is the process's. The quick tests
of the same claim count live objects: `tests/layers/test_tensorflow_internals.py` and
`tests/training/test_loop.py`.
"""

import json
import platform
import subprocess
import sys

import numpy as np
import pytest

PROLOGUE = """
import gc
import json
import sys
import tempfile
from pathlib import Path

import rnn_keras
import keras
import tensorflow as tf
from rnn_keras.classification import TextClassifier
from rnn_keras.layers import SimpleRNN
from rnn_keras.training import loop, trainer

TEXTS = [f"{a} {b}" for a in "abcdef" for b in "ghijklm"]
LABELS = ["yes" if text[0] in "abc" else "no" for text in TEXTS]


def classifier():
    small = {"cell": "simple_rnn", "bidirectional": False, "units": 2}
    return TextClassifier.from_texts(TEXTS, LABELS, **small)


def fit(model, **options):
    model.fit(TEXTS, LABELS, epochs=1, progress=False, **options)
"""

EPILOGUE = """
def megabytes():
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * 4096 / 1e6


sizes = []
for _ in range(int(sys.argv[1])):
    once()
    gc.collect()
    sizes.append(megabytes())
print(json.dumps(sizes))
"""

# A round of these takes a second or two; of the layers there are 33.
ROUNDS = {"fits": 21, "loads": 21, "refits": 21}
LOOPS = {
    "layers": """
def once():
    layer = SimpleRNN(4)
    layer.build((None, 5, 3))

    @tf.function
    def gradients(x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x))
        return tape.gradient(loss, [v.value for v in layer.trainable_variables])

    gradients(tf.ones((2, 5, 3)))
    keras.utils.clear_session()
""",
    "fits": """
trainer.loop.num_compiled_lengths = lambda *_: 1


def once():
    fit(classifier(), linear=False, validation_split=0.3)
""",
    "loads": """
path = Path(tempfile.mkdtemp()) / "model.keras"
first = classifier()
fit(first, validation_split=0.3)
first.save(path)


def once():
    TextClassifier.load(path).predict(TEXTS[:2])
""",
    "refits": """
model = classifier()


def once():
    fit(model, validation_split=0.3)
""",
}


@pytest.mark.exhaustive
@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
@pytest.mark.parametrize("name", LOOPS)
def test_memory_does_not_grow_with_the_number_of_models(name):
    rounds = ROUNDS.get(name, 33)
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + LOOPS[name] + EPILOGUE, str(rounds)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    # Before its third round the process still loads code and fills caches.
    sizes = json.loads(done.stdout.splitlines()[-1])[3:]
    third = len(sizes) // 3
    first, last = np.mean(sizes[:third]), np.mean(sizes[-third:])
    print(f"{name}: {first:.0f} MB, then {last:.0f} MB")
    assert last <= 1.02 * first, sizes
