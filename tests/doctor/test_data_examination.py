"""All checks of texts together: each ailment alone, and none in health."""

from dataclasses import replace

import pytest

from rnn_keras.classification import recipe
from rnn_keras.datasets.labelled import LabelledTexts, Splits
from rnn_keras.datasets.loaders import load_dataset
from rnn_keras.doctor import data_examination as doctor
from rnn_keras.doctor.data_examination import examine_data, lonely_class, sample_of
from rnn_keras.utils.errors import InputError


def names(data, **arguments):
    return [(f.name, f.severity) for f in examine_data(data, **arguments)]


def more(healthy, texts, labels):
    return LabelledTexts(healthy.texts + texts, healthy.labels + labels, "made")


def ill(healthy, what):
    """The healthy texts, made ill in one way, and what is to be found."""
    texts, labels = healthy.texts, healthy.labels
    other = {"pos": "neg", "neg": "pos"}
    strange = [" ".join(word[::-1] + "x" for word in text.split()) for text in texts]
    return {
        "repeats": (more(healthy, texts[:9], labels[:9]), "note"),
        "near-repeats": (
            more(healthy, [t.upper() for t in texts[:60]], labels[:60]),
            "warning",
        ),
        "contradictions": (
            more(healthy, texts[:20], [other[label] for label in labels[:20]]),
            "warning",
        ),
        "label-in-text": (
            replace(
                healthy,
                texts=[f"{label}: {t}" for t, label in zip(texts, labels, strict=True)],
            ),
            "error",
        ),
        "small-classes": (more(healthy, ["a b", "a c", "a d"], ["odd"] * 3), "warning"),
        "unknown-tokens": (
            replace(healthy, test=LabelledTexts(strange, labels)),
            "warning",
        ),
        "repeats-across": (replace(healthy, test=healthy[range(50)]), "note"),
        "near-repeats-across": (
            replace(healthy, test=LabelledTexts([t.title() for t in texts], labels)),
            "warning",
        ),
    }[what]


def test_in_healthy_texts_nothing_is_found(healthy):
    lines = []
    assert examine_data(healthy, report=lines.append) == []
    assert examine_data(healthy.split(), report=lines.append) == []
    assert lines == []


@pytest.mark.parametrize(
    "what",
    [
        "repeats",
        "near-repeats",
        "contradictions",
        "label-in-text",
        "small-classes",
        "unknown-tokens",
        "repeats-across",
        "near-repeats-across",
    ],
)
def test_each_ailment_is_found_and_nothing_else_is_as_bad(healthy, what):
    data, severity = ill(healthy, what)
    found = names(data)
    assert (what, severity) in found
    assert {name for name, grade in found if grade != "note"} <= {what}


def test_what_a_person_chose_is_looked_at(healthy):
    assert names(healthy, max_length=5) == [("cut-texts", "warning")]
    assert names(healthy, max_length=0) == []
    long = replace(healthy, texts=[f"{t} {t} {t} {t} {t} {t}" for t in healthy.texts])
    assert ("wrong-unit", "warning") in names(long, unit="character")
    single = replace(healthy, texts=[t.replace(" ", "") for t in healthy.texts])
    assert ("wrong-unit", "warning") in names(single, unit="word")
    assert names(single) == []  # the recipe reads them by character by itself


def test_parts_that_are_used_as_they_are_must_not_share_a_text(healthy):
    splits = healthy.split()
    leaking = splits._replace(train=more(splits.train, *_pairs(splits.test)))
    assert ("repeats-across", "error") in names(leaking)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (str, ("repeats-across", "warning")),
        (str.upper, ("near-repeats-across", "warning")),
    ],
)
def test_nor_may_training_and_validation(healthy, change, found):
    splits = healthy.split()
    texts, labels = _pairs(splits.validation)
    again = more(splits.train, list(map(change, texts)), labels)
    assert found in names(splits._replace(train=again))
    says = [f.says for f in examine_data(splits._replace(train=again))]
    assert any("40 of 40 validation texts (100 %)" in line for line in says)


