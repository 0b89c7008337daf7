"""What surrounds a speech recogniser: strings of words to train on, reading, scoring.

The network gives each frame of sound a probability of each word, or of none, the blank
(id 0). Many alignments spell one string: a word may last for several frames, blanks may
stand between, and must where a word is said twice. Connectionist temporal
classification takes the sum over all of them for the string's probability, so nobody
has to say when a word begins: A. Graves, S. Fernández, F. Gomez, J. Schmidhuber,
"Connectionist temporal classification: labelling unsegmented sequence data with
recurrent neural networks", ICML 2006. `keras.losses.CTC` is what is trained with. Left
out: a language model, and sound that goes on for ever.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from scipy.signal import resample
from scipy.special import log_softmax

from rnn_keras.datasets.corpora import Recordings
from rnn_keras.utils.errors import InputError, check_sizes

BLANK_ID = 0


class Strings(NamedTuple):
    """Strings of words, and what is said in each.

    Attributes:
        waves: `(samples,)` each.
        ids: label + 1 of each word, as 0 is the blank, `(words,)` each.
    """

    waves: list[np.ndarray]
    ids: list[np.ndarray]


def pad_waves(waves: Sequence[np.ndarray]) -> np.ndarray:
    """Waves under each other, `nan` after the end of each: `(waves, samples)`."""
    return keras.utils.pad_sequences(
        waves, dtype="float32", padding="post", value=np.nan
    )


def pad_ids(ids: Sequence[np.ndarray], length: int | None = None) -> np.ndarray:
    """Ids under each other, blanks after the end of each: `(strings, length)`."""
    return keras.utils.pad_sequences(ids, length, padding="post", value=BLANK_ID)


def join_recordings(
    recordings: Recordings,
    members: np.ndarray,
    *,
    least: int = 1,
    most: int = 6,
    pause: float = 0.2,
    speed: float = 0.0,
    seed: int | np.random.Generator | None = None,
) -> Strings:
    """Join words of one speaker to strings, in an order drawn at random.

    Each word is used once; those of a speaker that are left over, too few for a string,
    not at all.

    Args:
        recordings: of single words.
        members: which of them to use, indices `(words,)`.
        least: words in a string.
        most: likewise; the number is drawn, each as often.
        pause: seconds of silence between two at most; drawn, from 0 on.
        speed: each string is made faster or slower, and thereby higher or lower, by a
            factor between exp(-speed) and exp(speed): T. Ko et al., "Audio augmentation
            for speech recognition", Interspeech 2015.
        seed: of what is drawn. `None`: another each time.

    Raises:
        ValueError: for a size below 1, `most` below `least`, or less than nothing of
            `pause` or `speed`.
    """
    check_sizes(least=least)
    check_sizes(least, most=most)
    check_sizes(0, pause=pause, speed=speed)
    random = np.random.default_rng(seed)
    strings = Strings([], [])
    for speaker in np.unique(recordings.speakers[members]):
        words = random.permutation(members[recordings.speakers[members] == speaker])
        while len(words) >= least:
            count = min(random.integers(least, most, endpoint=True), len(words))
            string, words = words[:count], words[count:]
            parts = []
            for word in string:
                silence = random.uniform(0, pause) * recordings.rate
                parts += [np.zeros(round(silence)), recordings.waves[word]]
            wave = np.concatenate(parts[1:])
            if speed:
                factor = np.exp(random.uniform(-speed, speed))
                wave = resample(wave, round(len(wave) / factor))
            strings.waves.append(wave.astype("float32"))
            strings.ids.append(recordings.labels[string] + 1)
    return strings


def string_batches(
    recordings: Recordings,
    members: np.ndarray,
    *,
    batch_size: int = 32,
    most: int = 6,
    seed: int | None = None,
    **options: float,
) -> tf.data.Dataset:
    """Batches of strings to train on, without end: `fit` takes `steps_per_epoch`.

    When all words were used they are joined anew. Strings of like length come together,
    each batch padded to its longest.

    Args:
        recordings: see `join_recordings`.
        members: likewise.
        batch_size: strings in a batch.
        most: see `join_recordings`.
        seed: of what is drawn.
        **options: of `join_recordings`.

    Returns:
        A dataset of waves, floats `(batch, samples)`, and ids `(batch, most)`, padded
        with the blank.

    Raises:
        InputError: if no speaker has recordings enough for a string.
        ValueError: for a size below 1, or what `join_recordings` raises.
    """
    check_sizes(batch_size=batch_size)
    options = {"least": 1, "most": most, **options}
    join_recordings(recordings, members[:0], **options)  # bad arguments, at once
    _, counts = np.unique(recordings.speakers[members], return_counts=True)
    if counts.max(initial=0) < options["least"]:
        raise InputError(f"no speaker has {options['least']} recordings to join")
    random = np.random.default_rng(seed)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            waves, ids = join_recordings(recordings, members, seed=random, **options)
            order = np.argsort([len(wave) for wave in waves], kind="stable")
            starts = random.permutation(range(0, len(order), batch_size))
            for start in starts:
                rows = order[start : start + batch_size]
                yield (
                    pad_waves([waves[row] for row in rows]),
                    pad_ids([ids[row] for row in rows], most),
                )

    # Said, as Keras would take the length of the first two batches for that of all.
    shapes = (
        tf.TensorSpec((None, None), "float32"),
        tf.TensorSpec((None, most), "int32"),
    )
    return tf.data.Dataset.from_generator(batches, output_signature=shapes).prefetch(2)


def recognize(
    network: keras.Model,
    waves: Sequence[np.ndarray],
    *,
    beam_size: int = 1,
    batch_size: int = 32,
) -> list[np.ndarray]:
    """What is said in each wave: ids `(words,)`, without blanks.

    Args:
        network: of `rnn_keras.series_models.build_speech_recognizer`.
        waves: `(samples,)` each.
        beam_size: beginnings of strings that are kept from frame to frame, by the sum
            over their alignments (`keras.ops.ctc_decode`). 1 is greedy: the likeliest
            id of each frame, so the likeliest alignment and not string.
        batch_size: waves at a time.

    Raises:
        ValueError: for a size below 1.
    """
    check_sizes(beam_size=beam_size, batch_size=batch_size)
    if not len(waves):
        return []
    logits = network.predict(pad_waves(waves), batch_size=batch_size, verbose=0)
    strategy = "greedy" if beam_size == 1 else "beam_search"
    options = {"strategy": strategy, "beam_width": beam_size}
    # All frames: those of padding are sure blanks.
    lengths = np.full(len(logits), logits.shape[1])
    decoded, _ = keras.ops.ctc_decode(logits, lengths, **options)
    return [row[row >= 0] for row in np.asarray(decoded[0])]


def log_probability(logits: np.ndarray, ids: Sequence[np.ndarray]) -> np.ndarray:
    """Of each string, the logarithm of the sum over all alignments that spell it.

    Args:
        logits: `(strings, frames, vocabulary_size)`.
        ids: `(words,)` each.

    Returns:
        `(strings,)`, in nats; minus infinity for more words than the frames can hold.
    """
    if not len(ids):
        return np.zeros(0, "float32")
    # Without a column for ids, TensorFlow counts the path of blanks twice.
    length = max(1, *map(len, ids))
    logs = -np.asarray(keras.losses.ctc(pad_ids(ids, length), logits))
    # Of what is impossible it says some 700 nats, which may be possible.
    least = np.array(list(map(_least_frames, ids)))
    return np.where(least <= logits.shape[1], logs, -np.inf)


def _least_frames(ids: Sequence[int]) -> int:
    """One for each word, and one for a blank between a word and the same again."""
    return len(ids) + int(np.sum(np.diff(ids) == 0))


def classify(
    network: keras.Model, waves: Sequence[np.ndarray], *, batch_size: int = 32
) -> np.ndarray:
    """The likeliest of all strings of one word, id `(waves,)`."""
    if not len(waves):
        return np.zeros(0, int)
    logits = network.predict(pad_waves(waves), batch_size=batch_size, verbose=0)
    words = range(1, logits.shape[2])
    scores = [log_probability(logits, [[word]] * len(logits)) for word in words]
    return np.argmax(scores, axis=0) + 1


def error_rate(truths: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """Words to replace, leave out or put in, per word that was said.

    The least number of these (V. I. Levenshtein, "Binary codes capable of correcting
    deletions, insertions, and reversals", 1966), of all strings together.

    Args:
        truths: ids `(words,)` each.
        found: likewise.

    Raises:
        InputError: if there are not as many of both, or no words.

    >>> error_rate([[1, 2, 3], [4]], [[1, 3], [4]])
    0.25
    """
    words = sum(map(len, truths))
    if len(truths) != len(found) or not words:
        raise InputError(
            f"{len(truths):,} strings of {words:,} words in all, and {len(found):,} "
            "found, where as many are needed and one word at least"
        )
    sparse = [
        tf.ragged.constant([list(row) for row in rows], "int64", 1).to_sparse()
        for rows in (found, truths)
    ]
    return float(tf.reduce_sum(tf.edit_distance(*sparse, normalize=False))) / words


def align(logits: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """The likeliest of the alignments that spell a string.

    By dynamic programming over the string's states, blanks before, between and after
    its words: A. J. Viterbi, "Error bounds for convolutional codes and an
    asymptotically optimum decoding algorithm", 1967.

    Args:
        logits: of one wave, `(frames, vocabulary_size)`.
        ids: of its words, `(words,)`.

    Returns:
        For each frame the position in `ids` of its word, -1 for a blank, `(frames,)`.

    Raises:
        InputError: for more words than the frames can hold, or no frames.
    """
    if _least_frames(ids) > len(logits) or not len(logits):
        raise InputError(f"{len(ids):,} words do not fit into {len(logits):,} frames")
    logs = log_softmax(np.asarray(logits, "float64"), axis=1)
    states = np.full(2 * len(ids) + 1, BLANK_ID)
    states[1::2] = ids
    # A blank may be left out, but not between a word and the same again.
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    best = np.full(len(states), -np.inf)
    best[:2] = logs[0, states[:2]]
    steps = []
    for frame in logs[1:]:
        before = np.pad(best, (2, 0), constant_values=-np.inf)
        came = np.stack([best, before[1:-1], np.where(skips, before[:-2], -np.inf)])
        steps.append(came.argmax(axis=0))
        best = came.max(axis=0) + frame[states]
    state = len(states) - 1 - best[::-1][:2].argmax()
    path = [state]
    for step in reversed(steps):
        path.append(path[-1] - step[path[-1]])
    path = np.array(path[::-1])
    return np.where(path % 2, path // 2, -1)
