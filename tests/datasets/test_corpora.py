"""Corpora by name: reading their files, and downloads from a server on this machine.

A download that breaks off is never taken for the file, however it breaks off.
"""

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from dataclasses import replace
from functools import partial
from http.server import (
    BaseHTTPRequestHandler,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
)
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

import rnn_keras
from rnn_keras.datasets import loaders
from rnn_keras.datasets.corpora import CORPORA, cache_folder
from rnn_keras.datasets.loaders import (
    load_dataset,
    load_pairs,
    load_recordings,
    load_series,
    load_text,
)
from rnn_keras.utils.errors import InputError

LINES = 'ham\tsee you "soon\nspam\tWIN &lt;cash&gt; &amp; more\nham\t\n'


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder and the address under which its files are served."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RNN_KERAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def offer(monkeypatch, name, url, content, sha256=None):
    digest = sha256 or hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(CORPORA, name, replace(CORPORA[name], url=url, sha256=digest))


def zipped(lines=LINES):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme", "about")
        archive.writestr("SMSSpamCollection", lines)
        archive.writestr("../outside", "must not land")
    return buffer.getvalue()


def test_a_member_is_extracted_from_a_download_and_kept(served, monkeypatch, cache):
    folder, address = served
    (folder / "sms.zip").write_bytes(zipped())
    offer(monkeypatch, "sms_spam", f"{address}/sms.zip", zipped())
    texts = load_dataset("sms_spam")
    assert texts.texts == ['see you "soon', "WIN <cash> & more"]
    assert texts.labels == ["ham", "spam"]
    assert texts.notes == ("1 empty text left out (data row 3)",)
    assert [p.name for p in cache.rglob("*") if p.is_file()] == ["SMSSpamCollection"]
    (folder / "sms.zip").unlink()
    assert load_dataset("sms_spam") == texts


def test_a_wrong_download_is_not_kept(served, monkeypatch, cache):
    folder, address = served
    (folder / "x.csv").write_bytes(b"label,review\n1,good\n")
    offer(monkeypatch, "chnsenticorp", f"{address}/x.csv", b"", sha256="0" * 64)
    with pytest.raises(
        InputError, match=r"chnsenticorp: could not be downloaded.*hash"
    ):
        load_dataset("chnsenticorp")
    assert not [p for p in cache.rglob("*") if p.is_file()]


def test_without_a_network_the_message_says_where_to_put_a_file(monkeypatch, cache):
    offer(monkeypatch, "chnsenticorp", "http://127.0.0.1:9/x.csv", b"")
    with pytest.raises(InputError, match=r"put it at .*ChnSentiCorp_htl_all.csv"):
        load_dataset("chnsenticorp")


def test_a_file_in_the_cache_is_used_as_it_is(cache):
    path = cache / "chnsenticorp" / "ChnSentiCorp_htl_all.csv"
    path.parent.mkdir(parents=True)
    path.write_text("label,review\n1,很好\n0,\n0,太差\n", encoding="utf-8")
    texts = load_dataset("chnsenticorp")
    assert (texts.texts, texts.labels) == (["很好", "太差"], ["1", "0"])


def test_a_text_is_downloaded_and_kept(served, monkeypatch, cache):
    folder, address = served
    (folder / "input.txt").write_bytes(b"ROMEO:\nO!\n")
    address = f"{address}/input.txt"
    offer(monkeypatch, "tiny_shakespeare", address, b"ROMEO:\nO!\n")
    assert load_text("tiny_shakespeare") == "ROMEO:\nO!\n"
    (folder / "input.txt").unlink()
    assert load_text("tiny_shakespeare") == "ROMEO:\nO!\n"


def test_series_are_read_with_their_gaps(cache):
    folder = cache / "temperatures"
    folder.mkdir(parents=True)
    (folder / "daily-min-temperatures.csv").write_text(
        '"Date","Temp"\n"1984-12-30",12.5\n"1985-01-01",13\n'
    )
    (folder / "pollution.csv").write_text(
        "No,year,month,day,hour,pm2.5,DEWP,TEMP,PRES,cbwd,Iws,Is,Ir\n"
        "1,2010,1,1,0,NA,-21,-11,1021,NW,1.79,0,0\n"
        "2,2010,1,1,1,129,-16,-4,1020,SE,1.79,0,0\n"
    )
    days, hours = load_series("melbourne"), load_series("beijing")
    np.testing.assert_array_equal(days["temperature"], [12.5, np.nan, 13])
    np.testing.assert_array_equal(hours["pm2.5"], [np.nan, 129])
    np.testing.assert_array_equal(hours["temperature"], [-11, -4])
    assert str(hours.index[1]) == "2010-01-01 01:00:00"


