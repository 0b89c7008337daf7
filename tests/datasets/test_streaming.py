"""Streams: every text is in one part, and only a sample is held in memory."""

import gzip
import json
from collections import Counter
from itertools import chain

import numpy as np
import pytest

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.datasets.labelled import LabelledTexts
from rnn_keras.datasets.streaming import (
    HashedText,
    HashSample,
    Stream,
    is_large,
    labelled_chunks,
    table_rows,
)
from rnn_keras.datasets.tables import iterate_table, read_table
from rnn_keras.scoring import count_answers
from rnn_keras.utils.errors import InputError

GOOD = ["good", "fine", "nice", "great", "lovely"]
BAD = ["bad", "poor", "awful", "nasty", "dull"]


def rows(count=4000, seed=0):
    """Make texts in which one word tells the class."""
    random = np.random.default_rng(seed)
    found = []
    for i in range(count):
        label = ("pos", "neg")[i % 2]
        telling = random.choice(GOOD if i % 2 == 0 else BAD)
        found.append((f"{telling} day {random.integers(count)} of {i}", label))
    return found


def reader(pairs, size=300):
    """Return a function that reads `pairs` some at a time, as a table is read."""

    def read():
        for start in range(0, len(pairs), size):
            part = pairs[start : start + size]
            yield [text for text, _ in part], [label for _, label in part]

    return read


def pairs_of(texts):
    return list(zip(texts.texts, texts.labels, strict=True))


def all_of(chunks):
    return [
        pair for texts, labels in chunks for pair in zip(texts, labels, strict=True)
    ]


def parts_of(stream):
    return {
        "train": all_of(stream.read_train()),
        "validation": pairs_of(stream.validation),
        "test": all_of(stream.read_test()),
    }


def test_every_row_is_in_one_part_of_the_stated_size():
    pairs = rows()
    stream = Stream("made", reader(pairs), seed=3)
    parts = parts_of(stream)
    assert Counter(chain(*parts.values())) == Counter(pairs)
    assert {name: len(part) for name, part in parts.items()} == stream.sizes
    shares = {name: size / len(pairs) for name, size in stream.sizes.items()}
    # The bounds are three standard errors of a proportion of 4,000 texts.
    assert shares["test"] == pytest.approx(0.2, abs=3 * 0.0063)
    assert shares["validation"] == pytest.approx(0.1, abs=3 * 0.0047)
    assert stream.labels == {"pos": 2000, "neg": 2000}


def test_equal_texts_are_in_one_part_whatever_their_labels():
    pairs = [(f"text {i % 50}", "ab"[i % 3 == 0]) for i in range(600)]
    parts = parts_of(Stream("made", reader(pairs)))
    texts = {name: {text for text, _ in part} for name, part in parts.items()}
    assert set.union(*texts.values()) == {text for text, _ in pairs}
    assert sum(map(len, texts.values())) == 50
    # The validation part is in memory, without exact repeats.
    held = parts.pop("validation")
    assert len(held) == len(set(held))
    assert Counter(chain(*parts.values())) + Counter(
        pair for pair in pairs if pair in set(held)
    ) == Counter(pairs)


def test_the_split_depends_on_the_seed_and_not_on_the_chunks():
    pairs = rows(1000)
    first, again, other = (
        Stream("made", reader(pairs, size), seed=seed)
        for size, seed in ((300, 1), (7, 1), (300, 2))
    )
    assert parts_of(first) == parts_of(again)
    assert parts_of(first)["test"] != parts_of(other)["test"]
    assert Counter(parts_of(first)["test"]) <= Counter(pairs)
    changed = [*pairs[:-1], (pairs[-1][0], "neg" if pairs[-1][1] == "pos" else "pos")]
    digests = {
        first.digest(),
        other.digest(),
        Stream("", reader(changed), seed=1).digest(),
    }
    assert len(digests) == 3


