"""Ctrl-C and SIGTERM end every command within two seconds, wherever it is.

In each place stands compiled code that takes minutes and lets no handler of Python's
run: what a user meets in XLA's compiler or in a long product.
"""

import json
import re
import shutil
import signal
import subprocess
import sys

import pytest

# Reads lines of JSON, each a place, arguments and a signal, and writes for each what
# came of it. Each command runs in a process that is forked once all is imported.
SCRIPT = """
import hashlib, importlib, json, os, sys, tempfile, time
from functools import reduce
from rnn_keras.utils.quiet import import_quietly
from rnn_keras.cli.app import main


def block(place, here):
    module, _, name = place.partition(":")
    *owners, last = name.split(".")

    def blocked(*_, **__):
        os.write(here, b"here")
        hashlib.pbkdf2_hmac("sha256", b"", b"", 10**8)

    setattr(reduce(getattr, owners, importlib.import_module(module)), last, blocked)


def stopped(place, arguments, number):
    reader, writer = os.pipe()
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if child == 0:
            os.dup2(errors.fileno(), 2)
            block(place, writer)
            main(arguments)
        os.close(writer)
        assert os.read(reader, 4) == b"here", (place, errors.seek(0), errors.read())
        sent = time.monotonic()
        os.kill(child, number)
        _, status = os.waitpid(child, 0)
        seconds = time.monotonic() - sent
        os.close(reader)
        errors.seek(0)
        return os.waitstatus_to_exitcode(status), seconds, errors.read().decode()


for i, line in enumerate(sys.stdin):
    place, arguments, number = json.loads(line)
    if not place.startswith("rnn_keras.datasets"):
        import_quietly()
    print(json.dumps(stopped(place, arguments, number)), flush=True)
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


class Stopper:
    """A process that runs commands in a folder and stops each at a place."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=folder,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def stop(self, where, number=signal.SIGINT):
        """Return the exit status, the seconds that it took, and standard error."""
        place, arguments, _ = PLACES[where]
        line = json.dumps([place, arguments, number])
        print(line, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())


@pytest.fixture
def stopper(folder):
    stopper = Stopper(folder)
    yield stopper
    stopper.process.stdin.close()
    stopper.process.kill()
    stopper.process.wait()
    stopper.process.stdout.close()


def check_stop(stopper, folder, where):
    kept = PLACES[where][-1]
    status, seconds, stderr = stopper.stop(where)
    assert stderr.splitlines()[-1] == f"rnn-keras: interrupted; {kept}", where
    assert "Traceback" not in stderr, where
    assert status == 130, where
    assert seconds < 4, where  # two, and what a busy machine adds
    left = {path.name for path in folder.iterdir()} - {"mine.csv", "model.keras"}
    assert left == ({"run"} if kept == CHECKPOINT else set()), where
    shutil.rmtree(folder / "run", ignore_errors=True)


def test_ctrl_c_ends_reading(stopper, folder):
    check_stop(stopper, folder, "reading")


@pytest.mark.exhaustive
def test_ctrl_c_ends_a_command_wherever_it_is(stopper, folder):
    for where in PLACES:
        check_stop(stopper, folder, where)


@pytest.mark.exhaustive
def test_after_a_signal_in_the_linear_fits_the_network_is_not_trained_again(
    stopper, folder
):
    status, _, _ = stopper.stop("the linear fits", signal.SIGTERM)
    assert status == 143
    command = [sys.executable, "-m", "rnn_keras.cli", *TRAIN]
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
    if "wherever" in request.node.name:
        from rnn_keras import TextClassifier

        classifier = TextClassifier.from_texts(
            healthy.texts, healthy.labels, units=2, seed=0
        )
        classifier.save(tmp_path / "model.keras")
    return tmp_path
