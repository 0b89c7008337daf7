"""All checks of texts together: each fault alone, and none in healthy texts."""

from dataclasses import replace

import pytest

from rnn_keras.datasets.labelled import LabelledTexts, Splits
from rnn_keras.datasets.loaders import load_dataset
from rnn_keras.doctor.data_examination import draw_sample, examine_data
from rnn_keras.utils.errors import InputError


def names(data, **arguments):
    return [(f.name, f.severity) for f in examine_data(data, **arguments)]


def more(healthy, texts, labels):
    return LabelledTexts(healthy.texts + texts, healthy.labels + labels, "made")


def make_faulty(healthy, fault):
    """The healthy texts with one fault, and the severity of its finding."""
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
    }[fault]


def test_nothing_is_found_in_healthy_texts(healthy):
    lines = []
    assert examine_data(healthy, report=lines.append) == []
    assert examine_data(healthy.split(), report=lines.append) == []
    assert lines == []


@pytest.mark.parametrize(
    "fault",
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
def test_each_fault_is_found_and_nothing_else_is_as_bad(healthy, fault):
    data, severity = make_faulty(healthy, fault)
    found = names(data)
    assert (fault, severity) in found
    assert {name for name, grade in found if grade != "note"} <= {fault}


def test_chosen_settings_are_checked(healthy):
    assert names(healthy, max_length=5) == [("cut-texts", "warning")]
    assert names(healthy, max_length=0) == []
    long = replace(healthy, texts=[f"{t} {t} {t} {t} {t} {t}" for t in healthy.texts])
    assert ("wrong-unit", "warning") in names(long, unit="character")
    single = replace(healthy, texts=[t.replace(" ", "") for t in healthy.texts])
    assert ("wrong-unit", "warning") in names(single, unit="word")
    assert names(single) == []  # by default they are read by character


def test_given_parts_must_not_share_a_text(healthy):
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
def test_training_and_validation_must_not_share_a_text(healthy, change, found):
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


def test_the_settings_are_those_of_as_many_texts_as_are_trained_on(healthy):
    """From 1,000 training texts on, tokens that occur once stay unknown.

    The cure for unknown tokens names --min-count then. Of 1,200 texts, 840 are trained
    on, or 1,080 if the test part is another.
    """
    texts = [f"{word} name{i} thing{i}" for i, word in enumerate(["yes", "no"] * 600)]
    many = LabelledTexts(texts, ["a", "b"] * 600)

    def cure(data):
        (found,) = (f for f in examine_data(data) if f.name == "unknown-tokens")
        return found.cure

    assert "--min-count" not in cure(many)
    assert "--min-count" not in cure(many.split())
    test = LabelledTexts([f"{text} more" for text in texts[:100]], many.labels[:100])
    assert "--min-count" in cure(replace(many, test=test))


def _pairs(corpus):
    return corpus.texts, corpus.labels


def test_one_class_is_the_only_finding(healthy):
    (found,) = examine_data(replace(healthy, labels=["x"] * len(healthy)))
    assert (found.name, found.severity) == ("one-class", "error")


def test_a_class_of_one_text_is_an_error_because_train_refuses_it(healthy):
    alone = more(healthy, ["a b", "a b"], ["odd", "odd"])
    assert names(alone)[0] == ("lonely-class", "error")
    with pytest.raises(InputError, match="one text only"):
        alone.split()


def test_two_texts_are_examined_without_a_test_part():
    found = examine_data(LabelledTexts(["A text", "a text"], ["a", "b"]))
    (near,) = (f for f in found if f.name == "near-repeats")
    assert "put some of them on both sides of training and test" in near.says
    assert not any(" of 0 " in f.says for f in found)


def test_no_texts_and_other_classes_are_refused(healthy):
    empty = LabelledTexts([], [])
    with pytest.raises(InputError, match="no texts to examine"):
        examine_data(empty)
    with pytest.raises(InputError, match="no texts to examine"):
        examine_data(Splits(empty, empty, healthy, ()))
    with pytest.raises(InputError, match="label 'ugly' is none of the classes of"):
        examine_data(replace(healthy, test=LabelledTexts(["a"], ["ugly"])))


def test_many_texts_are_checked_on_a_sample_and_that_is_reported():
    # The labels alternate: every second text would have the same one.
    texts = [f"word{i % 97} other{i}" for i in range(12_000)]
    corpus = LabelledTexts(texts, ["a", "b"] * 6_000, "many")
    sample = draw_sample(corpus, 5_000)
    assert len(sample) == 5_000
    assert sample.labels.count("a") == pytest.approx(2_500, abs=150)
    lines = []
    examine_data(corpus, report=lines.append)
    assert lines == [
        "leaks, lengths and units: checked on 5,000 of 12,000 different texts"
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("messages", [("unknown-tokens", "note")]),
        ("seed", [("small-classes", "warning")]),
    ],
)
def test_the_bundled_data_have_only_true_findings(name, expected):
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
def test_real_data_have_notes_only(name, expected, needs_corpus):
    needs_corpus(name)
    assert names(load_dataset(name)) == [(found, "note") for found in expected]