def test_a_limited_number_is_held_in_memory_and_the_rest_is_trained_on():
    pairs = rows()
    stream = Stream("made", reader(pairs), max_validated=100, max_sampled=500)
    parts = parts_of(stream)
    assert 50 <= len(parts["validation"]) <= 100
    assert 250 <= len(stream.sample) <= 500
    assert Counter(chain(*parts.values())) == Counter(pairs)
    assert {name: len(part) for name, part in parts.items()} == stream.sizes
    sample = pairs_of(stream.sample)
    assert Counter(sample) <= Counter(parts["train"])
    # The sample comes from everywhere in the file.
    thirds = [int(text.split()[-1]) * 3 // 4000 for text, _ in sample]
    assert min(Counter(thirds).values()) > len(sample) / 5


def test_a_small_sample_is_the_whole_training_part():
    stream = Stream("made", reader(rows(500)))
    assert Counter(pairs_of(stream.sample)) == Counter(all_of(stream.read_train()))


def test_a_sample_has_a_limited_number_of_characters():
    sample = HashSample(1.0, most=1000, max_characters=500)
    for i in range(200):
        sample.add(i * 37 % 200 / 200, HashedText("x" * 10, "ab"[i % 2], 0))
        sample.add(i * 37 % 200 / 200, HashedText("x" * 10, "ab"[i % 2], 0))
    kept = len(sample.labelled_texts("made"))
    assert 25 <= kept <= 50
    assert sample.threshold == pytest.approx(kept / 200)
    # Repeats are counted, but kept once.
    assert sample.label_counts().total() == 2 * kept


def test_a_separate_test_is_never_trained_on():
    pairs, tests = rows(1000), [*rows(1000)[:60], ("another one", "pos")]
    stream = Stream("made", reader(pairs), test=reader(tests))
    parts = parts_of(stream)
    assert parts["test"] == tests
    assert {name: len(part) for name, part in parts.items()} == stream.sizes
    seen = {text for text, _ in parts["train"] + parts["validation"]}
    assert seen == {text for text, _ in pairs[60:]}


def test_empty_texts_and_labels_are_left_out():
    values = [
        ("a text ", "x"),
        ("", "x"),
        (None, "x"),
        ("  ", "y"),
        (" b", " y "),
        ("c", None),
    ]
    assert all_of(labelled_chunks(reader(values, 2))) == [("a text", "x"), ("b", "y")]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "made: no row has both a text and a label"),
        ([("a", "x"), ("b", "x")], "made: one class only (x)"),
        ([("a", "x"), ("b", "x"), ("c", "y")], "class 'y' has one text only"),
        (
            [(str(i), str(i)) for i in range(10_100)],
            "made: more than 10,000 different labels; is that the label column?",
        ),
    ],
)
def test_texts_that_cannot_be_learned_from_are_refused(pairs, message):
    with pytest.raises(InputError) as refused:
        Stream("made", reader(pairs))
    assert message in str(refused.value)


def test_a_class_that_only_the_test_has_is_refused():
    with pytest.raises(InputError, match="test label 'maybe' is none of the classes"):
        Stream("made", reader(rows(100)), test=reader([("a", "maybe")]))


def test_texts_sorted_by_label_are_noted():
    pairs = rows(2000)
    assert len(Stream("made", reader(pairs), block_size=400).notes) == 1
    ordered = sorted(pairs, key=lambda pair: pair[1])
    notes = Stream("made", reader(ordered), block_size=400).notes
    assert "sorted by label" in notes[1]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".csv.gz"])
def test_a_table_read_in_chunks_has_all_rows(suffix, tmp_path):
    pairs = [(f'a "text", {i}', f"{i % 2}") for i in range(57)]
    path = tmp_path / f"mine{suffix}"
    if suffix == ".parquet":
        import pandas as pd

        pd.DataFrame(pairs, columns=["text", "label"]).to_parquet(path)
    else:
        text = {
            ".jsonl": "".join(
                json.dumps({"label": b, "text": a}) + "\n" for a, b in pairs
            ),
            ".tsv": "label\ttext\n" + "".join(f"{b}\t{a}\n" for a, b in pairs),
        }.get(suffix)
        if text is None:
            quoted = [(a.replace('"', '""'), b) for a, b in pairs]
            text = "label,text\n" + "".join(f'{b},"{a}"\n' for a, b in quoted)
        data = text.encode()
        path.write_bytes(gzip.compress(data) if suffix.endswith(".gz") else data)
    whole = read_table(path)
    chunks = list(iterate_table(path, size=10))
    # The row of names is one of the first ten.
    names = suffix not in (".jsonl", ".parquet")
    assert [len(t) for t, _ in chunks] == [10 - names, *[10] * 4, 7 + names]
    assert all_of(chunks) == list(zip(*whole, strict=True)) == pairs


