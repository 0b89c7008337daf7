import itertools
import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest

from rnn_keras.classification.classifier import TextClassifier
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


def small(**arguments):
    return TextClassifier.from_texts(
        TEXTS, LABELS, units=6, embedding_dim=5, seed=0, **arguments
    )


def fitted(**arguments):
    classifier = small(**arguments)
    classifier.fit(TEXTS, LABELS, epochs=40, learning_rate=0.02, patience=None)
    return classifier


def test_learns_the_four_sentences():
    classifier = fitted()
    assert [p.label for p in classifier.predict(TEXTS)] == LABELS
    assert classifier.evaluate(TEXTS, LABELS)["accuracy"] == 1.0


def test_a_prediction_names_every_class():
    prediction = fitted().predict("I hate spam emails")
    assert prediction.text == "I hate spam emails"
    assert prediction.label == "bad"
    assert list(prediction.probabilities) == ["bad", "good"]
    assert prediction.probability == prediction.probabilities["bad"] > 0.5
    assert sum(prediction.probabilities.values()) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("cell", "bidirectional", "pooling"),
    list(itertools.product(CELLS, (False, True), ("last", "max_mean"))),
)
def test_an_answer_is_the_same_alone_and_in_any_company(cell, bidirectional, pooling):
    classifier = small(cell=cell, bidirectional=bidirectional, pooling=pooling)
    together = classifier.predict_proba(NEW)
    alone = np.concatenate([classifier.predict_proba([text]) for text in NEW])
    in_pairs = classifier.predict_proba(NEW, batch_size=2)
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(in_pairs, together, atol=1e-5)


def test_probabilities_are_those_of_the_network():
    classifier = small()
    ids = classifier.preprocessor.encode(TEXTS).ids
    expected = keras.ops.softmax(classifier(ids))
    np.testing.assert_allclose(classifier.predict_proba(TEXTS), expected, atol=1e-6)


def test_no_texts_get_no_answers():
    classifier = small()
    assert classifier.predict([]) == []
    assert classifier.predict_proba([]).shape == (0, 2)


_LOAD = """
import json, sys
from rnn_keras import TextClassifier
classifier = TextClassifier.load(sys.argv[1])
print(json.dumps(classifier.predict_proba(json.loads(sys.argv[2])).tolist()))
"""


