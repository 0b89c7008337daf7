"""The command `doctor`."""

import json
import os

import pytest


def test_a_healthy_source_gets_one_line_and_status_0(table, invoke, capfd):
    shown = invoke("doctor", table)
    assert shown.exit_code == 0
    assert shown.stdout == (
        "nothing found; looked at repeats, contradictions, leaked labels, small "
        "classes, length, unknown tokens, unit\n"
    )
    assert shown.stderr == f"{table}: 400 texts\n"
    assert capfd.readouterr() == ("", "")


def test_a_healthy_run_is_looked_at_with_the_data_that_it_names(run, invoke):
    shown = invoke("doctor", run)
    assert shown.exit_code == 0
    assert shown.stdout == (
        "nothing found; looked at loss, scores, overfitting, padding, saturation, "
        "gradients, embeddings, length, unknown tokens, unit\n"
    )
    assert shown.stderr == ""


@pytest.mark.exhaustive
def test_a_healthy_run_is_looked_at_with_the_data_that_are_given(run, table, invoke):
    shown = invoke("doctor", run, "--data", table)
    assert (shown.exit_code, shown.stdout) == (0, invoke("doctor", run).stdout)


def test_a_finding_is_a_paragraph_the_worst_comes_first_and_the_status_is_1(
    healthy, write_table, tmp_path, invoke
):
    table = write_table(
        tmp_path / "t.csv", healthy, lambda text, label: f"[{label}] {text}"
    )
    table.write_text(table.read_text() + "pos,[/b] once more\n" * 2)
    shown = invoke("doctor", table)
    assert shown.exit_code == 1
    lines = shown.stdout.splitlines()
    assert lines[0] == "error  label-in-text"
    assert lines[1].startswith("  The name of class '")
    assert any(line.startswith("  → Take it out of the texts") for line in lines)
    assert any(line.startswith("    · [ ") for line in lines)
    assert "note  repeats" in lines
    assert "    · 2 times: [/b] once more" in lines  # no markup
    assert lines[-1].startswith("1 error, 1 note; looked at repeats, ")
    assert max(map(len, lines[:-1])) <= 80
    assert not any(line.endswith(" ") for line in lines)


def test_notes_alone_are_status_0(healthy, write_table, tmp_path, invoke):
    table = write_table(tmp_path / "t.csv", healthy)
    table.write_text(table.read_text() + f"{healthy.labels[0]},{healthy.texts[0]}\n")
    shown = invoke("doctor", table)
    assert shown.exit_code == 0
    assert shown.stdout.splitlines()[0] == "note  repeats"


