"""Tokens, vocabulary and ids of texts in any script."""

import json
import unicodedata

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.utils.errors import InputError


def adapted(texts, **arguments):
    vectorizer = TextVectorizer(**arguments)
    vectorizer.adapt(texts)
    return vectorizer


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Hello, World!", ["hello", ",", "world", "!"]),
        ("don't", ["don", "'", "t"]),
        ("£5.00 a_b", ["£", "5", ".", "00", "a", "_", "b"]),
        ("ÄRGER ΣΟΦΙΑ ПРИВЕТ", ["ärger", "σοφια", "привет"]),
        ("房间很大，不错。", list("房间很大，不错。")),
        ("我有iPhone 13吗", ["我", "有", "iphone", "13", "吗"]),
        ("カメラー、々〇", list("カメラー、々〇")),
        ("한국어 문장", ["한국어", "문장"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("a\u3000b\u00a0c\td\ne", ["a", "b", "c", "d", "e"]),
        ("😀😀ok", ["😀", "😀", "ok"]),
        ("before\0after NUL", ["before", "after", "nul"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_words_of_any_script(text, tokens):
    assert TextVectorizer().tokenize([text]) == [tokens]


def test_characters_are_kept_as_they_are():
    assert TextVectorizer("character").tokenize(["Aé 中\n"]) == [list("Aé 中\n")]


@given(st.text(max_size=50))
@settings(max_examples=50)
def test_word_mode_loses_nothing_but_case_and_space(text):
    """Python's own tables decide what is space and what is lower case."""
    tokens = TextVectorizer().tokenize([text])[0]
    cased = TextVectorizer(lowercase=False).tokenize([text])[0]
    text = text.encode("utf-8", "replace").decode()
    visible = [c for c in text if unicodedata.category(c) not in _SPACES]
    assert "".join(cased) == "".join(visible)
    # ICU lower-cases by context and by a newer Unicode than Python's. Case folding
    # turns both results into the same letters.
    assert "".join(tokens).casefold() == "".join(visible).lower().casefold()


_SPACES = {"Zs", "Zl", "Zp", "Cc"}


@given(st.lists(st.text(max_size=20), max_size=5))
@settings(max_examples=50)
def test_character_mode_gives_the_text_back(texts):
    tokens = TextVectorizer("character").tokenize(texts)
    clean = [t.encode("utf-8", "replace").decode().replace("\0", "�") for t in texts]
    assert ["".join(row) for row in tokens] == clean


def test_vocabulary_is_ordered_by_frequency_then_by_code_point():
    vectorizer = adapted(["b b b a c", "c a z"])
    assert vectorizer.get_vocabulary() == ["", "[UNK]", "b", "a", "c", "z"]


def test_max_tokens_counts_padding_and_unknown():
    vectorizer = adapted(["b b b a a c"], max_tokens=4)
    assert vectorizer.get_vocabulary() == ["", "[UNK]", "b", "a"]
    assert vectorizer.vocabulary_size() == 4


def test_min_count_leaves_rare_tokens_unknown():
    vectorizer = adapted(["b b b a a c"], min_count=2)
    assert vectorizer.encode(["c a b"]).ids.tolist() == [[1, 3, 2]]


def test_encode_pads_with_zero_and_counts_the_texts_it_cuts():
    vectorizer = adapted(["a b c"], max_length=2)
    ids, num_cut = vectorizer.encode(["a b c", "a b", "b", "", "c c c c c"])
    assert ids.tolist() == [[2, 3], [2, 3], [3, 0], [0, 0], [4, 4]]
    assert ids.dtype == np.int32
    assert num_cut == 2


def test_encode_of_many_texts_equals_encode_of_each():
    texts = [" ".join("abcdefgh"[: i % 9]) for i in range(2500)]
    vectorizer = adapted(texts, max_length=6)
    ids, num_cut = vectorizer.encode(texts)
    assert num_cut == sum(i % 9 > 6 for i in range(2500))
    for i in (0, 8, 1023, 1024, 2499):
        alone = vectorizer.encode([texts[i]]).ids[0]
        assert ids[i].tolist() == alone.tolist() + [0] * (6 - len(alone))


@pytest.mark.parametrize("texts", [[], [""], ["", " "]])
def test_encode_has_a_column_for_texts_without_tokens(texts):
    ids, num_cut = adapted(["a"]).encode(texts)
    assert ids.shape == (len(texts), 1)
    assert not ids.any()
    assert num_cut == 0


def test_encode_equals_the_call_of_the_layer():
    vectorizer = adapted(["a b c a"], max_length=3)
    texts = ["a b c a", "c x"]
    called = keras.ops.convert_to_numpy(vectorizer(texts))
    np.testing.assert_array_equal(called, vectorizer.encode(texts).ids)


def test_a_lone_surrogate_is_read_as_a_question_mark():
    vectorizer = adapted(["a ?"])
    assert (vectorizer.encode(["a \ud800"]).ids == vectorizer.encode(["a ?"]).ids).all()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "hold no token: there"),
        (["", "\x01"], "hold no token: there"),
        (["a b c"], "hold no token 2 times: there"),
    ],
)
def test_texts_without_a_vocabulary_are_refused(texts, message):
    with pytest.raises(InputError, match=message):
        adapted(texts, min_count=2)


@pytest.mark.parametrize(
    "options", [{}, {"lowercase": False}, {"unit": "character"}], ids=str
)
def test_configuration_holds_everything_as_json(options):
    # Characters that a file with one token a line would lose.
    texts = ["a\nb\0\r\u2028\x0b\x1c\x85 中", "b 中, Ä ä B"]
    vectorizer = adapted(texts, **options, max_length=30)
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(vectorizer)))
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_vocabulary() == vectorizer.get_vocabulary()
    assert (again.encode(texts).ids == vectorizer.encode(texts).ids).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unit": "syllable"}, "`unit` must be one of .* Received: 'syllable'"),
        ({"max_tokens": 2}, "`max_tokens` must be at least 3.* Received: 2"),
        ({"min_count": 0}, "`min_count` must be positive. Received: 0"),
        ({"max_length": 0}, "`max_length` must be positive. Received: 0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        TextVectorizer(**arguments)


def test_another_vocabulary_counts_from_the_next_text_on():
    vectorizer = TextVectorizer()
    for words in (["a b", "a"], ["b c", "b"]):
        vectorizer.adapt(words)
        assert vectorizer.encode(["a b c"]).ids.tolist() in ([[2, 3, 1]], [[1, 2, 3]])
    assert vectorizer.encode(["a b c"]).ids.tolist() == [[1, 2, 3]]
