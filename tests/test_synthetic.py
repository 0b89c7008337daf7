"""The generated tasks follow their descriptions, and their best loss is right.

The best loss of Elman's tasks comes from a forward algorithm. It is compared here with
values derived by hand, and with counts of how often each symbol follows each past.
"""

import re
from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from rnn_keras.synthetic import (
    LEXICON,
    SYLLABLES,
    TEMPLATES,
    WORD_CLASSES,
    adding_problem,
    copying,
    elman_letters,
    elman_sentences,
    elman_words,
    embedded_reber,
    temporal_order,
    temporal_xor,
)

ELMAN_TASKS = [temporal_xor, elman_letters, elman_words, elman_sentences]
LN2 = np.log(2)


def to_symbols(task, ids):
    return [task.symbols[i] for i in ids]


@pytest.mark.parametrize("make", ELMAN_TASKS)
def test_targets_are_the_inputs_shifted_by_one_step(make):
    task = make(60)
    assert task.inputs.shape == task.targets.shape == task.best.shape
    assert task.starts.shape == task.targets.shape
    np.testing.assert_array_equal(task.inputs[1:], task.targets[:-1])


@pytest.mark.parametrize(
    "make", [*ELMAN_TASKS, adding_problem, temporal_order, embedded_reber, copying]
)
def test_a_seed_fixes_everything(make):
    first, again, other = make(50, seed=1), make(50, seed=1), make(50, seed=2)
    np.testing.assert_array_equal(first.inputs, again.inputs)
    np.testing.assert_array_equal(first.targets, again.targets)
    assert not np.array_equal(first.targets[:9], other.targets[:9])


def test_every_third_bit_is_the_exclusive_or_of_the_two_before():
    task = temporal_xor(3000)
    bits = np.concatenate([task.inputs[:1], task.targets]).reshape(-1, 3)
    np.testing.assert_array_equal(bits[:, 0] ^ bits[:, 1], bits[:, 2])
    assert np.unique(bits[:, :2], axis=0).shape == (4, 2)


def test_two_of_three_bits_cost_ln_2_and_the_third_nothing():
    best = temporal_xor(3000).best  # begins at bit 1, because bit 0 is not a target
    np.testing.assert_allclose(best[1::3], 0, atol=1e-12)
    np.testing.assert_allclose(np.delete(best, np.s_[1::3]), LN2)
    assert temporal_xor(30_001).best_loss == pytest.approx(2 / 3 * LN2, rel=1e-3)


def test_a_sequence_may_end_within_a_triple():
    assert len(temporal_xor(100).inputs) == 99


def test_the_syllables_are_those_of_the_paper():
    """On page 188, b is followed by one a, d by two i, and g by three u."""
    text = "".join(to_symbols(elman_letters(200), elman_letters(200).targets))
    assert set(re.findall(r"[bdg][aiu]+", text)[:-1]) == {
        "ba",
        "dii",
        "guuu",
    }


def test_letters_form_syllables_and_only_consonants_cost_something():
    task = elman_letters(200)
    text = "".join(to_symbols(task, [task.inputs[0], *task.targets]))
    for syllable in SYLLABLES:
        text = text.replace(syllable, " ")
    assert text == " " * 200
    consonant = np.isin(to_symbols(task, task.targets), list("bdg"))
    np.testing.assert_array_equal(consonant, task.starts)
    np.testing.assert_allclose(task.best[consonant], np.log(3))
    np.testing.assert_allclose(task.best[~consonant], 0, atol=1e-12)


def test_sentences_have_four_to_nine_words_of_the_lexicon():
    task = elman_words(200)
    letters = to_symbols(task, task.targets)
    begins = [*np.flatnonzero(task.starts), len(letters)]
    words = ["".join(letters[a:b]) for a, b in pairwise(begins)]
    assert set(words) == set(LEXICON)
    assert len(words) + 1 == pytest.approx(6.5 * 200, abs=6 * 1.71 * 200**0.5)