def test_json_holds_all_of_each_finding(healthy, write_table, tmp_path, table, invoke):
    shown = invoke("doctor", table, "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["findings"] == []
    repeated = write_table(
        tmp_path / "t.csv", healthy, lambda text, label: f"{label} {text}"
    )
    shown = invoke("doctor", repeated, "--json")
    assert shown.exit_code == 1
    content = json.loads(shown.stdout)
    assert content["source"] == str(repeated)
    (finding,) = content["findings"]
    assert list(finding) == ["name", "severity", "says", "cure", "examples"]
    assert (finding["name"], finding["severity"]) == ("label-in-text", "error")
    assert len(finding["examples"]) == 3


def test_a_test_part_of_ones_own_is_looked_at_too(
    healthy, write_table, tmp_path, table, invoke
):
    loud = write_table(tmp_path / "test.csv", healthy, lambda text, label: text.upper())
    shown = invoke("doctor", table, "--test", loud)
    assert shown.exit_code == 1
    assert "warning  near-repeats-across" in shown.stdout


def test_a_run_whose_texts_are_gone_is_looked_at_in_part(copy_of_run, invoke):
    metrics = json.loads((copy_of_run / "metrics.json").read_text())
    metrics["source"] = "gone.csv"
    (copy_of_run / "metrics.json").write_text(json.dumps(metrics))
    shown = invoke("doctor", copy_of_run)
    assert shown.exit_code == 0
    assert shown.stderr.startswith("gone.csv: the texts of the run are missing")
    assert shown.stdout == (
        "nothing found; looked at loss, baseline, overfitting, padding, embeddings\n"
    )


def test_a_run_that_learned_nothing_is_status_1(unlearned, invoke):
    options = ("--no-header", "--text-column", 1, "--label-column", 0)
    folder = unlearned[1].parent
    options += ("--data", folder / "rows.tsv", "--test", folder / "test.tsv")
    shown = invoke("doctor", unlearned[1], *options, "--json")
    assert shown.exit_code == 1
    findings = json.loads(shown.stdout)["findings"]
    names = {finding["name"] for finding in findings}
    assert {"loss-at-chance", "behind-baseline"} <= names
    assert "not the texts of the run" not in shown.stderr


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("unknown", "nosuch: neither a file, a folder nor a data set"),
        ("no metrics", "metrics.json: no such file; expected what rnn-keras train"),
        ("history", "history.csv: row 2 has 1 fields"),
        ("model", "model.keras: not a .keras file, or a damaged one"),
        ("data of a source", "--data goes with the folder of a run, not seed"),
        ("test without data", "--test with a run needs --data, too"),
        ("other classes", "label '0' is none of the classifier's classes: neg, pos"),
        ("test labels", "test label 'pos' is none of the classes of seed: 0, 1"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(case, said, copy_of_run, table, invoke):
    if case == "no metrics":
        (copy_of_run / "metrics.json").unlink()
    if case == "history":
        (copy_of_run / "history.csv").write_text("epoch,loss\n1\n")
    if case == "model":
        (copy_of_run / "model.keras").write_bytes(b"broken")
    arguments = {
        "unknown": ("nosuch",),
        "data of a source": ("seed", "--data", table),
        "test without data": (copy_of_run, "--test", table),
        "other classes": (copy_of_run, "--data", "seed"),
        "test labels": ("seed", "--test", table),
    }.get(case, (copy_of_run,))
    shown = invoke("doctor", *arguments)
    assert shown.exit_code == 2, shown.output
    assert shown.stdout == ""
    errors = [line for line in shown.stderr.splitlines() if "rnn-keras: " in line]
    assert errors == shown.stderr.splitlines()[-1:]
    assert said in errors[0]


@pytest.mark.parametrize("harm", ["\x1b]0;mine\x07", "\x1b[2J", "\x9b2J", "\u202e"])
def test_a_strangers_commands_to_the_terminal_are_not_printed(
    harm, healthy, write_table, tmp_path, invoke
):
    # In texts, which repeat, and in the name of a class that is too small.
    table = write_table(
        tmp_path / "t.csv", healthy, lambda text, label: f"{harm}{text}"
    )
    rows = table.read_text() + f"{harm}odd,some text\n{harm}odd,some other\n"
    table.write_text(rows + f"pos,{harm}again\n" * 2)
    shown = invoke("doctor", table)
    assert "again" in shown.stdout
    assert "odd: 1 training text" in shown.stdout
    assert harm[0] not in shown.stdout
    shown = invoke("doctor", table, "--json")
    assert harm[0] not in shown.stdout
    examples = [f["examples"] for f in json.loads(shown.stdout)["findings"]]
    assert any(harm in example for group in examples for example in group)


def test_a_table_that_does_not_fit_into_memory_is_refused(tmp_path, invoke):
    large = tmp_path / "large.csv"
    large.write_text("label,text\npos,a\nneg,b\n")
    # As large as the memory, but it holds nothing and takes no room on the disk.
    os.truncate(large, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    shown = invoke("doctor", large)
    assert shown.exit_code == 2
    assert shown.stderr == (
        f"rnn-keras: {large}: too large to examine in memory; give a table with a "
        "random sample of its rows\n"
    )
