"""English to French with attention and without, each trained within ten minutes.

    RNN_KERAS_CACHE=FOLDER python benchmarks/translation.py [--pairs 15000 40000]

Trains on 15,000 pairs as notebook 10 does, and on 40,000 pairs for longer. Sentences
have at most ten words. They are split by the English sentence, so that no rendering of
a test sentence is trained on. BLEU is sacrebleu's, capital letters count, and all
French renderings of a sentence are its references. Writes translation.csv, one row per
model; rows of numbers of pairs that are not asked for stay. The seconds cover building
the network, compiling its step and training.
"""

import argparse
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from report import machine
from sacrebleu import corpus_bleu

from rnn_keras import TextVectorizer, build_translator, load_pairs, translate
from rnn_keras.models.translation import Detokenizer, pair_batches
from rnn_keras.training.trainer import make_optimizer

HERE = Path(__file__).parent
WORDS, BATCH = 10, 64
LENGTHS = ((1, 4), (5, 6), (7, 8), (9, 10))


class Settings(NamedTuple):
    """How the networks for one number of pairs are trained and tested."""

    tested: int  # sentences
    tokens: int  # at most, in each language
    units: int
    epochs: int
    learning_rate: float
    seeds: int


SETTINGS = {
    15_000: Settings(1000, 5000, 192, epochs=3, learning_rate=8e-3, seeds=3),
    40_000: Settings(2000, 8000, 256, epochs=9, learning_rate=2e-3, seeds=2),
}


def sentences() -> dict[str, list[str]]:
    """The French renderings of each English sentence, in one random order."""
    renderings = defaultdict(list)
    for english, french in load_pairs("tatoeba_fra"):
        if len(english.split()) <= WORDS:
            renderings[english].append(french.replace("’", "'"))
    order = list(renderings)
    np.random.default_rng(0).shuffle(order)
    return {english: renderings[english] for english in order}


def bleu(found: list[str], references: list[list[str]]) -> float:
    most = max(map(len, references))
    streams = [[r[i] if i < len(r) else None for r in references] for i in range(most)]
    return corpus_bleu(found, streams).score


def train(num_pairs: int, attention: bool, seed: int) -> dict:
    settings, renderings = SETTINGS[num_pairs], sentences()
    order = list(renderings)
    tested, rest = order[: settings.tested], order[settings.tested :]
    pairs = [(e, f) for e in rest for f in renderings[e]][:num_pairs]
    english, french = zip(*pairs, strict=True)
    source, target = (
        TextVectorizer(lowercase=False, min_count=2, max_tokens=settings.tokens)
        for _ in range(2)
    )
    source.adapt(english)
    target.adapt(french)

    started = time.perf_counter()
    keras.utils.set_random_seed(seed)
    size = len(target.get_vocabulary()) + 2
    batches = pair_batches(
        source.encode(english).ids,
        target.encode(french).ids,
        size,
        batch_size=BATCH,
        seed=seed,
    )
    options = {"attention": attention, "units": settings.units, "dropout": 0.2}
    network = build_translator(len(source.get_vocabulary()), size, **options)
    schedule = keras.optimizers.schedules.PolynomialDecay(
        settings.learning_rate, settings.epochs * len(batches), end_learning_rate=0.0
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(make_optimizer(schedule), loss, jit_compile=True)
    network.fit(batches, epochs=settings.epochs, shuffle=False, verbose=2)
    row = {
        "pairs": len(pairs),
        "attention": attention,
        "seed": seed,
        "parameters": network.count_params(),
        "seconds": round(time.perf_counter() - started, 1),
    }
    join = Detokenizer(target, french)
    words = np.array([len(text.split()) for text in tested])
    for name, beam_size in (("greedy", 1), ("beam", 4)):
        made = translate(network, source, target, join, tested, beam_size=beam_size)
        texts = np.array([one.text for one in made])
        row[name] = round(bleu(list(texts), [renderings[e] for e in tested]), 2)
    for low, high in LENGTHS:
        rows = np.flatnonzero((words >= low) & (words <= high))
        references = [renderings[tested[i]] for i in rows]
        row[f"beam_{low}_{high}"] = round(bleu(list(texts[rows]), references), 2)
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, nargs="*", default=list(SETTINGS))
    chosen, path = parser.parse_args().pairs, HERE / "translation.csv"
    rows = []
    if path.exists():
        rows = pd.read_csv(path).query("pairs not in @chosen").to_dict("records")
    for num_pairs in chosen:
        for seed in range(SETTINGS[num_pairs].seeds):
            rows += [train(num_pairs, attention, seed) for attention in (True, False)]
    table = pd.DataFrame(rows).sort_values("pairs", kind="stable")
    table.to_csv(path, index=False)
    print(machine(("tensorflow", "keras", "sacrebleu")))


if __name__ == "__main__":
    main()
