"""What a network itself shows, on a few of its texts: padding, units, gradients.

Each check takes a Keras model from token ids to logits, not only one of this package.
Saturation and gradients need a chain of layers (`rnn_keras.steps`), and raise
`ValueError` for another.

What the rows of an embedding show: which tokens have learned nothing.

Whether a row ever had a gradient is in Adam's mean of its squares, which is 0 only
where all of them were; it is saved with the model. For other optimizers, what counts
is whether the token occurs in the training texts. Whether a row that moved is of use
is not looked at.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from rnn_keras.diagnostics.dynamics import gradient_flow, saturation
from rnn_keras.doctor.findings import EXAMPLES, Finding
from rnn_keras.layers.recurrent import recurrent_layers_in
from rnn_keras.layers.text_vectorizer import UNKNOWN_ID
from rnn_keras.scoring import share_interval
from rnn_keras.utils.errors import InputError, check_pairs
from rnn_keras.utils.messages import percent

_PADDING = 50
# What is rounded in another order differs by 1e-6; what is read differs by more than
# that by far. Half precision rounds to three digits.
_EQUAL, _EQUAL_HALF = 1e-3, 0.05
# A unit that is hardly ever off its limits is a constant, whatever is read.
_STUCK = 0.95
_MANY_STUCK = 0.5
# A gradient of this share of the largest is lost where the two are added up.
_LOST = 1e-5
_MANY_LOST = 0.25
# Over 400 steps, a state that adds up what it reads gathers 400 times the gradient.
_EXPLODED = 1e4
# Below this many steps next to nothing vanishes or explodes.
_FEWEST_STEPS = 10


def checked_inputs(
    network: Any, ids: Any, labels: Any
) -> tuple[np.ndarray, np.ndarray]:
    """The ids `(texts, timesteps)` and labels `(texts,)` as arrays, if all fit.

    Raises:
        InputError: if they are of another kind, or not for this network.
    """
    if not isinstance(network, keras.Model):
        raise InputError(f"{type(network).__name__}: expected a keras.Model")
    try:
        (given,), (logits,) = network.inputs, network.outputs
    except (AttributeError, TypeError, ValueError):
        given = logits = None
    if given is None or len(given.shape) != 2 or len(logits.shape) != 2:
        part = "; give its `network`" if hasattr(network, "preprocessor") else ""
        raise InputError(
            f"{network.name!r}: expected a network from token ids (batch, timesteps) "
            f"to logits (batch, classes), with a keras.Input{part}"
        )
    try:
        ids, labels = np.asarray(ids), np.asarray(labels)
    except ValueError as error:  # a list of lists that differ in length
        raise InputError(
            "ids: texts of different length; expected an array, padded with 0"
        ) from error
    if not ids.size or not labels.size:
        raise InputError("no texts to examine the network with")
    _check_whole("ids", ids, 2, "token ids (texts, timesteps)")
    _check_whole("labels", labels, 1, "class indices (texts,)")
    check_pairs(ids, labels)
    steps, classes = given.shape[1], max(2, logits.shape[1])
    if steps not in (None, ids.shape[1]):
        raise InputError(
            f"ids: {ids.shape[1]:,} timesteps; the network reads {steps:,}"
        )
    tokens = min([table.input_dim for table in embeddings_of(network)], default=None)
    if tokens is not None and ids.max() >= tokens:
        raise InputError(f"ids: {ids.max():,} is none of the network's {tokens:,}")
    if labels.max() >= classes:
        raise InputError(f"labels: {labels.max():,} is none of {classes:,} classes")
    return ids, labels


def _check_whole(name: str, numbers: np.ndarray, rank: int, expected: str) -> None:
    if numbers.ndim != rank or numbers.dtype.kind not in "iu":
        raise InputError(
            f"{name}: {numbers.dtype} {numbers.shape}; expected whole numbers, "
            f"{expected}"
        )
    if numbers.min() < 0:
        raise InputError(f"{name}: {numbers.min()} is below 0; expected {expected}")


def padding_changes_answers(network: keras.Model, ids: np.ndarray) -> Finding | None:
    """The logits of a text depend on how far it is padded, or on what padding is.

    A network for one length cannot be given more zeros to read. There, and where more
    of them change nothing, as after a maximum, the vector of padding is changed.

    Args:
        network: from token ids to logits.
        ids: `(texts, timesteps)`, padded with 0.
    """
    if network.input_shape[1] is not None:
        return _unmasked(network) or _read_padding(network, ids)
    logits = _logits(network, ids)
    padded = _logits(network, np.pad(ids, ((0, 0), (0, _PADDING))))
    off = _differ(network, logits, padded)
    if not off.any():
        return _read_padding(network, np.pad(ids, ((0, 0), (0, _PADDING))))
    other = (padded.argmax(axis=1) != logits.argmax(axis=1)).mean()
    # A single logit, as some have for two classes, has no other beside it.
    classes = f", {percent(other)} another class" if logits.shape[1] > 1 else ""
    return Finding(
        "padding-changes-answers",
        "error",
        f"With {_PADDING} more zeros behind them, {percent(off.mean())} of "
        f"{len(ids):,} texts get other logits{classes}.",
        "Mask padding: `keras.layers.Embedding(..., mask_zero=True)` and layers that "
        "pass the mask on, such as `rnn_keras.MaskedPooling1D`.",
        (f"logits off by up to {abs(padded - logits).max():.3f}",),
    )


def _unmasked(network: keras.Model) -> Finding | None:
    """Of a network for one length, which cannot be given more zeros to read."""
    tables = embeddings_of(network)
    if not tables or any(table.mask_zero for table in tables):
        return None
    return Finding(
        "padding-not-masked",
        "warning",
        f"Embedding {tables[0].name!r} does not mask padding, so that the layers after "
        f"it read zeros up to {network.input_shape[1]:,} steps as if they were text.",
        "`keras.layers.Embedding(..., mask_zero=True)`, and `keras.Input((None,))` "
        "for texts of any length.",
    )


def _read_padding(network: keras.Model, ids: np.ndarray) -> Finding | None:
    """Padding is masked, but another vector in its place changes the logits."""
    tables = embeddings_of(network)
    padded = ids[(ids == 0).any(axis=1) & (ids != 0).any(axis=1)]
    if not tables or not len(padded):
        return None
    logits = _logits(network, padded)
    before = [table.get_weights() for table in tables]
    rng = np.random.default_rng(0)
    try:
        for table, (rows, *others) in zip(tables, before, strict=True):
            changed = rows.copy()
            changed[0] = rng.normal(size=rows.shape[1])
            table.set_weights([changed, *others])
        off = _differ(network, logits, _logits(network, padded))
    finally:
        for table, weights in zip(tables, before, strict=True):
            table.set_weights(weights)
    if not off.any():
        return None
    return Finding(
        "padding-not-masked",
        "warning",
        f"Another vector for padding changes the logits of {percent(off.mean())} of "
        f"{len(padded):,} padded texts: a layer reads it as if it were text.",
        "`keras.layers.Embedding(..., mask_zero=True)` and layers that keep the mask, "
        "such as LSTM, GRU and `rnn_keras.MaskedPooling1D`; a convolution drops it.",
    )


def _differ(network: keras.Model, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether the logits of each text are not the same, but for rounding."""
    half = network.compute_dtype not in ("float32", "float64")
    allowed = (_EQUAL_HALF if half else _EQUAL) * np.maximum(1, abs(one))
    return (abs(other - one) > allowed).any(axis=1)


