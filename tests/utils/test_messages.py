"""What is printed holds no command for a terminal."""

import json
import unicodedata

import pytest
from typer.testing import CliRunner

from rnn_keras.classification.classifier import TextClassifier
from rnn_keras.cli.app import app
from rnn_keras.utils.errors import InputError
from rnn_keras.utils.messages import (
    json_line,
    one_line,
    printable,
    quote,
    shorten,
    without_surrogates,
)

TITLE = "\x1b]0;mine\x07"
EVERY = "".join(map(chr, range(0x3000)))


def test_no_character_that_commands_a_terminal_is_left():
    shown = printable(EVERY)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Zl", "Zp")]
    overrides = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not [c for c in shown if unicodedata.bidirectional(c) in overrides]


@pytest.mark.parametrize(
    "text",
    [
        "中文，和。",
        "می\u200cخواهم",
        "\U0001f469\u200d\U0001f680",
        "שלום\u200f",
        "a\u3000b",
        "",
    ],
)
def test_what_scripts_need_is_left(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (TITLE, "\\x1b]0;mine\\x07"),
        ("a\r\nb\tc\u2028d", "a b c d"),
        ("\x9b2J", "\\x9b2J"),
        ("\u202eevil", "\\u202eevil"),
        ("a\0b", "a\\x00b"),
    ],
)
def test_what_does_harm_is_shown_as_python_writes_it(text, shown):
    assert printable(text) == shown
    assert str(InputError(text)) == shown


def test_a_message_keeps_its_beginning_and_its_end():
    line = one_line("begin" + "x" * 10_000 + "end")
    assert len(line) == 400
    assert line.startswith("begin")
    assert line.endswith("xend")
    assert one_line("caf\udce9") == "caf\\udce9"


def test_json_is_the_same_json():
    content = {"text": EVERY}
    line = json_line(content)
    assert json.loads(line) == content
    assert printable(line) == line


def test_what_is_too_long_is_cut_at_its_end():
    assert shorten("x" * 40) == "x" * 40
    assert shorten("x" * 41) == "x" * 39 + "…"
    assert quote(" a\n b ") == "a b"
    assert len(quote("x" * 99)) == 70


def test_lone_surrogates_become_replacement_characters():
    text = without_surrogates("a\ud800b\U0001f600")
    assert text == "a\ufffdb\U0001f600"
    text.encode()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A classifier whose class names are an attack themselves."""
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    texts, labels = ["a b", "b c", "c d", "d a"], [TITLE, TITLE, "b\tc\nd", "b\tc\nd"]
    TextClassifier.from_texts(
        texts, labels, units=4, embedding_dim=4, unit="character", seed=0
    ).save(path)
    return path


def answer(*arguments, **options):
    result = CliRunner().invoke(app, [str(a) for a in arguments], **options)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert printable(result.stdout).replace(" ", "") == "".join(result.stdout.split())
    return result.stdout


def test_predict_writes_one_line_a_text_and_no_commands(saved):
    texts = [TITLE, "a\tb", "a\r\nb", "\x9b2J", "\u202eevil", "x\u2028y", "a\x0bb\x85c"]
    lines = answer("predict", saved, *texts).splitlines()
    assert [line.split("\t")[2] for line in lines] == [printable(t) for t in texts]
    assert {len(line.split("\t")) for line in lines} == {3}


def test_predict_reads_the_same_from_standard_input(saved):
    written = answer("predict", saved, input=b"\x1b[31mred\nb\xff\x00c\n\n")
    assert [line.split("\t")[2] for line in written.splitlines()] == [
        "\\x1b[31mred",
        "b\ufffd\\x00c",
        "",
    ]


def test_predict_as_json_gives_the_text_back(saved):
    texts = [TITLE, "a\tb\r\nc", "\x9b2J\u202e", "\x7f"]
    written = answer("predict", saved, "--json", *texts).splitlines()
    assert [json.loads(line)["text"] for line in written] == texts


@pytest.mark.parametrize(
    "options", [(), pytest.param(("--json",), marks=pytest.mark.exhaustive)]
)
def test_other_commands_write_no_commands_either(options, saved, tmp_path):
    table = tmp_path / "t.jsonl"
    rows = [{"text": TITLE + "a", "label": TITLE}, {"text": "d", "label": "b\tc\nd"}]
    table.write_text("\n".join(map(json.dumps, rows)))
    explained = answer("explain", saved, TITLE + "\u202ea\tb", *options)
    assert "\\x1b" in explained or "\\u001b" in explained
    result = CliRunner().invoke(app, ["evaluate", str(saved), str(table), *options])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    assert "x1b]0;mine" in result.stdout or "u001b]0;mine" in result.stdout


@pytest.mark.exhaustive
def test_a_figure_of_an_attack_can_be_drawn(saved, tmp_path):
    answer("explain", saved, TITLE, "--figure", tmp_path / "x.png")
