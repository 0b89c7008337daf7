import itertools
import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from rnn_keras.classification.classifier import (
    TextClassifier,
    make_forward,
    predict_probabilities,
)
from rnn_keras.classification.recipe import recipe_for
from rnn_keras.classification.settings import FitSettings, ModelSettings
from rnn_keras.datasets.labelled import LabelledTexts, Splits
from rnn_keras.layers.ngram_logits import LinearPath
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.models.builders import CELLS, build_classifier
from rnn_keras.utils.errors import InputError

TEXTS = [
    "I love machine learning",
    "Deep learning is great",
    "I hate spam emails",
    "Phishing attacks are bad",
]
LABELS = ["good", "good", "bad", "bad"]
NEW = ["I love spam", "", "zzz zzz", "learning " * 30, "Deep, deep attacks!"]


@pytest.fixture(scope="module")
def make_small():
    """Return an untrained classifier of the four sentences, of few units."""

    def make(**settings):
        return TextClassifier.from_texts(
            TEXTS, LABELS, **{"units": 6, "embedding_dim": 5, "seed": 0} | settings
        )

    return make


@pytest.fixture(scope="module")
def fitted(make_small):
    """Return a classifier that has learned the four sentences. Do not train it on."""
    classifier = make_small(max_length=40)
    classifier.fit(TEXTS, LABELS, epochs=40, learning_rate=0.02, patience=None)
    return classifier


@pytest.fixture(scope="module")
def make_reviews():
    """Return texts whose deciding word is turned round if `not` stands before it."""

    def make(n=400, seed=0):
        random = np.random.default_rng(seed)
        texts, labels = [], []
        for _ in range(n):
            words = list(random.choice(["it", "was", "the", "room", "food"], 6))
            good, turned = random.integers(0, 2, 2)
            words[3:3] = ["not"] * turned + ["good" if good else "bad"]
            texts.append(" ".join(words))
            labels.append("pos" if good != turned else "neg")
        return texts, labels

    return make


@pytest.fixture(scope="module")
def reviewer(make_reviews):
    """Return a classifier of reviews with a linear path, and its history.

    It is trained for one epoch only, so the network has learned next to nothing and
    pairs of words decide. Do not train it on.
    """
    keras.utils.set_random_seed(0)
    texts, labels = make_reviews()
    classifier = TextClassifier.from_texts(texts, labels, units=6, seed=0)
    return classifier, classifier.fit(texts, labels, epochs=1).history


def assert_probabilities_equal(classifier, other, texts=NEW):
    np.testing.assert_allclose(
        classifier.predict_proba(texts), other.predict_proba(texts), atol=1e-6
    )


def saved_and_loaded(classifier, folder):
    classifier.save(folder / "model.keras")
    return TextClassifier.load(folder / "model.keras")


# Answers


def test_learns_the_four_sentences(fitted):
    assert [p.label for p in fitted.predict(TEXTS)] == LABELS
    assert fitted.evaluate(TEXTS, LABELS)["accuracy"] == 1.0


def test_a_prediction_names_every_class(fitted):
    prediction = fitted.predict("I hate spam emails")
    assert prediction.text == "I hate spam emails"
    assert prediction.label == "bad"
    assert list(prediction.probabilities) == ["bad", "good"]
    assert prediction.probability == prediction.probabilities["bad"] > 0.5
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-6)


def assert_same_in_any_company(classifier):
    together = classifier.predict_proba(NEW)
    alone = np.concatenate([classifier.predict_proba([text]) for text in NEW])
    in_pairs = classifier.predict_proba(NEW, batch_size=2)
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(in_pairs, together, atol=1e-5)


def test_an_answer_is_the_same_alone_and_in_any_company(fitted, reviewer):
    assert_same_in_any_company(fitted)
    assert_same_in_any_company(reviewer[0])


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("cell", "bidirectional", "pooling"),
    list(itertools.product(CELLS, (False, True), ("last", "max_mean"))),
)
def test_every_network_answers_the_same_in_any_company(
    cell, bidirectional, pooling, make_small
):
    assert_same_in_any_company(
        make_small(cell=cell, bidirectional=bidirectional, pooling=pooling)
    )


def test_probabilities_are_those_of_the_network(fitted):
    ids = fitted.preprocessor.encode(TEXTS).ids
    expected = keras.ops.softmax(fitted(ids))
    np.testing.assert_allclose(fitted.predict_proba(TEXTS), expected, atol=1e-6)


