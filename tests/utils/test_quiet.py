"""The output of libraries is held back, and the descriptors are restored."""

import os
import sys
import tempfile

import pytest

from rnn_keras.utils.quiet import import_quietly, redirect_descriptor, silence


def test_what_goes_to_a_descriptor_lies_in_the_file_and_later_no_more(capfd):
    with tempfile.TemporaryFile() as file:
        with redirect_descriptor(2, file):
            os.write(2, b"held")
        os.write(2, b"shown")
        file.seek(0)
        assert file.read() == b"held"
    assert capfd.readouterr() == ("", "shown")


def test_silence_leaves_both_descriptors_as_they_were(capfd):
    with silence():
        os.write(1, b"held")
        os.write(2, b"held")
        print("held")
    os.write(1, b"out")
    os.write(2, b"error")
    assert capfd.readouterr() == ("out", "error")


def test_what_an_import_that_fails_has_written_is_shown(capfd, monkeypatch):
    class Finder:
        def find_spec(self, name, *_):
            if name == "tensorflow":
                os.write(2, b"no such library")
                raise ImportError(name)

    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(sys, "meta_path", [Finder()])
    with pytest.raises(ImportError, match="tensorflow"):
        import_quietly()
    assert capfd.readouterr().err == "no such library"
