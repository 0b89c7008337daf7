"""Each check on texts that are made to have one fault, and on healthy ones."""

import pytest

from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.doctor import data_checks as checks


def corpus(*pairs):
    texts, labels = zip(*pairs, strict=True)
    return LabelledTexts(list(texts), list(labels), "made")


def with_more(healthy, texts, labels):
    return LabelledTexts(healthy.texts + texts, healthy.labels + labels, "made")


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("Don't PANIC!", "dont panic", True),
        ("a_b-c", "ABC", True),
        ("你好，世界。", "你好 世界", True),
        ("STRASSE", "straße", True),
        ("I'm \u200bhere", "im here", True),
        ("so good 😀", "so good 😡", False),
        ("กา", "กิ", False),  # only the vowel sign differs
        ("कि", "की", False),
        (":-)", ":-(", False),
        ("1.5", "1.6", False),
    ],
)
def test_the_normal_form_drops_case_space_and_punctuation_only(one, other, equal):
    assert (checks.normal_form(one) == checks.normal_form(other)) is equal


def test_healthy_texts_pass_all_checks(healthy):
    half = healthy[range(200)], healthy[range(200, 400)]
    sizes = {"pos": 140, "neg": 140}
    for found in (
        checks.repeats(healthy),
        checks.near_repeats(healthy),
        checks.contradictions(healthy),
        checks.repeats_across(*half, divided=True),
        checks.near_repeats_across(*half),
        checks.small_classes(sizes, {"pos": 40, "neg": 40}),
        checks.imbalance(sizes),
    ):
        assert found is None


def test_repeats_are_counted_with_their_label():
    found = checks.repeats(corpus(("a", "x"), ("a", "x"), ("a", "y"), ("b", "x")))
    assert (found.name, found.severity) == ("repeats", "note")
    assert found.says == "1 of 4 texts repeats another letter for letter."
    assert found.examples[0] == "2 times: a"


@pytest.mark.parametrize(("number", "severity"), [(3, "note"), (60, "warning")])
def test_near_repeats_are_a_warning_if_they_can_move_a_score(healthy, number, severity):
    loud = [f"{text.upper()}!" for text in healthy.texts[:number]]
    found = checks.near_repeats(with_more(healthy, loud, healthy.labels[:number]))
    assert (found.name, found.severity) == ("near-repeats", severity)
    assert found.says.startswith(f"{2 * number} of {400 + number} texts")


def test_the_expected_number_of_near_repeats_is_that_of_real_divisions(healthy):
    loud = [f"{text.upper()}!" for text in healthy.texts[:60]]
    sick = with_more(healthy, loud, healthy.labels[:60])
    said = int(checks.near_repeats(sick).says.split(" gives about ")[1].split(" ")[0])
    beside = []
    for seed in range(20):
        splits = sick.split(seed=seed)
        trained = {checks.normal_form(text) for text in splits.train.texts}
        beside.append(sum(checks.normal_form(t) in trained for t in splits.test.texts))
    assert sum(beside) / 20 == pytest.approx(said, abs=2)


def test_near_repeats_are_a_note_if_there_is_a_test_part(healthy):
    loud = [text.upper() for text in healthy.texts[:60]]
    sick = with_more(healthy, loud, healthy.labels[:60])
    found = checks.near_repeats(sick, has_test=True)
    assert found.severity == "note"
    assert "training and validation" in found.says
    assert "--test" not in found.cure


@pytest.mark.parametrize(
    ("number", "divided", "severity"),
    [
        (1, False, "note"),
        (50, False, "note"),
        (1, True, "warning"),
        (50, True, "error"),
    ],
)
def test_repeats_across_are_an_error_only_if_nothing_removes_them(
    healthy, number, divided, severity
):
    train = healthy[range(200)]
    test = healthy[range(200 - number, 400)]
    found = checks.repeats_across(train, test, divided)
    assert (found.name, found.severity) == ("repeats-across", severity)
    assert found.says.startswith(f"{number} of {200 + number} test texts")
    assert found.examples[0] == healthy.texts[200 - number]


@pytest.mark.parametrize(("number", "severity"), [(1, "note"), (50, "warning")])
def test_near_repeats_across_do_not_count_exact_repeats(healthy, number, severity):
    train = healthy[range(200)]
    loud = [f"{text.title()}?" for text in train.texts[:number]]
    texts = [*healthy.texts[200:], *loud, train.texts[0]]
    found = checks.near_repeats_across(
        train, LabelledTexts(texts, ["pos"] * len(texts))
    )
    assert (found.name, found.severity) == ("near-repeats-across", severity)
    assert found.says.startswith(f"{number} of {201 + number} test texts")


@pytest.mark.parametrize(("number", "severity"), [(1, "note"), (20, "warning")])
def test_contradictions_are_found_in_any_case(healthy, number, severity):
    other = {"pos": "neg", "neg": "pos"}
    loud = [text.upper() for text in healthy.texts[:number]]
    turned = [other[label] for label in healthy.labels[:number]]
    found = checks.contradictions(with_more(healthy, loud, turned))
    assert (found.name, found.severity) == ("contradictions", severity)
    assert found.says.startswith(f"{number} of 400 different texts")
    assert found.examples[0] == f"neg, pos: {healthy.texts[0]}"


def test_small_classes_are_named_with_their_sizes():
    trained, tested = {"a": 700, "b": 7, "c": 60}, {"a": 200, "b": 2, "c": 9}
    found = checks.small_classes(trained, tested)
    assert (found.name, found.severity) == ("small-classes", "warning")
    assert found.says.startswith("1 of 3 classes has too few texts to learn from")
    assert found.examples == ("b: 7 training texts",)
    found = checks.small_classes({"a": 700, "c": 60}, tested)
    assert found.severity == "note"
    assert found.examples == ("c: 9 test texts",)


@pytest.mark.parametrize(
    ("rare", "severity"), [(101, None), (100, "note"), (10, "warning")]
)
def test_imbalance_is_graded_by_the_ratio(rare, severity):
    found = checks.imbalance({"common": 1000, "rare": rare})
    assert (found and found.severity) == severity
    if found:
        assert f"{1000 / (1000 + rare):.3f}" in found.says


def test_one_class_is_an_error_that_names_it():
    found = checks.one_class(corpus(("a", "x"), ("b", "x")))
    assert (found.name, found.severity) == ("one-class", "error")
    assert found.says.startswith("All 2 texts have the label 'x'")
    assert checks.one_class(corpus(("a", "x"), ("b", "y"))) is None


def test_a_text_with_two_labels_counts_for_both_classes():
    # A dictionary of texts would keep one label each and leave "b" with one text.
    data = corpus(("one", "a"), ("two", "a"), ("both", "b"), ("both", "a"), ("x", "b"))
    data.split()  # `train` can divide it
    assert checks.lonely_classes(data) is None
    found = checks.lonely_classes(corpus(("one", "a"), ("two", "a"), ("odd", "b")))
    assert (found.name, found.severity) == ("lonely-class", "error")
    assert found.examples == ("b",)
