"""Unusual but valid tables, and tables that would not fit into memory."""

import csv
import sys
import time

import pandas as pd
import pytest

from rnn_keras.datasets.tables import read_table
from rnn_keras.utils.errors import InputError


def read(tmp_path, name, content, **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, **options)


def test_a_million_rows_are_read_in_seconds(tmp_path):
    begin = time.perf_counter()
    texts, labels = read(tmp_path, "t.csv", b"text,label\n" + b"a b,x\n" * 10**6)
    assert len(texts) == len(labels) == 10**6
    assert time.perf_counter() - begin < 60


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_a_value_of_a_million_characters_is_read(kind, tmp_path):
    """Python's `csv` module accepts 131,072 characters by default."""
    text = "x" * 10**6
    if kind == "parquet":
        pd.DataFrame({"text": [text], "label": ["a"]}).to_parquet(
            tmp_path / "t.parquet"
        )
        assert read_table(tmp_path / "t.parquet") == ([text], ["a"])
        return
    content = {
        "csv": f'text,label\n"{text}",a\n',
        "tsv": f"text\tlabel\n{text}\ta\n",
        "jsonl": f'{{"text": "{text}", "label": "a"}}',
    }[kind]
    assert read(tmp_path, f"t.{kind}", content) == ([text], ["a"])


def test_a_bad_row_after_a_very_long_one_is_found(tmp_path):
    content = f"text,label\n{'x' * 10**6},a\nb,c,d\n"
    with pytest.raises(InputError, match="line 3 has 3 fields but the first row has 2"):
        read(tmp_path, "t.csv", content)


def test_unusual_characters_are_kept(tmp_path):
    odd = ["a\0b", "\u202eab", "\x1b[2J", "שלום", "\ufeffx", "a\u2028b", "'; DROP"]
    rows = "".join(f'"{text}",{i}\n' for i, text in enumerate(odd))
    assert read(tmp_path, "t.csv", "text,label\n" + rows)[0] == odd


def test_lone_surrogates_in_json_become_replacement_characters(tmp_path):
    line = r'{"text": "a\ud800b \ud83d\ude00", "label": "\udfff"}'
    assert read(tmp_path, "t.jsonl", line) == (["a\ufffdb \U0001f600"], ["\ufffd"])


def test_nested_values_and_large_numbers_in_json_become_texts(tmp_path):
    lines = (
        '{"text": {"a": [1]}, "label": 123456789012345678901234567890}\n'
        '{"text": NaN, "label": 1e999}\n'
    )
    texts, labels = read(tmp_path, "t.jsonl", lines)
    assert texts == ["{'a': [1]}", None]
    assert labels == ["123456789012345678901234567890", "inf"]


def test_what_pandas_has_stored_in_parquet_is_ignored(tmp_path):
    frame = pd.DataFrame({"text": ["a", "b"], "label": [1, 2]}, index=["x", "y"])
    frame["when"] = pd.Timestamp("2024-01-02")
    frame.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet") == (["a", "b"], ["1", "2"])
    dates = read_table(tmp_path / "t.parquet", label_column="when")[1]
    assert dates == ["2024-01-02 00:00:00"] * 2


@pytest.mark.parametrize(
    ("nested", "dictionary"),
    [
        (False, True),
        (True, True),
        pytest.param(False, False, marks=pytest.mark.exhaustive),
        pytest.param(True, False, marks=pytest.mark.exhaustive),
    ],
)
def test_repeated_texts_in_parquet_are_refused_before_they_fill_the_memory(
    nested, dictionary, tmp_path
):
    pa = pytest.importorskip("pyarrow")
    column = pa.array(["x" * 12_000] * 20_000)
    if nested:
        column = pa.ListArray.from_arrays(list(range(20_001)), column)
    path = tmp_path / "t.parquet"
    pa.parquet.write_table(
        pa.table({"text": column, "label": ["a"] * 20_000}),
        path,
        compression="zstd",
        use_dictionary=dictionary,
        store_schema=False,
    )
    assert path.stat().st_size < 500_000
    del column
    before = pa.default_memory_pool()
    watched = pa.proxy_memory_pool(before)
    pa.set_memory_pool(watched)
    try:
        with pytest.raises(InputError, match=r"unpacks to more than 100,000,000 bytes"):
            read_table(path)
    finally:
        pa.set_memory_pool(before)
    # Lists are written out in small batches, up to the limit.
    assert watched.max_memory() < (110_000_000 if nested else 20_000_000)


def test_repeated_and_missing_values_in_parquet_are_read(tmp_path):
    texts = ["a", None, "b", "a"] * 50
    frame = pd.DataFrame({"text": texts, "label": pd.Categorical(["x", "y"] * 100)})
    frame["many"] = [["a", "b"]] * 200
    frame["number"] = pd.Categorical([7, 8] * 100)
    frame.to_parquet(tmp_path / "t.parquet", row_group_size=70)
    assert read_table(tmp_path / "t.parquet") == (texts, ["x", "y"] * 100)
    for column, expected in (("many", "['a', 'b']"), ("number", "7")):
        labels = read_table(tmp_path / "t.parquet", label_column=column)[1]
        assert labels[0] == expected


def test_a_file_that_needs_too_much_memory_is_refused(tmp_path, monkeypatch):
    rows = b"text,label\na,x\nb,y\n"

    def full(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr(pd, "read_csv", full)
    with pytest.raises(InputError, match="it takes more memory than there is"):
        read(tmp_path, "t.csv", rows)


def test_reading_a_table_restores_the_limit_of_the_csv_module(tmp_path):
    with pytest.raises(InputError):
        read(tmp_path, "t.csv", "a,b\n1,2,3\n")
    assert csv.field_size_limit() < sys.maxsize
