"""Teacher forcing, batches of pairs, the joining of tokens, and whole translations."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.models.beam_search import decode
from rnn_keras.models.builders import build_translator
from rnn_keras.models.translation import (
    Detokenizer,
    pair_batches,
    teacher_forcing,
    translate,
)
from rnn_keras.training.trainer import make_optimizer
from rnn_keras.utils.errors import InputError

ENGLISH = ["I'm here.", "", "Is Tom here, too?", "Tom!"]
FRENCH = ["Je suis là.", "L'un est-il là ?", "Tom, lui aussi ?", "Tom !"]


def reversals(count, seed, longest=8):
    """Random digits, and the same backwards: the bottleneck is hard for long ones."""
    random = np.random.default_rng(seed)
    sources, targets = np.zeros((2, count, longest), int)
    for row in range(count):
        text = random.integers(2, 12, random.integers(2, longest + 1))
        sources[row, : len(text)] = text
        targets[row, : len(text)] = text[::-1]
    return sources, targets


def cross_entropy():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.exhaustive
def test_digits_are_reversed():
    """Texts that were not trained on; a guess has a loss of ln 10 per digit."""
    sources, targets = reversals(4200, 0)
    read, predicted = teacher_forcing(targets, 14)
    network = build_translator(12, 14, units=48, embedding_dim=24)
    network.compile(make_optimizer(0.01), cross_entropy(), jit_compile=True)
    network.fit([sources[:4096], read[:4096]], predicted[:4096], 64, 12, verbose=0)
    cost = network.evaluate([sources[4096:], read[4096:]], predicted[4096:], verbose=0)
    assert cost < 0.1
    found = decode(network, sources[4096:], beam_size=2, length=10)
    right = [
        ids.tolist() == target[target != 0].tolist()
        for ids, target in zip(found.ids, targets[4096:], strict=True)
    ]
    assert np.mean(right) > 0.9
    assert found.finished.mean() > 0.9


@pytest.mark.parametrize("attention", [True, False])
def test_padding_does_not_count_in_the_loss(attention, randomize):
    """Keras's own reversible embedding loses the mask on the way to the logits."""
    network = build_translator(8, 9, attention=attention, units=6, embedding_dim=4)
    randomize(network, 0.8)
    sources = np.array([[4, 2, 7, 3], [5, 0, 0, 0], [6, 6, 2, 0]])
    read, predicted = teacher_forcing(np.array([[4, 5, 2], [6, 0, 0], [2, 3, 0]]), 9)
    logits = np.asarray(network([sources, read]))
    real = predicted != 0
    logs = log_softmax(logits[real].astype("float64"), axis=-1)
    expected = -logs[np.arange(real.sum()), predicted[real]].mean()
    network.compile("sgd", cross_entropy(), run_eagerly=True)
    cost = network.evaluate([sources, read], predicted, verbose=0)
    assert cost == pytest.approx(expected, rel=1e-5)


def test_teacher_forcing_shifts_by_a_start_and_marks_the_end():
    read, predicted = teacher_forcing(np.array([[4, 5, 2], [6, 0, 0], [0, 0, 0]]), 9)
    assert read.tolist() == [[7, 4, 5, 2], [7, 6, 0, 0], [7, 0, 0, 0]]
    assert predicted.tolist() == [[4, 5, 2, 8], [6, 8, 0, 0], [8, 0, 0, 0]]
    with pytest.raises(ValueError, match="must be below 7, which marks the start"):
        teacher_forcing(np.array([[7]]), 9)
    with pytest.raises(ValueError, match=r"on the right only. Received: \[4, 0, 5"):
        teacher_forcing(np.array([[4, 5, 0], [4, 0, 5]]), 9)


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
            # No source is cut.
            assert source[row][source[row] != 0].tolist() == digits[::-1].tolist()
            seen.add(tuple(digits))
    assert seen == {tuple(row[row != 0].tolist()) for row in targets}
    assert len(shapes) <= 3
    first = [predicted.tolist() for _, predicted in batches.as_numpy_iterator()]
    again = [predicted.tolist() for _, predicted in batches.as_numpy_iterator()]
    assert first != again


