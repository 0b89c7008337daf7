"""The order of findings, and how far a score may be off by chance."""

import json

import pytest

from rnn_keras.doctor.findings import Finding, by_severity, score_noise


def test_by_severity_puts_the_worst_first_and_drops_none():
    kinds = ("note", "error", "warning", "error")
    made = [Finding(f"n{i}", kind, "", "") for i, kind in enumerate(kinds)]
    ordered = by_severity([made[0], None, *made[1:]])
    assert [finding.name for finding in ordered] == ["n1", "n3", "n2", "n0"]


def test_a_finding_can_be_written_as_json():
    finding = Finding("repeats", "note", "It says.", "Do this.", ("a", "b"))
    assert json.loads(json.dumps(finding.to_dict())) == {
        "name": "repeats",
        "severity": "note",
        "says": "It says.",
        "cure": "Do this.",
        "examples": ["a", "b"],
    }


def test_score_noise_falls_with_the_square_root_of_the_number_of_texts():
    assert score_noise(25_000) == pytest.approx(0.0037, abs=1e-4)
    assert score_noise(400) / score_noise(40_000) == pytest.approx(10, rel=0.02)
