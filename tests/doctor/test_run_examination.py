"""A healthy run, the same run with faults, and networks of all kinds."""

import csv
import json
import re
import shutil

import keras
import numpy as np
import pytest

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.doctor.run_examination import examine_network, examine_run
from rnn_keras.utils.errors import InputError


@pytest.fixture
def copy(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copy")


def names(found):
    return [(finding.name, finding.severity) for finding in found]


def change_metrics(folder, **changes):
    path = folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def write_history(folder, **columns):
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", *columns])
        rows = zip(*columns.values(), strict=True)
        writer.writerows([i, *row] for i, row in enumerate(rows, 1))


WEAK = {"accuracy": 0.6, "f1": {"neg": 0.0, "pos": 0.75}, "n": 80}
STRONG = {"accuracy": 0.95, "f1": {"neg": 0.95, "pos": 0.95}, "n": 80}


def test_nothing_is_found_in_a_healthy_run(run, healthy):
    lines = []
    assert examine_run(run, healthy, report=lines.append) == []
    assert lines == []


def test_faults_in_history_and_scores_are_found(copy, healthy):
    losses = [0.70, 2.0, 0.69]
    write_history(copy, loss=losses, val_loss=[0.7, float("inf"), 0.7])
    change_metrics(copy, test=WEAK, baseline=STRONG)
    assert names(examine_run(copy, healthy)) == [
        ("loss-not-finite", "error"),
        ("loss-jumps", "warning"),
        ("loss-at-chance", "warning"),
        ("behind-baseline", "warning"),
    ]


def test_a_run_without_its_texts_is_examined_in_part(copy):
    lines = []
    assert examine_run(copy, report=lines.append) == []
    (line,) = lines
    assert line.startswith("nowhere.csv: the texts of the run are missing")
    # The F1 of the classes tell what the answers would.
    change_metrics(copy, test=WEAK, baseline=STRONG)
    write_history(copy, loss=[0.5, 0.2, 0.1], val_loss=[0.4, 0.6, 0.9])
    assert names(examine_run(copy)) == [
        ("one-answer", "error"),
        ("behind-baseline", "warning"),
        ("overfitting", "note"),
    ]


def test_the_shares_of_the_classes_are_known_without_the_texts(copy):
    write_history(copy, loss=[0.4, 0.33])  # 0.325 is the entropy of 9 to 1
    change_metrics(copy, labels={"neg": 252, "pos": 28}, streamed=True)
    lines = []
    (found,) = examine_run(copy, report=lines.append)
    assert found.name == "loss-at-chance"
    assert "than the 0.325 that the shares of the classes give" in found.says
    assert "were read as a stream, whose parts cannot be made again here" in lines[0]
    change_metrics(copy, labels={"neg": 252})
    with pytest.raises(InputError, match=r"'labels' is .*; expected a number for each"):
        examine_run(copy)


def change_model(folder, change):
    classifier = TextClassifier.load(folder / "model.keras")
    change(classifier)
    classifier.save(folder / "model.keras")


def test_faults_of_the_network_are_found_although_n_grams_hide_them(copy, healthy):
    def spoil(classifier):
        network = classifier.network
        kernel, bias = network.get_layer("logits").get_weights()
        network.get_layer("logits").set_weights([0 * kernel, bias])
        classifier.linear.scales.assign([1.0, 5.0])
        layer = network.get_layer("bidirectional_1")
        layer.set_weights([1000 * weight for weight in layer.get_weights()])
        table = network.get_layer("embedding")
        rows = table.get_weights()[0]
        rows[10:30] = 0
        table.set_weights([rows])

    change_model(copy, spoil)
    change_metrics(copy, streamed=True)
    lines = []
    found = examine_run(copy, healthy, report=lines.append)
    assert lines[0].startswith("healthy: examined as new texts; which texts the run")
    assert {
        ("no-better-than-majority", "error"),
        ("saturated-units", "warning"),
        ("dead-embeddings", "error"),
    } <= set(names(found))
    (majority,) = (f for f in found if f.name == "no-better-than-majority")
    said = "The network without its n-grams has an accuracy of 0.5"
    assert majority.says.startswith(said)


def test_other_texts_count_as_new_ones(run):
    foreign = LabelledTexts(
        [f"wholly unheard of words number {i}" for i in range(40)], ["pos", "neg"] * 20
    )
    lines = []
    found = examine_run(run, foreign, report=lines.append)
    assert ("unknown-tokens", "warning") in names(found)
    (majority,) = (f for f in found if f.name == "no-better-than-majority")
    assert majority.says.startswith("The classifier has an accuracy of 0.500 on 40")
    assert "these are not the texts of the run" in lines[0]
    with pytest.raises(InputError, match="label 'odd' is none of"):
        examine_run(run, LabelledTexts(["a", "b"], ["pos", "odd"]))


def test_files_of_another_run_and_broken_files_are_refused(copy, healthy):
    scores = {"accuracy": 1.0, "f1": {"neg": 1.0, "odd": 1.0}, "n": 80}
    parts = dict.fromkeys(("test", "network", "baseline"), scores)
    change_metrics(
        copy, class_names=["neg", "odd"], labels={"neg": 9, "odd": 9}, **parts
    )
    with pytest.raises(InputError, match=r"model.keras and metrics.json have other"):
        examine_run(copy, healthy)
    (copy / "model.keras").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"not a .keras file"):
        examine_run(copy, healthy)