def test_no_texts_get_no_answers(fitted):
    assert fitted.predict([]) == []
    assert fitted.predict_proba([]).shape == (0, 2)


def test_the_graph_equals_the_network_for_every_shape_and_new_weights():
    network = build_classifier(20, 3, units=4, embedding_dim=4)
    forward = make_forward(network)
    for _ in range(2):
        for shape in ((1, 1), (3, 7), (5, 2)):
            ids = np.random.default_rng(0).integers(0, 20, shape).astype(np.int32)
            np.testing.assert_allclose(forward(ids), network(ids), atol=1e-6)
        for weight in network.trainable_variables:
            weight.assign(weight + 0.1)


def test_probabilities_are_in_the_order_of_the_texts():
    """The network is a single table: the logits are the row of the first token."""
    table = np.random.default_rng(0).normal(size=(10, 3))
    ids = np.array(
        [[3, 1, 1, 1], [2, 0, 0, 0], [9, 8, 0, 0], [0, 0, 0, 0], [5, 5, 5, 0]]
    )
    powers = np.exp(table[ids[:, 0]])
    expected = powers / powers.sum(axis=1, keepdims=True)
    for batch_size in (1, 2, 100):
        found = predict_probabilities(lambda x: table[x[:, 0]], ids, 3, batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert predict_probabilities(None, np.zeros((0, 1), int), 3, 8).shape == (0, 3)


def test_large_logits_do_not_overflow():
    found = predict_probabilities(
        lambda ids: np.array([[1000.0, -1000.0]]), np.array([[1]]), 2, 1
    )
    assert found.tolist() == [[1.0, 0.0]]


# Files

_LOAD = """
import json, sys
from rnn_keras import TextClassifier
classifier = TextClassifier.load(sys.argv[1])
print(json.dumps(classifier.predict_proba(json.loads(sys.argv[2])).tolist()))
"""


def assert_a_fresh_process_answers_the_same(classifier, path):
    classifier.save(path)
    command = [sys.executable, "-c", _LOAD, str(path), json.dumps(NEW)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stderr == ""
    loaded = json.loads(finished.stdout)
    np.testing.assert_allclose(loaded, classifier.predict_proba(NEW), atol=1e-6)


def test_a_fresh_process_gives_the_same_probabilities(reviewer, tmp_path):
    assert_a_fresh_process_answers_the_same(reviewer[0], tmp_path / "model.keras")


@pytest.mark.exhaustive
@pytest.mark.parametrize(("cell", "unit"), [("gru", "word"), ("lstm", "character")])
def test_a_fresh_process_loads_other_cells_and_units(cell, unit, make_small, tmp_path):
    classifier = make_small(cell=cell, unit=unit)
    assert_a_fresh_process_answers_the_same(classifier, tmp_path / "model.keras")


def test_a_file_keeps_names_vocabulary_and_settings_and_no_code(make_small, tmp_path):
    classifier = make_small(max_length=3, min_count=2)
    loaded = saved_and_loaded(classifier, tmp_path)
    assert loaded.class_names == ("bad", "good")
    before, after = classifier.preprocessor, loaded.preprocessor
    assert after.get_vocabulary() == before.get_vocabulary()
    assert (after.max_length, after.min_count, after.unit) == (3, 2, "word")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = archive.read("config.json").decode()
    assert "__lambda__" not in config
    assert '"class_name": "TextVectorizer"' in config


def test_a_file_of_an_untrained_classifier_can_be_trained_on(make_small, tmp_path):
    loaded = saved_and_loaded(make_small(), tmp_path)
    before = loaded.evaluate(TEXTS, ["bad", "good"] * 2)["accuracy"]
    before = min(before, loaded.evaluate(TEXTS, LABELS)["accuracy"])
    loaded.fit(TEXTS, LABELS, epochs=40, learning_rate=0.02, patience=None)
    assert loaded.evaluate(TEXTS, LABELS)["accuracy"] == 1.0 > before


def test_a_configuration_of_an_older_version_has_no_linear_path(make_small):
    config = make_small().get_config()
    del config["linear"]
    assert TextClassifier.from_config(config).linear is None


def test_files_that_are_no_classifier_are_refused(fitted, tmp_path):
    absent = tmp_path / "absent.keras"
    with pytest.raises(InputError, match=r"absent.keras: no such file"):
        TextClassifier.load(absent)

    text = tmp_path / "text.keras"
    text.write_text("not a model")
    with pytest.raises(InputError, match=r"text.keras: not a .keras file"):
        TextClassifier.load(text)

    foreign = tmp_path / "foreign.keras"
    build_classifier(10, 2).save(foreign)
    with pytest.raises(InputError, match=r"foreign.keras: holds a Keras Functional"):
        TextClassifier.load(foreign)

    whole = tmp_path / "whole.keras"
    fitted.save(whole)
    truncated = tmp_path / "truncated.keras"
    truncated.write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"truncated.keras: not a .keras file"):
        TextClassifier.load(truncated)

    hollow = tmp_path / "hollow.keras"
    with zipfile.ZipFile(whole) as full, zipfile.ZipFile(hollow, "w") as part:
        part.writestr("config.json", full.read("config.json"))
        part.writestr("metadata.json", full.read("metadata.json"))
    with pytest.raises(InputError, match=r"hollow.keras: refused, .* no model.weights"):
        TextClassifier.load(hollow)


# Settings


def test_settings_are_given_as_an_object_or_by_name(make_small):
    by_name = make_small(cell="lstm", max_length=7, min_count=2)
    settings = ModelSettings(cell="lstm", units=6, embedding_dim=5, min_count=2)
    recipe = recipe_for(TEXTS).override(settings)
    as_object = TextClassifier.from_texts(
        TEXTS, LABELS, seed=0, settings=settings, max_length=7
    )
    assert_probabilities_equal(by_name, as_object)
    assert as_object.preprocessor.max_length == 7
    with_recipe = TextClassifier.from_texts(
        TEXTS, LABELS, seed=0, settings=settings, recipe=recipe.override(settings)
    )
    assert with_recipe.preprocessor.max_length == recipe.max_length == 64
    # A setting of the training is none of the classifier, and the other way round.
    with pytest.raises(TypeError, match="epochs"):
        make_small(epochs=3)
    with pytest.raises(TypeError, match="units"):
        by_name.fit(TEXTS, LABELS, settings=FitSettings(epochs=1), units=3)


def test_texts_in_parts_are_taken_instead_of_texts_and_labels(make_small):
    part = LabelledTexts(TEXTS, LABELS)
    splits = Splits(part, part, part, ())
    classifier = TextClassifier.from_texts(splits, units=6, embedding_dim=5, seed=0)
    assert_probabilities_equal(classifier, make_small())
    history = classifier.fit(splits, epochs=1).history
    assert len(history["val_loss"]) == 1
    with pytest.raises(InputError, match="texts without labels; expected a label"):
        make_small().fit(TEXTS)


def test_equal_seeds_give_equal_weights(make_small):
    trained = [make_small(cell="simple_rnn", bidirectional=False) for _ in range(3)]
    for classifier, seed in zip(trained, (1, 1, 2), strict=True):
        keras.utils.set_random_seed(7)
        classifier.fit(TEXTS, LABELS, epochs=3, batch_size=2, seed=seed)
    first, second, third = (classifier.get_weights() for classifier in trained)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], third[0])


