"""Language models of characters on tiny Shakespeare, within five minutes each.

    RNN_KERAS_CACHE=FOLDER python benchmarks/language_model.py

Trains on the first nine tenths, tests on the last, after each epoch, and writes
language_model.csv, a row an epoch. Seconds are of training alone: making the
network, compiling its step and all epochs so far, but not the tests between.
"""

import time
from pathlib import Path

import keras
import pandas as pd
from report import machine

from rnn_keras import TextVectorizer, build_language_model, load_text
from rnn_keras.generation import windows
from rnn_keras.training import make_optimizer

HERE = Path(__file__).parent
LENGTH, BATCH = 64, 64
SEEDS = 3
# With half of the five minutes to spare for a slower machine.
SETTINGS = {
    "gru": {"units": 384, "learning_rate": 4e-3, "epochs": 8},
    "simple_rnn": {"units": 512, "learning_rate": 2e-3, "epochs": 16},
}


def train(cell: str, seed: int) -> list[dict]:
    text = load_text("tiny_shakespeare")
    cut = len(text) * 9 // 10
    vectorizer = TextVectorizer("character")
    vectorizer.adapt([text[:cut]])
    inputs, targets = windows(vectorizer.encode([text[:cut]]).ids[0], LENGTH)
    # Rows much longer than those trained on, each from an empty state.
    tested = vectorizer.encode([text[cut:]]).ids[0]
    test = windows(tested, len(tested) // 55)
    whole = len(inputs) // BATCH * BATCH  # one shape, so one program

    units, rate, epochs = SETTINGS[cell].values()
    started = time.perf_counter()
    keras.utils.set_random_seed(seed)
    size = len(vectorizer.get_vocabulary())
    network = build_language_model(size, cell=cell, units=units, dropout=0.2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    schedule = keras.optimizers.schedules.PolynomialDecay(
        rate, epochs * whole // BATCH, end_learning_rate=0.0
    )
    network.compile(make_optimizer(schedule), loss, jit_compile=True)
    rows, testing = [], 0.0
    for epoch in range(1, epochs + 1):
        network.fit(inputs[:whole], targets[:whole], BATCH, verbose=0)
        before = time.perf_counter()
        nats = network.evaluate(*test, batch_size=len(test[0]), verbose=0)
        seconds = before - started - testing
        testing += time.perf_counter() - before
        row = {
            "cell": cell,
            "units": units,
            "seed": seed,
            "epoch": epoch,
            "nats": round(nats, 4),
        }
        row |= {"seconds": round(seconds, 1), "parameters": network.count_params()}
        rows.append(row)
        print(row, flush=True)
    return rows


def main() -> None:
    rows = [
        row for seed in range(SEEDS) for cell in SETTINGS for row in train(cell, seed)
    ]
    pd.DataFrame(rows).to_csv(HERE / "language_model.csv", index=False)
    print(machine(("tensorflow", "keras")))


if __name__ == "__main__":
    main()
