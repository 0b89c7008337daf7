"""What nbval does not look at: a notebook without outputs passes it unread."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
NOTEBOOKS = [p for p in NOTEBOOKS if ".ipynb_checkpoints" not in p.parts]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def notebook(request):
    return json.loads(request.param.read_text(encoding="utf-8"))


def code_cells(notebook):
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_there_are_notebooks():
    assert [p.name for p in NOTEBOOKS][:1] == ["01_quickstart.ipynb"]


def test_every_cell_was_executed_in_order(notebook):
    counts = [cell["execution_count"] for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_no_cell_failed_or_wrote_to_standard_error(notebook):
    for cell in code_cells(notebook):
        for output in cell["outputs"]:
            assert output["output_type"] != "error", cell["source"]
            assert output.get("name") != "stderr", cell["source"]


def test_cells_are_short(notebook):
    for cell in code_cells(notebook):
        source = "".join(cell["source"])
        assert source.strip(), "an empty cell"
        assert len(source.splitlines()) <= 25, source


def test_few_cells_are_exempt_from_comparison(notebook):
    cells = code_cells(notebook)
    exempt = [
        cell
        for cell in cells
        if "NBVAL_IGNORE_OUTPUT" in "".join(cell["source"])
        or "NBVAL_SKIP" in "".join(cell["source"])
        or {"nbval-ignore-output", "nbval-skip"} & set(cell["metadata"].get("tags", []))
    ]
    assert len(exempt) <= 0.1 * len(cells)


def test_what_exempts_a_cell_stands_alone_on_its_line(notebook):
    """With a reason behind it, nbval does not know it, and compares."""
    for cell in code_cells(notebook):
        for line in "".join(cell["source"]).splitlines():
            if "NBVAL" in line:
                assert line in ("# NBVAL_IGNORE_OUTPUT", "# NBVAL_SKIP")


def test_no_cell_ends_in_a_semicolon(notebook):
    """What it hides, nbval compares, with the address in it."""
    for cell in code_cells(notebook):
        assert not "".join(cell["source"]).rstrip().endswith(";"), cell["source"]


def test_every_notebook_compares_something(notebook):
    """At least half of the cells print text, which is what nbval compares."""
    cells = code_cells(notebook)
    texts = [
        any(output["output_type"] == "stream" for output in cell["outputs"])
        for cell in cells
    ]
    assert sum(texts) >= len(cells) / 2
    assert any("assert " in "".join(cell["source"]) for cell in cells)


def test_it_names_the_kernel_that_everybody_has(notebook):
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_no_output_holds_a_path_of_a_machine(notebook):
    outputs = json.dumps([cell["outputs"] for cell in code_cells(notebook)])
    for prefix in (str(ROOT), f"{Path.home()}/", "/home/", "/Users/", "C:\\\\"):
        assert prefix not in outputs


def test_no_output_holds_an_address_in_memory(notebook):
    outputs = json.dumps([cell["outputs"] for cell in code_cells(notebook)])
    assert not re.search(r" at 0x[0-9a-f]", outputs)


def test_every_notebook_with_exercises_has_its_solutions():
    """From chapter 2 on a check tells right from wrong, and a notebook shows why."""
    for path in NOTEBOOKS:
        text = path.read_text(encoding="utf-8")
        if path.parent.name != "solutions" and "solutions/" in text:
            assert f"solutions/{path.name}" in text
            assert (path.parent / "solutions" / path.name).exists()


def test_links_between_notebooks_lead_somewhere():
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for cell in cells:
            for target in re.findall(r"\]\(([^)#]+\.ipynb)\)", "".join(cell["source"])):
                assert (path.parent / target).resolve().exists(), (path.name, target)