def test_batches_of_one_width_may_be_followed_by_others():
    """With datasets of its own, Keras takes the first two widths for all there are."""
    sources, targets = np.ones((40, 1), int) * 2, np.zeros((40, 9), int)
    targets[:, 0] = 3
    targets[0, :] = 4
    batches = pair_batches(sources, targets, 9, batch_size=4, num_lengths=2)
    network = build_translator(4, 9, units=8, embedding_dim=4)
    network.compile("sgd", cross_entropy())
    widths = [p.shape[1] for _, p in batches.as_numpy_iterator()]
    assert sorted(set(widths)) == [2, 10]
    losses = network.fit(batches, epochs=3, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("option", ["batch_size", "num_lengths"])
def test_what_cannot_be_put_into_batches_is_said(option):
    rows = np.array([[4, 2], [5, 0], [6, 6]])
    with pytest.raises(ValueError, match=f"`{option}` must be at least 1. Received: 0"):
        pair_batches(rows, rows, 9, **{option: 0})
    with pytest.raises(InputError, match="3 sources and 2 targets; as many of both"):
        pair_batches(rows, rows[:2], 9)
    with pytest.raises(
        InputError, match=r"0 sources and 0 targets.* at least one pair"
    ):
        pair_batches(rows[:0], rows[:0], 9)


def english_and_french(attention=True):
    source, target = TextVectorizer(lowercase=False), TextVectorizer(lowercase=False)
    source.adapt(ENGLISH)
    target.adapt(FRENCH)
    sizes = len(source.get_vocabulary()), len(target.get_vocabulary()) + 2
    network = build_translator(*sizes, attention=attention, units=8, embedding_dim=6)
    return network, source, target, Detokenizer(target, FRENCH)


@pytest.mark.parametrize(
    "attention", [True, pytest.param(False, marks=pytest.mark.exhaustive)]
)
def test_texts_are_translated_in_their_order_whatever_the_batch(attention, randomize):
    parts = english_and_french(attention)
    randomize(parts[0])
    together = translate(*parts, ENGLISH, length=6)
    words = [["I", "'", "m", "here", "."], [], ["Is", "Tom", "here", ",", "too", "?"]]
    assert [one.source_tokens for one in together] == [*words, ["Tom", "!"]]
    for one in together:
        assert one.text == parts[-1](one.tokens)
        columns = len(one.source_tokens) if attention else 0
        assert one.attention.shape == (len(one.tokens) + one.finished, columns)
    for size in (1, 3):
        few = translate(*parts, ENGLISH, length=6, batch_size=size)
        assert [one.tokens for one in few] == [one.tokens for one in together]
        scores = [one.score for one in together]
        assert [one.score for one in few] == pytest.approx(scores, abs=1e-4)


def test_vectorizers_of_another_network_are_refused():
    network, source, target, join = english_and_french()
    with pytest.raises(InputError, match="no texts to translate"):
        translate(network, source, target, join, [])
    target.set_vocabulary(["Tom"])
    with pytest.raises(ValueError, match="two ids more than `target_vectorizer`"):
        translate(network, source, target, join, ENGLISH)


@pytest.mark.parametrize("lowercase", [False, True])
def test_tokens_are_joined_as_in_the_texts(lowercase):
    texts = [*FRENCH, "C'est-à-dire : « oui ».", "Il a 7,5 %, dit-on.", "你好，世界。"]
    vectorizer = TextVectorizer(lowercase=lowercase)
    join = Detokenizer(vectorizer, texts + FRENCH)
    wanted = [text.lower() if lowercase else text for text in texts]
    # Most commas in the texts have a space after them.
    wanted[-2] = wanted[-2].replace("7,5", "7, 5")
    assert [join(tokens) for tokens in vectorizer.tokenize(texts)] == wanted
    assert join([]) == ""
    assert join(["never", "seen", "¿"]) == "never seen ¿"


def test_characters_need_no_detokenizer():
    with pytest.raises(InputError, match="a Detokenizer needs a word vectorizer"):
        Detokenizer(TextVectorizer("character"), FRENCH)


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
