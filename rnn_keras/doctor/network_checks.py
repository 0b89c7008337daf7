"""Checks of a trained network: padding, saturated units, gradients, embeddings.

Each check takes a Keras model from token ids `(batch, timesteps)` to logits
`(batch, classes)`, from this package or not, and a few texts. The checks of saturation
and of gradients need a chain of layers (`rnn_keras.diagnostics.stepwise`) and raise
`ValueError` for other networks.

Whether a row of an embedding has ever had a gradient is read from Adam's mean of
squared gradients, which is saved with the model and is 0 only if all gradients were.
For other optimizers, the row counts as trained if its token occurs in the training
texts. Whether a trained row is of any use is not checked.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rnn_keras.diagnostics.dynamics import gradient_flow, saturation
from rnn_keras.doctor.findings import EXAMPLES, Finding
from rnn_keras.layers.keras_internals import flatten_layers, second_moments
from rnn_keras.layers.recurrent import recurrent_layers_in
from rnn_keras.layers.text_vectorizer import UNKNOWN_ID
from rnn_keras.scoring import share_interval
from rnn_keras.utils.errors import InputError, check_pairs
from rnn_keras.utils.messages import percent

# From token ids to logits, float32.
Forward = Callable[[np.ndarray], np.ndarray]

# Number of zeros that are appended to find out whether padding changes an answer.
_MORE_PADDING = 50
# Rounding in another order changes a logit by 1e-6, and reading padding by far more
# than the first tolerance. Half precision has three digits.
_TOLERANCE, _TOLERANCE_HALF = 1e-3, 0.05
# A unit that is saturated at this share of the steps is a constant, whatever is read.
_STUCK = 0.95
_MANY_STUCK = 0.5
# A gradient of this share of the largest one is lost when the two are added.
_LOST = 1e-5
_MANY_LOST = 0.25
# A state that sums up 400 steps has 400 times the gradient at the first of them, which
# is not an explosion yet.
_EXPLODED = 1e4
# In shorter texts next to nothing vanishes or explodes.
_FEWEST_STEPS = 10
# Adam moves a token that is read once by some thousandths. One row in twenty can stay
# where it is because its token was dropped or cut off.
_MANY_UNMOVED = 0.05
# Two equal vectors spoil two tokens; from this share on, the table is at fault.
_MANY_EQUAL = 0.02
# One unknown token in every second or third short text.
_MANY_UNKNOWN = 0.02


# -- the input --------------------------------------------------------------------


def check_network_and_texts(
    network: Any, ids: Any, labels: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Check that a network, token ids and labels belong together.

    Args:
        network: expected to be a network from token ids to logits.
        ids: expected to be token ids `(texts, timesteps)`, padded with 0.
        labels: expected to be class indices `(texts,)`.

    Returns:
        `ids` and `labels` as arrays.

    Raises:
        InputError: if one of the three is something else.
    """
    if not isinstance(network, keras.Model):
        raise InputError(f"{type(network).__name__}: expected a keras.Model")
    steps, classes = _steps_and_classes(network)
    try:
        ids, labels = np.asarray(ids), np.asarray(labels)
    except ValueError as error:  # a list of lists that differ in length
        raise InputError(
            "ids: texts of different length; expected an array, padded with 0"
        ) from error
    if not ids.size or not labels.size:
        raise InputError("no texts to examine the network with")
    _check_integers("ids", ids, 2, "token ids (texts, timesteps)")
    _check_integers("labels", labels, 1, "class indices (texts,)")
    check_pairs(ids, labels)
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


def _steps_and_classes(network: keras.Model) -> tuple[int | None, int]:
    """Number of timesteps that a network reads, `None` for any, and of its classes."""
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
    return given.shape[1], max(2, logits.shape[1])


def _check_integers(name: str, numbers: np.ndarray, rank: int, expected: str) -> None:
    if numbers.ndim != rank or numbers.dtype.kind not in "iu":
        raise InputError(
            f"{name}: {numbers.dtype} {numbers.shape}; expected whole numbers, "
            f"{expected}"
        )
    if numbers.min() < 0:
        raise InputError(f"{name}: {numbers.min()} is below 0; expected {expected}")


def embeddings_of(network: keras.Model) -> list[keras.layers.Embedding]:
    """All embeddings of a network, also those inside other layers."""
    layers = flatten_layers(network)
    return [layer for layer in layers if isinstance(layer, keras.layers.Embedding)]


# -- padding ----------------------------------------------------------------------


