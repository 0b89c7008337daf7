"""How a network is trained: batches, early stopping, clipping, a progress bar.

Nothing here knows of texts: it is token ids and class indices. Where there is enough
to train for it to pay, the step is compiled by XLA, once for each of a few lengths.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
from sklearn.model_selection import train_test_split

from rnn_keras.training import loop
from rnn_keras.training.batches import Batches, StreamedIds
from rnn_keras.training.checkpoints import Checkpoints
from rnn_keras.training.distributed import leave, num_shares
from rnn_keras.training.loop import lengths_to_compile
from rnn_keras.utils.errors import InputError, check_pairs
from rnn_keras.utils.progress import progress_bar

# It compiles every step that it has not seen the shape of, for some seconds each.
_LENGTHS_WITH_JAX = 3

Pair = tuple[np.ndarray, np.ndarray]


def make_optimizer(learning_rate: float = 2e-3) -> keras.optimizers.Optimizer:
    """Adam with the norm of the whole gradient clipped to 1.

    Clipping is the cure for exploding gradients: R. Pascanu, T. Mikolov,
    Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML 2013, algorithm 1.
    """
    return keras.optimizers.Adam(learning_rate, global_clipnorm=1.0)


def compile_network(network: keras.Model, learning_rate: float = 2e-3) -> None:
    """Set optimizer, loss and metrics for logits and class indices."""
    network.compile(
        optimizer=make_optimizer(learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )


def hold_out(
    ids: np.ndarray, labels: np.ndarray, share: float, seed: int
) -> tuple[Pair, Pair | None]:
    """Divide for training and validation, the classes alike in both.

    Equal texts stay on one side, and a class of one text is trained on.

    Args:
        ids: `(texts, timesteps)`.
        labels: class indices `(texts,)`.
        share: of the texts to hold out.
        seed: of the division.

    Returns:
        The two parts; `None` for the second where it would be fewer texts than ten,
        or either would be fewer than there are classes.

    Raises:
        InputError: if there are not as many labels as texts.
        ValueError: if `share` is not between 0 and 1.
    """
    if not 0 <= share < 1:
        raise ValueError(f"`validation_split` must be 0 to below 1. Received: {share}")
    check_pairs(ids, labels)
    _, first, text = np.unique(ids, axis=0, return_index=True, return_inverse=True)
    label = labels[first]
    common = np.flatnonzero(np.bincount(label, minlength=1)[label] > 1)
    size, classes = int(share * len(first)), len(np.unique(label[common]))
    if size < max(10, classes) or len(common) - size < classes:
        return (ids, labels), None
    _, held = train_test_split(
        common, test_size=size, stratify=label[common], random_state=seed
    )
    held_out = np.isin(text.ravel(), held)
    kept = ~held_out
    return (ids[kept], labels[kept]), (ids[held_out], labels[held_out])


class ProgressBar(keras.callbacks.Callback):
    """Shows epoch, scores and the time left, where there is a terminal."""

    def __init__(self):
        super().__init__()
        self.progress = progress_bar()

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.before, total = 0, self.params["epochs"] * self.params["steps"]
        self.task = self.progress.add_task("training", total=total)
        self.progress.start()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.before = epoch * self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.progress.update(self.task, completed=self.before + batch + 1)

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
    data: Pair | StreamedIds,
    validation: Pair | None = None,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float | None = None,
    patience: int | None = None,
    seed: int = 0,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    progress: bool = False,
    checkpoints: Checkpoints | None = None,
) -> keras.callbacks.History:
    """Train a network; the arguments are those of `TextClassifier.fit`.

    Args:
        network: with optimizer, loss and metrics, as `compile` sets them.
        data: token ids `(texts, timesteps)` and class indices `(texts,)`, or what makes
            them as it reads.
        validation: the same of other texts, or `None`.
        epochs: passes over the texts at most.
        batch_size: texts in a step.
        learning_rate: another one than that of the compiled optimizer.
        patience: see `make_callbacks`.
        seed: of the order.
        callbacks: more of Keras's callbacks.
        progress: show a bar where standard error is a terminal.
        checkpoints: where the state is kept, and taken up from.

    Returns:
        Keras's `History`, with the scores of every epoch.

    Raises:
        InputError: if there are no texts, or not as many labels as texts.
    """
    in_memory = isinstance(data, tuple)
    ids, count = (data[0], len(data[0])) if in_memory else (data.sample, data.count)
    if not count:
        raise InputError("no texts to train on")
    for pair in filter(None, (data if in_memory else None, validation)):
        check_pairs(*pair)
    # With `mixed_float16` Keras wraps the optimizer in one that scales the loss.
    optimizer = getattr(network.optimizer, "inner_optimizer", network.optimizer)
    if learning_rate is not None:
        optimizer.learning_rate = learning_rate
    # An optimizer may bring a schedule of its own, which cannot be set.
    first_rate = optimizer.get_config()["learning_rate"]
    own_schedule = not isinstance(first_rate, float)
    num_lengths = lengths_to_compile(network, ids, epochs, batch_size, count)
    lengths = {"num_lengths": num_lengths, "multiple": 4} if num_lengths else {}
    held_out_lengths = {}
    if keras.backend.backend() == "jax":
        lengths = held_out_lengths = {"num_lengths": _LENGTHS_WITH_JAX}
    make = partial(Batches, *data, shares=num_shares()) if in_memory else data.batches
    batches = make(batch_size=batch_size, seed=seed, **lengths)
    held_out = None
    if validation is not None and len(validation[0]):
        held_out = Batches(*validation, batch_size=batch_size, **held_out_lengths)
    standard = make_callbacks(
        learning_rate=None if own_schedule else first_rate,
        epochs=epochs,
        patience=patience,
        validated=held_out is not None,
    )
    bars = [ProgressBar()] if progress else []
    every = [*standard, *bars, *callbacks]
    try:
        history = loop.fit(
            network,
            batches,
            held_out,
            epochs=epochs,
            callbacks=every,
            compiled=num_lengths > 0,
            checkpoints=checkpoints,
        )
    finally:
        # Also after an interrupt: the cursor comes back, and another `fit` begins
        # at the rate that this one began at.
        for bar in bars:
            bar.on_train_end()
        if not own_schedule:
            optimizer.learning_rate = first_rate
    leave(network)
    return history


def restart(network: keras.Model, seed: int) -> None:
    """Draw new initial weights and forget what the optimizer has gathered.

    As if the network had been built and compiled again, but what XLA has compiled is
    kept: of many short runs over seeds, only the first waits for it. The same seed
    gives the same run again. The optimizer's learning rate stays as it is.

    Args:
        network: with an optimizer, as `compile` sets it.
        seed: of the weights, of dropout, and of all else that is drawn from now on.
    """
    keras.utils.set_random_seed(seed)
    fresh = keras.models.clone_model(network)
    for variable, new in zip(network.variables, fresh.variables, strict=True):
        variable.assign(new)
    optimizer = network.optimizer
    if optimizer.built:
        rate = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
        other = type(optimizer).from_config(optimizer.get_config())
        other.build(network.trainable_variables)
        for variable, new in zip(optimizer.variables, other.variables, strict=True):
            if variable is not rate:
                variable.assign(new)
