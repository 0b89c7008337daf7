"""Spoken digits: single ones, joined ones, and speakers never heard in training.

    RNN_KERAS_CACHE=FOLDER python benchmarks/speech.py

Three kinds of splits. "validation" trains on takes 10 to 49 of every speaker and tests
on takes 5 to 9; sizes, learning rate and epochs were chosen with it. "official" trains
on takes 5 to 49 and tests on takes 0 to 4. A split named after a speaker trains on all
takes of the other five and tests on all that this speaker said. Every network is tested
on single digits and on strings of three to six digits (five divisions into strings,
together about 1,500 digits). Writes speech.csv, one row per training run; the seconds
are those of training.
"""

import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from report import machine

from rnn_keras import load_recordings
from rnn_keras.datasets.corpora import Recordings
from rnn_keras.models.builders import build_speech_recognizer
from rnn_keras.models.speech import (
    classify,
    error_rate,
    join_recordings,
    recognize,
    string_batches,
)
from rnn_keras.training.trainer import make_optimizer

HERE = Path(__file__).parent
SEEDS = 2
EPOCHS, BATCH, RATE, DROPOUT, MOST, SPEED = 30, 32, 4e-3, 0.4, 3, 0.15


def division(part: str, spoken: Recordings) -> tuple[np.ndarray, np.ndarray]:
    """Which recordings to train on, and which to test on."""
    if part == "official":
        tested, trained = spoken.takes < 5, spoken.takes >= 5
    elif part == "validation":
        tested, trained = np.isin(spoken.takes, range(5, 10)), spoken.takes >= 10
    else:
        tested, trained = spoken.speakers == part, spoken.speakers != part
    return np.flatnonzero(trained), np.flatnonzero(tested)


def train(
    spoken: Recordings, members: np.ndarray, seed: int, speed: float = SPEED
) -> keras.Model:
    keras.utils.set_random_seed(seed)
    options = {"batch_size": BATCH, "most": MOST, "speed": speed, "seed": seed}
    batches = string_batches(spoken, members, **options)
    # Of one to MOST words, each number as often.
    epoch = round(len(members) / ((1 + MOST) / 2) / BATCH)
    network = build_speech_recognizer(11, rate=spoken.rate, dropout=DROPOUT)
    falling = keras.optimizers.schedules.PolynomialDecay(
        RATE, EPOCHS * epoch, end_learning_rate=0.0
    )
    network.compile(make_optimizer(falling), keras.losses.CTC())
    network.fit(batches, epochs=EPOCHS, steps_per_epoch=epoch, shuffle=False, verbose=0)
    return network


def score(network: keras.Model, spoken: Recordings, members: np.ndarray) -> dict:
    words = [spoken.waves[i] for i in members]
    right = classify(network, words) == spoken.labels[members] + 1
    truths, found = [], []
    for seed in range(5):
        strings = join_recordings(spoken, members, least=3, most=6, seed=seed)
        truths += strings.ids
        found += recognize(network, strings.waves)
    return {
        "tested": len(members),
        "accuracy": round(float(right.mean()), 4),
        "joined_digits": sum(map(len, truths)),
        "error_rate": round(error_rate(truths, found), 4),
    }


def main() -> None:
    spoken, rows = load_recordings("spoken_digits"), []
    parts = ["validation", "official", *np.unique(spoken.speakers)]
    for part in parts:
        trained, tested = division(part, spoken)
        for seed in range(SEEDS):
            started = time.perf_counter()
            network = train(spoken, trained, seed)
            seconds = round(time.perf_counter() - started, 1)
            row = {"part": part, "seed": seed, "seconds": seconds}
            rows.append({**row, **score(network, spoken, tested)})
            print(rows[-1], flush=True)
            pd.DataFrame(rows).to_csv(HERE / "speech.csv", index=False)
    print(machine(("tensorflow", "keras")))


if __name__ == "__main__":
    main()
