"""Speech recognition with CTC: training strings, decoding, scores, alignments.

A string is a short sequence of words that are spoken one after another. For each frame
of sound the network gives the probability of each word and of the blank (id 0), which
means no word. Many alignments of frames to ids spell the same string: a word may last
several frames, and blanks may stand between words. Between two equal words there must
be a blank. Connectionist temporal classification (CTC) adds up the probabilities of all
alignments of a string, so training needs no marks of where a word begins: A. Graves,
S. Fernández, F. Gomez, J. Schmidhuber, "Connectionist temporal classification:
labelling unsegmented sequence data with recurrent neural networks", ICML 2006. Train
with `keras.losses.CTC`. Left out: a language model, and recognition while sound comes
in.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypedDict, Unpack

import keras
import numpy as np
import tensorflow as tf
from scipy.special import log_softmax

from rnn_keras.datasets.corpora import Recordings
from rnn_keras.training.batches import generated_dataset
from rnn_keras.utils.errors import InputError, check_sizes

BLANK_ID = 0

# The ids of the words of one string, `(words,)`.
Ids = Sequence[int] | np.ndarray


class Strings(NamedTuple):
    """Spoken strings of words.

    Attributes:
        waves: sound of each string, `(samples,)` each.
        ids: word ids of each string, `(words,)` each. An id is the label of a word
            plus 1, because 0 is the blank.
    """

    waves: list[np.ndarray]
    ids: list[np.ndarray]


class JoinOptions(TypedDict, total=False):
    """Options of `join_recordings` that `string_batches` passes on."""

    pause: float
    speed: float


def pad_waves(waves: Sequence[np.ndarray]) -> np.ndarray:
    """Stack waves, each padded with `nan` at its end: `(waves, samples)`."""
    return keras.utils.pad_sequences(
        waves, dtype="float32", padding="post", value=np.nan
    )


def pad_ids(ids: Sequence[Ids], length: int | None = None) -> np.ndarray:
    """Stack the ids of strings, each padded with blanks: `(strings, length)`."""
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
    """Join recordings of single words to strings, in random order.

    All words of a string come from one speaker. Each recording is used at most once;
    the last ones of a speaker are left out where they are fewer than `least`.

    Args:
        recordings: recordings of single words.
        members: indices of the recordings to use, `(words,)`.
        least: minimum number of words in a string.
        most: maximum number of words in a string. The number is drawn uniformly.
        pause: longest silence between two words in seconds. It is drawn uniformly
            between 0 and this number.
        speed: each string is played faster or slower, and so higher or lower, by a
            random factor between exp(-speed) and exp(speed): T. Ko et al., "Audio
            augmentation for speech recognition", Interspeech 2015.
        seed: seed or generator of all random numbers; `None` gives other strings each
            time.

    Raises:
        ValueError: if a size is below 1, `most` is below `least`, or `pause` or
            `speed` is negative.
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
            wave = _join_waves(recordings, string, pause, speed, random)
            strings.waves.append(wave)
            strings.ids.append(recordings.labels[string] + 1)
    return strings


def _join_waves(
    recordings: Recordings,
    string: np.ndarray,
    pause: float,
    speed: float,
    random: np.random.Generator,
) -> np.ndarray:
    """The sound of a string, float32 `(samples,)`; see `join_recordings`."""
    parts = []
    for word in string:
        silence = random.uniform(0, pause) * recordings.rate
        parts += [np.zeros(round(silence)), recordings.waves[word]]
    wave = np.concatenate(parts[1:])  # without the silence before the first word
    if speed:
        from scipy.signal import resample  # takes a fifth of a second

        factor = np.exp(random.uniform(-speed, speed))
        wave = resample(wave, round(len(wave) / factor))
    return wave.astype("float32")