def saturated_units(network: keras.Model, ids: np.ndarray) -> Finding | None:
    """Most units of a layer are at the limits of their activation all the time.

    The gates of LSTM and GRU are left out: they are there to be open or shut.

    Raises:
        ValueError: as `rnn_keras.diagnostics.saturation`.
    """
    stuck = {}
    for key, shares in saturation(network, ids).items():
        if key.rpartition("/")[2] in ("h", "c", "g"):
            stuck[key] = float((shares > _STUCK).mean())
    many = {key: share for key, share in stuck.items() if share > _MANY_STUCK}
    if not many:
        return None
    worst = max(many, key=lambda key: many[key])
    return Finding(
        "saturated-units",
        "warning",
        f"In {worst.partition('/')[0]!r}, {percent(many[worst])} of the units are "
        f"saturated at {percent(_STUCK)} of the steps or more: they hardly change "
        "with what is read, and pass no gradient back.",
        "Train again at a lower --learning-rate, and from smaller inputs where they "
        "are numbers.",
        tuple(f"{key}: {percent(share)}" for key, share in list(many.items())[:3]),
    )


def lost_gradients(
    network: keras.Model, ids: np.ndarray, labels: np.ndarray
) -> Finding | None:
    """The loss's gradient vanishes before it reaches much of a text, or explodes.

    Args:
        network: from token ids to logits, one for each class or one for two.
        ids: `(texts, timesteps)`, padded on the right with 0.
        labels: class indices `(texts,)`.

    Raises:
        ValueError: as `rnn_keras.diagnostics.gradient_flow`.
    """
    long = (ids != 0).sum(axis=1) >= _FEWEST_STEPS
    if not long.any():
        return None
    loss = None
    if network.output_shape[-1] == 1:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    norms = gradient_flow(network, ids[long], labels[long], loss)
    flow = {key: value for key, value in norms.items() if key.endswith("/h")}
    return (
        _exploding(network, flow)
        or _vanishing(flow, int(long.sum()))
        or _unreached(flow)
    )


