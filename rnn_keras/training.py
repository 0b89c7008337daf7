"""How a network is trained: batches, early stopping, clipping, a progress bar.

Nothing here knows of texts: it is token ids and class indices.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from rnn_keras.errors import InputError
from rnn_keras.labels import check_pairs
from rnn_keras.progress import progress_bar

# Batches whose texts are sorted by length together: the more, the less padding,
# and the less random the order.
_POOL = 16


def make_optimizer(learning_rate: float = 2e-3) -> keras.optimizers.Optimizer:
    """Adam with the norm of the whole gradient clipped to 1.

    Clipping is the cure for exploding gradients: R. Pascanu, T. Mikolov,
    Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013, algorithm 1.
    """
    return keras.optimizers.Adam(learning_rate, global_clipnorm=1.0)


class Batches(keras.utils.PyDataset):
    """Batches of token ids, each padded to its own longest text.

    Every epoch has another order, fixed by `seed`. Texts of like length come
    together: they are sorted within pools of 16 batches.

    Args:
        ids: `(texts, timesteps)`, padded on the right with 0.
        labels: class indices `(texts,)`.
        batch_size: texts in a batch; the last one may have fewer.
        seed: of the order; `None` keeps one order for all epochs.
    """

    def __init__(
        self,
        ids: np.ndarray,
        labels: np.ndarray,
        *,
        batch_size: int,
        seed: int | None = None,
    ):
        super().__init__()
        self.ids, self.labels, self.batch_size = ids, labels, batch_size
        self.lengths = (ids != 0).sum(axis=1)
        self.random = None if seed is None else np.random.default_rng(seed)
        self._arrange()

    def on_epoch_end(self) -> None:
        if self.random is not None:
            self._arrange()

    def _arrange(self) -> None:
        order = np.arange(len(self.ids))
        if self.random is not None:
            order = self.random.permutation(len(self.ids))
        pool = self.batch_size * _POOL
        pools = [order[i : i + pool] for i in range(0, len(order), pool)]
        order = np.concatenate(
            [p[np.argsort(self.lengths[p], kind="stable")] for p in pools]
        )
        size = self.batch_size
        self.batches = [order[i : i + size] for i in range(0, len(order), size)]
        if self.random is not None:
            self.random.shuffle(self.batches)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self.batches[index]
        longest = max(1, self.lengths[rows].max())
        return self.ids[rows, :longest], self.labels[rows]


class ProgressBar(keras.callbacks.Callback):
    """Shows epoch, scores and the time left, where there is a terminal."""

    def __init__(self):
        super().__init__()
        self.progress = progress_bar()

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        total = self.params["epochs"] * self.params["steps"]
        self.task = self.progress.add_task("training", total=total)
        self.progress.start()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.progress.advance(self.task)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        scores = "  ".join(
            f"{name} {value:.3f}"
            for name, value in logs.items()
            if name != "learning_rate"
        )
        self.progress.update(
            self.task,
            description=f"epoch {epoch + 1}/{self.params['epochs']}  {scores}",
        )

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.progress.stop()


def make_callbacks(
    *,
    learning_rate: float | None,
    epochs: int,
    patience: int | None,
    validated: bool,
) -> list[keras.callbacks.Callback]:
    """A learning rate that falls, and early stopping.

    The learning rate falls in a straight line from epoch to epoch, to end at 0
    after the last.

    Args:
        learning_rate: of the first epoch; `None` leaves it to the optimizer.
        epochs: over which it falls.
        patience: epochs without a lower loss before training stops and the best
            weights come back; `None` trains all epochs at one learning rate and
            keeps the last weights.
        validated: whether there is a validation loss to watch. Without one the
            training loss is watched, which tells little about new texts.
    """
    callbacks: list[keras.callbacks.Callback] = []
    if patience is None:
        return callbacks
    if learning_rate is not None:
        callbacks.append(
            keras.callbacks.LearningRateScheduler(
                lambda epoch, _: learning_rate * (1 - epoch / epochs)
            )
        )
    callbacks.append(
        keras.callbacks.EarlyStopping(
            monitor="val_loss" if validated else "loss",
            patience=patience,
            restore_best_weights=True,
        )
    )
    return callbacks


def train(
    network: keras.Model,
    data: tuple[np.ndarray, np.ndarray],
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float | None = None,
    patience: int | None = None,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: bool = False,
) -> keras.callbacks.History:
    """Train a compiled network; the arguments are those of `TextClassifier.fit`.

    Args:
        network: compiled.
        data: token ids `(texts, timesteps)` and class indices `(texts,)`.
        validation: the same of other texts, or `None`.
        epochs: passes over the texts at most.
        batch_size: texts in a step.
        learning_rate: another one than that of the compiled optimizer.
        patience: see `make_callbacks`.
        seed: of the order.
        callbacks: more of Keras's callbacks.
        progress: show a bar where standard error is a terminal.

    Raises:
        InputError: if there are no texts, or not as many labels as texts.
    """
    if not len(data[0]):
        raise InputError("no texts to train on")
    for pair in filter(None, (data, validation)):
        check_pairs(*pair)
    optimizer = network.optimizer
    if learning_rate is not None:
        optimizer.learning_rate = learning_rate
    # An optimizer may bring a schedule of its own, which cannot be set.
    first_rate = optimizer.get_config()["learning_rate"]
    own_schedule = not isinstance(first_rate, float)
    held_out = None
    if validation is not None:
        held_out = Batches(*validation, batch_size=batch_size)
    standard = make_callbacks(
        learning_rate=None if own_schedule else first_rate,
        epochs=epochs,
        patience=patience,
        validated=held_out is not None,
    )
    bars = [ProgressBar()] if progress else []
    try:
        return network.fit(
            Batches(*data, batch_size=batch_size, seed=seed),
            validation_data=held_out,
            epochs=epochs,
            callbacks=[*standard, *bars, *callbacks],
            verbose=0,
        )
    finally:
        # Also after an interrupt: the cursor comes back, and another `fit` begins
        # at the rate that this one began at.
        for bar in bars:
            bar.on_train_end()
        if not own_schedule:
            optimizer.learning_rate = first_rate
