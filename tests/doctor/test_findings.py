"""The order of findings, and the noise that a score has by chance."""

import pytest
from scipy.stats import binomtest

from rnn_keras.doctor.findings import Finding, by_severity, score_noise
from rnn_keras.scoring import share_interval
from rnn_keras.utils.messages import quote


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (5, 5), (1, 30), (700, 1000)])
def test_share_interval_is_wilsons(hits, n):
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert share_interval(hits, n) == pytest.approx((hits / n, *expected), abs=1e-9)


def test_share_interval_of_no_texts_is_0_to_1():
    assert share_interval(0, 0) == (0, 0, 1)


def test_by_severity_puts_the_worst_first_and_drops_none():
    kinds = ("note", "error", "warning", "error")
    made = [Finding(f"n{i}", kind, "", "") for i, kind in enumerate(kinds)]
    ordered = by_severity([made[0], None, *made[1:]])
    assert [finding.name for finding in ordered] == ["n1", "n3", "n2", "n0"]


def test_score_noise_falls_with_the_square_root_of_the_number_of_texts():
    assert score_noise(25_000) == pytest.approx(0.0037, abs=1e-4)
    assert score_noise(400) / score_noise(40_000) == pytest.approx(10, rel=0.02)


def test_quote_gives_one_short_line():
    assert quote("a\n\tb  c") == "a b c"
    assert len(quote("long " * 100)) == 70