def test_a_row_that_cannot_be_read_is_refused_when_it_is_reached(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,label\n" + "a,x\n" * 30 + "b,c,d\n")
    read = iterate_table(path, size=10)
    assert len(next(read)[0]) == 9  # the names are a row, too
    with pytest.raises(InputError, match=r"mine.csv: line 32 has 3 fields"):
        list(read)


@pytest.mark.parametrize("source", ["messages", "nowhere.csv", "."])
def test_a_source_that_is_not_a_table_is_refused(source):
    with pytest.raises(InputError, match="only a table can be read as a stream"):
        table_rows(source)


def test_a_table_that_changes_between_two_passes_is_refused(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,label\na,x\nb,y\n")
    read = table_rows(str(path))
    assert all_of(read()) == [("a", "x"), ("b", "y")]
    path.write_text("text,label\na,x\nb,y\nc,y\n")
    with pytest.raises(InputError, match=r"mine.csv: the file changed during train"):
        list(read())


def test_a_table_is_large_if_the_memory_is_small(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("text,label\n" + "a,x\n" * 1000)
    assert not is_large(str(path))
    assert not is_large("messages", memory=1)
    assert is_large(str(path), memory=300)
    size = path.stat().st_size
    packed = tmp_path / "mine.csv.gz"
    packed.write_bytes(path.read_bytes())
    # A packed table is taken to be five times as large.
    assert not is_large(str(path), memory=4 * 140 * size)
    assert is_large(str(packed), memory=4 * 140 * size)


@pytest.mark.exhaustive
def test_a_streamed_classifier_is_as_good_as_one_in_memory():
    """Half of the texts say nothing about their class, so neither can be perfect."""
    random = np.random.default_rng(0)
    pairs = [
        (text if random.random() < 0.5 else text.split(" ", 1)[1], label)
        for text, label in rows(6000)
    ]
    settings = {"units": 8, "embedding_dim": 8, "min_count": 3, "seed": 0}
    quick = {"epochs": 3, "learning_rate": 0.01}
    stream = Stream("made", reader(pairs))
    streamed = TextClassifier.from_texts(stream, **settings)
    history = streamed.fit(stream, **quick).history
    texts, labels = zip(*pairs, strict=True)
    train, held_out, test, _ = LabelledTexts(list(texts), list(labels)).split()
    whole = TextClassifier.from_texts(train.texts, train.labels, **settings)
    whole.fit(
        train.texts,
        train.labels,
        validation_data=(held_out.texts, held_out.labels),
        **quick,
    )
    scores = [
        count_answers(streamed.labels_of, stream.read_test()).score(
            streamed.class_names
        ),
        whole.evaluate(test.texts, test.labels),
    ]
    # The best accuracy is 0.75; three standard errors for 1,200 texts are 0.038.
    for score in scores:
        assert score["accuracy"] == pytest.approx(0.75, abs=0.04)
    assert scores[0]["n"] == stream.sizes["test"]
    assert streamed.linear is not None
    assert {"loss", "val_loss"} <= set(history)
    assert streamed.evaluate_chunks(stream.read_test()) == scores[0]


def test_a_stream_needs_a_maximum_length():
    stream = Stream("made", reader(rows(200)))
    with pytest.raises(InputError, match="made: texts of a stream are cut; expected a"):
        TextClassifier.from_texts(stream, units=4, max_length=0)


def test_the_vocabulary_of_a_stream_is_that_of_its_training_part():
    stream = Stream("made", reader(rows(400)))
    streamed = TextClassifier.from_texts(stream, units=4)
    texts, labels = zip(*all_of(stream.read_train()), strict=True)
    whole = TextClassifier.from_texts(texts, labels, units=4)
    found, expected = (c.preprocessor.get_vocabulary() for c in (streamed, whole))
    assert found == expected