def padding_changes_answers(network: keras.Model, ids: np.ndarray) -> Finding | None:
    """Find out whether padding changes the logits of a text.

    The texts are padded with more zeros. If the network reads a fixed number of steps,
    or if more zeros change nothing (they leave a maximum as it is), the vector of
    padding is changed instead.

    Args:
        network: from token ids to logits.
        ids: token ids `(texts, timesteps)`, padded with 0.
    """
    forward = _make_forward(network)
    if network.input_shape[1] is not None:
        return _unmasked_embedding(network) or _read_padding(network, ids, forward)
    more_padded = np.pad(ids, ((0, 0), (0, _MORE_PADDING)))
    logits, padded = forward(ids), forward(more_padded)
    differ = _differ(network, logits, padded)
    if not differ.any():
        return _read_padding(network, more_padded, forward)
    other = (padded.argmax(axis=1) != logits.argmax(axis=1)).mean()
    # A network for two classes may have a single logit.
    classes = f", and {percent(other)} another class" if logits.shape[1] > 1 else ""
    return Finding(
        "padding-changes-answers",
        "error",
        f"If {_MORE_PADDING} more zeros are appended, {percent(differ.mean())} of "
        f"{len(ids):,} texts get other logits{classes}.",
        "Mask padding: use `keras.layers.Embedding(..., mask_zero=True)` and layers "
        "that pass the mask on, such as `rnn_keras.MaskedPooling1D`.",
        (f"logits differ by up to {abs(padded - logits).max():.3f}",),
    )


def _unmasked_embedding(network: keras.Model) -> Finding | None:
    """Find an embedding without a mask, in a network for a fixed number of steps."""
    tables = embeddings_of(network)
    if not tables or any(table.mask_zero for table in tables):
        return None
    return Finding(
        "padding-not-masked",
        "warning",
        f"Embedding {tables[0].name!r} does not mask padding, so the layers after it "
        f"read the zeros up to {network.input_shape[1]:,} steps as if they were text.",
        "Use `keras.layers.Embedding(..., mask_zero=True)`, and `keras.Input((None,))` "
        "for texts of any length.",
    )


def _read_padding(
    network: keras.Model, ids: np.ndarray, forward: Forward
) -> Finding | None:
    """Find out whether another vector for padding changes the logits."""
    tables = embeddings_of(network)
    padded = ids[(ids == 0).any(axis=1) & (ids != 0).any(axis=1)]
    if not tables or not len(padded):
        return None
    logits = forward(padded)
    before = [table.get_weights() for table in tables]
    rng = np.random.default_rng(0)
    try:
        for table, (rows, *others) in zip(tables, before, strict=True):
            changed = rows.copy()
            changed[0] = rng.normal(size=rows.shape[1])
            table.set_weights([changed, *others])
        differ = _differ(network, logits, forward(padded))
    finally:
        for table, weights in zip(tables, before, strict=True):
            table.set_weights(weights)
    if not differ.any():
        return None
    return Finding(
        "padding-not-masked",
        "warning",
        "Another vector for padding changes the logits of "
        f"{percent(differ.mean())} of {len(padded):,} padded texts, so a layer reads "
        "padding as if it were text.",
        "Use `keras.layers.Embedding(..., mask_zero=True)` and layers that keep the "
        "mask, such as LSTM, GRU and `rnn_keras.MaskedPooling1D`; a convolution drops "
        "it.",
    )


