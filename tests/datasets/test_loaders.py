"""Loading data sets, texts and pairs; and the bundled messages."""

import re
from collections import Counter
from itertools import pairwise

import pandas as pd
import pytest

from rnn_keras.datasets.loaders import (
    load_dataset,
    load_pairs,
    load_recordings,
    load_text,
)
from rnn_keras.utils.errors import InputError


def test_the_four_seed_sentences_can_be_split():
    splits = load_dataset("seed").split()
    assert [len(part) for part in splits[:3]] == [2, 0, 2]


def test_a_source_that_is_longer_than_any_path_is_refused():
    with pytest.raises(InputError, match=r"^x{199}…: neither a file"):
        load_dataset("x" * 5000)


def test_empty_and_missing_values_are_left_out_and_noted(tmp_path):
    table = pd.DataFrame(
        {"text": [" a ", "", None, "b", "c"], "label": ["x", "x", "y", None, " y"]}
    )
    table.to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    texts = load_dataset(tmp_path / "t.jsonl")
    assert (texts.texts, texts.labels) == (["a", "c"], ["x", "y"])
    assert texts.notes == (
        "2 empty texts left out (first: data row 2)",
        "1 text without a label left out (data row 4)",
    )


def test_a_table_of_empty_rows_is_refused(tmp_path):
    (tmp_path / "t.csv").write_text("text,label\n ,a\n,b\n")
    with pytest.raises(InputError, match=r"t.csv: no row has both a text and a label"):
        load_dataset(tmp_path / "t.csv")


def test_an_unknown_source_is_refused_with_the_known_names():
    message = r"nosuch: neither a file.*: messages, seed, sms_spam, imdb, chnsenticorp"
    with pytest.raises(InputError, match=message):
        load_dataset("nosuch")


def test_a_folder_is_loaded(tmp_path):
    for label in ("x", "y"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "1.txt").write_text(f"text of {label}\n")
    texts = load_dataset(tmp_path)
    assert (texts.texts, texts.labels) == (["text of x", "text of y"], ["x", "y"])


def test_the_seed_sentences_are_loaded():
    texts = load_dataset("seed")
    assert texts.texts[0] == "I love machine learning"
    assert texts.labels == ["0", "0", "1", "1"]


# The bundled messages.


def is_chinese(text):
    return bool(re.search("[\u4e00-\u9fff]", text))


def test_the_messages_have_their_documented_numbers():
    messages = load_dataset("messages")
    kinds = Counter(
        (is_chinese(text), label)
        for text, label in zip(messages.texts, messages.labels, strict=True)
    )
    assert len(messages) == 2060
    assert messages.notes == ()
    assert kinds[False, "spam"] + kinds[False, "ham"] >= 600
    assert kinds[True, "spam"] + kinds[True, "ham"] >= 300
    assert min(kinds.values()) >= 300


def shingles(text):
    """Return the pairs of neighbouring words or Chinese characters."""
    words = re.findall(r"[\u4e00-\u9fff]|[^\W_]+", text.lower())
    return set(pairwise(words)) or {tuple(words)}


def test_the_messages_have_no_exact_or_near_duplicates():
    """The Jaccard similarity of two messages' pairs of neighbours is below 0.34."""
    texts = load_dataset("messages").texts
    assert len({text.casefold() for text in texts}) == len(texts)
    sets = [shingles(text) for text in texts]
    where = {}
    for i, pairs in enumerate(sets):
        shared = Counter(j for pair in pairs for j in where.get(pair, ()))
        for j, common in shared.items():
            similarity = common / len(pairs | sets[j])
            assert similarity < 0.34, (texts[i], texts[j])
        for pair in pairs:
            where.setdefault(pair, []).append(i)


def test_the_check_for_near_duplicates_would_find_one():
    one = shingles("Your parcel is held, pay the fee today at parcel.example")
    two = shingles("Your parcel is held: pay the fee now at parcel.example")
    assert len(one & two) / len(one | two) > 0.34


def test_the_messages_contain_only_reserved_domains():
    for text in load_dataset("messages").texts:
        for suffix in re.findall(r"\b[a-z0-9-]+\.([a-z]{2,})/", text.lower()):
            assert suffix in ("example", "test", "invalid"), text


def test_a_text_keeps_its_line_breaks(tmp_path):
    path = tmp_path / "play.txt"
    path.write_bytes("ROMEO:\r\nÀ l'amour\n\n".encode())
    assert load_text(path) == "ROMEO:\r\nÀ l'amour\n\n"
    path.write_bytes("À".encode("latin-1"))
    assert load_text(str(path), encoding="latin-1") == "À"


@pytest.mark.parametrize(
    ("name", "encoding", "message"),
    [
        (
            "nosuch.txt",
            "utf-8",
            "nosuch.txt: neither a file nor a known name; known names: tiny",
        ),
        (".", "utf-8", r"a folder, where a file is expected"),
        ("latin.txt", "utf-8", r"latin.txt: not utf-8 text \(byte 0xc0 in l"),
        ("latin.txt", "nosuch", "'nosuch' is not a known text encoding"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused(name, encoding, message, tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"\xc0 l'amour")
    with pytest.raises(InputError, match=message):
        load_text(tmp_path / name, encoding=encoding)


def test_a_corpus_of_another_kind_is_refused_with_its_loader():
    with pytest.raises(InputError, match=r"is loaded by .*load_text`; .* seed, sms"):
        load_dataset("tiny_shakespeare")
    with pytest.raises(InputError, match=r"is loaded by .*load_dataset`; .*shake"):
        load_text("seed")


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_bytes("\ufeffGo.\tVa !\n".encode())
    assert load_text(path) == "Go.\tVa !\n"
    assert load_pairs(path) == [("Go.", "Va !")]


def test_pairs_are_read_from_a_file(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("a cat\tun  chat\tby whom\r\n\nwait\u2028here\tattends\u00a0!\n")
    assert load_pairs(path) == [("a cat", "un chat"), ("wait here", "attends !")]
    for content, message in (
        (
            "a\tb\na cat, un chat\n",
            "pairs.tsv: line 2 is not two texts separated by a tab",
        ),
        ("a\tb\na cat\t\n", "pairs.tsv: line 2 is not two texts separated by a tab"),
        ("\n", "pairs.tsv: no lines of two texts separated by a tab"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message):
            load_pairs(path)
    with pytest.raises(InputError, match="known names: tatoeba_fra"):
        load_pairs(tmp_path / "nosuch")
    with pytest.raises(
        InputError, match="no recordings have this name; known names: spo"
    ):
        load_recordings("nosuch")
