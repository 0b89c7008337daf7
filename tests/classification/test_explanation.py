import itertools
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.classification.explanation import (
    integrated_gradients,
    ngram_contributions,
)
from rnn_keras.cli.app import app
from rnn_keras.layers.ngram_logits import LinearPath
from rnn_keras.models.builders import CELLS, build_classifier
from rnn_keras.plots.text import plot_contributions, plot_reading
from rnn_keras.utils.errors import InputError

WORDS = {
    "pos": ["good", "fine", "nice", "great", "lovely"],
    "neg": ["bad", "poor", "awful", "nasty", "dull"],
    "odd": ["weird", "queer", "quaint", "funny", "strange"],
}


@pytest.fixture(scope="module")
def classifier():
    pairs = [
        (f"{a} {b} thing {i}", label)
        for label, words in WORDS.items()
        for a in words
        for b in words
        for i in "xy"
    ]
    texts, labels = zip(*pairs, strict=True)
    model = TextClassifier.from_texts(
        texts, labels, units=8, embedding_dim=8, max_length=12, seed=0
    )
    model.fit(texts, labels, epochs=4, learning_rate=0.02)
    return model


@pytest.mark.parametrize(
    ("cell", "pooling"),
    [
        ("gru", "max_mean"),
        *(
            pytest.param(cell, pooling, marks=pytest.mark.exhaustive)
            for cell, pooling in itertools.product(CELLS, ("last", "max_mean"))
            if (cell, pooling) != ("gru", "max_mean")
        ),
    ],
)
def test_a_networks_contributions_sum_to_the_difference(cell, pooling):
    network = build_classifier(
        20, 3, cell=cell, units=6, bidirectional=True, pooling=pooling, dropout=0.5
    )
    rng = np.random.default_rng(0)
    for weight in network.trainable_variables:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    ids = rng.integers(2, 20, 9)
    weights = np.array([1.0, -1.0, 0.0])
    parts, rest = integrated_gradients(network, ids, weights)
    logits = np.asarray(network(ids[None]))[0]
    assert parts.shape == (9,)
    assert parts.sum() + rest == pytest.approx(logits @ weights, abs=0.01)


def test_of_a_linear_network_they_are_the_weights_themselves():
    """In a network of embedding, mean and Dense, each token adds its own vector."""
    network = build_classifier(9, 2, embedding_dim=3, num_layers=0, pooling="mean")
    ids = np.array([4, 7, 4, 2])
    parts, rest = integrated_gradients(network, ids, np.array([1.0, -1.0]))
    vectors, dense, bias = (w.numpy() for w in network.trainable_variables)
    bias = np.array([0.0, 0.0]) if bias is None else bias
    exact = vectors[ids] @ (dense[:, 0] - dense[:, 1]) / 4
    np.testing.assert_allclose(parts, exact, atol=1e-5)
    assert rest == pytest.approx(bias[0] - bias[1], abs=1e-6)


@pytest.mark.parametrize("max_ngram", [1, 2, 3])
def test_n_grams_share_what_they_add_among_their_tokens(max_ngram):
    rng = np.random.default_rng(1)
    known = rng.integers(1, 6, (40, 6))
    path = LinearPath.from_texts(
        known, rng.integers(3, size=40), 3, max_ngram=max_ngram
    )
    weights = np.array([0.0, 1.0, -1.0])
    for ids in ([3], [2, 2, 2, 2], [1, 5, 2, 8, 1, 5]):
        ids = np.array(ids)
        parts, bias = ngram_contributions(path, ids, weights)
        logits = path.predict(ids[None])[0]
        assert parts.sum() + bias == pytest.approx(logits @ weights, abs=1e-5)
    if max_ngram == 1:
        # A token that is not known adds nothing, and equal ones add the same.
        assert parts[3] == 0
        assert parts[0] == parts[4] != 0


def test_an_explanation_sums_to_the_classifiers_own_logits(classifier):
    text = "Good, but a WEIRD thing"
    explained = classifier.explain(text)
    assert explained.tokens == ("good", ",", "but", "a", "weird", "thing")
    prediction = classifier.predict(text)
    assert explained.label == prediction.label
    log_odds = np.log(
        prediction.probability / prediction.probabilities[explained.against]
    )
    assert explained.difference == pytest.approx(log_odds, abs=1e-3)
    total = explained.contributions.sum() + explained.rest
    assert total == pytest.approx(explained.difference, abs=0.01)
    assert explained.difference > 0


