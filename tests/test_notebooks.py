"""Properties of the notebooks that nbval does not check.

nbval passes a notebook without outputs, whatever its cells print. Each test here goes
through all notebooks; its message names the notebook and the cell.
"""

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "notebooks"
NOTEBOOKS = {
    path.relative_to(FOLDER): json.loads(path.read_text(encoding="utf-8"))
    for path in sorted(FOLDER.rglob("*.ipynb"))
    if ".ipynb_checkpoints" not in path.parts
}
EXEMPT = ("# NBVAL_IGNORE_OUTPUT", "# NBVAL_SKIP")


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def check_cells(wrong: Callable[[dict[str, Any]], object]) -> None:
    """Fail with the notebook, the number and the source of each wrong code cell."""
    found = [
        f"{path}, code cell {number}:\n{source(cell)}"
        for path, notebook in NOTEBOOKS.items()
        for number, cell in enumerate(code_cells(notebook), 1)
        if wrong(cell)
    ]
    assert not found, "\n\n".join(found)


def check_notebooks(right: Callable[[list[dict[str, Any]]], object]) -> None:
    """Fail with the names of the notebooks whose code cells are not `right`."""
    found = [str(p) for p, nb in NOTEBOOKS.items() if not right(code_cells(nb))]
    assert not found


def is_exempt(cell: dict[str, Any]) -> bool:
    tags = set(cell["metadata"].get("tags", []))
    in_source = any(mark.removeprefix("# ") in source(cell) for mark in EXEMPT)
    return in_source or bool(tags & {"nbval-ignore-output", "nbval-skip"})


def test_all_notebooks_are_found():
    names = [path.stem for path in NOTEBOOKS if path.parent == Path(".")]
    assert [name[:2] for name in names] == [f"{n:02}" for n in range(1, 13)]


def test_every_notebook_was_executed_in_order_on_the_common_kernel():
    def in_order(cells):
        counts = [cell["execution_count"] for cell in cells]
        return counts == list(range(1, len(counts) + 1))

    check_notebooks(in_order)
    kernels = {nb["metadata"]["kernelspec"]["name"] for nb in NOTEBOOKS.values()}
    assert kernels == {"python3"}


def test_no_cell_failed_or_wrote_to_standard_error():
    check_cells(
        lambda cell: any(
            output["output_type"] == "error" or output.get("name") == "stderr"
            for output in cell["outputs"]
        )
    )


def test_cells_are_short_and_not_empty():
    check_cells(lambda cell: not 1 <= len(source(cell).strip().splitlines()) <= 20)


def test_at_most_a_tenth_of_the_cells_is_exempt_from_comparison():
    check_notebooks(lambda cells: sum(map(is_exempt, cells)) <= 0.1 * len(cells))


def test_the_mark_of_an_exempt_cell_has_a_line_of_its_own():
    """With a reason behind the mark, nbval does not see it, and compares the cell."""
    check_cells(
        lambda cell: any(
            "NBVAL" in line and line not in EXEMPT for line in source(cell).splitlines()
        )
    )


def test_no_cell_ends_in_a_semicolon():
    """What a semicolon hides, nbval compares, with the address in it."""
    check_cells(lambda cell: source(cell).rstrip().endswith(";"))


def test_half_of_the_cells_print_and_every_notebook_asserts():
    """What cells print is what nbval compares."""

    def prints(cell):
        return any(output["output_type"] == "stream" for output in cell["outputs"])

    check_notebooks(lambda cells: sum(map(prints, cells)) >= len(cells) / 2)
    check_notebooks(lambda cells: any("assert " in source(cell) for cell in cells))


def test_no_output_holds_a_path_of_a_machine_or_an_address_in_memory():
    machine = (str(ROOT), f"{Path.home()}/", "/home/", "/Users/", "C:\\\\")
    unwanted = "|".join([*map(re.escape, machine), r" at 0x[0-9a-f]"])
    check_cells(lambda cell: re.search(unwanted, json.dumps(cell["outputs"])))


def test_every_notebook_with_exercises_has_its_solutions():
    for path, notebook in NOTEBOOKS.items():
        text = json.dumps(notebook)
        if path.parent.name != "solutions" and "solutions/" in text:
            assert f"solutions/{path.name}" in text, path
            assert Path("solutions", path.name) in NOTEBOOKS, path


def test_links_between_notebooks_lead_somewhere():
    for path, notebook in NOTEBOOKS.items():
        for cell in notebook["cells"]:
            for target in re.findall(r"\]\(([^)#]+\.ipynb)\)", source(cell)):
                linked = (FOLDER / path).parent / target
                assert linked.resolve().exists(), (str(path), target)


def test_what_notebooks_assert_of_training_held_with_every_seed():
    """benchmarks/claims.md is up to date with the notebooks and the measurements."""
    path = ROOT / "benchmarks" / "claims.py"
    spec = importlib.util.spec_from_file_location("claims", path)
    claims = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(claims)
    values = claims.values_by_name()
    for claim in claims.claims():
        assert len(claim.found(values)) >= 20, claim
        assert claim.holds(values) or not claim.assertion, claim
    written = path.with_suffix(".md").read_text(encoding="utf-8")
    assert written == claims.table_of_claims()
