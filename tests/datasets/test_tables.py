"""Tables and folders in every format, and how damaged ones are refused."""

import bz2
import gzip
import io
import json
import lzma
import sys
import zipfile

import pandas as pd
import pytest

from rnn_keras.datasets.tables import read_folder, read_table
from rnn_keras.utils.errors import InputError

TEXTS = ['say "hi", you', "NA", "", "two\nlines", "中文 ,"]
LABELS = ["a", "1", "b", "null", "2"]


def frame():
    return pd.DataFrame({"id": range(5), "review": TEXTS, "label": LABELS})


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_csv_values_are_read_as_they_were_written(tmp_path):
    frame().to_csv(tmp_path / "t.csv", index=False)
    assert read_table(tmp_path / "t.csv") == (TEXTS, LABELS)


def test_jsonl_and_parquet_values_are_read_as_they_were_written(tmp_path):
    frame().to_json(tmp_path / "t.jsonl", orient="records", lines=True)
    frame().to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.jsonl") == (TEXTS, LABELS)
    assert read_table(tmp_path / "t.parquet") == (TEXTS, LABELS)


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_compressed_table_is_read(kind, suffix, tmp_path):
    content = {
        "csv": "text,label\nhi,a\nyo,b\n",
        "jsonl": '{"text": "hi", "label": "a"}\n\n{"text": "yo", "label": "b"}\n',
    }[kind].encode()
    path = tmp_path / f"t.{kind}.{suffix}"
    if suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"t.{kind}", content)
    else:
        module = {"gz": gzip, "bz2": bz2, "xz": lzma}[suffix]
        path.write_bytes(module.compress(content))
    assert read_table(path) == (["hi", "yo"], ["a", "b"])


def test_quotation_marks_in_a_tsv_are_text(tmp_path):
    path = write(tmp_path / "t.tsv", 'ham\t"unclosed\nspam\tok "x"\n')
    cells = read_table(path, header=False, text_column=1, label_column=0)
    assert cells == (['"unclosed', 'ok "x"'], ["ham", "spam"])


@pytest.mark.parametrize("column", ["text", 1, "1"])
def test_a_column_is_chosen_by_name_or_position(column, tmp_path):
    path = write(tmp_path / "t.csv", "kind,text\na,hi\n")
    assert read_table(path, text_column=column, label_column=0) == (["hi"], ["a"])


def test_a_name_takes_precedence_over_a_position(tmp_path):
    path = write(tmp_path / "t.csv", "1,0,label\nx,y,z\n")
    assert read_table(path, text_column="0") == (["y"], ["z"])


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path):
    path = write(tmp_path / "t.csv", b"\xef\xbb\xbftext,label\nhi,a\n")
    assert read_table(path) == (["hi"], ["a"])


def test_another_encoding_is_decoded(tmp_path):
    path = write(tmp_path / "t.csv", "text,label\n中文,a\n".encode("gb18030"))
    assert read_table(path, encoding="gb18030") == (["中文"], ["a"])


def test_numbers_become_texts_and_missing_values_none(tmp_path):
    rows = [{"text": 5, "label": 1}, {"text": None, "label": 2.0}, {"label": True}]
    path = write(tmp_path / "t.jsonl", "\n".join(map(json.dumps, rows)))
    assert read_table(path) == (["5", None, None], ["1", "2", "True"])
    table = pd.DataFrame({"text": ["x", None], "label": [1, None]})
    table.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet") == (["x", None], ["1", None])


