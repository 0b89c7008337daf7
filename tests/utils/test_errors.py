"""Errors of libraries in one line; checks of arguments with the words they refuse."""

import pytest

from rnn_keras.utils.errors import (
    InputError,
    check_choice,
    check_pairs,
    check_sizes,
    reason_of,
    reason_within,
)


def test_the_reason_within_is_the_line_that_says_what_is_wrong():
    where = "Exception encountered when calling Dense.call().\n\n"
    arguments = "\n\nArguments received by Dense.call():\n  • mask=None"
    of_keras = ValueError(f"{where}\x1b[1mno axis  2\x1b[0m{arguments}")
    assert reason_within(of_keras) == "no axis 2"
    of_tensorflow = ValueError("Detected at node\n\nindices = 12\n\t [[{{node a}}]]\n")
    assert reason_within(of_tensorflow) == "indices = 12"
    caused = TypeError("could not be deserialized properly.")
    caused.__cause__ = KeyError("units")
    assert reason_within(caused) == "'units'"
    assert reason_within(ValueError(" ")) == "ValueError"
    assert len(reason_within(ValueError("x" * 999))) == 200


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError(2, "No such file", "t.csv"), "No such file"),
        (LookupError("unknown encoding: x; use codecs"), "unknown encoding: x"),
        (MemoryError(), "it takes more memory than there is"),
        (ValueError("two\n  lines"), "two lines"),
        (ValueError(), "ValueError"),
    ],
)
def test_the_reason_of_an_error_has_no_path_and_one_line(error, reason):
    assert reason_of(error) == reason


def test_arguments_are_refused_by_name():
    check_choice("cell", "gru", ("gru", "lstm"))
    with pytest.raises(ValueError, match=r"`cell` must be one of .*Received: 'rnn'"):
        check_choice("cell", "rnn", ("gru", "lstm"))
    check_sizes(units=1, layers=2)
    check_sizes(0, order=0)
    with pytest.raises(ValueError, match=r"`units` must be at least 1. Received: 0"):
        check_sizes(layers=2, units=0)
    check_pairs("ab", [1, 2])
    with pytest.raises(InputError, match="2 texts, but 1 labels"):
        check_pairs("ab", [1])