def recordings(folder="", change=0):
    """Make an archive like that of the spoken digits, with two valid recordings."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, samples in {
            "recordings/7_theo_12.wav": [0, 16384, -32768],
            "recordings/0_lucas_3.wav": [1 + change, 2],
            "recordings/../../9_theo_0.wav": [5],
            "recordings/readme.txt": [6],
        }.items():
            content = io.BytesIO()
            wavfile.write(content, 8000, np.array(samples, "int16"))
            member = tarfile.TarInfo(folder + name)
            member.size = len(content.getvalue())
            archive.addfile(member, io.BytesIO(content.getvalue()))
    return buffer.getvalue()


def test_recordings_are_read_with_their_labels_and_speakers(cache):
    path = cache / "spoken_digits" / "recordings.tar.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(recordings())
    loaded = load_recordings("spoken_digits")
    assert loaded.labels.tolist() == [0, 7]
    assert loaded.speakers.tolist() == ["lucas", "theo"]
    assert loaded.takes.tolist() == [3, 12]
    assert loaded.waves[1].tolist() == [0, 0.5, -1]
    assert loaded.waves[1].dtype == np.float32


def test_an_archive_without_recordings_is_refused(cache):
    path = cache / "spoken_digits" / "recordings.tar.gz"
    path.parent.mkdir(parents=True)
    tarfile.open(path, "w:gz").close()
    with pytest.raises(InputError, match=r"cannot be read \(no recordings in it"):
        load_recordings("spoken_digits")


def test_a_repacked_archive_is_recognised_by_its_content(served, monkeypatch, cache):
    """Its bytes and its outer folder differ; a changed recording is refused."""
    folder, address = served
    (folder / "plain").write_bytes(recordings())
    digest = CORPORA["spoken_digits"].digest(folder / "plain")
    (folder / "other.tar.gz").write_bytes(recordings(change=1))
    offer(monkeypatch, "spoken_digits", f"{address}/other.tar.gz", b"", digest)
    with pytest.raises(InputError, match="hash of its content"):
        load_recordings("spoken_digits")
    assert not [p for p in cache.rglob("*") if p.is_file()]
    (folder / "anew.tar.gz").write_bytes(
        recordings("free-spoken-digit-dataset-26eb9aa/")
    )
    offer(monkeypatch, "spoken_digits", f"{address}/anew.tar.gz", b"", digest)
    assert load_recordings("spoken_digits").labels.tolist() == [0, 7]
    kept = [p.name for p in cache.rglob("*") if p.is_file()]
    assert kept == ["recordings.tar.gz"]


def test_pairs_are_read_from_their_archive(cache):
    path = cache / "tatoeba_fra" / "fra-eng.zip"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fra-eng/fra.txt", "Run!\tCours\u202f!\nHi.\tSalut !\n")
    assert load_pairs("tatoeba_fra") == [("Run!", "Cours !"), ("Hi.", "Salut !")]
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"fra-eng.zip: cannot be read"):
        load_pairs("tatoeba_fra")


@pytest.mark.parametrize("content", ["", "day,temp\n1981-01-01,20.7\n"])
@pytest.mark.parametrize("name", ["melbourne", "beijing"])
def test_another_file_in_the_place_of_a_corpus_is_refused(content, name, cache):
    file = CORPORA[name].cached
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(InputError, match=f"{file.name}: cannot be read"):
        load_series(name)


def test_clinc150_joins_its_validation_part_and_leaves_out_what_has_no_class(cache):
    path = cache / "clinc150" / "data_full.json"
    path.parent.mkdir(parents=True)
    parts = {
        "train": [["set an alarm", "alarm"], ["play jazz", "play_music"]],
        "val": [["wake me at six", "alarm"]],
        "test": [["some rock please", "play_music"]],
        "oos_test": [["how tall is a giraffe", "oos"]],
    }
    path.write_text(json.dumps(parts))
    texts = load_dataset("clinc150")
    assert texts.texts == ["set an alarm", "play jazz", "wake me at six"]
    assert texts.labels == ["alarm", "play_music", "alarm"]
    assert (texts.test.texts, texts.test.labels) == (
        ["some rock please"],
        ["play_music"],
    )
    path.write_text(json.dumps({"train": 1}))
    with pytest.raises(InputError, match=r"data_full.json: cannot be read"):
        load_dataset("clinc150")


def write_imdb(cache):
    path = cache / "imdb" / "aclImdb.tar.gz"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in {
            "aclImdb/train/pos/0_9.txt": "great<br /><br />film",
            "aclImdb/train/neg/0_1.txt": "dull",
            "aclImdb/train/unsup/0_0.txt": "unlabelled",
            "aclImdb/test/pos/0_10.txt": "great<br />film",
            "aclImdb/../../test/neg/1_1.txt": "outside",
        }.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def test_imdb_is_read_from_its_archive_with_its_test_part(cache):
    write_imdb(cache)
    texts = load_dataset("imdb")
    assert (texts.texts, texts.labels) == (["great  film", "dull"], ["pos", "neg"])
    assert texts.test.texts == ["great film"]


def test_a_damaged_archive_is_refused(cache):
    path = write_imdb(cache)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"aclImdb.tar.gz: cannot be read"):
        load_dataset("imdb")


def test_the_cache_has_a_default_folder(monkeypatch):
    monkeypatch.delenv("RNN_KERAS_CACHE")
    assert cache_folder().name == "rnn_keras"


def test_every_corpus_is_described():
    for name, corpus in CORPORA.items():
        assert name == corpus.name
        assert corpus.summary
        assert corpus.licence
        assert corpus.origin
        assert callable(getattr(loaders, corpus.loader))
        assert bool(corpus.url) == bool(corpus.sha256)


# Broken downloads.


class Breaking(BaseHTTPRequestHandler):
    """Sends the server's `content` with the fault that `fault` names."""

    def do_GET(self):
        content, fault = self.server.content, self.server.fault
        self.send_response(200)
        if fault != "no length":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault == "other":
            middle = len(content) // 2
            content = content[:middle] + b"?!?" + content[middle + 3 :]
        if fault in ("short", "no length", "stall"):
            content = content[: len(content) // 2]
        self.wfile.write(content)
        if fault == "stall":
            self.wfile.flush()
            self.server.stalled.set()
            self.server.over.wait(60)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        server.stalled, server.over = threading.Event(), threading.Event()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


def broken_off_contents():
    """Return a plain file, an archive with a member, and one known by its content."""
    samples, archive = io.BytesIO(), io.BytesIO()
    wavfile.write(samples, 8000, np.arange(5000).astype("int16"))
    with tarfile.open(fileobj=archive, mode="w:gz") as packed:
        for take in range(5):
            member = tarfile.TarInfo(f"recordings/7_theo_{take}.wav")
            member.size = len(samples.getvalue())
            packed.addfile(member, io.BytesIO(samples.getvalue()))
    return {
        "tiny_shakespeare": MANY_LINES,
        "sms_spam": zipped(MANY_LINES.decode()),
        "spoken_digits": archive.getvalue(),
    }


MANY_LINES = b"ham\tsee you soon\nspam\tWIN cash\n" * 2000
CONTENTS = broken_off_contents()


def served_corpus(server, name, tmp_path):
    server.content = CONTENTS[name]
    sha256 = hashlib.sha256(server.content).hexdigest()
    if CORPORA[name].digest:
        (tmp_path / "whole").write_bytes(server.content)
        sha256 = CORPORA[name].digest(tmp_path / "whole")
    url = f"http://127.0.0.1:{server.server_port}/{name}.zip"
    return replace(CORPORA[name], url=url, sha256=sha256)


def files(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("fault", ["short", "no length", "other"])
def test_a_broken_download_is_never_kept(fault, name, server, cache, tmp_path):
    corpus = served_corpus(server, name, tmp_path)
    server.fault = fault
    with pytest.raises(InputError, match=f"{name}: could not be downloaded") as caught:
        corpus.read()
    assert "\n" not in str(caught.value)
    assert files(cache) == []
    server.fault = None
    assert len(corpus.read()) > 0
    assert files(cache) == [corpus.file]


_READ = """
import sys
from dataclasses import replace
from rnn_keras.datasets.corpora import CORPORA
replace(CORPORA[sys.argv[1]], url=sys.argv[2], sha256=sys.argv[3]).read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("name", ["tiny_shakespeare", "spoken_digits"])
def test_what_an_interrupted_download_leaves_is_not_used(
    name, how, server, cache, tmp_path
):
    corpus = served_corpus(server, name, tmp_path)
    server.fault = "stall"
    process = subprocess.Popen(
        [sys.executable, "-c", _READ, name, corpus.url, corpus.sha256],
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(rnn_keras.__file__).parents[1])},
        # What a shell starts in the background ignores it, and so would this one.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert server.stalled.wait(60)
        time.sleep(0.2)  # for what was sent to be written
    finally:
        process.send_signal(how)
        assert process.wait(30) != 0
    assert not corpus.cached.exists()
    server.fault = None
    assert len(corpus.read()) > 0
    assert corpus.cached.exists()
