"""A download that breaks off is no file, whatever the way in which it breaks off."""

import hashlib
import io
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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

import rnn_keras
from rnn_keras.datasets.corpora import CORPORA
from rnn_keras.utils.errors import InputError

LINES = b"ham\tsee you soon\nspam\tWIN cash\n" * 2000


class Breaking(BaseHTTPRequestHandler):
    """Serves the server's `content` as its `fault` has it."""

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


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RNN_KERAS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("SMSSpamCollection", LINES)
    return buffer.getvalue()


def waves():
    content, buffer = io.BytesIO(), io.BytesIO()
    wavfile.write(content, 8000, np.arange(5000).astype("int16"))
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for take in range(5):
            member = tarfile.TarInfo(f"recordings/7_theo_{take}.wav")
            member.size = len(content.getvalue())
            archive.addfile(member, io.BytesIO(content.getvalue()))
    return buffer.getvalue()


# A file as it is, a member of an archive, and an archive known by what is in it.
CONTENTS = {"tiny_shakespeare": LINES, "sms_spam": zipped(), "spoken_digits": waves()}


def offered(server, name, tmp_path):
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
    corpus = offered(server, name, tmp_path)
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
from rnn_keras.corpora import CORPORA
replace(CORPORA[sys.argv[1]], url=sys.argv[2], sha256=sys.argv[3]).read()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("name", ["tiny_shakespeare", "spoken_digits"])
def test_what_an_interrupted_process_leaves_is_not_taken_for_the_file(
    name, how, server, cache, tmp_path
):
    corpus = offered(server, name, tmp_path)
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
