"""The rules of the tokenizer; `tests/exported/test_vectorizer.py` compares tokens."""

import json
import os
import subprocess
import sys

import pytest

from rnn_keras.classification.tokenizer_rules import tokenizer_rules
from rnn_keras.layers.text_vectorizer import TextVectorizer


def test_the_rules_are_small():
    assert len(json.dumps(tokenizer_rules(TextVectorizer()))) < 20_000


@pytest.mark.exhaustive  # starts a second process with TensorFlow
def test_a_locale_with_its_own_lower_case_is_refused():
    code = (
        "from rnn_keras.classification.tokenizer_rules import tokenizer_rules\n"
        "from rnn_keras import TextVectorizer\n"
        "try: tokenizer_rules(TextVectorizer(vocabulary=['a']))\n"
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