def test_the_word_that_tells_adds_most(classifier):
    for label, word in (("pos", "lovely"), ("neg", "awful"), ("odd", "quaint")):
        explained = classifier.explain(f"thing {word} thing")
        assert explained.label == label
        assert explained.contributions.argmax() == 1
        assert explained.contributions[1] > 0


def test_probabilities_are_those_of_the_text_up_to_each_token(classifier):
    explained = classifier.explain("bad good weird")
    prefixes = classifier.predict_proba(["bad", "bad good", "bad good weird"])
    np.testing.assert_allclose(explained.probabilities, prefixes, atol=1e-5)
    assert explained.class_names == ("neg", "odd", "pos")


def test_the_classes_can_be_chosen(classifier):
    explained = classifier.explain("good thing", label="neg", against="odd")
    assert (explained.label, explained.against) == ("neg", "odd")
    other = classifier.explain("good thing", label="odd", against="neg")
    np.testing.assert_allclose(explained.contributions, -other.contributions, atol=1e-4)
    assert classifier.explain("good thing", against="pos").label != "pos"
    assert classifier.explain("good thing", label="neg").against == "pos"
    with pytest.raises(InputError, match="'good' is none of the classifier's classes"):
        classifier.explain("good", label="good")
    with pytest.raises(InputError, match="'pos' cannot be weighed against itself"):
        classifier.explain("good", label="pos", against="pos")


@pytest.mark.parametrize("linear", [True, False])
def test_empty_and_cut_texts_are_explained_too(classifier, linear):
    model = classifier
    if not linear:
        model = TextClassifier(model.network, model.preprocessor, model.class_names)
    empty = model.explain("")
    assert empty.tokens == ()
    assert empty.contributions.shape == (0,)
    assert empty.probabilities.shape == (0, 3)
    assert empty.rest == pytest.approx(empty.difference, abs=1e-4)
    cut = model.explain("good " * 30)
    assert len(cut.tokens) == len(cut.contributions) == 12


def test_figures_show_the_numbers(classifier):
    explained = classifier.explain("bad $good$ weird 坏")
    ax = plot_contributions(explained)
    widths = [bar.get_width() for bar in ax.patches]
    np.testing.assert_allclose(widths, explained.contributions)
    tokens = [label.get_text() for label in ax.get_yticklabels()]
    assert tokens == list(explained.tokens) == ["bad", "$", "good", "$", "weird", "坏"]
    top, bottom = ax.get_ylim()[::-1]
    assert top < bottom  # the first token is at the top
    ax = plot_reading(explained)
    column = explained.class_names.index(explained.label)
    np.testing.assert_allclose(
        ax.lines[0].get_xdata(), explained.probabilities[:, column]
    )


def test_the_command_prints_every_token_and_draws(classifier, tmp_path):
    def invoke(*arguments):
        return CliRunner().invoke(app, ["explain", *map(str, arguments)])

    classifier.save(tmp_path / "model.keras")
    figure = tmp_path / "why.png"
    shown = invoke(tmp_path, "bad [b]good[/b] day", "--figure", figure)
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert [r[0] for r in rows if len(r) == 3 and r[1][0] in "+-"] == [
        *("bad", "[", "b", "]", "good", "[", "/", "b", "]", "day")
    ]
    assert figure.read_bytes()[1:4] == b"PNG"
    found = json.loads(invoke(tmp_path, "bad day", "--label", "odd", "--json").stdout)
    assert found["label"] == "odd"
    assert found["tokens"] == ["bad", "day"]
    total = sum(found["contributions"]) + found["rest"]
    assert total == pytest.approx(found["difference"], abs=0.01)
    for wrong, message in (
        (["--label", "no"], "label 'no' is none of the classifier's classes"),
        (["--figure", tmp_path / "no" / "a.png"], "a.png: cannot be written (No such"),
        (["--figure", tmp_path / "a.doc"], "a.doc: cannot be written (Format 'doc'"),
    ):
        refused = invoke(tmp_path, "bad day", *wrong)
        assert refused.exit_code == 2
        assert message in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert invoke(tmp_path, "").exit_code == 0
