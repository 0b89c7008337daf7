"""CTC against sums over all alignments; padding; synthetic tones that are words."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, logsumexp

from rnn_keras.datasets.corpora import Recordings
from rnn_keras.models.builders import CELLS, build_speech_recognizer
from rnn_keras.models.speech import (
    align,
    classify,
    error_rate,
    join_recordings,
    log_probability,
    pad_waves,
    recognize,
    string_batches,
)
from rnn_keras.training.trainer import make_optimizer
from rnn_keras.utils.errors import InputError

RATE = 8000
USUAL = [("gru", 2), ("lstm", 1)]


def tones(takes=12, seed=0):
    """Three words of two speakers, as tones that rise, fall, or rise and fall.

    One speaker is higher than the other; length, loudness and noise are random.
    """
    random = np.random.default_rng(seed)
    waves, named = [], []
    for speaker, pitch in (("high", 900.0), ("low", 500.0)):
        for word in range(3):
            for take in range(takes):
                seconds = random.uniform(0.15, 0.3)
                time = np.arange(round(seconds * RATE)) / RATE
                share = time / seconds
                bend = (share, 1 - share, 1 - abs(2 * share - 1))[word]
                hertz = pitch * 1.8**bend
                wave = np.sin(2 * np.pi * np.cumsum(hertz) / RATE)
                wave = wave * random.uniform(0.05, 0.5) + random.normal(
                    0, 0.01, len(time)
                )
                waves.append(wave.astype("float32"))
                named.append((word, speaker, take))
    labels, speakers, numbers = (np.array(x) for x in zip(*named, strict=True))
    return Recordings(waves, labels, speakers, numbers, RATE)


def spelled(path):
    """The string of an alignment: repeats are merged, then blanks removed."""
    return tuple(k for k, _ in itertools.groupby(path) if k)


def sums_over_alignments(logits):
    """The log probability and the best alignment of every string, by brute force."""
    frames, size = logits.shape
    logs = log_softmax(logits.astype("float64"), axis=1)
    found = {}
    for path in itertools.product(range(size), repeat=frames):
        log = logs[np.arange(frames), path].sum()
        found.setdefault(spelled(path), []).append((log, path))
    sums = {s: logsumexp([log for log, _ in paths]) for s, paths in found.items()}
    return sums, {s: max(paths)[1] for s, paths in found.items()}


@pytest.fixture
def recognizer(randomize):
    def build(cell="gru", **options):
        network = build_speech_recognizer(5, cell=cell, units=6, **options)
        return randomize(network, 0.5)

    return build


def noise(*lengths):
    random = np.random.default_rng(1)
    return [random.normal(0, 0.1, n).astype("float32") for n in lengths]


def test_loudness_changes_nothing_and_silence_is_read_too(recognizer):
    network, wave = recognizer(), noise(3000)[0]
    quiet = network(1e-3 * wave[None])
    np.testing.assert_allclose(quiet, network(wave[None]), atol=1e-4)
    assert np.isfinite(network(np.zeros((1, 4000), "float32"))).all()


@pytest.mark.parametrize(
    ("cell", "num_layers"),
    [
        pytest.param(*case, marks=[] if case in USUAL else pytest.mark.exhaustive)
        for case in itertools.product(CELLS, (1, 2))
    ],
)
def test_padding_changes_no_answer(cell, num_layers, recognizer):
    """A wave reads the same alone, in a batch and with any padding; one is empty."""
    network = recognizer(cell, num_layers=num_layers, dropout=0.5)
    waves = noise(4000, 0, 1, 159, 160, 2345, 3999)
    together = np.asarray(network(pad_waves(waves)))
    longer = np.asarray(network(pad_waves([*waves, np.zeros(9001)])))
    for i, wave in enumerate(waves):
        alone = np.asarray(network(pad_waves([wave])))[0]
        real = -(-len(wave) // 160)
        assert len(alone) == len(wave) // 160 + 1
        for padded in (together[i], longer[i]):
            np.testing.assert_allclose(padded[:real], alone[:real], atol=1e-5)
            assert (padded[real:].argmax(axis=1) == 0).all()
            assert (padded[real:, 1:] <= -1e8).all()


def test_the_loss_needs_no_lengths(recognizer):
    """`keras.losses.CTC` gives the same for padded frames and for the frames alone."""
    network, waves = recognizer(), noise(2000, 1300, 400, 0)
    ids = np.array([[1, 2, 2], [3, 4, 0], [1, 0, 0], [0, 0, 0]])
    logits = network(pad_waves(waves))
    together = keras.losses.CTC(reduction=None)(ids, logits)
    frames = np.array([-(-len(wave) // 160) for wave in waves])
    alone = [
        keras.ops.ctc_loss(
            ids[i : i + 1], logits[i : i + 1, :n], [np.count_nonzero(ids[i])], [n]
        )[0]
        for i, n in enumerate(frames)
        if n
    ]
    np.testing.assert_allclose(together, [*alone, 0], rtol=1e-5, atol=1e-5)


def test_padding_changes_no_gradient(recognizer):
    """No part of it is `nan` either."""
    network, wave = recognizer(), noise(1500)[0]
    gradients = []
    for length in (1500, 4000):
        padded = pad_waves([wave, np.zeros(length)])[:1]
        with tf.GradientTape() as tape:
            loss = keras.losses.CTC()(np.array([[1, 3]]), network(padded))
        gradients.append(tape.gradient(loss, network.trainable_variables))
    for short, long in zip(*gradients, strict=True):
        np.testing.assert_allclose(long, short, atol=1e-4)
        assert np.isfinite(short).all()


def test_probabilities_are_sums_over_all_alignments():
    """Of every string of two different words that five frames can spell."""
    logits = np.random.default_rng(0).normal(0, 2, (5, 3)).astype("float32")
    sums, _ = sums_over_alignments(logits)
    assert logsumexp(list(sums.values())) == pytest.approx(0, abs=1e-9)
    strings = list(sums)
    batch = np.repeat(logits[None], len(strings), axis=0)
    logs = log_probability(batch, strings)
    np.testing.assert_allclose(logs, list(sums.values()), atol=1e-5)
    for string in ((), (1, 1, 1), (1, 1, 2, 1)):
        alone = log_probability(logits[None], [string])[0]
        assert alone == pytest.approx(sums[string], abs=1e-5)
    assert (1, 1, 1, 1) not in strings


def test_the_best_alignment_is_the_best_of_all():
    for seed in range(5):
        logits = np.random.default_rng(seed).normal(0, 2, (6, 3))
        _, best = sums_over_alignments(logits)
        for string in ((), (1,), (2, 1), (1, 1), (2, 2, 1), (2, 1, 2, 1)):
            positions = align(logits, string)
            path = np.where(positions < 0, 0, np.array([*string, 0])[positions])
            assert tuple(path) == best[string]
            words = [k for k, _ in itertools.groupby(positions) if k >= 0]
            assert words == list(range(len(string)))


def test_words_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="3 words do not fit into 4 frames"):
        align(np.zeros((4, 3)), [1, 1, 1])
    with pytest.raises(InputError, match="1 words do not fit into 0 frames"):
        align(np.zeros((0, 3)), [1])


def test_words_that_do_not_fit_have_probability_0():
    """TensorFlow gives them about -700 nats, which a long string may have."""
    ids = [[1, 1, 1], [1, 1], [1, 2, 1, 2], []]
    logs = log_probability(np.zeros((4, 4, 3), "float32"), ids)
    np.testing.assert_array_equal(np.isfinite(logs), [False, True, True, True])


def test_the_best_string_need_not_have_the_best_alignment():
    """Two frames, the blank at 0.6 and word 1 at 0.4 in each.

    The best alignment is two blanks, 0.36; the three that spell word 1 make 0.64.
    """
    waves = keras.Input((None,))
    frames = keras.ops.reshape(waves, (-1, 2, 2))
    network = keras.Model(waves, keras.ops.log(frames))
    chances = [np.array([0.6, 0.4, 0.6, 0.4])]
    assert recognize(network, chances)[0].tolist() == []
    assert recognize(network, chances, beam_size=4)[0].tolist() == [1]


def test_a_wide_beam_finds_the_most_probable_string(recognizer):
    """And `classify` finds the most probable string of one word."""
    network, waves = recognizer(), noise(700, 500, 640, 300, 0)
    logits = np.asarray(network(pad_waves(waves)))
    sums = [sums_over_alignments(row)[0] for row in logits]
    found = recognize(network, waves, beam_size=500)
    assert [tuple(ids) for ids in found] == [max(one, key=one.get) for one in sums]
    words = [max(range(1, 5), key=lambda k: one[(k,)]) for one in sums[:4]]
    assert classify(network, waves[:4]).tolist() == words


def test_errors_are_the_least_edits():
    for truth, found, errors in (
        ([1, 2, 3], [1, 2, 3], 0),
        ([1, 2, 3], [1, 3], 1),
        ([1, 2, 3], [], 3),
        ([1, 2], [2, 1], 2),
        ([1, 2, 3], [3, 1, 2, 3, 3], 2),
        ([1], [2, 3, 4], 3),
    ):
        assert error_rate([truth], [found]) == pytest.approx(errors / len(truth))
        # The rate is that of all strings together, not a mean of rates.
        both = error_rate([truth, [5, 5]], [found, [5, 5]])
        assert both == pytest.approx(errors / (len(truth) + 2))


def test_errors_need_words_and_as_many_strings():
    with pytest.raises(InputError, match="1 strings of 1 words in all, and 0 reco"):
        error_rate([[1]], [])
    with pytest.raises(InputError, match="1 strings of 0 words"):
        error_rate([[]], [[1]])


def test_each_word_is_in_one_string_of_its_speaker():
    spoken = tones()
    # Every sample of a recording is its number, so that words can be told apart.
    for i, wave in enumerate(spoken.waves):
        wave[:] = i + 1
    members = np.flatnonzero(spoken.takes < 7)
    strings = join_recordings(spoken, members, least=1, most=4, seed=0)
    used = []
    for wave, ids in zip(strings.waves, strings.ids, strict=True):
        words = [int(k) - 1 for k, _ in itertools.groupby(wave) if k]
        assert (spoken.labels[words] + 1).tolist() == ids.tolist()
        assert len(set(spoken.speakers[words])) == 1
        assert 1 <= len(words) <= 4
        lengths = [len(spoken.waves[word]) for word in words]
        silence = len(wave) - sum(lengths)
        assert 0 <= silence <= 0.2 * RATE * (len(words) - 1)
        used += words
    assert sorted(used) == sorted(members)


def test_equal_seeds_join_alike_and_too_few_words_are_left_out():
    spoken, members = tones(), np.arange(72)
    first, again, other = (
        join_recordings(spoken, members, least=3, most=5, seed=s) for s in (1, 1, 2)
    )
    assert [row.tolist() for row in first.ids] == [row.tolist() for row in again.ids]
    assert [row.tolist() for row in first.ids] != [row.tolist() for row in other.ids]
    assert all(3 <= len(row) <= 5 for row in first.ids)
    assert 72 - 4 <= sum(map(len, first.ids)) <= 72


def test_speed_makes_a_voice_higher_and_shorter():
    time = np.arange(2 * RATE) / RATE
    wave = np.sin(2 * np.pi * 500 * time).astype("float32")
    spoken = Recordings([wave], *(np.zeros(1, int) for _ in range(3)), RATE)
    for seed in range(6):
        strings = join_recordings(spoken, np.arange(1), speed=0.2, seed=seed)
        faster = strings.waves[0]
        factor = len(wave) / len(faster)
        assert np.exp(-0.2) < factor < np.exp(0.2)
        peak = np.abs(np.fft.rfft(faster)).argmax() * RATE / len(faster)
        assert peak == pytest.approx(500 * factor, rel=0.01)


def test_batches_go_on_with_new_strings():
    spoken, members = tones(), np.arange(72)
    options = {"batch_size": 16, "least": 2, "most": 2, "seed": 0}
    batches = string_batches(spoken, members, **options)
    passes = list(batches.take(6).as_numpy_iterator())
    # 18 strings of two for each speaker: 16, 16 and 4, then again.
    for first in (passes[:3], passes[3:]):
        assert sorted(len(ids) for _, ids in first) == [4, 16, 16]
        words = np.concatenate([ids.ravel() for _, ids in first])
        assert np.bincount(words).tolist() == [0, 24, 24, 24]
    assert {len(w) for w, _ in passes[:3]} == {4, 16}
    seen = [
        sorted(map(tuple, np.concatenate([ids for _, ids in half]).tolist()))
        for half in (passes[:3], passes[3:])
    ]
    assert seen[0] != seen[1]
    for waves, _ in passes:
        assert np.isfinite(waves[:, 0]).all()
        assert np.isfinite(waves[:, -1]).any()
    again = next(string_batches(spoken, members, **options).as_numpy_iterator())
    np.testing.assert_array_equal(again[0], passes[0][0])


def test_tones_are_learned_as_words_and_as_strings():
    """The network trains on strings of one to three words and reads four to six.

    With twenty other seeds at least 47 of 48 words were right, and at most 6.4 % of the
    words in strings were wrong.
    """
    spoken = tones(24)
    train, test = (
        np.flatnonzero(part) for part in (spoken.takes >= 8, spoken.takes < 8)
    )
    network = build_speech_recognizer(4, units=24, num_layers=1)
    network.compile(make_optimizer(0.02), keras.losses.CTC())
    batches = string_batches(spoken, train, batch_size=8, most=3, seed=0)
    network.fit(batches, steps_per_epoch=80, shuffle=False, verbose=0)
    words = [spoken.waves[i] for i in test]
    assert np.mean(classify(network, words) == spoken.labels[test] + 1) >= 0.9
    strings = join_recordings(spoken, test, least=4, most=6, seed=0)
    assert error_rate(strings.ids, recognize(network, strings.waves)) <= 0.12
    # Every word has its place in the alignment.
    wave, ids = strings.waves[0], strings.ids[0]
    logits = np.asarray(network(wave[None]))[0]
    positions = align(logits, ids)
    assert sorted(set(positions) - {-1}) == list(range(len(ids)))


def test_a_saved_recognizer_reads_the_same(recognizer, tmp_path):
    network, waves = recognizer(dropout=0.1, stride=120, num_mel_bins=9), noise(999, 70)
    network.save(tmp_path / "speech.keras")
    loaded = keras.models.load_model(tmp_path / "speech.keras")
    padded = pad_waves(waves)
    np.testing.assert_allclose(loaded(padded), network(padded), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "rnn"}, "`cell` must be one of"),
        ({"units": 0}, "`units` must be at least 1. Received: 0"),
        ({"num_layers": 0}, "`num_layers` must be at least 1"),
        ({"num_mel_bins": 0}, "`num_mel_bins` must be at least 1"),
        ({"rate": 0}, "`rate` must be at least 1"),
        ({"stride": 0}, "`stride` must be at least 1"),
        ({"stride": 320}, "`window` must be at least 320. Received: 200"),
    ],
)
def test_what_cannot_be_built_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        build_speech_recognizer(4, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"least": 0}, "`least` must be at least 1. Received: 0"),
        ({"least": 3, "most": 2}, "`most` must be at least 3. Received: 2"),
        ({"pause": -1}, "`pause` must be at least 0. Received: -1"),
        ({"speed": -0.1}, "`speed` must be at least 0. Received: -0.1"),
    ],
)
def test_what_cannot_be_joined_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        join_recordings(tones(1), np.arange(6), **options)


def test_without_waves_nothing_is_read(recognizer):
    network = recognizer()
    assert recognize(network, []) == []
    assert classify(network, []).shape == (0,)
    assert log_probability(np.zeros((0, 4, 3), "float32"), []).shape == (0,)
    with pytest.raises(ValueError, match="`beam_size` must be at least 1"):
        recognize(network, noise(9), beam_size=0)


def test_batches_need_a_string_to_begin_with():
    """Without this check they would look for one forever."""
    spoken = tones(1)
    with pytest.raises(InputError, match="no speaker has 1 recordings to join"):
        string_batches(spoken, np.arange(0))
    with pytest.raises(InputError, match="no speaker has 99 recordings to join"):
        string_batches(spoken, np.arange(6), least=99, most=99)
    with pytest.raises(ValueError, match="`batch_size` must be at least 1"):
        string_batches(spoken, np.arange(6), batch_size=0)
    with pytest.raises(ValueError, match="`most` must be at least 1"):
        string_batches(spoken, np.arange(6), most=0)
