"""The reader of exports, which knows texts as TensorFlow does."""

import json
import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_keras.export.tokenizer_rules import tokenizer_rules
from rnn_keras.exported import ExportedVectorizer
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.utils.errors import InputError

MODES = {
    "word": {},
    "cased": {"lowercase": False},
    "character": {"unit": "character"},
}
EVERY = [chr(point) for point in range(0x110000)]  # lone surrogates too
SPECIAL = (
    "ΣσςΑαİIıiſẞßŁ'’.:·\u0307\u0301\u0345\u00adʰⅠⓐ²ªºー々〇한あ😀"
    "\0\n\x85\u2028\u3000\ufeff\ufffe"
)


@cache
def readers(mode, max_length=None):
    """A vectorizer, and its reader by way of JSON."""
    vectorizer = TextVectorizer(**MODES[mode], max_length=max_length)
    vectorizer.adapt(["a b", "Σ ς ΑΣ", SPECIAL, " ".join(SPECIAL)])
    description = {
        "tokenizer": tokenizer_rules(vectorizer),
        "max_length": vectorizer.max_length,
        "vocabulary": vectorizer.get_vocabulary(),
    }
    return vectorizer, ExportedVectorizer(json.loads(json.dumps(description)))


def assert_equal_tokens(vectorizer, reader, texts):
    for text, expected, found in zip(
        texts, vectorizer.tokenize(texts), reader.tokenize(texts), strict=True
    ):
        if expected != found:
            wrong = [
                pair for pair in zip(expected, found, strict=False) if len({*pair}) > 1
            ]
            pytest.fail(
                f"{len(expected)} and {len(found)} tokens, {wrong[:5]!a} {text!a:.80}"
            )


@pytest.mark.parametrize("mode", MODES)
def test_every_code_point_is_read_as_tensorflow_reads_it(mode):
    texts = [
        " ".join(f"a{c}B" for c in EVERY[i : i + 4096])
        for i in range(0, len(EVERY), 4096)
    ]
    assert_equal_tokens(*readers(mode), texts)


@pytest.mark.parametrize("around", ["A{}Σ", "AΣ{}", "AΣ{}A"])
def test_a_sigma_beside_every_code_point_is_lowered_as_by_tensorflow(around):
    texts = [
        " ".join(map(around.format, EVERY[i : i + 4096]))
        for i in range(0, len(EVERY), 4096)
    ]
    assert_equal_tokens(*readers("word"), texts)


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
@settings(max_examples=100, deadline=None)
def test_ids_are_those_of_the_vectorizer(mode, texts):
    vectorizer, reader = readers(mode, max_length=7)
    assert_equal_tokens(vectorizer, reader, texts)
    expected = vectorizer.encode(texts).ids
    found = reader.encode(texts)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("texts", [[], [""], ["a b" * 9, "", " \n", "b"]], ids=str)
def test_there_is_a_column_for_texts_without_tokens(mode, texts):
    vectorizer, reader = readers(mode)
    np.testing.assert_array_equal(reader.encode(texts), vectorizer.encode(texts).ids)


def test_many_sigmas_and_marks_take_no_longer_each():
    """The rule of the sigma looks as far as marks go, but not again for each."""
    _, reader = readers("word")
    (tokens,) = reader.tokenize([("Σ" + "'" * 20_000) * 2 + "'Σ" * 20_000])
    assert len(tokens) == 2 + 40_000 + 40_000
    assert tokens[-1] == "ς"
    assert set(tokens[:-1]) == {"σ", "'"}


def test_the_rules_are_small():
    vectorizer, _ = readers("word")
    assert len(json.dumps(tokenizer_rules(vectorizer))) < 20_000


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("a text", "one string, where a list of strings is expected"),
        (["a", b"b"], "text 1 is no string but bytes: b'b'"),
        ([None], "text 0 is no string but NoneType"),
    ],
)
def test_what_is_no_text_is_named_as_by_the_vectorizer(texts, message):
    for reader in readers("word"):
        with pytest.raises(InputError, match=message):
            reader.encode(texts)


def test_a_locale_with_its_own_lower_case_is_refused():
    code = (
        "from rnn_keras import TextVectorizer, text_rules\n"
        "vectorizer = TextVectorizer(vocabulary=['a'])\n"
        "try: text_rules.tokenizer_rules(vectorizer)\n"
        "except ValueError as error: print(error)"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "LC_ALL": "tr_TR.UTF-8"},
    )
    assert shown.stdout.startswith("the locale has lower-casing rules of its own")
