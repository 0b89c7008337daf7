"""A number of cores that does not depend on the machine."""

import os

import pytest


@pytest.fixture
def set_cores(monkeypatch):
    """Make the system tell this process that it may use some number of cores."""

    def set_number(number):
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda pid: set(range(number)), raising=False
        )

    return set_number
