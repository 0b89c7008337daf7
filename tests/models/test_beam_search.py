"""The search against the whole network and against every sequence."""

import itertools

import numpy as np
import pytest

from rnn_keras.models.beam_search import decode
from rnn_keras.models.builders import CELLS, build_translator
from rnn_keras.utils.errors import InputError

SOURCES = np.array([[4, 2, 7, 3], [5, 0, 0, 0], [6, 6, 2, 0]])
USUAL = [("gru", True), ("lstm", False)]
NETWORKS = [
    pytest.param(*case, marks=[] if case in USUAL else pytest.mark.exhaustive)
    for case in itertools.product(CELLS, (True, False))
]


@pytest.fixture
def translator(randomize):
    def build(cell="gru", attention=True, size=9):
        network = build_translator(
            8,
            size,
            cell=cell,
            attention=attention,
            units=6,
            embedding_dim=4,
            dropout=0.5,
        )
        return randomize(network, 0.8)

    return build


def log_probabilities(network, source, texts, end):
    """Of each text, the log probabilities of its tokens and its end, read at once."""
    read = np.zeros((len(texts), 1 + max(map(len, texts))), int)
    read[:, 0] = end - 1
    for row, text in zip(read, texts, strict=True):
        row[1 : 1 + len(text)] = text
    logits = np.asarray(network([np.repeat(source[None], len(texts), 0), read]))
    logits = logits.astype("float64")
    logs = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    return [
        [steps[t, token] for t, token in enumerate([*text, end])]
        for steps, text in zip(logs, texts, strict=True)
    ]


@pytest.mark.parametrize(("cell", "attention"), NETWORKS)
def test_a_score_is_what_the_whole_network_gives(cell, attention, translator):
    """Also of a sequence that was cut: there the end has no part in the score."""
    network = translator(cell, attention)
    vectors = network.get_layer("target_embedding").embeddings
    for options in ({"beam_size": 3, "length": 12}, {"length": 2}):
        found = decode(network, SOURCES, **options)
        for row, source in enumerate(SOURCES):
            count = len(found.ids[row]) + found.finished[row]
            [logs] = log_probabilities(network, source, [found.ids[row]], end=8)
            assert found.scores[row] == pytest.approx(sum(logs[:count]), abs=1e-4)
            assert len(found.attention[row]) == count
        # With a vector of zeros the end is seldom the best: the next texts are cut.
        vectors.assign(np.where(np.arange(9)[:, None] == 8, 0, vectors))
    assert not found.finished.all()


@pytest.mark.parametrize(("cell", "attention"), NETWORKS)
def test_padding_never_changes_a_translation(cell, attention, translator):
    """Source and target are padded in a batch; one source is empty."""
    network = translator(cell, attention)
    sources = [[4, 2, 7, 3], [5], [6, 6, 2], [0]]
    read = [[7, 4], [7, 2, 2, 6], [7], [7, 3]]
    padded_sources, padded_read = np.zeros((4, 9), int), np.zeros((4, 7), int)
    for row, (source, tokens) in enumerate(zip(sources, read, strict=True)):
        padded_sources[row, : len(source)] = source
        padded_read[row, : len(tokens)] = tokens
    together = network([padded_sources, padded_read])
    for row, (source, tokens) in enumerate(zip(sources, read, strict=True)):
        alone = network([np.array([[*source, 0]]), np.array([tokens])])[0]
        np.testing.assert_allclose(together[row, : len(tokens)], alone, atol=1e-5)
    found = decode(network, padded_sources, beam_size=3, length=6)
    for row in (1, 3):
        alone = decode(network, np.array([sources[row]]), beam_size=3, length=6)
        np.testing.assert_array_equal(found.ids[row], alone.ids[0])
        np.testing.assert_allclose(found.scores[row], alone.scores[0], atol=1e-4)


@pytest.mark.parametrize("attention", [True, False])
def test_a_wide_beam_finds_the_best_of_all_sequences(attention, translator):
    """All sequences of up to three tokens, ranked by their mean log probability."""
    network = translator(attention=attention, size=6)  # tokens 2 and 3, start, end
    texts = [
        text for size in range(4) for text in itertools.product((2, 3), repeat=size)
    ]
    found = decode(network, SOURCES, beam_size=40, length=3)
    for row, source in enumerate(SOURCES):
        logs = log_probabilities(network, source, texts, end=5)
        best = max(range(len(texts)), key=lambda i: np.mean(logs[i]))
        assert tuple(found.ids[row]) == texts[best]
        assert found.scores[row] == pytest.approx(sum(logs[best]), abs=1e-4)
        assert found.finished[row]


def test_a_beam_of_one_is_greedy(translator):
    """Each token and the end are the most probable after those before, read at once."""
    network = translator()
    found = decode(network, SOURCES, length=8)
    assert found.finished.any()
    for row, source in enumerate(SOURCES):
        text = found.ids[row].tolist() + [8] * int(found.finished[row])
        logits = np.array(network([source[None], np.array([[7, *text]])]))[0]
        logits[:, [0, 1, 7]] = -np.inf
        assert logits.argmax(axis=1)[: len(text)].tolist() == text
        assert found.finished[row] or len(text) == 8


def test_attention_weights_of_the_real_source_tokens_sum_to_one(translator):
    """So padding gets none. There is a row for each token and one for the end."""
    found = decode(translator(), SOURCES, beam_size=2, length=5)
    for row, weights in enumerate(found.attention):
        steps = len(found.ids[row]) + found.finished[row]
        assert weights.shape == (steps, np.count_nonzero(SOURCES[row]))
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    without = decode(translator(attention=False), SOURCES, length=5).attention
    assert all(weights.size == 0 for weights in without)


@pytest.mark.parametrize("option", ["beam_size", "length"])
def test_what_cannot_be_decoded_is_said(option, translator):
    network = translator()
    with pytest.raises(ValueError, match=f"`{option}` must be at least 1. Received: 0"):
        decode(network, SOURCES, **{option: 0})
    with pytest.raises(InputError, match="no texts to translate"):
        decode(network, SOURCES[:0])