def _exploding(network: keras.Model, flow: dict[str, np.ndarray]) -> Finding | None:
    """Along a reader, the gradient grows on its way back to what it read first."""
    backwards = {
        reader.name
        for layer in network.layers
        for reader in recurrent_layers_in(layer)
        if reader.go_backwards
    }
    for key, norms in flow.items():
        name = key.partition("/")[0]
        grown = []
        for row in norms:
            real = row[~np.isnan(row)]
            first, last = real[[-1, 0]] if name in backwards else real[[0, -1]]
            if last > 0:  # where the loss is 0, there is none to grow
                grown.append(first / last)
        growth = float(np.median(grown)) if grown else 0.0
        if growth > _EXPLODED or not np.isfinite(growth):
            return Finding(
                "exploding-gradients",
                "warning",
                f"In {name!r} the gradient of the loss is {growth:.0e} times as large "
                "at the step that is read first as at the last.",
                "Clip it (`rnn_keras.training.make_optimizer` does), lower "
                "--learning-rate, or take --cell gru or lstm.",
            )
    return None


def _vanishing(flow: dict[str, np.ndarray], texts: int) -> Finding | None:
    """Steps that the gradient does not reach in any layer or direction."""
    largest = np.max(list(flow.values()), axis=0)
    lost = []
    for row in largest:
        real = row[~np.isnan(row)]
        # A loss of 0 has no gradient anywhere: nothing has vanished on the way.
        if real.max() > 0:
            lost.append((real < _LOST * real.max()).mean())
    if not lost or np.mean(lost) < _MANY_LOST:
        return None
    return Finding(
        "vanishing-gradients",
        "warning",
        f"The gradient of the loss does not reach {percent(float(np.mean(lost)))} of "
        f"the steps of {texts:,} texts: there it is below 1 / {1 / _LOST:,.0f} of the "
        "largest.",
        "--pooling max_mean, which reads every state, or --cell gru or lstm, or a "
        "shorter --max-length.",
    )


def _unreached(flow: dict[str, np.ndarray]) -> Finding | None:
    """Layers or directions that get next to nothing, at any step of any text."""
    peaks = {key: float(np.nanmax(norms)) for key, norms in flow.items()}
    top = max(peaks.values())
    idle = [key.partition("/")[0] for key, n in peaks.items() if n < _LOST * top]
    if not idle:
        return None
    verb = "gets" if len(idle) == 1 else "get"
    return Finding(
        "vanishing-gradients",
        "warning",
        f"{', '.join(map(repr, idle))} {verb} no gradient of the loss at any step that "
        f"is above 1 / {1 / _LOST:,.0f} of the largest in the network.",
        "Look at what stands between it and the loss: weights that are 0, units at "
        "their limits, a layer that passes nothing on; then train again.",
    )


def _logits(network: keras.Model, ids: np.ndarray) -> np.ndarray:
    return np.asarray(network(ids, training=False), "float32")


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
