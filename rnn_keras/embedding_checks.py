"""What the rows of an embedding show: which tokens have learned nothing.

Whether a row ever had a gradient is in Adam's mean of its squares, which is 0 only
where all of them were; it is saved with the model. For other optimizers, what counts
is whether the token occurs in the training texts. Whether a row that moved is of use
is not looked at.
"""

from collections.abc import Sequence

import keras
import numpy as np

from rnn_keras.findings import EXAMPLES, Finding, percent
from rnn_keras.intervals import share_interval
from rnn_keras.vectorization import UNKNOWN_ID

# Adam moves a token that is read once by some thousandths, so one in twenty of the
# rows can be left by dropped tokens and texts that are cut.
_MANY_UNMOVED = 0.05
# Two vectors alike cost two tokens; from here on it is the table that is at fault.
_MANY_ALIKE = 0.02
# One in fifty: an unknown token in every second or third short text.
_UNKNOWN_MATTERS = 0.02


def dead_embeddings(
    network: keras.Model, tokens: Sequence[str], trained: np.ndarray | None = None
) -> list[Finding]:
    """Rows of the embedding that are no numbers, all alike, or never moved.

    Args:
        network: whose first embedding is looked at, and Adam's memory of it, where
            the optimizer is Adam.
        tokens: of each id, padding and unknown included.
        trained: how often each id occurs in the training texts `(ids,)`, for other
            optimizers and to tell why a row did not move.
    """
    tables = embeddings_of(network)
    if not tables:
        return []
    rows = np.asarray(tables[0].embeddings, "float64")[: len(tokens)]
    moved = _moved(network, trained)
    found = [_bad_rows(rows, tokens, tables[0].trainable)]
    if moved is not None:
        found.append(_unmoved(moved[: len(tokens)], tokens, trained))
    return [finding for finding in found if finding is not None]


def untrained_unknown(
    network: keras.Model,
    unknown: int,
    tokens: int,
    trained: np.ndarray | None = None,
) -> Finding | None:
    """New texts have unknown tokens, whose vector has learned nothing.

    Args:
        network: as in `dead_embeddings`.
        unknown: how many tokens of new texts are unknown.
        tokens: how many they have.
        trained: as in `dead_embeddings`.
    """
    moved = _moved(network, trained)
    if moved is None or len(moved) <= UNKNOWN_ID or moved[UNKNOWN_ID]:
        return None
    share = share_interval(unknown, tokens)
    if share.low < _UNKNOWN_MATTERS:
        return None
    return Finding(
        "untrained-unknown",
        "note",
        f"{percent(share.mean)} of the tokens of new texts are unknown, and no "
        "training text has one, so that their vector is what was drawn at first.",
        "--min-count 2 leaves rare tokens of the training texts unknown, to learn "
        "from.",
    )


def _bad_rows(
    rows: np.ndarray, tokens: Sequence[str], trainable: bool
) -> Finding | None:
    # The row of padding, the first, is masked and may be anything.
    rows = rows[1:]
    finite = np.isfinite(rows).all()
    if not finite:
        bad, what = ~np.isfinite(rows).all(axis=1), "hold what is no number"
    else:
        _, group, size = np.unique(
            rows, axis=0, return_inverse=True, return_counts=True
        )
        bad, what = size[group.ravel()] > 1, "are the same as another's"
    if not bad.any():
        return None
    cure = (
        "Train again from other initial weights (--seed), and at a lower "
        "--learning-rate if the loss was no number."
    )
    if finite and not trainable:
        cure = (
            "Give each token of the table a vector of its own, or let the table learn "
            "(`trainable=True`): it is frozen, so that training changes nothing."
        )
    return Finding(
        "dead-embeddings",
        "error" if not finite or bad.mean() > _MANY_ALIKE else "note",
        f"The vectors of {bad.sum():,} of {len(rows):,} tokens {what}, so that the "
        "network cannot tell these tokens apart.",
        cure,
        tuple(tokens[i + 1] for i in np.flatnonzero(bad)[:EXAMPLES]),
    )


def _unmoved(
    moved: np.ndarray, tokens: Sequence[str], trained: np.ndarray | None
) -> Finding | None:
    still = np.flatnonzero(~moved[2:]) + 2
    share = len(still) / max(1, len(moved) - 2)
    if share <= _MANY_UNMOVED:
        return None
    read = trained is not None and (trained[still] > 0).mean() > 0.5
    return Finding(
        "untrained-embeddings",
        "warning",
        f"The vectors of {len(still):,} of {len(moved) - 2:,} tokens "
        f"({percent(share)}) never moved in training: what they say is what was drawn "
        "at first.",
        "The training texts have them, so the gradient did not reach them: train more "
        "--epochs, with --pooling max_mean and less --token-dropout."
        if read
        else "Take the vocabulary from the texts that are trained on "
        "(`TextClassifier.from_texts`), with a higher --min-count.",
        tuple(tokens[i] for i in still[:EXAMPLES]),
    )


def _moved(network: keras.Model, trained: np.ndarray | None) -> np.ndarray | None:
    """Whether each row ever had a gradient, by Adam's mean of its squares."""
    tables = embeddings_of(network)
    optimizer = getattr(network, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    squares = getattr(optimizer, "_velocities", None)
    if tables and squares and int(optimizer.iterations):
        pairs = zip(network.trainable_variables, squares, strict=False)
        for variable, square in pairs:
            if variable is tables[0].embeddings:
                return np.asarray(square).any(axis=1)
    return None if trained is None else trained > 0


def embeddings_of(network: keras.Model) -> list[keras.layers.Embedding]:
    """Its embeddings, also those inside of other layers."""
    layers = network._flatten_layers()
    return [layer for layer in layers if isinstance(layer, keras.layers.Embedding)]
