"""The carried state against the whole text; drawn tokens against probabilities."""

import keras
import numpy as np
import pytest

from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.models.builders import CELLS, build_classifier, build_language_model
from rnn_keras.models.generation import Reader, draw, generate, next_token_sequences
from rnn_keras.models.ngrams import ngram_losses
from rnn_keras.synthetic import elman_letters
from rnn_keras.training.trainer import make_optimizer
from rnn_keras.utils.errors import InputError


@pytest.fixture
def letters():
    vectorizer = TextVectorizer("character")
    vectorizer.adapt(["abcdefgh \n"])
    return vectorizer


@pytest.fixture
def language_model(randomize):
    def build(vectorizer, cell="gru", **options):
        size = len(vectorizer.get_vocabulary())
        options = {"cell": cell, "units": 7, "embedding_dim": 5, **options}
        return randomize(build_language_model(size, **options))

    return build


@pytest.mark.parametrize("cell", CELLS)
def test_the_carried_state_gives_what_the_whole_text_gives(
    cell, letters, language_model
):
    network = language_model(letters, cell, num_layers=2, dropout=0.5)
    ids = np.random.default_rng(0).integers(2, 12, (3, 20))
    reader = Reader(network)
    read = [reader.read(ids[:, t]) for t in range(ids.shape[1])]
    np.testing.assert_allclose(np.stack(read, axis=1), network(ids), atol=1e-5)


def test_at_temperature_0_each_character_is_the_most_probable(letters, language_model):
    """After all characters before it, when the whole text is read at once."""
    network = language_model(letters)
    text = generate(network, letters, "bad", 30, temperature=0)
    logits = np.array(network(letters.encode(["bad" + text]).ids))[0]
    logits[:, :2] = -np.inf
    expected = [letters.get_vocabulary()[i] for i in logits[2:-1].argmax(axis=1)]
    assert "".join(expected) == text


def test_equal_seeds_give_equal_text_and_others_do_not(letters, language_model):
    network = language_model(letters)
    first, longer, other, *unseeded = (
        generate(network, letters, "a", length, seed=seed)
        for length, seed in ((60, 1), (90, 1), (60, 2), (60, None), (60, None))
    )
    assert len(first) == 60
    assert longer[:60] == first
    assert first != other
    assert unseeded[0] != unseeded[1]


def test_words_are_joined_with_spaces(language_model):
    vectorizer = TextVectorizer()
    vectorizer.adapt(["the cat saw the dog"])
    network = language_model(vectorizer)
    text = generate(network, vectorizer, "The cat", 5, seed=0)
    assert len(text.split()) == 5
    assert set(text.split()) <= {"the", "cat", "saw", "dog"}


def test_tokens_are_drawn_by_their_probability():
    """Frequencies of 20,000 draws against the softmax of the divided logits."""
    logits = np.array([5.0, 5.0, 0.3, -1.0, 1.2, 0.4])
    for temperature, top_k in ((1.0, None), (0.5, None), (2.0, 3)):
        random = np.random.default_rng(0)
        drawn = [draw(logits, random, temperature, top_k) for _ in range(20_000)]
        expected = np.exp(logits / temperature)
        expected[[0, 1] if top_k is None else [0, 1, 3]] = 0  # three of four stay
        shares = np.bincount(drawn, minlength=6) / len(drawn)
        np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.015)


def test_a_low_temperature_neither_overflows_nor_draws_another():
    logits = np.array([0.0, 0.0, 800.0, 799.0, -800.0])
    for temperature in (0, 1e-3):
        assert draw(logits, np.random.default_rng(0), temperature) == 2
    assert draw(logits, np.random.default_rng(0), 1e9, top_k=1) == 2


def test_of_equal_logits_the_first_are_the_most_probable():
    random = np.random.default_rng(0)
    drawn = {draw(np.ones(9), random, top_k=2) for _ in range(100)}
    assert drawn == {2, 3}