@pytest.mark.parametrize(("cell", "unit"), [("gru", "word"), ("lstm", "character")])
def test_a_fresh_process_gives_the_same_probabilities(cell, unit, tmp_path):
    classifier = fitted(cell=cell, unit=unit)
    path = tmp_path / "model.keras"
    classifier.save(path)
    command = [sys.executable, "-c", _LOAD, str(path), json.dumps(NEW)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stderr == ""
    loaded = json.loads(finished.stdout)
    np.testing.assert_allclose(loaded, classifier.predict_proba(NEW), atol=1e-6)


def test_a_file_keeps_names_vocabulary_and_settings(tmp_path):
    classifier = fitted(max_length=3, min_count=2)
    classifier.save(tmp_path / "model.keras")
    loaded = TextClassifier.load(tmp_path / "model.keras")
    assert loaded.class_names == ("bad", "good")
    before, after = classifier.preprocessor, loaded.preprocessor
    assert after.get_vocabulary() == before.get_vocabulary()
    assert (after.max_length, after.min_count, after.unit) == (3, 2, "word")


def test_a_loaded_classifier_can_be_trained_on(tmp_path):
    classifier = small()
    classifier.save(tmp_path / "model.keras")
    loaded = TextClassifier.load(tmp_path / "model.keras")
    before = loaded.evaluate(TEXTS, ["bad", "good"] * 2)["accuracy"]
    before = min(before, loaded.evaluate(TEXTS, LABELS)["accuracy"])
    loaded.fit(TEXTS, LABELS, epochs=40, learning_rate=0.02, patience=None)
    assert loaded.evaluate(TEXTS, LABELS)["accuracy"] == 1.0 > before


def test_no_python_code_is_in_the_file(tmp_path):
    small().save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        config = archive.read("config.json").decode()
    assert "__lambda__" not in config
    assert '"class_name": "TextVectorizer"' in config


def test_equal_seeds_give_equal_weights():
    first, second, third = (small(dropout=0.5) for _ in range(3))
    for classifier, seed in ((first, 1), (second, 1), (third, 2)):
        keras.utils.set_random_seed(7)
        classifier.fit(TEXTS, LABELS, epochs=5, batch_size=2, seed=seed)
    same = [
        np.array_equal(a, b)
        for a, b in zip(first.get_weights(), second.get_weights(), strict=True)
    ]
    assert all(same)
    assert not np.array_equal(first.get_weights()[0], third.get_weights()[0])


def test_labels_may_be_numbers():
    classifier = TextClassifier.from_texts(TEXTS, [10, 10, 9, 9], units=4, seed=0)
    assert classifier.class_names == ("9", "10")
    classifier.fit(TEXTS, np.array([10, 10, 9, 9]), epochs=1)
    assert classifier.predict("x").label in ("9", "10")


def test_how_many_texts_were_cut_is_known():
    classifier = small(max_length=3)
    classifier.fit(["a b c d", "a b c", "a"], ["good", "bad", "bad"], epochs=1)
    assert classifier.num_cut == 1


def test_validation_data_decides_when_to_stop():
    classifier = small()
    wrong = ["bad", "bad", "good", "good"]
    history = classifier.fit(
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


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["a", "b"], ["x"], "2 texts, but 1 labels"),
        (["a", "b"], ["x", "x"], "one class only: x"),
        ([], [], "no texts"),
    ],
)
def test_texts_that_teach_nothing_are_refused(texts, labels, message):
    with pytest.raises(InputError, match=message):
        TextClassifier.from_texts(texts, labels)


def test_an_unknown_label_is_named():
    message = "label 'ugly' is none of the classifier's classes: bad, good"
    with pytest.raises(InputError, match=message):
        small().fit(TEXTS, ["good", "good", "bad", "ugly"])
    with pytest.raises(InputError, match=message):
        small().evaluate(["a"], ["ugly"])


def test_as_many_labels_as_texts_are_asked_for():
    with pytest.raises(InputError, match="4 texts, but 3 labels"):
        small().fit(TEXTS, LABELS[:3])


def test_texts_are_a_list_of_strings():
    with pytest.raises(InputError, match="one string, where a list of strings"):
        small().predict_proba("hello")
    with pytest.raises(InputError, match="text 1 is no string but NoneType: None"):
        small().predict(["a", None])
    with pytest.raises(InputError, match="text 1500 is no string but int: 7"):
        small().predict(["a"] * 1500 + [7])
    with pytest.raises(InputError, match="1 texts, but 2 labels"):
        small().evaluate(["a"], LABELS[1:3])


def reviews(n=400, seed=0):
    """The word that decides stands anywhere, `not` before it turns it round."""
    random = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(n):
        words = list(random.choice(["it", "was", "the", "room", "food"], 6))
        good, turned = random.integers(0, 2, 2)
        words[3:3] = ["not"] * turned + ["good" if good else "bad"]
        texts.append(" ".join(words))
        labels.append("pos" if good != turned else "neg")
    return texts, labels


def test_texts_are_held_out_for_the_linear_path():
    texts, labels = reviews()
    classifier = TextClassifier.from_texts(texts, labels, units=6, seed=0)
    history = classifier.fit(texts, labels, epochs=1)
    assert "val_loss" in history.history
    ids = classifier.preprocessor.encode(NEW).ids
    alone = classifier.network(ids)
    both = classifier.linear(ids, alone)
    np.testing.assert_allclose(classifier(ids), both, atol=1e-6)
    expected = keras.ops.softmax(both)
    np.testing.assert_allclose(classifier.predict_proba(NEW), expected, atol=1e-6)
    assert not np.allclose(both, alone, atol=1e-2)
    # After one epoch the network knows nothing; pairs of words decide.
    assert classifier.evaluate(*reviews(seed=1))["accuracy"] == 1.0


