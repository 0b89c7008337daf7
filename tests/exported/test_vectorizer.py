"""Without TensorFlow, every text gets the token ids that `TextVectorizer` gives it."""

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_keras.classification.tokenizer_rules import tokenizer_rules
from rnn_keras.exported import ExportedVectorizer
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.utils.errors import InputError

MODES = {
    "word": {},
    "cased": {"lowercase": False},
    "character": {"unit": "character"},
}
ALL_CHARACTERS = [chr(point) for point in range(0x110000)]  # lone surrogates too
SPECIAL = (
    "ΣσςΑαİIıiſẞßŁ'’.:·\u0307\u0301\u0345\u00adʰⅠⓐ²ªºー々〇한あ😀"
    "\0\n\x85\u2028\u3000\ufeff\ufffe"
)


# One character in 64, and all of the scripts with many special cases: Latin, Greek,
# Cyrillic, Georgian, punctuation, letter-like symbols and presentation forms.
SOME_CHARACTERS = [
    character
    for point, character in enumerate(ALL_CHARACTERS)
    if point % 64 == 0
    or point < 0x530
    or 0x10A0 <= point < 0x1100
    or 0x1C80 <= point < 0x2200
    or 0xFB00 <= point < 0xFB20
]


@cache
def vectorizers(mode, max_length=None):
    """A vectorizer, and the exported one that JSON makes of it."""
    vectorizer = TextVectorizer(**MODES[mode], max_length=max_length)
    vectorizer.adapt(["a b", "Σ ς ΑΣ", SPECIAL, " ".join(SPECIAL)])
    description = {
        "tokenizer": tokenizer_rules(vectorizer),
        "max_length": vectorizer.max_length,
        "vocabulary": vectorizer.get_vocabulary(),
    }
    return vectorizer, ExportedVectorizer(json.loads(json.dumps(description)))


def assert_equal_tokens(vectorizer, exported, texts):
    for text, expected, found in zip(
        texts, vectorizer.tokenize(texts), exported.tokenize(texts), strict=True
    ):
        if expected != found:
            wrong = [
                pair for pair in zip(expected, found, strict=False) if len({*pair}) > 1
            ]
            pytest.fail(
                f"{len(expected)} and {len(found)} tokens, {wrong[:5]!a} {text!a:.80}"
            )


@pytest.mark.parametrize(
    ("mode", "around"),
    [
        ("word", "a{}B"),
        ("cased", "a{}B"),
        ("character", "a{}B"),
        # A capital sigma before, after and between.
        ("word", "A{}Σ"),
        ("word", "AΣ{}"),
        ("word", "AΣ{}A"),
    ],
)
@pytest.mark.parametrize(
    "characters",
    [
        pytest.param(SOME_CHARACTERS, id="some"),
        pytest.param(ALL_CHARACTERS, id="all", marks=pytest.mark.exhaustive),
    ],
)
def test_every_character_is_read_as_tensorflow_reads_it(mode, around, characters):
    texts = [
        " ".join(map(around.format, characters[i : i + 4096]))
        for i in range(0, len(characters), 4096)
    ]
    assert_equal_tokens(*vectorizers(mode), texts)


TEXTS = st.text(
    st.one_of(
        st.sampled_from(SPECIAL),
        st.characters(),
        st.integers(0xD800, 0xDFFF).map(chr),
    ),
    max_size=30,
)


@pytest.mark.parametrize("mode", MODES)
@given(texts=st.lists(TEXTS, min_size=1, max_size=6))
def test_ids_are_those_of_the_vectorizer(mode, texts):
    vectorizer, exported = vectorizers(mode, max_length=7)
    assert_equal_tokens(vectorizer, exported, texts)
    expected = vectorizer.encode(texts).ids
    found = exported.encode(texts)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("texts", [[], [""], ["a b" * 9, "", " \n", "b"]], ids=str)
def test_texts_without_tokens_get_one_column(mode, texts):
    vectorizer, exported = vectorizers(mode)
    np.testing.assert_array_equal(exported.encode(texts), vectorizer.encode(texts).ids)


def test_many_sigmas_and_marks_take_linear_time():
    """The rule of the final sigma looks past marks, but not at all marks each time."""
    _, exported = vectorizers("word")
    (tokens,) = exported.tokenize([("Σ" + "'" * 20_000) * 2 + "'Σ" * 20_000])
    assert len(tokens) == 2 + 40_000 + 40_000
    assert tokens[-1] == "ς"
    assert set(tokens[:-1]) == {"σ", "'"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a text", "one string, where a list of strings is expected"),
        (["a", b"b"], "text 1 is no string but bytes: b'b'"),
        ([None], "text 0 is no string but NoneType"),
    ],
)
def test_anything_but_texts_is_refused_as_by_the_vectorizer(texts, message):
    for vectorizer in vectorizers("word"):
        with pytest.raises(InputError, match=message):
            vectorizer.encode(texts)
