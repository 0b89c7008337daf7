"""Three plain scripts that classify texts, as a practitioner writes them.

    python benchmarks/plain_scripts.py keras|torch|linear FOLDER

FOLDER holds `train.csv`, `validation.csv` and `test.csv` with the columns text and
label, and `settings.json` with the sizes and limits that `rnn-keras train` chose for
these texts. Each script prints its accuracy on the test texts. `whole_job.py` times
them from start to end, so each imports only what it needs.
"""

import json
import re
import sys
from pathlib import Path


def read(folder: Path) -> tuple:
    import pandas as pd

    parts = [
        pd.read_csv(folder / f"{part}.csv", dtype=str, keep_default_na=False)
        for part in ("train", "validation", "test")
    ]
    settings = json.loads((folder / "settings.json").read_text())
    return *parts, sorted(parts[0].label.unique()), settings


def with_keras(folder: Path) -> float:
    """Stock layers, `Model.fit`, early stopping."""
    import keras
    import tensorflow as tf

    train, validation, test, names, settings = read(folder)
    characters = settings["unit"] == "character" or settings["han"]

    def separate(texts):
        # Without its punctuation a text may be empty, whose mean state is not a number.
        return tf.strings.regex_replace(tf.strings.lower(texts), r"([^\w\s])", r" \1 ")

    vectorize = keras.layers.TextVectorization(
        max_tokens=settings["max_tokens"],
        standardize=separate,
        split="character" if characters else "whitespace",
        output_sequence_length=settings["max_length"],
    )
    vectorize.adapt(tf.constant(train.text))
    index = {name: i for i, name in enumerate(names)}

    def arrays(part):
        ids = vectorize(tf.constant(part.text)).numpy()
        return ids, part.label.map(index).to_numpy()

    ids = keras.Input((None,), dtype="int64")
    x = keras.layers.Embedding(
        vectorize.vocabulary_size(), settings["embedding_dim"], mask_zero=True
    )(ids)
    x = keras.layers.Dropout(settings["dropout"])(x)
    x = keras.layers.Bidirectional(
        keras.layers.GRU(settings["units"], return_sequences=True)
    )(x)
    pooled = [
        keras.layers.GlobalMaxPooling1D()(x),
        keras.layers.GlobalAveragePooling1D()(x),
    ]
    x = keras.layers.Dropout(settings["dropout"])(keras.layers.Concatenate()(pooled))
    model = keras.Model(ids, keras.layers.Dense(len(names))(x))
    model.compile(
        keras.optimizers.Adam(settings["learning_rate"]),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    stopping = keras.callbacks.EarlyStopping(
        patience=settings["patience"], restore_best_weights=True
    )
    model.fit(
        *arrays(train),
        validation_data=arrays(validation),
        batch_size=settings["batch_size"],
        epochs=settings["epochs"],
        callbacks=[stopping],
        verbose=0,
    )
    return model.evaluate(*arrays(test), verbose=0)[1]


def with_torch(folder: Path) -> float:
    """Packed sequences, so that padding costs nothing; early stopping."""
    from collections import Counter

    import numpy as np
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    train, validation, test, names, settings = read(folder)
    characters = settings["unit"] == "character" or settings["han"]

    def tokens(text):
        return list(text) if characters else re.findall(r"\w+|[^\w\s]", text.lower())

    counts = Counter(token for text in train.text for token in tokens(text))
    known = [token for token, _ in counts.most_common(settings["max_tokens"] - 2)]
    ids_of = {token: i for i, token in enumerate(known, 2)}
    index = {name: i for i, name in enumerate(names)}

    def encoded(part):
        limit = settings["max_length"]
        rows = [[ids_of.get(t, 1) for t in tokens(x)[:limit]] or [1] for x in part.text]
        return rows, torch.tensor(part.label.map(index).to_numpy())

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(len(known) + 2, settings["embedding_dim"])
            self.rnn = nn.GRU(
                settings["embedding_dim"],
                settings["units"],
                batch_first=True,
                bidirectional=True,
            )
            self.dropout = nn.Dropout(settings["dropout"])
            self.logits = nn.Linear(4 * settings["units"], len(names))

        def forward(self, ids, lengths):
            x = self.dropout(self.embedding(ids))
            packed = pack_padded_sequence(
                x, lengths, batch_first=True, enforce_sorted=False
            )
            x, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
            real = (torch.arange(x.shape[1]) < lengths[:, None])[:, :, None]
            highest = x.masked_fill(~real, -torch.inf).amax(1)
            mean = x.sum(1) / lengths[:, None]
            return self.logits(self.dropout(torch.cat([highest, mean], 1)))

    def batches(rows, labels, order):
        for start in range(0, len(rows), settings["batch_size"]):
            chosen = order[start : start + settings["batch_size"]]
            some = [rows[i] for i in chosen]
            lengths = torch.tensor([len(row) for row in some])
            ids = torch.zeros(len(some), int(lengths.max()), dtype=torch.long)
            for row, values in zip(ids, some, strict=True):
                row[: len(values)] = torch.tensor(values)
            yield (ids, lengths), labels[chosen]

    def score(data):
        model.eval()
        loss = right = 0.0
        with torch.no_grad():
            for inputs, labels in batches(*data, np.arange(len(data[0]))):
                logits = model(*inputs)
                loss += float(
                    nn.functional.cross_entropy(logits, labels, reduction="sum")
                )
                right += int((logits.argmax(1) == labels).sum())
        return loss / len(data[0]), right / len(data[0])

    torch.manual_seed(0)
    random = np.random.default_rng(0)
    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters(), settings["learning_rate"])
    data, held_out = encoded(train), encoded(validation)
    best, best_weights, waited = float("inf"), None, 0
    for _ in range(settings["epochs"]):
        model.train()
        for inputs, labels in batches(*data, random.permutation(len(data[0]))):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(*inputs), labels).backward()
            optimizer.step()
        loss, _ = score(held_out)
        waited += 1
        if loss < best:
            best, waited = loss, 0
            best_weights = {k: v.clone() for k, v in model.state_dict().items()}
        if waited >= settings["patience"]:
            break
    model.load_state_dict(best_weights)
    return score(encoded(test))[1]


def with_linear(folder: Path) -> float:
    """TF-IDF of single tokens and pairs, logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, validation, test, _, settings = read(folder)
    characters = settings["unit"] == "character" or settings["han"]
    model = make_pipeline(
        TfidfVectorizer(
            ngram_range=(1, 2),
            sublinear_tf=True,
            analyzer="char" if characters else "word",
            token_pattern=r"\w+|[^\w\s]",
        ),
        LogisticRegression(C=10, max_iter=1000),
    )
    model.fit([*train.text, *validation.text], [*train.label, *validation.label])
    return model.score(test.text, test.label)


SCRIPTS = {"keras": with_keras, "torch": with_torch, "linear": with_linear}

if __name__ == "__main__":
    print(SCRIPTS[sys.argv[1]](Path(sys.argv[2])))
