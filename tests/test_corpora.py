"""Downloads are tried against a server on this machine."""

import hashlib
import io
import tarfile
import threading
import zipfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from rnn_keras import datasets
from rnn_keras.corpora import CORPORA
from rnn_keras.datasets import load_dataset, load_series, load_text
from rnn_keras.downloads import cache_folder
from rnn_keras.errors import InputError

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


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme", "about")
        archive.writestr("SMSSpamCollection", LINES)
        archive.writestr("../outside", "must not land")
    return buffer.getvalue()


def test_a_member_is_taken_out_of_a_download_and_kept(served, monkeypatch, cache):
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


def test_without_a_network_it_is_said_where_a_file_can_be_put(monkeypatch, cache):
    offer(monkeypatch, "chnsenticorp", "http://127.0.0.1:9/x.csv", b"")
    with pytest.raises(InputError, match=r"a file put at .*ChnSentiCorp_htl_all.csv"):
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


def test_series_lie_in_one_folder_and_are_read_with_their_gaps(cache):
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


def test_a_damaged_archive_is_named(cache):
    path = write_imdb(cache)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"aclImdb.tar.gz: cannot be read"):
        load_dataset("imdb")


def test_the_cache_has_a_usual_place(monkeypatch):
    monkeypatch.delenv("RNN_KERAS_CACHE")
    assert cache_folder().name == "rnn_keras"


def test_every_corpus_says_what_it_is():
    for name, corpus in CORPORA.items():
        assert name == corpus.name
        assert corpus.summary
        assert corpus.licence
        assert corpus.origin
        assert callable(getattr(datasets, corpus.loader))
        assert bool(corpus.url) == bool(corpus.sha256)
