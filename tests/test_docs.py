"""The code in the documentation runs as it stands there."""

import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rnn_keras.classification.classifier import TextClassifier

DOCS = Path(__file__).parent.parent / "docs"


def code_of(name, heading):
    """The first block of Python below a heading."""
    _, _, below = (
        (DOCS / name).read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    )
    return re.search(r"```python\n(.*?)```", below, re.DOTALL)[1]


def test_the_server_without_tensorflow_answers(tmp_path, monkeypatch):
    classifier = TextClassifier.from_texts(
        ["so good", "so bad"], ["ham", "spam"], units=4, embedding_dim=4
    )
    (tmp_path / "runs" / "spam").mkdir(parents=True)
    classifier.save(tmp_path / "runs" / "spam" / "model.keras")
    monkeypatch.chdir(tmp_path)
    server = {}
    exec(code_of("export.md", "A server that answers without TensorFlow"), server)

    texts = ["so good", "", "bad 😀"]
    response = TestClient(server["app"]).post("/classify", json=texts)
    assert response.status_code == 200
    for found, expected in zip(response.json(), classifier.predict(texts), strict=True):
        assert found["text"] == expected.text
        assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
