"""The carried state against the text read anew; what is drawn against its chances."""

import keras
import numpy as np
import pytest

from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.models.builders import CELLS, build_classifier, build_language_model
from rnn_keras.models.generation import Reader, draw, generate, windows
from rnn_keras.models.ngrams import ngram_losses
from rnn_keras.synthetic import elman_letters
from rnn_keras.training.trainer import make_optimizer
from rnn_keras.utils.errors import InputError


@pytest.fixture
def letters():
    vectorizer = TextVectorizer("character")
    vectorizer.adapt(["abcdefgh \n"])
    return vectorizer


def language_model(vectorizer, cell="gru", **options):
    size = len(vectorizer.get_vocabulary())
    network = build_language_model(size, cell=cell, units=7, embedding_dim=5, **options)
    random = np.random.default_rng(3)
    for weight in network.trainable_variables:  # biases and recurrence count too
        weight.assign(random.normal(0, 0.7, weight.shape))
    return network


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_carried_state_gives_what_the_whole_text_gives(cell, num_layers, letters):
    network = language_model(letters, cell, num_layers=num_layers, dropout=0.5)
    ids = np.random.default_rng(0).integers(2, 12, (3, 20))
    reader = Reader(network)
    read = [reader.read(ids[:, t]) for t in range(ids.shape[1])]
    np.testing.assert_allclose(np.stack(read, axis=1), network(ids), atol=1e-5)


def test_each_character_is_the_likeliest_after_all_before_it(letters):
    """At temperature 0, by reading the whole text again for every character."""
    network = language_model(letters)
    text = generate(network, letters, "bad", 30, temperature=0)
    for i in range(30):
        logits = network(letters.encode(["bad" + text[:i]]).ids).numpy()[0, -1]
        logits[:2] = -np.inf
        assert letters.get_vocabulary()[logits.argmax()] == text[i]


def test_equal_seeds_give_equal_text_and_others_do_not(letters):
    network = language_model(letters)
    first, again, other = (
        generate(network, letters, "a", 60, seed=s) for s in (1, 1, 2)
    )
    assert len(first) == 60
    assert first == again != other
    assert generate(network, letters, "a", 60) != generate(network, letters, "a", 60)
    # The beginning of a longer text is the shorter one.
    assert generate(network, letters, "a", 90, seed=1)[:60] == first


def test_words_are_put_together_with_spaces():
    vectorizer = TextVectorizer()
    vectorizer.adapt(["the cat saw the dog"])
    network = language_model(vectorizer)
    text = generate(network, vectorizer, "The cat", 5, seed=0)
    assert len(text.split()) == 5
    assert set(text.split()) <= {"the", "cat", "saw", "dog"}


def test_tokens_are_drawn_by_their_chances():
    """Frequencies of 20,000 draws, against the softmax of the divided logits."""
    logits = np.array([5.0, 5.0, 0.3, -1.0, 1.2, 0.4])
    for temperature, top_k in ((1.0, None), (0.5, None), (2.0, 3)):
        random = np.random.default_rng(0)
        drawn = [draw(logits, random, temperature, top_k) for _ in range(20_000)]
        chances = np.exp(logits / temperature)
        chances[[0, 1] if top_k is None else [0, 1, 3]] = 0  # of four, three stay
        shares = np.bincount(drawn, minlength=6) / len(drawn)
        np.testing.assert_allclose(shares, chances / chances.sum(), atol=0.015)


def test_a_low_temperature_neither_overflows_nor_draws_another():
    logits = np.array([0.0, 0.0, 800.0, 799.0, -800.0])
    for temperature in (0, 1e-3):
        assert draw(logits, np.random.default_rng(0), temperature) == 2
    assert draw(logits, np.random.default_rng(0), 1e9, top_k=1) == 2