def string_batches(
    recordings: Recordings,
    members: np.ndarray,
    *,
    batch_size: int = 32,
    least: int = 1,
    most: int = 6,
    seed: int | None = None,
    **options: Unpack[JoinOptions],
) -> tf.data.Dataset:
    """Make endless batches of strings for `fit`, which needs `steps_per_epoch`.

    When all strings have been used, the recordings are joined to new ones. Strings of
    similar length are batched together, and each batch is padded to its longest.

    Args:
        recordings: see `join_recordings`.
        members: see `join_recordings`.
        batch_size: number of strings in a batch.
        least: see `join_recordings`.
        most: see `join_recordings`.
        seed: seed of all random numbers; `None` gives other batches each time.
        **options: `pause` and `speed` of `join_recordings`.

    Returns:
        A dataset of waves, floats `(batch, samples)`, and ids `(batch, most)`, padded
        with the blank.

    Raises:
        InputError: if no speaker has enough recordings for a string.
        ValueError: if `batch_size` is below 1, or `join_recordings` refuses an
            argument.
    """
    check_sizes(batch_size=batch_size)
    # Joining no recordings only checks the arguments.
    join_recordings(recordings, members[:0], least=least, most=most, **options)
    _, counts = np.unique(recordings.speakers[members], return_counts=True)
    if counts.max(initial=0) < least:
        raise InputError(f"no speaker has {least} recordings to join")
    random = np.random.default_rng(seed)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            waves, ids = join_recordings(
                recordings, members, least=least, most=most, seed=random, **options
            )
            order = np.argsort([len(wave) for wave in waves], kind="stable")
            starts = random.permutation(range(0, len(order), batch_size))
            for start in starts:
                rows = order[start : start + batch_size]
                yield (
                    pad_waves([waves[row] for row in rows]),
                    pad_ids([ids[row] for row in rows], most),
                )

    # Without this, Keras takes the length of the first two batches for that of all.
    signature = (
        tf.TensorSpec((None, None), "float32"),
        tf.TensorSpec((None, most), "int32"),
    )
    return generated_dataset(batches, signature).prefetch(2)


def recognize(
    network: keras.Model,
    waves: Sequence[np.ndarray],
    *,
    beam_size: int = 1,
    batch_size: int = 32,
) -> list[np.ndarray]:
    """Recognize the words that are spoken in each wave.

    Args:
        network: a model from `rnn_keras.build_speech_recognizer`.
        waves: sound, `(samples,)` each.
        beam_size: number of beginnings of strings kept from frame to frame; they are
            ranked by the sum over their alignments (`keras.ops.ctc_decode`). With 1
            the search is greedy: it takes the most probable id of each frame, and so
            finds the most probable alignment, not always the most probable string.
        batch_size: number of waves to read together.

    Returns:
        Word ids of each wave, `(words,)` each, without blanks.

    Raises:
        ValueError: if a size is below 1.
    """
    check_sizes(beam_size=beam_size, batch_size=batch_size)
    if not len(waves):
        return []
    logits = network.predict(pad_waves(waves), batch_size=batch_size, verbose=0)
    strategy = "greedy" if beam_size == 1 else "beam_search"
    # All frames count: those of padding are blanks of probability 1.
    lengths = np.full(len(logits), logits.shape[1])
    decoded, _ = keras.ops.ctc_decode(
        logits, lengths, strategy=strategy, beam_width=beam_size
    )
    return [row[row >= 0] for row in np.asarray(decoded[0])]


def log_probability(logits: np.ndarray, ids: Sequence[Ids]) -> np.ndarray:
    """Log probability of strings: the sum over all alignments that spell them.

    Args:
        logits: logits of each string's frames, `(strings, frames, vocabulary_size)`.
        ids: word ids of each string, `(words,)` each.

    Returns:
        Natural logarithms `(strings,)`; minus infinity for a string that needs more
        frames than there are.
    """
    if not len(ids):
        return np.zeros(0, "float32")
    # With no column of ids at all, TensorFlow counts the path of blanks twice.
    length = max(1, *map(len, ids))
    logs = -np.asarray(keras.losses.ctc(pad_ids(ids, length), logits))
    # TensorFlow gives about -700 to a string that does not fit; a long one may have
    # that log probability.
    needed = np.array([_count_needed_frames(string) for string in ids])
    return np.where(needed <= logits.shape[1], logs, -np.inf)


def _count_needed_frames(ids: Ids) -> int:
    """One frame for each word, and one for a blank between two equal words."""
    return len(ids) + int(np.sum(np.diff(ids) == 0))


