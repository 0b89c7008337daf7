"""The workers that `speed.py` times, each a process of its own.

A worker prints "ready" when its model is compiled and warm. Then it runs one round for
every line that it reads, and prints the seconds of that round. Its last line is its
peak memory in MB.
"""

import os
import resource
import sys
import time
from collections.abc import Callable

import numpy as np

VOCABULARY, EMBEDDING, UNITS, BATCH = 10_000, 64, 128, 64


def random_data(steps: int, batches: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    ids = random.integers(1, VOCABULARY, (BATCH * batches, steps), dtype="int32")
    return ids, random.integers(0, 2, len(ids))


def imdb_data() -> tuple[np.ndarray, np.ndarray]:
    """3,200 of IMDB's training texts with their real lengths, cut at 400 tokens."""
    from rnn_keras import TextVectorizer, load_dataset

    data = load_dataset("imdb")
    rows = np.random.default_rng(0).permutation(len(data.texts))[: 50 * BATCH]
    texts = [data.texts[i] for i in rows]
    vectorizer = TextVectorizer(max_tokens=VOCABULARY, max_length=400)
    vectorizer.adapt(texts)
    labels = np.array([data.labels[i] == data.labels[0] for i in rows])
    return vectorizer.encode(texts).ids, labels.astype("int64")


def wait() -> None:
    if not sys.stdin.readline():
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, flush=True)
        os._exit(0)


def serve(one_round: Callable[[], object]) -> None:
    one_round()
    one_round()
    print("ready", flush=True)
    while True:
        wait()
        start = time.perf_counter()
        one_round()
        print(time.perf_counter() - start, flush=True)


def keras_model(cell: str, *, ours: bool, masked: bool = True, **compiled):
    import keras

    from rnn_keras import layers

    layers = layers if ours else keras.layers
    name = {"simple_rnn": "SimpleRNN", "gru": "GRU", "lstm": "LSTM"}[cell]
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(VOCABULARY, EMBEDDING, mask_zero=masked),
            getattr(layers, name)(UNITS),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], **compiled)
    return model


def rounds_callback():
    """A callback that makes every epoch after the second one round."""
    import keras

    class Rounds(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                print("ready", flush=True)
            if epoch >= 2:
                wait()
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            if epoch >= 2:
                print(time.perf_counter() - self.start, flush=True)

    return Rounds()


def train_package(cell: str, ids: np.ndarray, labels: np.ndarray) -> None:
    """The package's own way of training."""
    from rnn_keras.training import IdsInMemory, train

    train(
        keras_model(cell, ours=True),
        IdsInMemory(ids, labels),
        epochs=10_000,
        batch_size=BATCH,
        callbacks=[rounds_callback()],
    )


def train_keras(cell: str, ids: np.ndarray, labels: np.ndarray, **model) -> None:
    """Keras's way: `Model.fit` on arrays, all padded to the longest."""
    keras_model(cell, ours=False, **model).fit(
        ids,
        labels,
        batch_size=BATCH,
        epochs=10_000,
        verbose=0,
        callbacks=[rounds_callback()],
    )


def train_torch(cell: str, ids: np.ndarray, labels: np.ndarray) -> None:
    """The training loop of the seed program; a batch is cut to its longest text."""
    import torch
    from torch import nn

    recurrent = {"simple_rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[cell]

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, EMBEDDING)
            self.recurrent = recurrent(EMBEDDING, UNITS, batch_first=True)
            self.linear = nn.Linear(UNITS, 2)

        def forward(self, x):
            states, _ = self.recurrent(self.embedding(x))
            return self.linear(states[:, -1])

    model = Classifier()
    optimizer = torch.optim.Adam(model.parameters())
    criterion = nn.CrossEntropyLoss()
    lengths = (ids != 0).sum(axis=1)
    ids, labels = torch.from_numpy(ids).long(), torch.from_numpy(labels)

    def epoch():
        for rows in torch.randperm(len(ids)).split(BATCH):
            x = ids[rows, : max(lengths[rows])]
            optimizer.zero_grad()
            loss = criterion(model(x), labels[rows])
            loss.backward()
            optimizer.step()
        return loss.item()

    serve(epoch)


def compiled_step(cell: str, steps: int, *, ours: bool) -> None:
    """`train_step` compiled by XLA, on one batch that is in memory already."""
    import tensorflow as tf

    model = keras_model(cell, ours=ours)
    batch = tuple(map(tf.constant, random_data(steps, 1)))
    step = tf.function(model.train_step, jit_compile=True)

    def one_round():
        for _ in range(5):
            loss = step(batch)["loss"]
        return loss.numpy()

    serve(one_round)


def compiled_step_on_jax(cell: str, steps: int, *, ours: bool) -> None:
    """The same with the JAX backend, by the function that Keras compiles."""
    model = keras_model(cell, ours=ours, jit_compile=True)
    batch = random_data(steps, 1)
    model.train_on_batch(*batch)  # creates all variables and compiles
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state = tuple([variable.value for variable in group] for group in groups)
    model.make_train_function()

    def one_round():
        nonlocal state
        for _ in range(5):
            logs, state = model.train_function(state, iter([(*batch, None)]))
        return float(logs["loss"])

    serve(one_round)


def floor() -> None:
    """The matrix products and activations of SimpleRNN and nothing else.

    Compiled by XLA too: the product of the inputs and its two gradients, both loops
    without masks, saved states or sums, and the recurrent kernel's gradient.
    """
    import tensorflow as tf

    steps = 200
    random = np.random.default_rng(0)

    def tensor(*shape):
        return tf.constant(random.normal(0, 0.1, shape), tf.float32)

    x, w, u = (
        tensor(steps * BATCH, EMBEDDING),
        tensor(EMBEDDING, UNITS),
        tensor(UNITS, UNITS),
    )
    h, states, da = tensor(BATCH, UNITS), *[tensor(steps * BATCH, UNITS)] * 2

    @tf.function(jit_compile=True)
    def products():
        forward = tf.while_loop(
            lambda t, _: t < steps,
            lambda t, h: (t + 1, tf.tanh(tf.matmul(h, u))),
            (0, h),
        )[1]
        backward = tf.while_loop(
            lambda t, _: t < steps,
            lambda t, d: (t + 1, tf.matmul(d * (1 - d * d), u, transpose_b=True)),
            (0, forward),
        )[1]
        return (
            backward,
            tf.matmul(x, w),
            tf.matmul(da, w, transpose_b=True),
            tf.matmul(x, da, transpose_a=True),
            tf.matmul(states, da, transpose_a=True),
        )

    def one_round():
        for _ in range(5):
            out = products()
        return out[0].numpy()

    serve(one_round)


def main() -> None:
    task, peer, cell, steps = sys.argv[1:5]
    if peer != "torch":
        from rnn_keras.utils.quiet import import_quietly

        import_quietly()
    if task == "step":
        if peer == "floor":
            return floor()
        step = compiled_step_on_jax if peer.endswith("_jax") else compiled_step
        return step(cell, int(steps), ours=peer.startswith("rnn_keras"))
    data = imdb_data() if task == "imdb" else random_data(int(steps), 20)
    if peer.startswith("rnn_keras"):
        train_package(cell, *data)
    elif peer == "torch":
        train_torch(cell, *data)
    else:
        options = {
            "keras": {},
            "keras_unmasked": {"masked": False},
            "keras_xla": {"jit_compile": True},
            "keras_jax": {},
        }
        train_keras(cell, *data, **options[peer])


if __name__ == "__main__":
    main()