def test_every_number_of_words_from_four_to_nine_occurs():
    """One sentence for each of many seeds."""
    counts = {1 + elman_words(1, seed).starts.sum() for seed in range(80)}
    assert counts == set(range(4, 10))


def test_the_best_loss_of_words_is_that_of_the_words_themselves():
    """No text of these words can be read as other words: each word costs ln 15 nats."""
    task = elman_words(2000)
    nats_a_word = task.best.sum() / task.starts.sum()
    assert nats_a_word == pytest.approx(np.log(15), rel=2e-3)


def test_sentences_follow_the_templates():
    task = elman_sentences(500)
    words = to_symbols(task, [task.inputs[0], *task.targets])
    begins = [0, *np.flatnonzero(task.starts) + 1, len(words)]
    fits = set()
    for a, b in pairwise(begins):
        sentence = words[a:b]
        matching = [
            t
            for t in TEMPLATES
            if len(t) == len(sentence)
            and all(w in WORD_CLASSES[c] for w, c in zip(sentence, t, strict=True))
        ]
        assert matching, sentence
        fits |= set(matching)
    assert fits == set(TEMPLATES)
    assert len(task.symbols) == 1 + 29


def test_templates_are_equally_likely():
    task = elman_sentences(20_000)
    sentences = task.starts.sum() + 1
    # Intransitive verbs occur in one of the 16 templates only.
    thinking = np.isin(
        to_symbols(task, task.targets), WORD_CLASSES["VERB-INTRAN"]
    ).sum()
    assert thinking / sentences == pytest.approx(1 / 16, abs=0.006)


def test_a_predictor_from_counts_comes_close_to_the_best_loss():
    """It counts which word follows each pair of words, and is scored on other text."""
    task = elman_sentences(70_000)
    pasts = zip(task.inputs[:-1].tolist(), task.inputs[1:].tolist(), strict=True)
    pairs = list(zip(pasts, task.targets[1:].tolist(), strict=True))
    half = len(pairs) // 2
    seen = defaultdict(Counter)
    for past, target in pairs[:half]:
        seen[past][target] += 1
    cost = [
        -np.log((seen[past][target] + 1 / 29) / (seen[past].total() + 1))
        for past, target in pairs[half:]
    ]
    best = task.best[1 + half :].mean()
    assert best < np.mean(cost) < best + 0.03


def test_the_target_is_the_sum_of_the_marked_numbers():
    task = adding_problem(500, length=40)
    numbers, marks = task.inputs[..., 0], task.inputs[..., 1]
    assert task.inputs.shape == (500, 40, 2)
    assert ((marks == 1).sum(axis=1) == 2).all()
    assert not (marks[:, 20:] == 1).any()
    assert (marks[:, -1] == -1).all()
    total = np.where(marks == 1, numbers, 0).sum(axis=1)
    np.testing.assert_allclose(task.targets[:, 0], 0.5 + total / 4, atol=1e-6)
    assert np.abs(numbers).max() <= 1


def test_numbers_have_both_signs_and_the_first_mark_is_early():
    task = adding_problem(2000, length=40)
    numbers, marked = task.inputs[..., 0], task.inputs[..., 1] == 1
    assert numbers.min() < -0.99
    assert numbers.max() > 0.99
    assert marked[:, :10].any(axis=1).all()
    assert (numbers[marked[:, 0], 0] == 0).all()
    assert (task.inputs[~marked[:, 0], 0, 1] == -1).all()


def test_predicting_a_constant_has_the_documented_error():
    """The error is 1/24, and 1/48 if the first number is marked.

    The first number is marked with probability 1/10 + 9/10 * 1/49.
    """
    targets = adding_problem(50_000, length=100).targets
    expected = (2 - (0.1 + 0.9 / 49)) / 48
    assert np.mean((targets - 0.5) ** 2) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("length", [5, 10, 30, 100])