def classify(
    network: keras.Model, waves: Sequence[np.ndarray], *, batch_size: int = 32
) -> np.ndarray:
    """Recognize one word in each wave: the most probable string of one word.

    Args:
        network: a model from `rnn_keras.build_speech_recognizer`.
        waves: sound, `(samples,)` each.
        batch_size: number of waves to read together.

    Returns:
        The id of each word, `(waves,)`.
    """
    if not len(waves):
        return np.zeros(0, int)
    logits = network.predict(pad_waves(waves), batch_size=batch_size, verbose=0)
    scores = [
        log_probability(logits, [[word]] * len(logits))
        for word in range(1, logits.shape[2])
    ]
    return np.argmax(scores, axis=0) + 1


def error_rate(truths: Sequence[Ids], found: Sequence[Ids]) -> float:
    """Word error rate: substitutions, deletions and insertions per spoken word.

    It is the least number of these edits (V. I. Levenshtein, "Binary codes capable of
    correcting deletions, insertions, and reversals", 1966), over all strings together.

    Args:
        truths: ids of the spoken words of each string, `(words,)` each.
        found: ids of the recognized words of each string, `(words,)` each.

    Raises:
        InputError: if there are more or fewer strings in `found` than in `truths`, or
            no words were spoken.

    >>> error_rate([[1, 2, 3], [4]], [[1, 3], [4]])
    0.25
    """
    words = sum(map(len, truths))
    if len(truths) != len(found) or not words:
        raise InputError(
            f"{len(truths):,} strings of {words:,} words in all, and {len(found):,} "
            "recognized; as many of both are needed, and at least one word"
        )
    sparse = [
        tf.ragged.constant([list(row) for row in rows], "int64", 1).to_sparse()
        for rows in (found, truths)
    ]
    return float(tf.reduce_sum(tf.edit_distance(*sparse, normalize=False))) / words


def align(logits: np.ndarray, ids: Ids) -> np.ndarray:
    """Find the most probable alignment of frames to the words of a string.

    Dynamic programming over the states of the string, which are its words with a blank
    before, between and after them: A. J. Viterbi, "Error bounds for convolutional codes
    and an asymptotically optimum decoding algorithm", 1967.

    Args:
        logits: logits of one wave, `(frames, vocabulary_size)`.
        ids: ids of its words, `(words,)`.

    Returns:
        For each frame the position of its word in `ids`, or -1 for a blank:
        `(frames,)`.

    Raises:
        InputError: if the words need more frames than there are, or there are none.
    """
    if _count_needed_frames(ids) > len(logits) or not len(logits):
        raise InputError(f"{len(ids):,} words do not fit into {len(logits):,} frames")
    states = np.full(2 * len(ids) + 1, BLANK_ID)
    states[1::2] = ids
    path = _find_best_path(log_softmax(np.asarray(logits, "float64"), axis=1), states)
    return np.where(path % 2, path // 2, -1)


def _find_best_path(logs: np.ndarray, states: np.ndarray) -> np.ndarray:
    """The most probable state at each frame, an index into `states`: `(frames,)`.

    Args:
        logs: log probabilities of the ids, `(frames, vocabulary_size)`.
        states: ids of the states, blanks at even indices.
    """
    # A path may skip the blank between two words, unless the words are equal.
    skips = np.zeros(len(states), bool)
    skips[3::2] = states[3::2] != states[1:-2:2]
    best = np.full(len(states), -np.inf)
    best[:2] = logs[0, states[:2]]
    moves = []  # per frame and state: by how many states the path has moved there
    for frame in logs[1:]:
        before = np.pad(best, (2, 0), constant_values=-np.inf)
        from_each = [best, before[1:-1], np.where(skips, before[:-2], -np.inf)]
        moves.append(np.argmax(from_each, axis=0))
        best = np.max(from_each, axis=0) + frame[states]
    # A path ends in the last word or in the blank after it.
    path = [len(states) - 1 - best[::-1][:2].argmax()]
    for move in reversed(moves):
        path.append(path[-1] - move[path[-1]])
    return np.array(path[::-1])
