"""The notebook of a search of your own runs from its first cell to its last, and shows results."""

from __future__ import annotations

import pytest
from played_notebooks import EXAMPLES, play

FILE = EXAMPLES / "notebook.ipynb"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each cell of code shows, as text."""
    return play(FILE, tmp_path_factory.mktemp("notebook"))


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