def test_the_target_of_temporal_order_is_the_order_of_x_and_y(length):
    task = temporal_order(300, length=length)
    texts = ["".join(to_symbols(task, row)) for row in task.inputs]
    for text, target in zip(texts, task.targets, strict=True):
        assert text[0] + text[-1] == "EB"
        assert set(text[1:-1]) <= set("abcdXY")
        found = [letter for letter in text if letter in "XY"]
        assert "".join(found) == ("XX", "XY", "YX", "YY")[target]
    assert task.inputs.shape == (300, length)
    assert set(task.targets) == {0, 1, 2, 3}


def test_x_and_y_stand_in_their_tenths_of_the_sequence():
    task = temporal_order(300, length=100)
    rows, places = np.nonzero(np.isin(task.inputs, [5, 6]))
    first, second = places.reshape(300, 2).T
    assert first.min() >= 10
    assert first.max() < 20
    assert second.min() >= 50
    assert second.max() < 60
    assert (np.bincount(rows) == 2).all()


def test_the_last_but_one_reber_letter_repeats_the_second():
    task = embedded_reber(200)
    for row, target in zip(task.inputs, task.targets, strict=True):
        text = "".join(to_symbols(task, [row[0], *target]))
        assert text[0] + text[-1] == text[2] + text[-3] == "BE"
        assert text[1] == text[-2]
        assert text[1] in "TP"


def test_strings_are_those_of_rebers_grammar():
    """The regular expression is derived from the graph in figure 3 of the paper."""
    from_x = "(?:XT*VP)*(?:S|XT*VV)"
    reber = f"(?:TS*X{from_x}|PT*V(?:V|P{from_x}))"
    task = embedded_reber(500)
    texts = [
        "".join(to_symbols(task, [row[0], *target]))
        for row, target in zip(task.inputs, task.targets, strict=True)
    ]
    for text in texts:
        assert re.fullmatch(f"B([TP])B{reber}E\\1E", text), text
    assert len({text[1:3] + text[3:6] for text in texts}) > 10


def test_only_choices_cost_something_in_the_embedded_reber_grammar():
    """The best loss at each node is the entropy of the letters that follow it."""
    task = embedded_reber(3000)
    seen = defaultdict(Counter)
    for row, target, best in zip(task.inputs, task.targets, task.best, strict=True):
        text = "".join(to_symbols(task, row))
        for t, letter in enumerate(to_symbols(task, target)):
            if letter:  # the outer letter and the letters before determine the node
                seen[text[1:2] * (t > 0), text[: t + 1]][letter, best[t]] += 1
    many = {past: count for past, count in seen.items() if count.total() >= 200}
    assert len(many) > 10
    for count in many.values():
        shares = np.array(list(count.values())) / count.total()
        (best,) = {best for _, best in count}
        assert -(shares * np.log(shares)).sum() == pytest.approx(best, abs=0.03)
    real = task.targets > 0
    assert task.best_loss == pytest.approx(task.best[real].mean())


def test_the_symbols_are_repeated_after_the_mark():
    task = copying(30, delay=7, num_symbols=4)
    for row, target in zip(task.inputs, task.targets, strict=True):
        text, wanted = "".join(to_symbols(task, row)), "".join(to_symbols(task, target))
        assert text[4:] == "______:____"
        assert wanted == "_" * 11 + text[:4]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: temporal_xor(1), "`num_bits` must be at least 2. Received: 1"),
        (lambda: elman_letters(0), "`num_consonants` must be at least 1"),
        (lambda: elman_words(0), "`num_sentences` must be at least 1"),
        (lambda: elman_sentences(0), "`num_sentences` must be at least 1"),
        (lambda: adding_problem(1, length=3), "`length` must be at least 4"),
        (lambda: temporal_order(0), "`num_sequences` must be at least 1"),
        (lambda: embedded_reber(0), "`num_strings` must be at least 1"),
        (lambda: copying(1, delay=0), "`delay` must be at least 1. Received: 0"),
    ],
)
def test_a_size_that_is_too_small_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