def test_twice_the_text_costs_twice_the_steps(letters, monkeypatch):
    """Counted, as a clock in a test is not to be trusted."""
    network = language_model(letters)
    steps = []
    read = Reader.read

    def counted(self, tokens):
        steps.append(len(tokens))
        return read(self, tokens)

    monkeypatch.setattr(Reader, "read", counted)
    Reader(network)
    checks = len(steps)
    for length in (50, 100):
        steps.clear()
        generate(network, letters, "abc", length, seed=0)
        # All that is read: the prompt, and what is drawn but for the last.
        assert steps == [1] * (checks + 3 + length - 1)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("", 5), {}, InputError, "the prompt is empty"),
        (("aéa中", 5), {}, InputError, r"the vectorizer never saw: \['é', '中'\]"),
        (("a", -1), {}, ValueError, "`length` must be at least 0. Received: -1"),
        (("a", 5), {"temperature": -1}, ValueError, "`temperature` must be finite and"),
        (("a", 5), {"temperature": np.inf}, ValueError, "Received: inf"),
        (("a", 5), {"temperature": np.nan}, ValueError, "Received: nan"),
        (("a", 5), {"top_k": 0}, ValueError, "`top_k` must be at least 1. Received: 0"),
    ],
)
def test_what_cannot_be_generated_is_said(arguments, options, error, message, letters):
    with pytest.raises(error, match=message):
        generate(language_model(letters), letters, *arguments, **options)


def test_a_network_and_a_vocabulary_must_belong_together(letters):
    with pytest.raises(ValueError, match=r"must have the 30 tokens .* Received: 12"):
        generate(build_language_model(30, units=4), letters, "a", 5)


def test_a_network_that_answers_once_or_with_nan_is_called_so(letters):
    with pytest.raises(ValueError, match=r"logits at each step, .* shape \(None, 12\)"):
        Reader(build_classifier(12, 12, units=4))
    network = language_model(letters)
    network.set_weights([np.full(w.shape, np.nan) for w in network.get_weights()])
    with pytest.raises(ValueError, match="answers nan: its weights have diverged"):
        Reader(network)


def test_a_network_that_reads_both_ways_cannot_carry_its_state():
    both = build_classifier(12, 12, units=4, bidirectional=True)
    with pytest.raises(ValueError, match="must read forwards only"):
        Reader(both)


def test_a_network_that_reads_backwards_or_is_no_chain_cannot_either():
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(12, 4)(ids)
    back = keras.layers.GRU(4, return_sequences=True, go_backwards=True)(x)
    with pytest.raises(ValueError, match="must read forwards only"):
        Reader(keras.Model(ids, keras.layers.Dense(12)(back)))
    both = keras.layers.GRU(4, return_sequences=True)(x) + x
    with pytest.raises(ValueError, match="must be a chain"):
        Reader(keras.Model(ids, keras.layers.Dense(12)(both)))


def test_a_prompt_is_read_to_its_end():
    """What would be cut is what must be gone on with."""
    vectorizer = TextVectorizer("character", max_length=3)
    vectorizer.adapt(["abcdefgh \n"])
    network = language_model(vectorizer)
    assert len(generate(network, vectorizer, "abc", 4)) == 4
    with pytest.raises(InputError, match="more than the 3 tokens at which"):
        generate(network, vectorizer, "abcd", 4)


def test_of_equal_logits_the_first_are_the_likeliest():
    random = np.random.default_rng(0)
    drawn = {draw(np.ones(9), random, top_k=2) for _ in range(100)}
    assert drawn == {2, 3}


def test_windows_are_the_text_and_the_text_one_token_later():
    ids = np.arange(100, 131)
    inputs, targets = windows(ids, 5)
    assert inputs.shape == targets.shape == (6, 5)
    np.testing.assert_array_equal(inputs.ravel(), ids[:30])
    np.testing.assert_array_equal(targets.ravel(), ids[1:31])
    assert len(windows(ids[:30], 5)[0]) == 5  # the last has no token after it
    with pytest.raises(InputError, match="a text of 5 tokens, where windows of 5"):
        windows(ids[:5], 5)
    with pytest.raises(ValueError, match="`length` must be at least 1"):
        windows(ids, 0)
    with pytest.raises(ValueError, match=r"of one text, .* shape \(1, 31\)"):
        windows(ids[None], 5)
    assert windows(ids.tolist(), 5)[0].shape == (6, 5)


def test_elmans_letters_are_learned_as_well_as_they_can_be():
    """The known loss: that of one who knows the generator. Counting pairs is worse."""
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