def test_numbers_keep_all_their_digits(tmp_path):
    table = pd.DataFrame(
        {"text": ["a", "b", "c"], "label": [1234567, 1234568, None], "f": [0.1, 2.5, 3]}
    )
    table.to_parquet(tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet")[1] == ["1234567", "1234568", None]
    shares = read_table(tmp_path / "t.parquet", label_column="f")[1]
    assert shares == ["0.1", "2.5", "3"]


def test_a_folder_with_one_subfolder_for_each_class_is_read(tmp_path):
    for label, name, text in (("pos", "1", "good"), ("neg", "1", "b\nad")):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{name}.txt").write_text(text)
    (tmp_path / "README.txt").write_text("not a text")
    (tmp_path / "pos" / "notes.md").write_text("nor this")
    assert read_folder(tmp_path) == (["b\nad", "good"], ["neg", "pos"])


def encrypted():
    """Make an archive with the flag of encryption in both headers of its member."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("t.csv", "text,label\na,b\n")
    content = bytearray(written.getvalue())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


BAD = {
    "kind": ("t.xlsx", b"x", {}, r"t.xlsx: unknown kind of file; expected .csv, .tsv"),
    "empty": ("t.csv", b"", {}, r"t.csv: no rows"),
    "header only": ("t.csv", b"text,label\n", {}, r"t.csv: no rows"),
    "blank lines": ("t.jsonl", b"\n\n", {}, r"t.jsonl: no rows"),
    "no such column": (
        "t.csv",
        b"a,b\n1,2\n",
        {"text_column": "c", "label_column": "b"},
        r"t.csv: no column 'c'; it has: a, b \(or 0 to 1\)",
    ),
    "position": (
        "t.csv",
        b"a,b\n1,2\n",
        {"text_column": 2, "label_column": "b"},
        r"t.csv: no column 2; it has: a, b \(or 0 to 1\)",
    ),
    "no usual name": (
        "t.csv",
        b"a,b\n1,2\n",
        {},
        r"t.csv: which column is the text\? Name it \(--text-column\): a, b",
    ),
    "two usual names": (
        "t.csv",
        b"text,label,class\n1,2,3\n",
        {},
        r"which column is the label\? .*: text, label, class",
    ),
    "same column": (
        "t.csv",
        b"a,b\n1,2\n",
        {"text_column": "a", "label_column": 0},
        r"text and label are the same column, 'a'",
    ),
    "encoding": (
        "t.csv",
        "text,label\n中文,a\n".encode("gb18030"),
        {},
        r"t.csv: not utf-8 text .*; give its encoding",
    ),
    "unknown encoding": (
        "t.csv",
        b"text,label\n",
        {"encoding": "utf-9"},
        "t.csv: 'utf-9' is not a known text encoding",
    ),
    "too many fields": (
        "t.csv",
        b"text,label\na,b\nc,d,e\n",
        {},
        r"t.csv: line 3 has 3 fields but the first row has 2; put quotation marks",
    ),
    "unquoted commas everywhere": (
        "t.csv",
        b"label,text\na,well, no\nb,well, yes\n",
        {},
        r"t.csv: line 2 has 3 fields but the first row has 2",
    ),
    "open quote": (
        "t.csv",
        b'text,label\n"a,b\nc,d\n',
        {},
        r"t.csv: a quotation mark in the row that begins in line 2 is never closed",
    ),
    "broken line": (
        "t.jsonl",
        b'{"text": "a", "label": "b"}\n{"text": \n',
        {},
        r"t.jsonl: line 2 is not JSON",
    ),
    "not an object": ("t.jsonl", b"[1, 2]\n", {}, r"line 1 is not a JSON object"),
    "not gzip": ("t.csv.gz", b"text,label\n", {}, r"t.csv.gz: cannot be read"),
    "cut gzip": (
        "t.csv.gz",
        gzip.compress(b"text,label\n" + b"abc,d\n" * 99)[:-9],
        {},
        r"t.csv.gz: cannot be read",
    ),
    "not xz": ("t.csv.xz", b"text,label\n", {}, r"t.csv.xz: cannot be read"),
    "nested": ("t.jsonl", b"[" * 100_000, {}, r"t.jsonl: line 1 is not JSON"),
    "not zip": ("t.csv.zip", b"PK", {}, r"t.csv.zip: cannot be read"),
    "encrypted": (
        "t.csv.zip",
        encrypted(),
        {},
        r"t.csv.zip: is encrypted with a",
    ),
    "not parquet": ("t.parquet", b"text", {}, r"t.parquet: not a Parquet file"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_refused_in_one_line_with_the_fault(case, tmp_path):
    name, content, arguments, message = BAD[case]
    path = write(tmp_path / name, content)
    with pytest.raises(InputError, match=message) as caught:
        read_table(path, **arguments)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_fault_inside_a_zip_is_reported_with_the_name_of_the_zip(tmp_path):
    path = tmp_path / "t.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inside.csv", "label,text\na,well, no\nb,well, yes\n")
    with pytest.raises(InputError, match=r"t.csv.zip: line 2 has 3 fields"):
        read_table(path)


def test_a_zip_of_several_files_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("a.csv", "text,label\n")
        archive.writestr("b.csv", "text,label\n")
    with pytest.raises(InputError, match="2 files inside; expected one"):
        read_table(tmp_path / "t.csv.zip")


def test_a_bad_folder_is_refused(tmp_path):
    with pytest.raises(
        InputError, match="no texts; expected one subfolder for each class"
    ):
        read_folder(tmp_path)
    (tmp_path / "pos").mkdir()
    (tmp_path / "pos" / "1.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"1.txt: not utf-8 text"):
        read_folder(tmp_path)
    with pytest.raises(InputError, match=r"1.txt: 'utf-9' is not a known text enc"):
        read_folder(tmp_path, encoding="utf-9")
    (tmp_path / "pos" / "0.txt").mkdir()
    with pytest.raises(InputError, match=r"0.txt: a folder, where a file is expected"):
        read_folder(tmp_path)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    path = write(tmp_path / "t.parquet", b"x")
    with pytest.raises(InputError, match="pip install pyarrow"):
        read_table(path)