def test_a_test_text_with_another_label_than_in_training_is_a_contradiction(healthy):
    other = {"pos": "neg", "neg": "pos"}
    turned = [other[label] for label in healthy.labels[:20]]
    test = LabelledTexts(healthy.texts[:200], turned + healthy.labels[20:200])
    assert ("contradictions", "warning") in names(replace(healthy, test=test))


def test_the_recipe_is_that_of_the_texts_that_are_trained_on(monkeypatch, healthy):
    asked = []

    def recipe_for(texts, unit=None, count=None):
        asked.append(count)
        return recipe.recipe_for(texts, unit, count)

    monkeypatch.setattr(doctor, "recipe_for", recipe_for)
    splits = healthy.split()
    for data in (healthy, splits, replace(healthy, test=splits.test)):
        examine_data(data)
    assert asked == [280, 280, 360]
    assert len(splits.train) == 280


def _pairs(corpus):
    return corpus.texts, corpus.labels


def test_one_class_is_all_there_is_to_say(healthy):
    (found,) = examine_data(replace(healthy, labels=["x"] * len(healthy)))
    assert (found.name, found.severity) == ("one-class", "error")


def test_a_class_of_one_text_is_an_error_that_train_would_make(healthy):
    alone = more(healthy, ["a b", "a b"], ["odd", "odd"])
    assert names(alone)[0] == ("lonely-class", "error")
    with pytest.raises(InputError, match="one text only"):
        alone.split()


def test_a_text_of_two_labels_is_one_of_both_classes():
    # `dict` would keep its last label only, and leave "b" with one text.
    pairs = [("one", "a"), ("two", "a"), ("both", "b"), ("both", "a"), ("more", "b")]
    texts, labels = map(list, zip(*pairs, strict=True))
    data = LabelledTexts(texts, labels)
    data.split()  # `train` can divide it
    assert lonely_class(data) is None


def test_of_two_texts_nothing_is_said_of_a_part_that_cannot_be():
    found = examine_data(LabelledTexts(["A text", "a text"], ["a", "b"]))
    (near,) = (f for f in found if f.name == "near-repeats")
    assert "can put some on both sides of training and test" in near.says
    assert not any(" of 0 " in f.says for f in found)


def test_without_texts_there_is_nothing_to_examine(healthy):
    empty = LabelledTexts([], [])
    with pytest.raises(InputError, match="no texts to examine"):
        examine_data(empty)
    with pytest.raises(InputError, match="no texts to examine"):
        examine_data(Splits(empty, empty, healthy, ()))
    with pytest.raises(InputError, match="label 'ugly' is none of the classes of"):
        examine_data(replace(healthy, test=LabelledTexts(["a"], ["ugly"])))


def test_of_many_texts_a_sample_is_looked_at_and_that_is_said():
    # Labels that alternate, as a stride of two would see one of.
    texts = [f"word{i % 97} other{i}" for i in range(12_000)]
    corpus = LabelledTexts(texts, ["a", "b"] * 6_000, "many")
    sample = sample_of(corpus, 5_000)
    assert len(sample) == 5_000
    assert sample.labels.count("a") == pytest.approx(2_500, abs=150)
    lines = []
    examine_data(corpus, report=lines.append)
    assert lines == [
        "leaks, lengths and units: 5,000 of 12,000 different texts looked at"
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("messages", [("unknown-tokens", "note")]),
        ("seed", [("small-classes", "warning")]),
    ],
)
def test_of_the_bundled_data_only_what_is_true_is_said(name, expected):
    assert names(load_dataset(name)) == expected


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sms_spam", ["repeats", "near-repeats"]),
        ("chnsenticorp", ["near-repeats"]),
        ("imdb", ["repeats", "repeats-across", "near-repeats", "cut-texts"]),
    ],
)
def test_real_data_have_notes_and_no_more(name, expected, needs_corpus):
    needs_corpus(name)
    assert names(load_dataset(name)) == [(found, "note") for found in expected]
