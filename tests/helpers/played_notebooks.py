"""Runs an example notebook as a person does, and gives what its cells show, as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def cells_of(file: Path) -> list[dict[str, Any]]:
    """The cells of code."""
    return [cell for cell in json.loads(file.read_text())["cells"] if cell["cell_type"] == "code"]


def play(file: Path, folder: Path) -> list[str]:
    """What each cell of code shows, as text; run in `folder`."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed; make setup installs it")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed; make setup installs it")
    import nbformat

    notebook = nbformat.read(file, as_version=4)
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