def _differ(network: keras.Model, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether the logits of each text differ by more than rounding, `(texts,)`."""
    half = network.compute_dtype not in ("float32", "float64")
    tolerance = _TOLERANCE_HALF if half else _TOLERANCE
    return (abs(other - one) > tolerance * np.maximum(1, abs(one))).any(axis=1)


def _make_forward(network: keras.Model) -> Forward:
    """A function from token ids to logits, float32 `(texts, classes)`.

    With TensorFlow it is one graph for any number of steps: outside a graph, each step
    of a recurrence takes some milliseconds.
    """

    def forward(ids: Any) -> Any:
        return network(ids, training=False)

    if keras.backend.backend() == "tensorflow":
        shape = (None, network.input_shape[1])
        forward = tf.function(forward, input_signature=[tf.TensorSpec(shape, "int32")])
    return lambda ids: np.asarray(forward(ids.astype("int32")), "float32")


# -- saturation and gradients -----------------------------------------------------


def saturated_units(network: keras.Model, ids: np.ndarray) -> Finding | None:
    """Find layers in which most units are saturated nearly all the time.

    The gates of LSTM and GRU are left out, because they are meant to be open or shut.

    Args:
        network: from token ids to logits.
        ids: token ids `(texts, timesteps)`, padded with 0.

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
    examples = [f"{key}: {percent(share)}" for key, share in many.items()]
    return Finding(
        "saturated-units",
        "warning",
        f"In {worst.partition('/')[0]!r}, {percent(many[worst])} of the units are "
        f"saturated at {percent(_STUCK)} of the steps or more: they hardly react to "
        "what is read, and let no gradient through.",
        "Train again with a lower --learning-rate; if the inputs are numbers, scale "
        "them down.",
        tuple(examples[:EXAMPLES]),
    )


def lost_gradients(
    network: keras.Model, ids: np.ndarray, labels: np.ndarray
) -> Finding | None:
    """Find out whether the gradient of the loss explodes or vanishes on its way back.

    Args:
        network: from token ids to logits: one for each class, or one for two classes.
        ids: token ids `(texts, timesteps)`, padded on the right with 0.
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
        _exploding_gradient(network, flow)
        or _vanishing_gradient(flow, int(long.sum()))
        or _layers_without_gradient(flow)
    )


def _exploding_gradient(
    network: keras.Model, flow: dict[str, np.ndarray]
) -> Finding | None:
    """Find a layer whose gradient is far larger at the step that it reads first.

    Args:
        network: from token ids to logits.
        flow: norms of the gradient by each layer's states, `(texts, timesteps)`, `nan`
            at padding.
    """
    backwards = {
        rnn.name
        for layer in network.layers
        for rnn in recurrent_layers_in(layer)
        if rnn.go_backwards
    }
    for key, norms in flow.items():
        name = key.partition("/")[0]
        ratios = []
        for row in norms:
            real = row[~np.isnan(row)]
            first, last = real[[-1, 0]] if name in backwards else real[[0, -1]]
            if last > 0:  # a loss of 0 has no gradient
                ratios.append(first / last)
        growth = float(np.median(ratios)) if ratios else 0.0
        if growth > _EXPLODED or not np.isfinite(growth):
            return Finding(
                "exploding-gradients",
                "warning",
                f"In {name!r} the gradient of the loss is {growth:.0e} times as large "
                "at the first step that is read as at the last.",
                "Clip the gradient (`rnn_keras.training.make_optimizer` does), lower "
                "--learning-rate, or use --cell gru or lstm.",
            )
    return None


def _vanishing_gradient(flow: dict[str, np.ndarray], texts: int) -> Finding | None:
    """Find steps that the gradient reaches in no layer and no direction.

    Args:
        flow: as in `_exploding_gradient`.
        texts: number of texts.
    """
    largest = np.max(list(flow.values()), axis=0)
    lost = []
    for row in largest:
        real = row[~np.isnan(row)]
        # A loss of 0 has no gradient anywhere, so nothing has vanished on the way.
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
        "Use --pooling max_mean, which reads every state, or --cell gru or lstm, or a "
        "shorter --max-length.",
    )


def _layers_without_gradient(flow: dict[str, np.ndarray]) -> Finding | None:
    """Find layers, or directions, that get next to no gradient at any step.

    Args:
        flow: as in `_exploding_gradient`.
    """
    peaks = {key: float(np.nanmax(norms)) for key, norms in flow.items()}
    top = max(peaks.values())
    idle = [key.partition("/")[0] for key, n in peaks.items() if n < _LOST * top]
    if not idle:
        return None
    verb = "gets" if len(idle) == 1 else "get"
    return Finding(
        "vanishing-gradients",
        "warning",
        f"{', '.join(map(repr, idle))} {verb} no gradient of the loss: at every step "
        f"it is below 1 / {1 / _LOST:,.0f} of the largest in the network.",
        "Look at what stands between it and the loss: weights that are 0, saturated "
        "units, or a layer that passes nothing on; then train again.",
    )


# -- embeddings -------------------------------------------------------------------


def dead_embeddings(
    network: keras.Model, tokens: Sequence[str], trained: np.ndarray | None = None
) -> list[Finding]:
    """Find rows of the embedding that are not finite, equal, or were never trained.

    Args:
        network: its first embedding is examined, and its optimizer if that is Adam.
        tokens: token of each id, including padding and unknown.
        trained: how often each id occurs in the training texts, `(ids,)`. It replaces
            Adam's memory for other optimizers, and tells why a row was not trained.
    """
    tables = embeddings_of(network)
    if not tables:
        return []
    rows = np.asarray(tables[0].embeddings, "float64")[: len(tokens)]
    moved = _trained_rows(network, trained)
    found = [_bad_rows(rows, tokens, tables[0].trainable)]
    if moved is not None:
        found.append(_untrained_rows(moved[: len(tokens)], tokens, trained))
    return [finding for finding in found if finding is not None]


def untrained_unknown(
    network: keras.Model,
    unknown: int,
    tokens: int,
    trained: np.ndarray | None = None,
) -> Finding | None:
    """Find out whether new texts have unknown tokens, whose vector was never trained.

    Args:
        network: as in `dead_embeddings`.
        unknown: number of unknown tokens in new texts.
        tokens: number of all tokens in new texts.
        trained: as in `dead_embeddings`.
    """
    moved = _trained_rows(network, trained)
    if moved is None or len(moved) <= UNKNOWN_ID or moved[UNKNOWN_ID]:
        return None
    share = share_interval(unknown, tokens)
    if share.low < _MANY_UNKNOWN:
        return None
    return Finding(
        "untrained-unknown",
        "note",
        f"{percent(share.mean)} of the tokens of new texts are unknown, but no "
        "training text has an unknown token, so its vector still has its random "
        "initial value.",
        "--min-count 2 makes rare tokens of the training texts unknown, so that the "
        "vector is trained.",
    )


def _bad_rows(
    rows: np.ndarray, tokens: Sequence[str], trainable: bool
) -> Finding | None:
    """Find rows that are not finite, or equal to another."""
    rows = rows[1:]  # the first is padding's, which is masked and may be anything
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        bad, what = ~finite, "are not finite numbers"
    else:
        _, group, size = np.unique(
            rows, axis=0, return_inverse=True, return_counts=True
        )
        bad, what = size[group.ravel()] > 1, "are equal to another token's"
    if not bad.any():
        return None
    cure = (
        "Train again from other initial weights (--seed), and with a lower "
        "--learning-rate if the loss was not finite."
    )
    if finite.all() and not trainable:
        cure = (
            "Give each token of the table its own vector, or train the table "
            "(`trainable=True`): it is frozen, so training does not change it."
        )
    return Finding(
        "dead-embeddings",
        "error" if not finite.all() or bad.mean() > _MANY_EQUAL else "note",
        f"The vectors of {bad.sum():,} of {len(rows):,} tokens {what}, so the network "
        "cannot tell these tokens apart.",
        cure,
        tuple(tokens[i + 1] for i in np.flatnonzero(bad)[:EXAMPLES]),
    )


def _untrained_rows(
    moved: np.ndarray, tokens: Sequence[str], trained: np.ndarray | None
) -> Finding | None:
    """Find many rows that never had a gradient; padding and unknown do not count.

    Args:
        moved: whether each row had a gradient, `(ids,)`.
        tokens: as in `dead_embeddings`.
        trained: as in `dead_embeddings`.
    """
    still = np.flatnonzero(~moved[2:]) + 2
    share = len(still) / max(1, len(moved) - 2)
    if share <= _MANY_UNMOVED:
        return None
    were_read = trained is not None and (trained[still] > 0).mean() > 0.5
    return Finding(
        "untrained-embeddings",
        "warning",
        f"The vectors of {len(still):,} of {len(moved) - 2:,} tokens "
        f"({percent(share)}) were never trained and still have their random initial "
        "values.",
        "The training texts have these tokens, so the gradient did not reach them: "
        "train more --epochs, with --pooling max_mean and less --token-dropout."
        if were_read
        else "Take the vocabulary from the training texts "
        "(`TextClassifier.from_texts`), with a higher --min-count.",
        tuple(tokens[i] for i in still[:EXAMPLES]),
    )


def _trained_rows(
    network: keras.Model, trained: np.ndarray | None
) -> np.ndarray | None:
    """Whether each row of the first embedding ever had a gradient, `(ids,)`.

    `None` if nothing tells.
    """
    tables = embeddings_of(network)
    optimizer = getattr(network, "optimizer", None)
    if tables and optimizer is not None and int(optimizer.iterations):
        squares = second_moments(optimizer) or []
        pairs = zip(network.trainable_variables, squares, strict=False)
        for variable, square in pairs:
            if variable is tables[0].embeddings:
                return np.any(np.asarray(square), axis=1)
    return None if trained is None else trained > 0
