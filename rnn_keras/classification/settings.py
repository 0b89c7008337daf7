"""The settings of a classifier and of its training: each named and explained once.

The command line, `rnn_keras.experiments` and `TextClassifier` all take their defaults
from here. A setting that is `None` is chosen from the texts: see
`rnn_keras.classification.recipe`.

Nothing here imports TensorFlow, so that `rnn-keras train --help` is quick.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnn_keras.utils.choices import CellName, Pooling
from rnn_keras.utils.errors import InputError

if TYPE_CHECKING:
    from rnn_keras.layers.text_vectorizer import Unit

# `Settings.network` hands these on to `build_classifier`.
_OF_NETWORK = (
    "cell",
    "units",
    "embedding_dim",
    "num_layers",
    "bidirectional",
    "pooling",
    "dropout",
)


class _FiniteSettings:
    """Refuses a setting that is infinite or `nan`, which no range excludes."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"{name} {value}: expected a finite number")


@dataclass(frozen=True, kw_only=True)
class ModelSettings(_FiniteSettings):
    """Settings of an untrained classifier: its network and its vocabulary.

    Attributes:
        cell: recurrent cell, `"simple_rnn"`, `"lstm"` or `"gru"`.
        units: size of the state in each direction.
        embedding_dim: size of the embedding of a token.
        num_layers: number of recurrent layers.
        bidirectional: read each text from both ends.
        pooling: how the states over time become one vector: `"last"`, `"max"`,
            `"mean"` or `"max_mean"`.
        dropout: share of values that are dropped in training.
        token_dropout: share of tokens that are dropped in training; `None`: chosen
            from the texts.
        unit: what a token is, `"word"` or `"character"`; `None`: chosen from the
            texts.
        max_tokens: largest size of the vocabulary; `None`: no limit.
        min_count: tokens that occur less often are unknown; `None`: chosen from the
            texts.
        max_length: longer texts lose the tokens beyond this number; 0: none are cut;
            `None`: chosen from the texts.
    """

    cell: CellName = "gru"
    units: int = 64
    embedding_dim: int = 128
    num_layers: int = 1
    bidirectional: bool = True
    pooling: Pooling = "max_mean"
    dropout: float = 0.5
    token_dropout: float | None = None
    unit: "Unit | None" = None
    max_tokens: int | None = 20_000
    min_count: int | None = None
    max_length: int | None = None

    def network(self) -> dict[str, Any]:
        """Return those arguments of `build_classifier` that no text decides."""
        return {name: getattr(self, name) for name in _OF_NETWORK}


@dataclass(frozen=True, kw_only=True)
class FitSettings(_FiniteSettings):
    """Settings of the training of a classifier.

    Attributes:
        linear: add a linear model of n-grams to the logits of the network, if texts
            are held out to weigh the two.
        epochs: largest number of passes over the texts; `None`: chosen from the
            texts.
        batch_size: number of texts in a training step.
        learning_rate: learning rate of the first epoch; falls linearly to 0. `None`
            keeps the one that the network was compiled with.
        patience: epochs without a lower loss before training stops; `None` trains
            for all epochs at one learning rate.
    """

    linear: bool = True
    epochs: int | None = None
    batch_size: int = 32
    learning_rate: float | None = None
    patience: int | None = 3


@dataclass(frozen=True, kw_only=True)
class Settings(FitSettings, ModelSettings):
    """All settings of a run: those of the classifier and those of its training."""
