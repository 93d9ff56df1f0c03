"""The notebook of a folder of images leads to a network in ten lines; none is kept with outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from played_notebooks import EXAMPLES, cells_of, play

FILE = EXAMPLES / "images.ipynb"


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda file: file.stem)
def test_notebook_is_kept_without_outputs(file: Path) -> None:
    assert [cell["outputs"] for cell in cells_of(file)] == [[]] * len(cells_of(file))
    assert {cell["execution_count"] for cell in cells_of(file)} == {None}


@pytest.mark.filterwarnings("ignore")  # of the client and of what it imports
def test_ten_lines_lead_from_a_folder_to_the_network_its_curve_and_its_weights(tmp_path: Path) -> None:
    import torch

    lines = [line for line in "".join(cells_of(FILE)[1]["source"]).splitlines() if line.strip()]
    assert len(lines) <= 10
    drawn, curve, figure, named, arrays = play(FILE, tmp_path)
    assert drawn == ""
    assert "6/6 trials" in curve
    assert "fifth of each class is held out for testing, 40 of 200 images" in curve
    assert "val_accuracy" in curve
    assert "Figure('curves'" in figure
    assert named.strip() == "'rows'"  # learned: the class of an image of it
    assert "<b>Results of noise</b>" in arrays
    assert "module" in "".join(torch.load(tmp_path / "best.pt", weights_only=True))
