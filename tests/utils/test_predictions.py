"""Answers in batches: each row in its place, and no answer that is not a number."""

import numpy as np
import pytest

from rnn_keras.utils.errors import InputError
from rnn_keras.utils.predictions import run_by_length


def test_rows_keep_their_places_and_batches_are_cut_to_their_longest_text():
    ids = np.array([[1, 2, 3], [4, 0, 0], [5, 6, 0], [0, 0, 0]])
    widths = []

    def first_and_width(batch):
        widths.append(batch.shape[1])
        return np.stack([batch[:, 0], np.full(len(batch), batch.shape[1])], axis=1)

    answers = run_by_length(first_and_width, ids, 2, batch_size=2)
    assert answers.tolist() == [[1, 3], [4, 1], [5, 3], [0, 1]]
    assert widths == [1, 3]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_has_diverged_gives_no_answers(value):
    with pytest.raises(InputError, match="not finite: its weights have diverged"):
        run_by_length(lambda batch: np.full((len(batch), 2), value), np.eye(3), 2, 8)