def test_without_the_linear_path_there_is_the_network_alone():
    texts, labels = reviews(200)
    classifier = TextClassifier.from_texts(texts, labels, units=6, seed=0)
    classifier.fit(texts, labels, epochs=1)
    assert classifier.linear is not None
    classifier.fit(texts, labels, epochs=1, linear=False)
    assert classifier.linear is None
    ids = classifier.preprocessor.encode(NEW).ids
    expected = keras.ops.softmax(classifier.network(ids))
    np.testing.assert_allclose(classifier.predict_proba(NEW), expected, atol=1e-6)


def test_a_file_has_the_linear_path(tmp_path):
    texts, labels = reviews(200)
    classifier = TextClassifier.from_texts(texts, labels, units=6, seed=0)
    classifier.fit(texts, labels, epochs=1)
    classifier.save(tmp_path / "model.keras")
    loaded = TextClassifier.load(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict_proba(texts), classifier.predict_proba(texts), atol=1e-6
    )
    assert loaded.linear.rows == classifier.linear.rows


def test_a_second_fit_replaces_the_linear_path_also_in_the_file(tmp_path):
    texts, labels = reviews(200)
    classifier = TextClassifier.from_texts(texts, labels, units=6, seed=0)
    classifier.fit(texts, labels, epochs=1)
    weights = len(classifier.weights)
    # The other way round, and with other n-grams.
    turned = ["pos" if label == "neg" else "neg" for label in labels[:150]]
    classifier.fit(texts[:150], turned, epochs=1)
    assert len(classifier.weights) == weights
    classifier.save(tmp_path / "model.keras")
    loaded = TextClassifier.load(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict_proba(texts), classifier.predict_proba(texts), atol=1e-6
    )
    assert loaded.evaluate(texts[:150], turned)["accuracy"] == 1.0
    loaded.fit(texts, labels, epochs=1)
    assert loaded.evaluate(texts, labels)["accuracy"] == 1.0


def test_a_refused_fit_changes_nothing():
    texts, labels = reviews(200)
    classifier = TextClassifier.from_texts(texts, labels, units=6, seed=0)
    classifier.fit(texts, labels, epochs=1)
    before = classifier.predict_proba(NEW)
    with pytest.raises(InputError, match="3 texts, but 2 labels"):
        classifier.fit(texts, labels, validation_data=(texts[:3], labels[:2]))
    np.testing.assert_array_equal(classifier.predict_proba(NEW), before)


def test_a_file_without_a_linear_path_in_its_configuration_loads():
    config = small().get_config()
    del config["linear"]
    assert TextClassifier.from_config(config).linear is None


def test_four_sentences_are_too_few_for_a_linear_path():
    classifier = small()
    history = classifier.fit(TEXTS, LABELS, epochs=1)
    assert classifier.linear is None
    assert "val_loss" not in history.history


def test_an_empty_validation_part_is_none():
    classifier = small()
    history = classifier.fit(TEXTS, LABELS, validation_data=([], []), epochs=1)
    assert "val_loss" not in history.history


def test_a_network_of_another_size_is_refused():
    network = build_classifier(10, 3)
    with pytest.raises(ValueError, match="`network` has 3 logits for 2 class names"):
        TextClassifier(network, TextVectorizer(), ["a", "b"])
    with pytest.raises(ValueError, match="`linear` has 1 logits for 3 class names"):
        TextClassifier(network, TextVectorizer(), "abc", LinearPath(1, 5))


def test_files_that_are_no_classifier_are_refused(tmp_path):
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
    small().save(whole)
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
