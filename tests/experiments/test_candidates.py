import pickle
import random
import threading

import numpy as np
import pytest

from rnn_keras.classification import Settings, TextClassifier
from rnn_keras.experiments.candidates import (
    MajorityCandidate,
    NetworkCandidate,
    TfidfCandidate,
    candidates_for,
    train_candidate,
)

SETTINGS = Settings(
    cell="simple_rnn",
    bidirectional=False,
    units=4,
    embedding_dim=4,
    epochs=2,
    learning_rate=0.02,
)


def test_baselines_stand_beside_the_networks():
    every = candidates_for(["so good", "so bad"] * 9, {"gru": 4, "lstm": 3}, SETTINGS)
    assert [(c.name, c.units, c.is_random) for c in every] == [
        ("gru", 4, True),
        ("lstm", 3, True),
        ("mean_embedding", 1, True),
        ("tfidf_2", 0, False),
        ("tfidf_1", 0, False),
        ("majority", 0, False),
    ]
    averaged = every[2].settings
    assert (averaged.num_layers, averaged.pooling, averaged.linear) == (
        0,
        "mean",
        False,
    )
    assert all(c.settings.embedding_dim == 4 for c in every[:3])


def test_baselines_of_characters_stand_beside_networks_of_characters():
    every = candidates_for(["ada", "eve"] * 10, {"gru": 4}, SETTINGS)
    tfidf = [c for c in every if isinstance(c, TfidfCandidate)]
    assert [c.name for c in tfidf] == ["tfidf_3", "tfidf_2", "tfidf_1"]
    assert all(c.unit == "character" for c in tfidf)


def test_candidates_and_results_can_be_sent_to_another_process(made):
    for candidate in candidates_for(["a b", "c d"], {"gru": 4}, SETTINGS):
        assert pickle.loads(pickle.dumps(candidate)) == candidate
    results = train_candidate(MajorityCandidate("majority"), 0, made(10).split())
    assert pickle.loads(pickle.dumps(results)) == results


def test_the_baselines_answer_every_test_text(made):
    splits = made(10).split()
    (majority,) = train_candidate(MajorityCandidate("majority"), 0, splits)
    assert majority.predicted == [0] * 20
    assert (majority.model, majority.units, majority.parameters) == ("majority", 0, 0)
    (tfidf,) = train_candidate(TfidfCandidate("tfidf_1", "word", 1), 0, splits)
    true = [["neg", "pos"].index(label) for label in splits.test.labels]
    assert np.mean(np.equal(tfidf.predicted, true)) > 0.8
    assert tfidf.parameters > 0


def test_a_network_is_trained_as_a_person_would_do_it_whatever_others_draw(made):
    """Other threads draw random numbers all the time."""
    splits = made(10).split()
    stop = threading.Event()

    def draw():
        while not stop.wait(0.0005):
            random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        results = train_candidate(NetworkCandidate("mine", SETTINGS), 1, splits)
    finally:
        stop.set()
        thread.join()
    classifier = TextClassifier.from_texts(
        splits.train.texts,
        splits.train.labels,
        cell="simple_rnn",
        bidirectional=False,
        units=4,
        embedding_dim=4,
        seed=1,
    )
    classifier.fit(
        splits.train.texts,
        splits.train.labels,
        validation_data=(splits.validation.texts, splits.validation.labels),
        epochs=2,
        learning_rate=0.02,
        seed=1,
    )
    alone, both = results
    assert (alone.model, both.model) == ("mine", "mine+ngrams")
    assert (alone.seed, alone.units, alone.epochs) == (1, 4, 2)
    assert alone.seconds == both.seconds > 0
    network = TextClassifier(
        classifier.network, classifier.preprocessor, classifier.class_names
    )
    for result, model in ((alone, network), (both, classifier)):
        predicted = [classifier.class_names[i] for i in result.predicted]
        assert predicted == model.labels_of(splits.test.texts)
    assert alone.parameters == classifier.network.count_params()
    path = classifier.linear
    assert both.parameters == alone.parameters + path.rows * path.num_classes


def test_a_candidate_that_is_no_model_is_refused(made):
    with pytest.raises(ValueError, match="cell"):
        train_candidate(
            NetworkCandidate("mine", Settings(cell="none")), 0, made().split()
        )
