"""The seconds of each stage: none is counted twice, none is lost."""

import time
from contextlib import suppress

import pytest

from rnn_keras.utils import stages
from rnn_keras.utils.stages import stage, timed_stages


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(stages.time, "perf_counter", lambda: now[0])
    return now


def test_an_inner_stage_is_not_charged_to_the_outer(clock):
    with timed_stages() as times:
        clock[0] += 1
        with stage("network"):
            clock[0] += 2
            with stage("compiling"):
                clock[0] += 4
            clock[0] += 8
        clock[0] += 16
    seconds = times.seconds()
    assert (seconds["network"], seconds["compiling"], seconds["other"]) == (10, 4, 17)
    assert sum(seconds.values()) == 31


def test_a_stage_that_fails_ends(clock):
    with timed_stages() as times:
        with suppress(KeyError), stage("reading"):
            clock[0] += 1
            raise KeyError
        clock[0] += 2
    assert (times.seconds()["reading"], times.seconds()["other"]) == (1, 2)


def test_the_outermost_measurement_counts_everything(clock):
    with timed_stages() as outer:
        with timed_stages() as inner, stage("scoring"):
            clock[0] += 1
        assert inner is outer
        clock[0] += 1
    assert sum(outer.seconds().values()) == 2
    with stage("scoring"):
        clock[0] += 1
    assert outer.seconds()["scoring"] == 1


def test_the_seconds_before_the_measurement_count_as_import():
    with timed_stages(since_start=True) as times:
        pass
    assert 0 < times.seconds()["import"] <= time.process_time()