class StepCounter(keras.layers.Layer):
    """Returns its inputs, `(..., 5)`, and counts the vectors in them."""

    def build(self, input_shape):
        self.count = self.add_weight((), "zeros", "int32", trainable=False)

    def call(self, inputs):
        self.count.assign_add(keras.ops.size(inputs) // 5)
        return inputs


def test_twice_the_text_costs_twice_the_steps(letters):
    """Every token is read once: those of the prompt, and the drawn ones but the last.

    The reader checks the network with a few steps more, always as many.
    """
    ids = keras.Input((None,), dtype="int32")
    counter = StepCounter()
    x = counter(keras.layers.Embedding(12, 5)(ids))
    x = keras.layers.GRU(4, return_sequences=True)(x)
    network = keras.Model(ids, keras.layers.Dense(12)(x))
    counts = []
    for prompt, length in (("a", 1), ("abc", 50), ("abc", 100)):
        counter.count.assign(0)
        generate(network, letters, prompt, length, seed=0)
        counts.append(int(counter.count))
    assert counts[1] - counts[0] == 2 + 49
    assert counts[2] - counts[1] == 50


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("", 5), {}, InputError, "the prompt is empty"),
        (("aéa中", 5), {}, InputError, r"vectorizer's vocabulary: \['é', '中'\]"),
        (("a", -1), {}, ValueError, "`length` must be at least 0. Received: -1"),
        (("a", 5), {"temperature": -1}, ValueError, "`temperature` must be finite and"),
        (("a", 5), {"temperature": np.inf}, ValueError, "Received: inf"),
        (("a", 5), {"temperature": np.nan}, ValueError, "Received: nan"),
        (("a", 5), {"top_k": 0}, ValueError, "`top_k` must be at least 1. Received: 0"),
    ],
)
def test_what_cannot_be_generated_is_said(arguments, options, error, message, letters):
    network = build_language_model(12, units=4, embedding_dim=3)
    with pytest.raises(error, match=message):
        generate(network, letters, *arguments, **options)


def test_a_network_and_a_vocabulary_must_belong_together(letters):
    with pytest.raises(ValueError, match=r"network has logits, 30. Received: 12"):
        generate(build_language_model(30, units=4), letters, "a", 5)


def test_a_prompt_is_read_to_its_end(language_model):
    """A prompt that the vectorizer would cut is refused."""
    vectorizer = TextVectorizer("character", max_length=3)
    vectorizer.adapt(["abcdefgh \n"])
    network = language_model(vectorizer)
    assert len(generate(network, vectorizer, "abc", 4)) == 4
    with pytest.raises(InputError, match="as many tokens as the vectorizer keeps, 3"):
        generate(network, vectorizer, "abcd", 4)


def test_a_network_that_answers_once_or_with_nan_is_refused(letters, language_model):
    with pytest.raises(ValueError, match=r"logits at each step, .* shape \(None, 12\)"):
        Reader(build_classifier(12, 12, units=4))
    network = language_model(letters)
    network.set_weights([np.full(w.shape, np.nan) for w in network.get_weights()])
    with pytest.raises(ValueError, match="answers nan: its weights have diverged"):
        Reader(network)


def test_a_network_that_cannot_carry_its_state_is_refused():
    """It reads in both directions, or backwards, or its layers form no chain."""
    both = build_classifier(12, 12, units=4, bidirectional=True)
    with pytest.raises(ValueError, match="must read forwards only"):
        Reader(both)
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(12, 4)(ids)
    back = keras.layers.GRU(4, return_sequences=True, go_backwards=True)(x)
    with pytest.raises(ValueError, match="must read forwards only"):
        Reader(keras.Model(ids, keras.layers.Dense(12)(back)))
    residual = keras.layers.GRU(4, return_sequences=True)(x) + x
    with pytest.raises(ValueError, match="must form a chain"):
        Reader(keras.Model(ids, keras.layers.Dense(12)(residual)))


def test_sequences_are_the_text_and_the_text_one_token_later():
    ids = np.arange(100, 131)
    inputs, targets = next_token_sequences(ids, 5)
    assert inputs.shape == targets.shape == (6, 5)
    np.testing.assert_array_equal(inputs.ravel(), ids[:30])
    np.testing.assert_array_equal(targets.ravel(), ids[1:31])
    # The last token of these has no token after it.
    assert len(next_token_sequences(ids[:30], 5)[0]) == 5
    assert next_token_sequences(ids.tolist(), 5)[0].shape == (6, 5)
    with pytest.raises(InputError, match="a text of 5 tokens is too short: a sequence"):
        next_token_sequences(ids[:5], 5)
    with pytest.raises(ValueError, match="`length` must be at least 1"):
        next_token_sequences(ids, 0)
    with pytest.raises(ValueError, match=r"the shape \(tokens,\), .* shape \(1, 31\)"):
        next_token_sequences(ids[None], 5)


def test_elmans_letters_are_learned_as_well_as_they_can_be():
    """The loss is that of a reader who knows the generator; bigrams do worse."""
    task = elman_letters(4000)
    inputs, targets = (
        ids[: len(ids) // 50 * 50].reshape(-1, 50)
        for ids in (task.inputs, task.targets)
    )
    network = build_language_model(len(task.symbols), units=24, embedding_dim=8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(make_optimizer(0.02), loss)
    train = len(inputs) * 4 // 5
    network.fit(inputs[:train], targets[:train], 16, epochs=6, verbose=0)
    learned = network.evaluate(inputs[train:], targets[train:], verbose=0)
    best = task.best[train * 50 :].mean()
    stream = np.concatenate([task.inputs[:1], task.targets])
    pairs = ngram_losses(
        stream[: train * 50], stream[train * 50 :], 2, len(task.symbols)
    )[1].mean()
    assert best - 0.05 < learned < best + 0.05 < pairs
