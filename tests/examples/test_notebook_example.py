"""The example notebook runs from its first cell to its last, shows results, and is kept without outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "notebook.ipynb"


def cells() -> list[dict[str, Any]]:
    return [cell for cell in json.loads(FILE.read_text())["cells"] if cell["cell_type"] == "code"]


def test_notebook_is_kept_without_outputs() -> None:
    assert [cell["outputs"] for cell in cells()] == [[]] * len(cells())
    assert {cell["execution_count"] for cell in cells()} == {None}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each cell of code shows, as text."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed; make setup installs it")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed; make setup installs it")
    import nbformat

    folder = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(FILE, as_version=4)
    client = nbclient.NotebookClient(notebook, timeout=None, resources={"metadata": {"path": str(folder)}})
    client.execute()
    return [_shown(cell) for cell in notebook.cells if cell.cell_type == "code"]


def _shown(cell: Any) -> str:
    texts = []
    for output in cell.outputs:
        texts.append(output.get("text", ""))
        data = output.get("data", {})
        texts += [data.get("text/plain", ""), data.get("text/html", "")]
    return "\n".join(texts)


@pytest.mark.filterwarnings("ignore")  # of the client and of what it imports
def test_cells_show_progress_results_and_changes(played: list[str]) -> None:
    assert "widgets" not in "".join(played)
    definition, run, best, curves, trials, importances, changed, store, later = played
    assert "<b>Study digits</b>" in definition
    assert "12/12 trials" in run  # the last state of the progress line
    assert "<b>Results of digits</b>" in run
    assert "['coefficients', 'intercept']" in best
    assert "NaN" in curves  # of trials that were stopped
    assert "completed" in trials
    assert "'alpha'" in importances
    assert "code changed after trial 11" in changed  # the function of the cell
    assert "<b>Results of short</b>" in changed
    assert "<td>digits</td><td>15</td>" in store
    assert "<b>Results of digits</b>" in later