# Training


def test_labels_may_be_numbers_and_cut_texts_are_counted():
    classifier = TextClassifier.from_texts(
        TEXTS, [10, 10, 9, 9], units=4, max_length=3, seed=0
    )
    assert classifier.class_names == ("9", "10")
    texts, labels = ["a b c d", "a b c", "a"], np.array([10, 9, 9])
    history = classifier.fit(texts, labels, validation_data=([], []), epochs=1).history
    assert classifier.predict("x").label in ("9", "10")
    assert classifier.num_cut == 1
    # Three texts are too few to hold any out for the linear path.
    assert "val_loss" not in history
    assert classifier.linear is None


def test_validation_data_decides_when_to_stop(make_small):
    wrong = ["bad", "bad", "good", "good"]
    history = make_small().fit(
        TEXTS,
        LABELS,
        validation_data=(TEXTS, wrong),
        epochs=50,
        learning_rate=0.02,
        patience=2,
    )
    assert len(history.epoch) < 50
    losses = history.history["val_loss"]
    assert losses[-1] > min(losses)


def test_texts_are_held_out_for_the_linear_path(reviewer, make_reviews, tmp_path):
    classifier, history = reviewer
    assert "val_loss" in history
    ids = classifier.preprocessor.encode(NEW).ids
    alone = classifier.network(ids)
    both = classifier.linear(ids, alone)
    np.testing.assert_allclose(classifier(ids), both, atol=1e-6)
    expected = keras.ops.softmax(both)
    np.testing.assert_allclose(classifier.predict_proba(NEW), expected, atol=1e-6)
    assert not np.allclose(both, alone, atol=1e-2)
    # Pairs of words tell the label of every review.
    assert classifier.evaluate(*make_reviews(seed=1))["accuracy"] > 0.95
    loaded = saved_and_loaded(classifier, tmp_path)
    assert_probabilities_equal(loaded, classifier, make_reviews(20)[0])
    assert loaded.linear.rows == classifier.linear.rows


