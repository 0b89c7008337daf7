"""One step at a time against the whole network; the beam against every sequence."""

from itertools import product

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.models.beam_search import _Steps, decode
from rnn_keras.models.builders import CELLS, build_translator
from rnn_keras.models.translation import (
    Detokenizer,
    pair_batches,
    teacher_forcing,
    translate,
)
from rnn_keras.training.trainer import make_optimizer
from rnn_keras.utils.errors import InputError

SOURCES = np.array([[4, 2, 7, 3], [5, 0, 0, 0], [6, 6, 2, 0]])


def translator(cell="gru", attention=True, size=9):
    network = build_translator(
        8, size, cell=cell, attention=attention, units=6, embedding_dim=4, dropout=0.5
    )
    random = np.random.default_rng(3)
    for weight in network.trainable_variables:
        weight.assign(random.normal(0, 0.8, weight.shape))
    return network


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("attention", [True, False])
def test_steps_give_what_the_whole_network_gives(cell, attention):
    network = translator(cell, attention)
    read = np.array([[7, 4, 2, 3], [7, 2, 2, 6], [7, 5, 4, 4]])
    steps = _Steps(network)
    memory = steps.encode(SOURCES)
    logits = []
    for tokens in read.T:
        found, weights, states = steps.read(tokens, memory)
        memory = [*memory[: steps.fixed], *states]
        logits.append(found)
        if attention:
            np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
            assert not weights[:, :4][SOURCES == 0].any()
            assert not weights[:, 4:].any()
    whole = network([SOURCES, read])
    np.testing.assert_allclose(np.stack(logits, axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("attention", [True, False])
def test_padding_never_changes_a_translation(cell, attention):
    """Of source and target, alone, in a batch and padded far; an empty source too."""
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
    one = decode(network, padded_sources, beam_size=3, length=6)
    for row, source in enumerate(sources):
        alone = decode(network, np.array([source]), beam_size=3, length=6)
        np.testing.assert_array_equal(one.ids[row], alone.ids[0])
        np.testing.assert_allclose(one.scores[row], alone.scores[0], atol=1e-4)


def log_chances(network, source, text, end):
    """The logarithm of p of each token of a text and of its end, read in one go."""
    read = np.array([[end - 1, *text]])
    logits = np.asarray(network([source[None], read]))[0].astype("float64")
    logs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return [logs[t, token] for t, token in enumerate([*text, end])]


@pytest.mark.parametrize("attention", [True, False])
def test_a_wide_beam_finds_the_best_of_all_sequences(attention):
    """Every sequence of three tokens or fewer, by the mean logarithm of its chances."""
    network = translator(attention=attention, size=6)  # 2, 3 and start, end
    found = decode(network, SOURCES, beam_size=40, length=3)
    for row, source in enumerate(SOURCES):
        scores = {
            text: log_chances(network, source, text, end=5)
            for size in range(4)
            for text in product((2, 3), repeat=size)
        }
        best = max(scores, key=lambda text: np.mean(scores[text]))
        assert tuple(found.ids[row]) == best
        assert found.scores[row] == pytest.approx(sum(scores[best]), abs=1e-4)
        assert found.finished[row]


def test_a_beam_of_one_is_greedy():
    """The likeliest token each time, by reading the whole anew."""
    network = translator()
    found = decode(network, SOURCES, length=8)
    for row, source in enumerate(SOURCES):
        text = []
        while len(text) < 9:
            logits = np.array(network([source[None], np.array([[7, *text]])])[0, -1])
            logits[[0, 1, 7]] = -np.inf
            text.append(int(logits.argmax()))
            if text[-1] == 8:
                break
        assert found.finished[row] == (text[-1] == 8)
        assert found.ids[row].tolist() == [token for token in text if token != 8][:8]


@pytest.mark.parametrize("attention", [True, False])
def test_a_cut_sequence_has_no_end_in_its_score(attention):
    """Nor what would have come in its place, which was counted once."""
    network = translator(attention=attention)
    found = decode(network, SOURCES, length=2)
    assert not found.finished.all()
    for row, source in enumerate(SOURCES):
        count = len(found.ids[row]) + found.finished[row]
        logs = log_chances(network, source, found.ids[row], end=8)
        assert found.scores[row] == pytest.approx(sum(logs[:count]), abs=1e-4)
        assert len(found.attention[row]) == count


def test_attention_has_a_row_for_each_token_and_a_column_for_each_of_the_source():
    found = decode(translator(), SOURCES, beam_size=2, length=5)
    for row, weights in enumerate(found.attention):
        steps = len(found.ids[row]) + found.finished[row]
        assert weights.shape == (steps, np.count_nonzero(SOURCES[row]))
        np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-5)
    without = decode(translator(attention=False), SOURCES, length=5).attention
    assert all(weights.size == 0 for weights in without)


def reversals(count, seed):
    """Digits, and the same backwards: what a bottleneck finds hard, as it is long."""
    random = np.random.default_rng(seed)
    sources, targets = np.zeros((2, count, 8), int)
    for row in range(count):
        text = random.integers(2, 12, random.integers(2, 9))
        sources[row, : len(text)] = text
        targets[row, : len(text)] = text[::-1]
    return sources, targets


def test_digits_are_turned_round():
    """Exactly, and at a loss of nearly 0, of texts that were not trained on."""
    sources, targets = reversals(4200, 0)
    read, predicted = teacher_forcing(targets, 14)
    network = build_translator(12, 14, units=48, embedding_dim=24)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(make_optimizer(0.01), loss, jit_compile=True)
    network.fit([sources[:4096], read[:4096]], predicted[:4096], 64, 12, verbose=0)
    cost = network.evaluate([sources[4096:], read[4096:]], predicted[4096:], verbose=0)
    assert cost < 0.1  # a guess: ln 10 a digit
    found = decode(network, sources[4096:], beam_size=2, length=10)
    right = [
        ids.tolist() == target[target != 0].tolist()
        for ids, target in zip(found.ids, targets[4096:], strict=True)
    ]
    assert np.mean(right) > 0.9
    assert found.finished.mean() > 0.9


@pytest.mark.parametrize("attention", [True, False])
def test_padding_is_no_part_of_the_loss(attention):
    """Keras's own reversible embedding drops the mask on the way to the logits."""
    network = translator(attention=attention)
    read, predicted = teacher_forcing(np.array([[4, 5, 2], [6, 0, 0], [2, 3, 0]]), 9)
    logits = np.asarray(network([SOURCES, read]))
    real = predicted != 0
    logs = log_softmax(logits[real].astype("float64"), axis=-1)
    expected = -logs[np.arange(real.sum()), predicted[real]].mean()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("sgd", loss)
    cost = network.evaluate([SOURCES, read], predicted, verbose=0)
    assert cost == pytest.approx(expected, rel=1e-5)


def test_teacher_forcing_shifts_by_a_start_and_marks_the_end():
    read, predicted = teacher_forcing(np.array([[4, 5, 2], [6, 0, 0], [0, 0, 0]]), 9)
    assert read.tolist() == [[7, 4, 5, 2], [7, 6, 0, 0], [7, 0, 0, 0]]
    assert predicted.tolist() == [[4, 5, 2, 8], [6, 8, 0, 0], [8, 0, 0, 0]]
    with pytest.raises(ValueError, match="must be below 7, which is the start"):
        teacher_forcing(np.array([[7]]), 9)


def test_batches_hold_every_pair_with_its_source_in_few_shapes():
    sources, targets = reversals(200, 1)
    batches = pair_batches(sources, targets, 14, batch_size=16, num_lengths=3, seed=5)
    seen, shapes = set(), set()
    for (source, read), predicted in batches.as_numpy_iterator():
        assert source.shape[0] == 200 // len(batches) + (200 % len(batches) > 0)
        shapes.add((source.shape[1], predicted.shape[1]))
        for row, target in enumerate(predicted):
            digits = target[: np.count_nonzero(target) - 1]
            assert target[len(digits)] == 13
            assert read[row, : len(digits) + 1].tolist() == [12, *digits]
            # Nothing of the source is cut.
            assert source[row][source[row] != 0].tolist() == digits[::-1].tolist()
            seen.add(tuple(digits))
    assert seen == {tuple(row[row != 0].tolist()) for row in targets}
    assert len(shapes) <= 3
    first = [predicted.tolist() for _, predicted in batches.as_numpy_iterator()]
    again = [predicted.tolist() for _, predicted in batches.as_numpy_iterator()]
    assert first != again


def test_batches_of_one_width_may_be_followed_by_others():
    """Keras takes the first two batches of its own kind for all there are."""
    sources, targets = np.ones((40, 1), int) * 2, np.zeros((40, 9), int)
    targets[:, 0] = 3
    targets[0, :] = 4
    batches = pair_batches(sources, targets, 9, batch_size=4, num_lengths=2)
    network = build_translator(4, 9, units=2, embedding_dim=2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile("sgd", loss)
    widths = [p.shape[1] for _, p in batches.as_numpy_iterator()]
    assert sorted(set(widths)) == [2, 10]
    network.fit(batches, epochs=2, shuffle=False, verbose=0)


ENGLISH = ["I'm here.", "", "Is Tom here, too?", "Tom!"]
FRENCH = ["Je suis là.", "L'un est-il là ?", "Tom, lui aussi ?", "Tom !"]


def english_and_french(attention=True):
    source, target = TextVectorizer(lowercase=False), TextVectorizer(lowercase=False)
    source.adapt(ENGLISH)
    target.adapt(FRENCH)
    sizes = len(source.get_vocabulary()), len(target.get_vocabulary()) + 2
    network = build_translator(*sizes, attention=attention, units=8, embedding_dim=6)
    random = np.random.default_rng(5)
    for weight in network.trainable_variables:
        weight.assign(random.normal(0, 0.7, weight.shape))
    return network, source, target, Detokenizer(target, FRENCH)


@pytest.mark.parametrize("attention", [True, False])
def test_texts_are_translated_in_their_order_whatever_the_batch(attention):
    parts = english_and_french(attention)
    together = translate(*parts, ENGLISH, length=6)
    few = translate(*parts, ENGLISH, length=6, batch_size=2)
    assert [one.text for one in few] == [one.text for one in together]
    words = [["I", "'", "m", "here", "."], [], ["Is", "Tom", "here", ",", "too", "?"]]
    assert [one.source_tokens for one in together] == [*words, ["Tom", "!"]]
    for text, one in zip(ENGLISH, together, strict=True):
        alone = translate(*parts, [text], length=6)[0]
        assert (one.text, one.tokens) == (alone.text, alone.tokens)
        assert one.score == pytest.approx(alone.score, abs=1e-4)
        assert one.text == parts[-1](one.tokens)
        columns = len(one.source_tokens) if attention else 0
        assert one.attention.shape == (len(one.tokens) + one.finished, columns)


def test_vectorizers_of_another_network_are_refused():
    network, source, target, join = english_and_french()
    target.set_vocabulary(["Tom"])
    with pytest.raises(ValueError, match="two ids more than `target_vectorizer`"):
        translate(network, source, target, join, ENGLISH)
    with pytest.raises(InputError, match="no texts to translate"):
        translate(*english_and_french(), [])


@pytest.mark.parametrize("lowercase", [False, True])
def test_tokens_are_joined_as_in_the_texts(lowercase):
    texts = [*FRENCH, "C'est-à-dire : « oui ».", "Il a 7,5 %, dit-on.", "你好，世界。"]
    vectorizer = TextVectorizer(lowercase=lowercase)
    join = Detokenizer(vectorizer, texts + FRENCH)
    wanted = [text.lower() if lowercase else text for text in texts]
    wanted[-2] = wanted[-2].replace(
        "7,5", "7, 5"
    )  # a comma mostly has a space after it
    assert [join(tokens) for tokens in vectorizer.tokenize(texts)] == wanted
    assert join([]) == ""
    assert join(["never", "seen", "¿"]) == "never seen ¿"


def test_characters_need_no_detokenizer():
    with pytest.raises(InputError, match="without a rule"):
        Detokenizer(TextVectorizer("character"), FRENCH)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beam_size": 0}, "`beam_size` must be at least 1. Received: 0"),
        ({"length": 0}, "`length` must be at least 1. Received: 0"),
    ],
)
def test_what_cannot_be_decoded_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        decode(translator(), SOURCES, **options)
    with pytest.raises(InputError, match="no texts to translate"):
        decode(translator(), SOURCES[:0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be at least 1. Received: 0"),
        ({"num_lengths": 0}, "`num_lengths` must be at least 1. Received: 0"),
    ],
)
def test_what_cannot_be_put_into_batches_is_said(options, message):
    with pytest.raises(ValueError, match=message):
        pair_batches(SOURCES, SOURCES, 9, **options)
    with pytest.raises(InputError, match="3 sources and 2 targets, where as many"):
        pair_batches(SOURCES[:3], SOURCES[:2], 9)
    with pytest.raises(InputError, match=r"0 sources and 0 targets, .* one pair at"):
        pair_batches(SOURCES[:0], SOURCES[:0], 9)
    with pytest.raises(ValueError, match=r"after their ids only. Received: \[4, 0, 5"):
        teacher_forcing(np.array([[4, 5, 0], [4, 0, 5]]), 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cell": "rnn"}, "`cell` must be one of"),
        ({"units": 7}, "`units` must be even. Received: 7"),
        ({"embedding_dim": 0}, "`embedding_dim` must be at least 1. Received: 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_translator(8, 9, **arguments)
