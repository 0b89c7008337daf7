"""Splits into parts that share no text, and the order of class names."""

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_keras.datasets.labelled import LabelledTexts, class_names_of
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.predictions import class_indices


def corpus(n=200, classes=("a", "b", "b", "c")):
    labels = [classes[i % len(classes)] for i in range(n)]
    return LabelledTexts([f"text {i}" for i in range(n)], labels, "made")


def test_parts_have_the_requested_shares_of_every_class():
    splits = corpus().split(validation=0.1, test=0.2)
    assert [len(part) for part in splits[:3]] == [140, 20, 40]
    assert Counter(splits.test.labels) == {"a": 10, "b": 20, "c": 10}
    assert Counter(splits.validation.labels) == {"a": 5, "b": 10, "c": 5}


def test_the_seed_determines_the_split():
    assert corpus().split(seed=1) == corpus().split(seed=1)
    assert corpus().split(seed=1) != corpus().split(seed=2)


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("xyz")), max_size=60
    ),
    st.integers(0, 5),
)
def test_parts_share_no_text_and_no_text_is_lost(rows, seed):
    texts = LabelledTexts([t for t, _ in rows], [label for _, label in rows])
    try:
        splits = texts.split(seed=seed)
    except InputError:
        return  # too few classes or texts, which is tested below
    assert set(splits.train.labels) == {label for _, label in rows}
    for one, other in combinations(splits[:3], 2):
        assert not set(one.texts) & set(other.texts)
    divided = [
        pair
        for part in splits[:3]
        for pair in zip(part.texts, part.labels, strict=True)
    ]
    assert sorted(divided) == sorted(set(rows))


def test_exact_repeats_are_left_out_and_counted():
    texts = corpus(20)
    twice = LabelledTexts(
        texts.texts + texts.texts[:3], texts.labels + texts.labels[:3]
    )
    splits = twice.split()
    assert sum(len(part) for part in splits[:3]) == 20
    assert splits.notes == ("3 exact repeats left out",)


def test_an_official_test_part_is_used_unchanged():
    texts = corpus()
    test = LabelledTexts(["text 0", "new", "new"], ["a", "b", "b"])
    splits = LabelledTexts(texts.texts, texts.labels, "made", test=test).split()
    assert splits.test == test
    assert "text 0" not in splits.train.texts + splits.validation.texts
    assert len(splits.train) + len(splits.validation) == 199
    assert splits.notes == ("1 training text also in the test left out",)


def test_a_class_of_two_texts_can_be_split():
    splits = LabelledTexts(list("abcdefgh"), list("xxxxxxyy")).split()
    assert set(splits.train.labels) == {"x", "y"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("aaa", r"made: one class only \(a\); a classifier needs two or more"),
        ("aab", r"made: class 'b' has one text only; each class needs two or more"),
        ("abc", r"class 'a' has one text only \(and 2 more classes\)"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(labels, message):
    texts = [f"text {i}" for i in range(3)]
    with pytest.raises(InputError, match=message):
        LabelledTexts(texts, list(labels), "made").split()


def test_a_class_with_only_ambiguous_texts_is_in_the_training_part():
    rows = [(f"x{i}", "x") for i in range(10)] + [(f"z{i}", "z") for i in range(10)]
    rows += [("both", "x"), ("both", "y"), ("two", "y"), ("two", "z")]
    texts = LabelledTexts([t for t, _ in rows], [label for _, label in rows])
    for seed in range(20):
        assert set(texts.split(seed=seed).train.labels) == {"x", "y", "z"}


def test_a_class_with_a_single_ambiguous_text_is_refused():
    with pytest.raises(InputError, match="class 'y' has one text only"):
        LabelledTexts(["a", "a", "b", "c"], ["x", "y", "x", "x"]).split()


@pytest.mark.parametrize("shares", [(0.5, 0.5), (-0.1, 0.2), (0, 1.0)])
def test_shares_must_leave_a_training_part(shares):
    with pytest.raises(ValueError, match="sum is below 1"):
        corpus().split(validation=shares[0], test=shares[1])


def test_a_test_part_equal_to_the_training_part_is_refused():
    texts = corpus(8)
    same = LabelledTexts(texts.texts, texts.labels, "made", test=texts)
    with pytest.raises(InputError, match="every training text is also in the test"):
        same.split()


def test_two_copies_of_a_text_count_as_one_text():
    with pytest.raises(InputError, match="class 'b' has one text only"):
        LabelledTexts(["x", "y", "z", "z"], list("aabb"), "made").split()


# Class names.


def test_words_are_sorted_alphabetically_and_numbers_by_value():
    assert class_names_of(["b", "a", "b"]) == ["a", "b"]
    assert class_names_of(["10", "9", "-1.5"]) == ["-1.5", "9", "10"]
    assert class_names_of([2, 10, 1]) == ["1", "2", "10"]
    assert class_names_of(["nan", "1"]) == ["1", "nan"]


def test_indices_are_positions_among_the_class_names():
    assert class_indices(["b", "a", "b"], ["a", "b"]).tolist() == [1, 0, 1]
    assert class_indices([10, 9], ["9", "10"]).tolist() == [1, 0]


def test_an_unknown_label_is_refused():
    message = "label 'c' is none of the classifier's classes: a, b"
    with pytest.raises(InputError, match=message):
        class_indices(["a", "c", "d"], ["a", "b"])