def test_a_later_fit_replaces_the_linear_path_also_in_the_file(make_reviews, tmp_path):
    texts, labels = make_reviews(200)
    classifier = TextClassifier.from_texts(texts, labels, units=4, seed=0)
    classifier.fit(texts, labels, epochs=1)
    weights = len(classifier.weights)

    before = classifier.predict_proba(NEW)
    with pytest.raises(InputError, match="3 texts, but 2 labels"):
        classifier.fit(texts, labels, validation_data=(texts[:3], labels[:2]))
    np.testing.assert_array_equal(classifier.predict_proba(NEW), before)

    # Every label is turned into the other one, and there are other n-grams.
    turned = ["pos" if label == "neg" else "neg" for label in labels[:150]]
    classifier.fit(texts[:150], turned, epochs=1)
    assert len(classifier.weights) == weights
    loaded = saved_and_loaded(classifier, tmp_path)
    assert_probabilities_equal(loaded, classifier, texts)
    assert loaded.evaluate(texts[:150], turned)["accuracy"] > 0.95
    loaded.fit(texts, labels, epochs=1)
    assert loaded.evaluate(texts, labels)["accuracy"] > 0.95

    classifier.fit(texts, labels, epochs=1, linear=False)
    assert classifier.linear is None
    ids = classifier.preprocessor.encode(NEW).ids
    expected = keras.ops.softmax(classifier.network(ids))
    np.testing.assert_allclose(classifier.predict_proba(NEW), expected, atol=1e-6)


# What is refused


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["a", "b"], ["x"], "2 texts, but 1 labels"),
        (["a", "b"], ["x", "x"], "one class only: x"),
        ([], [], "no texts"),
        ("ab", ["x", "y"], "one string, where a list of strings"),
        (["a", "b"], None, "texts without labels; expected a label for each text"),
    ],
)
def test_texts_that_teach_nothing_are_refused(texts, labels, message):
    with pytest.raises(InputError, match=message):
        TextClassifier.from_texts(texts, labels)


def test_labels_are_classes_and_as_many_as_the_texts(make_small):
    classifier = make_small()
    message = "label 'ugly' is none of the classifier's classes: bad, good"
    with pytest.raises(InputError, match=message):
        classifier.fit(TEXTS, ["good", "good", "bad", "ugly"])
    with pytest.raises(InputError, match=message):
        classifier.evaluate(["a"], ["ugly"])
    with pytest.raises(InputError, match="4 texts, but 3 labels"):
        classifier.fit(TEXTS, LABELS[:3])
    with pytest.raises(InputError, match="1 texts, but 2 labels"):
        classifier.evaluate(["a"], LABELS[1:3])


def test_texts_are_a_list_of_strings(fitted):
    with pytest.raises(InputError, match="one string, where a list of strings"):
        fitted.predict_proba("hello")
    with pytest.raises(InputError, match="text 1 is no string but NoneType: None"):
        fitted.predict(["a", None])
    with pytest.raises(InputError, match="text 1500 is no string but int: 7"):
        fitted.predict(["a"] * 1500 + [7])


def test_a_network_of_another_size_is_refused():
    network = build_classifier(10, 3)
    with pytest.raises(ValueError, match="`network` has 3 logits for 2 class names"):
        TextClassifier(network, TextVectorizer(), ["a", "b"])
    with pytest.raises(ValueError, match="`linear` has 1 logits for 3 class names"):
        TextClassifier(network, TextVectorizer(), "abc", LinearPath(1, 5))
