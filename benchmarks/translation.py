"""English to French with attention and without, each trained within ten minutes.

    RNN_KERAS_CACHE=FOLDER python benchmarks/translation.py

Sentences have at most ten words. They are split by the English sentence, so that no
rendering of a test sentence is trained on. BLEU is sacrebleu's, capital letters count,
and all French renderings of a sentence are its references. Writes translation.csv, one
row per model; the seconds cover building the network, compiling its step and training.
"""

import time
from collections import defaultdict
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from report import machine
from sacrebleu import corpus_bleu

from rnn_keras import TextVectorizer, build_translator, load_pairs, translate
from rnn_keras.models.translation import Detokenizer, pair_batches
from rnn_keras.training.trainer import make_optimizer

HERE = Path(__file__).parent
TESTED, PAIRS, WORDS, TOKENS = 2000, 40_000, 10, 8000
EPOCHS, BATCH, RATE = 9, 64, 2e-3
SEEDS = 2
LENGTHS = ((1, 4), (5, 6), (7, 8), (9, 10))


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


def train(attention: bool, seed: int) -> dict:
    renderings = sentences()
    tested = list(renderings)[:TESTED]
    pairs = [(e, f) for e in list(renderings)[TESTED:] for f in renderings[e]][:PAIRS]
    english, french = zip(*pairs, strict=True)
    source, target = (
        TextVectorizer(lowercase=False, min_count=2, max_tokens=TOKENS)
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
    network = build_translator(
        len(source.get_vocabulary()), size, attention=attention, dropout=0.2
    )
    schedule = keras.optimizers.schedules.PolynomialDecay(
        RATE, EPOCHS * len(batches), end_learning_rate=0.0
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(make_optimizer(schedule), loss, jit_compile=True)
    network.fit(batches, epochs=EPOCHS, shuffle=False, verbose=2)
    row = {
        "attention": attention,
        "seed": seed,
        "pairs": len(pairs),
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
    rows = [train(attention, s) for s in range(SEEDS) for attention in (True, False)]
    pd.DataFrame(rows).to_csv(HERE / "translation.csv", index=False)
    print(machine(("tensorflow", "keras", "sacrebleu")))


if __name__ == "__main__":
    main()