IDS = np.tile(np.arange(1, 13), (6, 1))
LABELS = np.array([0, 1] * 3)


def made(mask_zero=True, logits=2):
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(13, 4, mask_zero=mask_zero),
            keras.layers.GRU(4),
            keras.layers.Dense(logits),
        ]
    )


def test_a_plain_keras_network_is_examined():
    assert examine_network(made(), IDS, LABELS) == []
    history = {"loss": [0.7, 0.69], "val_loss": [0.7, 0.7]}
    found = examine_network(made(mask_zero=False), IDS, LABELS, history)
    assert names(found) == [
        ("padding-changes-answers", "error"),
        ("loss-at-chance", "warning"),
    ]


def test_padding_on_the_left_and_a_single_logit_are_understood():
    left = np.pad(IDS, ((0, 0), (40, 0)))
    assert examine_network(made(logits=1), left, LABELS) == []
    (found,) = examine_network(made(mask_zero=False, logits=1), left, LABELS)
    assert found.says.endswith("6 texts get other logits.")


def test_a_network_that_is_not_a_chain_is_examined_in_part():
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(13, 4, mask_zero=True)(ids)
    two = [keras.layers.GRU(2)(x), keras.layers.GRU(2)(x)]
    logits = keras.layers.Dense(2)(keras.layers.Concatenate()(two))
    lines = []
    assert (
        examine_network(keras.Model(ids, logits), IDS, LABELS, report=lines.append)
        == []
    )
    assert lines[0].startswith("saturation and gradients not checked: ")


def test_no_texts_and_another_number_of_labels_are_refused():
    with pytest.raises(InputError, match="6 texts, but 2 labels"):
        examine_network(made(), IDS, LABELS[:2])
    steps = keras.Sequential([keras.Input((None, 2)), keras.layers.Dense(2)])
    with pytest.raises(InputError, match="expected a network from token ids"):
        examine_network(steps, IDS, LABELS)
    with pytest.raises(InputError, match="no texts to examine"):
        examine_network(made(), IDS[:0], LABELS[:0])


class Own(keras.Model):
    def call(self, inputs):
        return inputs


def test_other_networks_and_objects_are_refused(run):
    unbuilt = keras.Sequential([keras.layers.Embedding(13, 4), keras.layers.GRU(4)])
    classifier = TextClassifier.load(run / "model.keras")
    for network in (Own(), unbuilt):
        with pytest.raises(InputError, match="expected a network from token ids"):
            examine_network(network, IDS, LABELS)
    with pytest.raises(InputError, match=r"keras.Input; give its `network`$"):
        examine_network(classifier, IDS, LABELS)
    with pytest.raises(InputError, match=r"str: expected a keras.Model"):
        examine_network("model.keras", IDS, LABELS)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (IDS * 1.0, "ids: float64 (6, 12); expected whole numbers, token ids"),
        (IDS[0], "ids: int64 (12,); expected whole numbers, token ids"),
        ([[1], [1, 2]], "ids: texts of different length"),
        (IDS + 1, "ids: 13 is none of the network's 13"),
        (IDS - 2, "ids: -1 is below 0; expected token ids"),
    ],
)
def test_wrong_ids_are_refused(ids, said):
    with pytest.raises(InputError, match=f"^{re.escape(said)}"):
        examine_network(made(), ids, LABELS)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (LABELS * 1.0, "labels: float64 (6,); expected whole numbers, class indices"),
        (np.eye(2, dtype=int)[LABELS], "labels: int64 (6, 2); expected whole numbers"),
        (2 * LABELS - 1, "labels: -1 is below 0; expected class indices"),
        (LABELS + 1, "labels: 2 is none of 2 classes"),
        (["a", "b"] * 3, "labels: <U1 (6,); expected whole numbers"),
    ],
)
def test_wrong_labels_are_refused(labels, said):
    with pytest.raises(InputError, match=f"^{re.escape(said)}"):
        examine_network(made(), IDS, labels)


def test_a_network_for_another_length_is_refused():
    network = keras.Sequential(
        [
            keras.Input((5,), dtype="int32"),
            keras.layers.Embedding(13, 4, mask_zero=True),
            keras.layers.GRU(4),
            keras.layers.Dense(2),
        ]
    )
    with pytest.raises(InputError, match="ids: 12 timesteps; the network reads 5"):
        examine_network(network, IDS, LABELS)


def test_a_history_may_be_what_fit_returns():
    network, history = made(), keras.callbacks.History()
    history.set_model(network)
    history.on_train_begin()
    history.on_epoch_end(0, {"loss": 0.7})
    found = examine_network(network, IDS, LABELS, history)
    assert names(found) == [("loss-at-chance", "warning")]


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ({"accuracy": [0.5]}, "history: has no 'loss'"),
        ({"loss": 0.5}, "history: 'loss' is no list of numbers"),
        ({"loss": ["x"]}, "history: 'loss' is no list of numbers"),
        ({"loss": []}, "history: holds no epoch"),
        ({"loss": [1, 2], "val_loss": [1]}, "'loss' and 'val_loss' differ in length"),
        ([0.5], "history: expected a dictionary of lists, or a Keras History"),
    ],
)
def test_a_history_without_losses_is_refused(history, said):
    with pytest.raises(InputError, match=said):
        examine_network(made(), IDS, LABELS, history)
