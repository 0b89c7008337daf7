from dataclasses import astuple

import numpy as np
import pytest

from rnn_keras.classification.recipe import recipe_for, recipe_for_parts
from rnn_keras.classification.settings import FitSettings, ModelSettings, Settings
from rnn_keras.datasets.labelled import LabelledTexts, Splits


def texts(n, words, longer=()):
    return [" ".join(["word"] * words)] * (n - len(longer)) + [
        " ".join(["word"] * length) for length in longer
    ]


def test_single_words_are_read_by_character():
    assert recipe_for(["Kowalski", "Nguyen", "de la Cruz"]).unit == "character"
    assert recipe_for(["Kowalski", "my name", "de la Cruz"]).unit == "word"
    assert (
        recipe_for(["Kowalski", "Nguyen", "de la Cruz", "van Dyk"]).unit == "character"
    )
    assert recipe_for(["", "", "", "a good room"]).unit == "word"
    # A Chinese character is a token, and two of them are no single word.
    assert recipe_for(["很好", "不错", "差"]).unit == "word"


def test_a_unit_that_is_chosen_stays():
    recipe = recipe_for(["Kowalski", "Nguyen"], "word")
    assert (recipe.unit, recipe.token_dropout) == ("word", 0.3)
    recipe = recipe_for(["my name", "your name"], "character")
    assert (recipe.unit, recipe.token_dropout, recipe.max_ngram) == ("character", 0, 3)


def test_rare_words_are_unknown_where_there_are_many_texts():
    assert recipe_for(texts(999, 5)).min_count == 1
    assert recipe_for(texts(1000, 5)).min_count == 2
    assert recipe_for(texts(1000, 5), "character").min_count == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [(texts(100, 5), 64), (texts(100, 150, [300]), 151), (texts(100, 5000), 400)],
)
def test_the_length_is_that_of_nearly_all_texts(given, expected):
    assert recipe_for(given).max_length == expected


def test_tokens_of_one_character_are_read_three_at_a_time():
    assert recipe_for(["房间很大，很干净", "早餐太差了"]).max_ngram == 3
    assert recipe_for(["the room was large", "a bad breakfast"]).max_ngram == 2


def test_the_epochs_read_so_many_tokens():
    # 24 million of them, in texts of 60 tokens.
    assert recipe_for(texts(50_000, 60)).epochs == 8
    assert recipe_for(texts(500_000, 60)).epochs == 4
    assert recipe_for(texts(50, 60)).epochs == 10
    assert recipe_for(["name"] * 50).epochs == 20


def test_cut_tokens_are_not_read():
    long, cut = (recipe_for(texts(50, n), count=10_000) for n in (4000, 400))
    assert long.epochs == cut.epochs == 6


@pytest.mark.parametrize("given", [[], [""], ["", ""]])
def test_no_words_are_no_trouble(given):
    recipe = recipe_for(given)
    assert None not in astuple(recipe)
    assert (recipe.max_length, recipe.epochs) == (64, 10)


def test_settings_that_are_chosen_override_the_recipe():
    recipe = recipe_for(["a b c"])
    assert recipe.override(Settings(units=3)) == recipe
    other = recipe.override(ModelSettings(max_length=0), FitSettings(epochs=3))
    assert (other.epochs, other.max_length) == (3, 0)
    assert other == recipe.override(Settings(epochs=3, max_length=0))


def test_the_recipe_of_texts_in_parts_is_that_of_the_training_part():
    train, other = (LabelledTexts(t, ["a"] * len(t)) for t in (texts(1000, 5), [""]))
    splits = Splits(train, other, other, ())
    assert recipe_for_parts(splits, None) == recipe_for(train.texts)
    assert recipe_for_parts(splits, "character").unit == "character"


def test_a_sample_is_enough():
    random = np.random.default_rng(0)
    many = [" ".join(["word"] * n) for n in random.integers(20, 200, 20_000)]
    assert abs(recipe_for(many).max_length - 198) <= 2
