"""How a network is trained: optimizer, batches, early stopping, a progress bar.

`train` chooses what the loop (`rnn_keras.training.loop`) is given: batches of which
lengths, whether XLA compiles the step, and which callbacks. Nothing here reads texts:
networks are trained on token ids and class indices.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from sklearn.model_selection import train_test_split

from rnn_keras.layers.keras_internals import learning_rate_variable
from rnn_keras.training import loop
from rnn_keras.training.batches import (
    Batches,
    IdsInMemory,
    LabelledIds,
    ResumableBatches,
)
from rnn_keras.training.checkpoints import Checkpoints
from rnn_keras.training.distributed import stop_sharing
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.progress import progress_bar
from rnn_keras.utils.stages import stage

# Lengths for which XLA compiles the step are multiples of this.
_COMPILED_MULTIPLE = 4
# Fewer texts than this are not held out: they would say too little.
_MIN_HELD_OUT = 10


def make_optimizer(learning_rate: float = 2e-3) -> keras.optimizers.Optimizer:
    """Return Adam with the norm of the whole gradient clipped to 1.

    Clipping is the remedy for exploding gradients: R. Pascanu, T. Mikolov,
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
    data: IdsInMemory, share: float, seed: int
) -> tuple[IdsInMemory, IdsInMemory | None]:
    """Divide labelled texts into a training and a validation part.

    The classes have the same shares in both parts. Equal texts stay in one part, and a
    class with a single distinct text stays in the training part.

    Args:
        data: the texts to divide.
        share: share of the distinct texts to hold out, from 0 to below 1.
        seed: fixes which texts are held out.

    Returns:
        The training part and the validation part. The latter is `None` if it would have
        fewer than 10 texts, or if either part would have fewer texts than classes.

    Raises:
        ValueError: if `share` is not between 0 and 1.
    """
    if not 0 <= share < 1:
        raise ValueError(f"`validation_split` must be 0 to below 1. Received: {share}")
    _, first, text = np.unique(data.ids, axis=0, return_index=True, return_inverse=True)
    label = data.labels[first]
    common = np.flatnonzero(np.bincount(label, minlength=1)[label] > 1)
    size, classes = int(share * len(first)), len(np.unique(label[common]))
    if size < max(_MIN_HELD_OUT, classes) or len(common) - size < classes:
        return data, None
    _, chosen = train_test_split(
        common, test_size=size, stratify=label[common], random_state=seed
    )
    is_held_out = np.isin(text.ravel(), chosen)
    return data.select(~is_held_out), data.select(is_held_out)


