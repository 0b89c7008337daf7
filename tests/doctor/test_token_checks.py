"""Each check on counts of tokens, and on texts in several scripts."""

import numpy as np
import pytest

from rnn_keras.doctor.token_checks import cut_texts, unknown_tokens, wrong_unit
from rnn_keras.layers.text_vectorizer import TextVectorizer


@pytest.mark.parametrize(
    ("share", "severity"), [(0.01, None), (0.05, None), (0.2, "note"), (0.8, "warning")]
)
def test_cut_texts_are_graded_by_their_share(share, severity):
    lengths = np.full(500, 10)
    lengths[: int(share * 500)] = 40
    found = cut_texts(lengths, 20)
    assert (found and found.severity) == severity
    if found:
        lost = round(100 * 20 * share / (10 + 30 * share))
        assert f"{lost} % of all tokens are cut off" in found.says
        assert found.cure.startswith("--max-length 40 ")


def test_one_cut_text_of_five_is_no_finding():
    assert cut_texts(np.array([10, 10, 10, 10, 40]), 20) is None


@pytest.mark.parametrize("max_length", [None, 0])
def test_no_text_is_cut_without_a_max_length(max_length):
    assert cut_texts(np.full(100, 40), max_length) is None


@pytest.mark.parametrize(
    ("rate", "severity"), [(0.05, None), (0.15, "note"), (0.5, "warning")]
)
def test_unknown_tokens_are_graded_by_their_rate(rate, severity):
    lengths = np.full(200, 20)
    unknown = np.random.default_rng(0).binomial(20, rate, 200)
    found = unknown_tokens(unknown, lengths, min_count=2, examples=["odd"])
    assert (found and found.severity) == severity
    if found:
        assert "--min-count" in found.cure
        assert found.examples == ("odd",)
        full = unknown_tokens(unknown, lengths, full=True)
        assert "--max-tokens" in full.cure


def test_one_strange_text_among_many_is_no_finding():
    # All unknown tokens are in one text; another sample of texts might have none.
    lengths = np.array([20] * 50 + [400])
    unknown = np.array([0] * 50 + [400])
    assert unknown.sum() / lengths.sum() > 0.25
    assert unknown_tokens(unknown, lengths) is None


THAI = ["ฉันชอบเรียนรู้ภาษา ไทยมาก", "เขาไม่ชอบอาหาร นี้เลย", "วันนี้อากาศดี มาก"]
ENGLISH = ["I like it a lot", "not at all, no", "a good day to you"]
LONG = [" ".join(["word"] * n) for n in (60, 80, 100)]
NAMES = ["Miller", "Schmidt", "Okafor"]
CHINESE = ["我喜欢它" * 60, "一点也不" * 80, "今天天气很好" * 60]


@pytest.mark.parametrize(
    ("texts", "unit", "said"),
    [
        (THAI, "word", "are in Thai, Lao, Khmer or Burmese"),
        (THAI, "character", None),
        (["ຂ້ອຍມັກ ຮຽນ"] * 3, "word", "are in Thai, Lao, Khmer or Burmese"),
        (["ខ្ញុំចូល ចិត្ត"] * 3, "word", "are in Thai, Lao, Khmer or Burmese"),
        (["ငါကြိုက် တယ်"] * 3, "word", "are in Thai, Lao, Khmer or Burmese"),
        (NAMES * 5, "word", "are a single word"),
        (NAMES * 5, "character", None),
        (ENGLISH, "word", None),
        (ENGLISH, "character", None),
        (LONG * 5, "character", "carry what it has read over some 399 steps"),
        (LONG * 5, "word", None),
        (CHINESE * 5, "character", None),
        (CHINESE * 5, "word", None),
        (["...", ""], "word", None),
    ],
)
def test_the_unit_must_suit_the_script_and_the_length(texts, unit, said):
    found = wrong_unit(texts, TextVectorizer("word").tokenize(texts), unit)
    if said is None:
        assert found is None
    else:
        assert (found.name, found.severity) == ("wrong-unit", "warning")
        assert said in found.says
        other = {"word": "character", "character": "word"}[unit]
        assert f"--unit {other}" in found.cure
