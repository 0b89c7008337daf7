"""Ctrl-C and SIGTERM end every command within two seconds, wherever it is.

In each place stands compiled code that takes minutes and lets no handler of Python's
run: what a user meets in XLA's compiler or in a long product.
"""

import re
import signal
import subprocess
import sys
import time

import pytest

BLOCKED = """
import hashlib, importlib, os, sys
from functools import reduce
from rnn_keras.utils.quiet import import_quietly

here = os.dup(1)  # an export is silent

def block(*_, **__):
    os.write(here, b"here\\n")
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)

place, *arguments = sys.argv[1:]
module, _, name = place.partition(":")
if module != "rnn_keras.datasets.loaders":
    import_quietly()
*owners, last = name.split(".")
setattr(reduce(getattr, owners, importlib.import_module(module)), last, block)
from rnn_keras.cli.app import main
main(arguments)
"""
TRAIN = ("train", "mine.csv", "--out", "run", "--epochs", "1", "--units", "2")
NOTHING_SAVED = "nothing was saved; the same command begins anew"
CHECKPOINT = "a checkpoint is kept in run; the same command goes on from there"
# Where a command is, which command it is, and what it says was kept.
PLACES = {
    "reading": ("rnn_keras.datasets.loaders:read_table", TRAIN, NOTHING_SAVED),
    "vectorizing": (
        "rnn_keras.layers.text_vectorizer:TextVectorizer.adapt",
        TRAIN,
        NOTHING_SAVED,
    ),
    "compiling": (
        "rnn_keras.training.loop:TrainingStep._graph_for",
        TRAIN,
        NOTHING_SAVED,
    ),
    "an epoch": ("rnn_keras.training.loop:_evaluate", TRAIN, NOTHING_SAVED),
    "the linear fits": (
        "rnn_keras.layers.ngram_logits:fit_binary",
        TRAIN,
        CHECKPOINT,
    ),
    "scoring": ("rnn_keras.scoring:LinearBaseline.fit", TRAIN, CHECKPOINT),
    "figures": ("rnn_keras.experiments.run_files:_draw", TRAIN, CHECKPOINT),
    "compare": (
        "rnn_keras.experiments.comparison:_matched_sizes",
        ("compare", "mine.csv", "--out", "run"),
        "no run had finished; the same command begins anew",
    ),
    "export": (
        "rnn_keras.export.writer:_write_model",
        ("export", "model.keras", "--format", "onnx", "--out", "model.onnx"),
        "nothing was written",
    ),
    "doctor": (
        "rnn_keras.doctor.data_examination:examine_data",
        ("doctor", "mine.csv"),
        "nothing was written",
    ),
    "explain": (
        "rnn_keras.classification:TextClassifier.explain",
        ("explain", "model.keras", "a text"),
        "nothing was written",
    ),
}


def stop(folder, place, arguments, number):
    """Send a signal once the place is reached; return status, seconds and stderr."""
    process = subprocess.Popen(
        [sys.executable, "-c", BLOCKED, place, *arguments],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        for line in process.stdout:
            if line == "here\n":
                break
        sent = time.monotonic()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
        return process.returncode, time.monotonic() - sent, stderr
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "where",
    [
        pytest.param(name, marks=[] if name == "reading" else pytest.mark.exhaustive)
        for name in PLACES
    ],
)
def test_ctrl_c_ends_a_command_wherever_it_is(where, folder):
    place, arguments, kept = PLACES[where]
    status, seconds, stderr = stop(folder, place, arguments, signal.SIGINT)
    assert stderr.splitlines()[-1] == f"rnn-keras: interrupted; {kept}"
    assert "Traceback" not in stderr
    assert status == 130
    assert seconds < 4  # two, and what a busy machine adds
    left = {path.name for path in folder.iterdir()} - {"mine.csv", "model.keras"}
    assert left == ({"run"} if kept == CHECKPOINT else set())


@pytest.mark.exhaustive
def test_after_ctrl_c_in_the_linear_fits_the_network_is_not_trained_again(folder):
    place, arguments, _ = PLACES["the linear fits"]
    status, _, _ = stop(folder, place, arguments, signal.SIGTERM)
    assert status == 143
    command = [sys.executable, "-m", "rnn_keras.cli", *arguments]
    again = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert re.search(r"^goes on with epoch 2, batch 1$", again.stderr, re.MULTILINE)
    assert (folder / "run" / "model.keras").exists()
    assert not (folder / "run" / ".unfinished").exists()


@pytest.fixture
def folder(tmp_path, healthy, request):
    """Return a folder with labelled texts and, for what needs it, a classifier."""
    rows = zip(healthy.labels, healthy.texts, strict=True)
    table = "label,text\n" + "".join(f"{label},{text}\n" for label, text in rows)
    (tmp_path / "mine.csv").write_text(table)
    if any(word in request.node.name for word in ("export", "explain")):
        from rnn_keras import TextClassifier

        classifier = TextClassifier.from_texts(
            healthy.texts, healthy.labels, units=2, seed=0
        )
        classifier.save(tmp_path / "model.keras")
    return tmp_path
