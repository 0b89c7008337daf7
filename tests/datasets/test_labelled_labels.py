import pytest

from rnn_keras.datasets.labelled import class_indices, class_names_of
from rnn_keras.utils.errors import InputError


def test_words_are_in_alphabetical_and_numbers_in_numeric_order():
    assert class_names_of(["b", "a", "b"]) == ["a", "b"]
    assert class_names_of(["10", "9", "-1.5"]) == ["-1.5", "9", "10"]
    assert class_names_of([2, 10, 1]) == ["1", "2", "10"]
    assert class_names_of(["nan", "1"]) == ["1", "nan"]


def test_indices_are_positions():
    assert class_indices(["b", "a", "b"], ["a", "b"]).tolist() == [1, 0, 1]
    assert class_indices([10, 9], ["9", "10"]).tolist() == [1, 0]


def test_an_unknown_label_is_named():
    message = "label 'c' is none of the classifier's classes: a, b"
    with pytest.raises(InputError, match=message):
        class_indices(["a", "c", "d"], ["a", "b"])
