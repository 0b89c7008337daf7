"""Any file or text gives a result or an `InputError` of one line.

Another exception, a warning or an endless wait is a bug. The default suite tries a few
examples of each kind of input, the same on every machine. Tests that load a classifier
for each example are marked exhaustive, but for one. `--hypothesis-profile=fuzz` tries
thousands of new examples.
"""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from itertools import product

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.cli.app import app
from rnn_keras.datasets.loaders import load_dataset, load_pairs, load_series, load_text
from rnn_keras.datasets.tables import read_table
from rnn_keras.exported import ExportedClassifier
from rnn_keras.layers.text_vectorizer import TextVectorizer
from rnn_keras.utils import files as opening
from rnn_keras.utils.errors import InputError

# Any character, including lone surrogates; characters with a meaning are more frequent.
MARKS = (
    "\0\x1b\r\n\t\x85\u2028\ufeff\u202e\u200d\u3000\ud800\udfff,\";'\\{}[]:$_^%é中ーİß"
)
TEXT = st.text(st.one_of(st.characters(exclude_categories=()), st.sampled_from(MARKS)))
LABELS = ("good", "bad")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """Make a folder, and set a low limit on unpacked sizes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "HARMLESS_BYTES", 2**20)
        yield tmp_path_factory.mktemp("fuzz")


def outcome(call, *arguments, **options):
    """Return what `call` returns, or `None` for an InputError with a proper message."""
    try:
        return call(*arguments, **options)
    except InputError as error:
        message = str(error)
        assert len(message.splitlines()) == 1
        assert len(message) <= 400
        assert not set(message) & set("\x1b\r\n\0\u202e")
        return None


# Texts.


@pytest.mark.parametrize(
    ("unit", "lowercase", "max_length"),
    [
        ("word", True, 3),
        ("character", False, None),
        *(
            pytest.param(*case, marks=pytest.mark.exhaustive)
            for case in product(("word", "character"), (True, False), (None, 3))
            if case not in (("word", True, 3), ("character", False, None))
        ),
    ],
)
def test_any_text_is_encoded(unit, lowercase, max_length):
    vectorizer = TextVectorizer(unit, lowercase=lowercase, max_length=max_length)
    vectorizer.adapt(["No, no: 你好! \u00e9", "no\0\ufffd"])
    size = vectorizer.vocabulary_size()

    @given(st.lists(TEXT, max_size=5))
    @example([])
    @example(["\ud800\0", ""])
    def encode(texts):
        tokens = vectorizer.tokenize(texts)
        ids, num_cut = vectorizer.encode(texts)
        assert len(ids) == len(tokens) == len(texts)
        assert (ids >= 0).all()
        assert (ids < size).all()
        cut = [row[:max_length] for row in tokens]
        assert (ids != 0).sum(axis=1).tolist() == [len(row) for row in cut]
        assert num_cut == sum(map(len, tokens)) - sum(map(len, cut)) >= 0 or max_length
        assert all(token for row in tokens for token in row)

    encode()


@pytest.mark.exhaustive
@given(
    st.lists(TEXT, max_size=5),
    st.sampled_from(["word", "character"]),
    st.integers(1, 3),
    st.sampled_from([None, 3, 5]),
)
def test_any_texts_give_a_vocabulary_that_can_be_saved(texts, unit, least, most):
    vectorizer = TextVectorizer(unit, min_count=least, max_tokens=most)
    outcome(vectorizer.adapt, texts)
    again = TextVectorizer.from_config(json.loads(json.dumps(vectorizer.get_config())))
    assert again.get_vocabulary() == vectorizer.get_vocabulary()
    if again.get_config()["vocabulary"]:
        np.testing.assert_array_equal(
            again.encode(texts).ids, vectorizer.encode(texts).ids
        )


# Tables.

SCALARS = st.one_of(TEXT, st.none(), st.integers(), st.floats(), st.booleans())
JSON = st.recursive(
    SCALARS, lambda x: st.lists(x) | st.dictionaries(TEXT, x), max_leaves=5
)
NAMES = (".csv", ".tsv", ".jsonl", ".parquet")
PACKERS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": lambda content: zipped("t", content),
}


def zipped(name, content):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return written.getvalue()


def table(kind, rows):
    """Write rows of text and label as a table, mostly a valid one."""
    frame = pd.DataFrame(rows, columns=["text", "label"], dtype=object)
    if kind == ".jsonl":
        lines = (json.dumps({"text": a, "label": b}) for a, b in rows)
        return "\n".join(lines).encode()
    if kind == ".parquet":
        written = io.BytesIO()
        known = [
            value if value is None else str(value) for row in rows for value in row
        ]
        safe = [v if v is None else v.encode(errors="replace").decode() for v in known]
        frame = pd.DataFrame({"text": safe[::2], "label": safe[1::2]}, dtype=object)
        frame.to_parquet(written)
        return written.getvalue()
    separator = "," if kind == ".csv" else "\t"
    return frame.to_csv(index=False, sep=separator).encode(errors="surrogatepass")


@st.composite
def damaged(draw, content):
    """Change, drop, repeat or insert some bytes."""
    content = bytearray(content)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        to = at + draw(st.sampled_from([0, 1, 2, 8, 100]))
        what = draw(st.sampled_from(["flip", "drop", "repeat", "insert", "cut"]))
        if what == "flip" and at < len(content):
            content[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "drop":
            del content[at:to]
        elif what == "repeat":
            content[at:at] = content[at:to]
        elif what == "insert":
            content[at:at] = draw(st.binary(max_size=8))
        elif what == "cut" and draw(st.booleans()):
            del content[at:]
    return bytes(content)


@st.composite
def tables(draw):
    """Make the name and the content of a table, possibly a damaged one."""
    kind = draw(st.sampled_from(NAMES))
    packer = draw(st.sampled_from(list(PACKERS))) if kind != ".parquet" else ""
    values = JSON if kind == ".jsonl" else SCALARS
    rows = draw(st.lists(st.tuples(values, values), max_size=4))
    content = table(kind, rows)
    if draw(st.booleans()):
        content = draw(damaged(content))
    packed = PACKERS[packer](content)
    if packer and draw(st.booleans()):
        packed = draw(damaged(packed))
    return f"t{kind}{packer}", packed


ENCODINGS = st.sampled_from(
    ["utf-8", "utf-16", "latin-1", "gb18030", "utf-7", "ascii", "idna", "hex", "", "\0"]
)


def check_table(path, **options):
    columns = outcome(read_table, path, **options)
    if columns is not None:
        texts, labels = columns
        assert len(texts) == len(labels) > 0
        for value in texts + labels:
            assert value is None or value.encode() is not None
    corpus = outcome(load_dataset, path, **options)
    if corpus is not None:
        outcome(corpus.split)


@given(st.binary(max_size=300), st.sampled_from(NAMES), st.sampled_from([*PACKERS]))
def test_any_bytes_are_read_or_refused_as_a_table(workshop, content, kind, packer):
    path = workshop / f"any{kind}{packer}"
    path.write_bytes(content)
    check_table(path)
    path.write_bytes(PACKERS[packer](content))
    check_table(path, text_column=0, label_column=1, header=False)


@given(tables(), st.booleans(), ENCODINGS)
def test_a_damaged_table_is_read_or_refused(workshop, made, header, encoding):
    path = workshop / made[0]
    path.write_bytes(made[1])
    check_table(path)
    check_table(path, text_column=0, label_column=1, header=header)
    check_table(path, encoding=encoding)


@given(TEXT, TEXT)
def test_a_file_or_column_of_any_name_is_found_or_refused(workshop, name, column):
    outcome(load_dataset, name)
    path = workshop / "named.jsonl"
    path.write_text(json.dumps({column: "a", "label": "b"}))
    found = outcome(read_table, path, text_column=column)
    surrogates = any("\ud800" <= c <= "\udfff" for c in column)
    assert found == (["a"], ["b"]) or column == "label" or surrogates


@given(st.binary(max_size=300) | TEXT.map(lambda t: t.encode(errors="surrogatepass")))
def test_any_bytes_are_read_or_refused_as_texts(workshop, content):
    path = workshop / "text.txt"
    path.write_bytes(content)
    outcome(load_text, path)
    outcome(load_pairs, path)


SERIES = b"when,a,b\n2024-01-01,1,2\n2024-01-02,3,\n2024-01-04,5,nan\n"


@given(st.binary(max_size=300) | damaged(SERIES), st.sampled_from([*PACKERS]))
def test_any_bytes_are_read_or_refused_as_series(workshop, content, packer):
    path = workshop / f"series.csv{packer}"
    path.write_bytes(PACKERS[packer](content))
    outcome(load_series, path)


# Classifiers. Loading one takes half a second, so there are fewer examples.
LOADS = settings() if settings().max_examples > 100 else settings(max_examples=8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    keras.utils.set_random_seed(0)
    classifier = TextClassifier.from_texts(
        ["so good", "so bad"] * 4, LABELS * 4, units=2, embedding_dim=2, cell="lstm"
    )
    classifier.save(path)
    return path


@pytest.fixture(scope="module")
def members(saved):
    with zipfile.ZipFile(saved) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def check_classifier(path):
    """Load a file with Keras and without, and compare the answers if both can."""
    classifier = outcome(TextClassifier.load, path)
    saved = outcome(ExportedClassifier, path)
    each = [c for c in (classifier, saved) if c is not None]
    for one in each:
        assert one.predict("so good").label in one.class_names
    if len(each) == 2:
        np.testing.assert_allclose(
            *(one.predict_proba(["so good", "bad", ""]) for one in each), atol=1e-5
        )


@given(
    st.binary(max_size=300)
    | st.binary(max_size=99).map(lambda b: zipped("config.json", b))
)
def test_any_bytes_are_no_classifier(workshop, content):
    path = workshop / "any.keras"
    path.write_bytes(content)
    check_classifier(path)


@pytest.mark.exhaustive
@LOADS
@given(st.data())
def test_a_damaged_classifier_is_loaded_or_refused(workshop, saved, data):
    path = workshop / "damaged.keras"
    path.write_bytes(data.draw(damaged(saved.read_bytes())))
    check_classifier(path)


def places(value, path=()):
    """Yield the path of keys to each value in JSON."""
    yield path
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in inner:
            yield from places(part, (*path, key))


# Replacements for a value, including names of classes that are not allowed.
VALUES = st.one_of(
    SCALARS,
    st.just([]),
    st.just({}),
    st.sampled_from(
        ["Lambda", "Dense", "keras.layers", "builtins", "os", "relu", "function", -1]
    ),
    st.sampled_from([0, 2, 3, 10**3, 10**12, 10**30, 1e308]),
)


@pytest.mark.exhaustive
@LOADS
@given(st.data())
def test_a_classifier_of_another_configuration_is_loaded_or_refused(
    workshop, members, data
):
    config = json.loads(members["config.json"])
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from([p for p in places(config) if p]))
        parent = config
        for key in way:
            parent = parent[key]
        other = data.draw(st.sampled_from([*places(config)]))
        what = data.draw(st.sampled_from(["value", "drop", "move"]))
        if what == "value":
            parent[last] = json.loads(json.dumps(data.draw(VALUES)))
        elif what == "drop":
            del parent[last]
        else:
            node = config
            for key in other:
                node = node[key]
            parent[last] = json.loads(json.dumps(node))
    path = workshop / "config.keras"
    rewrite(path, {**members, "config.json": json.dumps(config)})
    check_classifier(path)


def rewrite(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.exhaustive
@LOADS
@given(st.data())
def test_a_classifier_of_other_weights_is_loaded_or_refused(workshop, members, data):
    content = io.BytesIO(members["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        for _ in range(data.draw(st.integers(1, 2))):
            names = []
            file.visit(names.append)
            name = data.draw(st.sampled_from(sorted(names) or ["vars"]))
            if names:
                del file[name]
            value = data.draw(
                st.sampled_from([None, 1.0, "text", [1, 2], np.nan, np.zeros((2, 0))])
            )
            if value is not None:
                file[name] = value
    path = workshop / "weights.keras"
    rewrite(path, {**members, "model.weights.h5": content.getvalue()})
    check_classifier(path)


@LOADS
@given(st.data())
def test_a_classifier_of_damaged_members_is_loaded_or_refused(workshop, members, data):
    """The check sums are right, as they are for anyone who edits a member."""
    name = data.draw(st.sampled_from(list(members)))
    path = workshop / "members.keras"
    rewrite(path, {**members, name: data.draw(damaged(members[name]))})
    check_classifier(path)


# The command line, with a classifier that is loaded once.


@pytest.fixture(scope="module")
def loaded(saved):
    """Load the saved classifier with Keras once for all examples; return its path."""
    classifier = TextClassifier.load(saved)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TextClassifier, "load", lambda path: classifier)
        yield str(saved)


def run(*arguments, **options):
    result = CliRunner().invoke(app, list(arguments), **options)
    assert result.exit_code == 0, (result.output, result.exception)
    assert result.stderr == ""
    lines = result.stdout.split("\n")
    assert lines.pop() == ""
    return lines


@given(st.lists(TEXT, min_size=1, max_size=3))
def test_predict_answers_to_any_arguments(loaded, texts):
    arguments = [text.replace("\0", "") for text in texts]  # no argument has NUL
    assert len(run("predict", loaded, "--", *arguments)) == len(arguments)
    written = run("predict", loaded, "--json", "--", *arguments)
    shown = [text.encode(errors="replace").decode() for text in arguments]
    assert [json.loads(line)["text"] for line in written] == shown


@given(st.binary(max_size=100))
def test_predict_answers_to_any_bytes(loaded, content):
    lines = run("predict", loaded, input=content)
    assert all(line.count("\t") == 2 for line in lines)
    text = content.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    assert len(lines) == len(text.removesuffix("\n").split("\n") if text else [])


@pytest.mark.exhaustive
@given(TEXT, st.booleans())
def test_explain_answers_to_any_text(loaded, text, as_json):
    options = ["--json"] if as_json else []
    lines = run("explain", loaded, *options, "--", text.replace("\0", ""))
    assert lines
    assert not set("".join(lines)) & set("\x1b\x9b\r\u202e\u2028")