class ProgressBar(keras.callbacks.Callback):
    """Shows the epoch, its scores and the time left, if there is a terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = progress_bar()

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self.steps_before, total = 0, self.params["epochs"] * self.params["steps"]
        self.task = self.progress.add_task("training", total=total)
        self.progress.start()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.steps_before = epoch * self.params["steps"]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.progress.update(self.task, completed=self.steps_before + batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        scores = "  ".join(
            f"{name} {value:.3f}"
            for name, value in (logs or {}).items()
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
    """Return callbacks for a falling learning rate and early stopping.

    Args:
        learning_rate: the rate of the first epoch. It falls linearly from epoch to
            epoch, and would be 0 after the last. `None` leaves it to the optimizer.
        epochs: the number of epochs over which the rate falls.
        patience: epochs without a lower loss before training stops and the best weights
            are restored; `None` trains all epochs at one learning rate and keeps the
            last weights.
        validated: whether there is a validation loss to watch. Otherwise the training
            loss is watched, which says little about new texts.
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
    data: LabelledIds,
    validation: IdsInMemory | None = None,
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
    """Train a network.

    Args:
        network: a network with optimizer, loss and metrics, as `compile` sets them.
        data: token ids and class indices to train on.
        validation: others to score the network on after each epoch, or `None`.
        epochs: passes over the texts at most.
        batch_size: texts in a step.
        learning_rate: initial learning rate; by default that of the optimizer.
        patience: epochs without a lower loss before training stops: see
            `make_callbacks`.
        seed: fixes the order of the texts.
        callbacks: further callbacks of Keras.
        progress: show a progress bar if standard error is a terminal.
        checkpoints: where the state is stored, and restored from at the start.

    Returns:
        Keras's `History`, with the scores of every epoch.

    Raises:
        InputError: if there are no texts.
        Diverged: if a loss becomes infinite or `nan`. The network has the weights of
            the best epoch before, if there is one, and the optimizer starts afresh.
    """
    if not data.count:
        raise InputError("no texts to train on")
    # With `mixed_float16`, Keras wraps the optimizer in one that scales the loss.
    optimizer = getattr(network.optimizer, "inner_optimizer", network.optimizer)
    if learning_rate is not None:
        optimizer.learning_rate = learning_rate
    first_rate = optimizer.get_config()["learning_rate"]
    # An optimizer may follow a schedule of its own, which cannot be replaced.
    is_scheduled = not isinstance(first_rate, float)
    num_compiled = loop.num_compiled_lengths(
        network, data.sample, epochs, batch_size, data.count
    )
    batches, held_out = _make_batches(data, validation, batch_size, seed, num_compiled)
    bars = [ProgressBar()] if progress else []
    standard = make_callbacks(
        learning_rate=None if is_scheduled else first_rate,
        epochs=epochs,
        patience=patience,
        validated=held_out is not None,
    )
    try:
        with stage("network"):
            history = loop.fit(
                network,
                batches,
                held_out,
                epochs=epochs,
                callbacks=[*standard, *bars, *callbacks],
                compiled=num_compiled > 0,
                checkpoints=checkpoints,
            )
    except loop.Diverged:
        _reset_optimizer(network)
        raise
    finally:
        # After an interrupt, too, the cursor is shown again, and the next `train`
        # begins at the rate at which this one began.
        for bar in bars:
            bar.on_train_end()
        if not is_scheduled:
            optimizer.learning_rate = first_rate
    stop_sharing(network)
    return history


def _make_batches(
    data: LabelledIds,
    validation: IdsInMemory | None,
    batch_size: int,
    seed: int,
    num_compiled: int,
) -> tuple[ResumableBatches, Batches | None]:
    """Batches to train on and to validate on, padded to few lengths where that pays."""
    lengths, held_out_lengths = {}, {}
    if num_compiled:
        lengths = {"num_lengths": num_compiled, "multiple": _COMPILED_MULTIPLE}
    if keras.backend.backend() == "jax":
        # Here scoring, too, is compiled for every shape.
        held_out_lengths = {"num_lengths": num_compiled}
    batches = data.batches(batch_size=batch_size, seed=seed, **lengths)
    if validation is None or not validation.count:
        return batches, None
    held_out = validation.batches_in_order(batch_size=batch_size, **held_out_lengths)
    return batches, held_out


def restart(network: keras.Model, seed: int) -> None:
    """Draw new initial weights and reset the optimizer.

    The network then trains as if it had been built and compiled again, but the graphs
    that XLA has compiled are kept, so that only the first of many short runs waits for
    them. The same seed gives the same run again. The optimizer's learning rate stays as
    it is.

    Args:
        network: a network with an optimizer, as `compile` sets it.
        seed: fixes the weights, dropout, and everything else that Keras draws from now
            on.
    """
    keras.utils.set_random_seed(seed)
    fresh = keras.models.clone_model(network)
    for variable, new in zip(network.variables, fresh.variables, strict=True):
        variable.assign(new)
    _reset_optimizer(network)


def _reset_optimizer(network: keras.Model) -> None:
    """Let the optimizer forget all steps, but not its learning rate."""
    optimizer = network.optimizer
    if optimizer.built:
        rate = learning_rate_variable(optimizer)
        other = type(optimizer).from_config(optimizer.get_config())
        other.build(network.trainable_variables)
        for variable, new in zip(optimizer.variables, other.variables, strict=True):
            if variable is not rate:
                variable.assign(new)
