"""The line below a notebook's cell: updated now and then, its last state kept; it needs a display alone."""

from __future__ import annotations

import logging
import sys
import warnings
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tune_jobs.report.notebook import STARTING, STARTING_RAY, cell_line, expect_no_widgets, in_notebook
from tune_jobs.report.progress import show_progress
from tune_jobs.session.attempt import Progress


class Handle:
    """A display that can be updated."""

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts

    def update(self, content: dict[str, str], *, raw: bool) -> None:
        assert raw
        self._texts.append(content["text/plain"])


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the played notebook of this process shows."""
    texts: list[str] = []

    def display(content: dict[str, str], *, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        texts.append(content["text/plain"])
        return Handle(texts)

    ipython: Any = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    ipython.display = ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return texts


def test_terminal_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    terminal: Any = ModuleType("IPython")
    terminal.get_ipython = lambda: SimpleNamespace()  # IPython in a terminal has no kernel
    monkeypatch.setitem(sys.modules, "IPython", terminal)
    assert not in_notebook()
    terminal.get_ipython = lambda: None  # imported by another package
    assert not in_notebook()


def test_line_is_updated_now_and_then_and_at_the_end(shown: list[str]) -> None:
    now = 0.0
    with cell_line(elapsed=lambda: now) as show:
        for step in range(100):
            now = step / 100
            show(f"step {step}")
    assert shown == [STARTING, "step 0", "step 25", "step 50", "step 75", "step 99"]


def test_first_line_says_how_long_ray_takes_only_where_ray_starts(shown: list[str]) -> None:
    with show_progress(on_ray=False):
        pass
    with show_progress():
        pass
    assert shown == ["starting ...", "", STARTING_RAY, ""]  # and what has begun nothing keeps no such line


def test_equal_lines_are_shown_once(shown: list[str]) -> None:
    now = 0.0
    with cell_line(elapsed=lambda: now) as show:
        for now in (0.0, 1.0, 2.0):  # noqa: B007 - the clock reads it
            show("the same")
    assert shown == [STARTING, "the same"]


def test_progress_of_a_run_is_shown_there(shown: list[str]) -> None:
    progress = Progress(
        target=8,
        trained=8,
        trained_before=0,
        completed=8,
        stopped=0,
        failed=0,
        infeasible=0,
        running=0,
        best=0.5,
        best_number=3,
        elapsed_s=1.0,
        working_s=1.0,
    )
    with show_progress() as listen:
        listen(progress)
    assert shown[-1].startswith("8/8 trials | 8 completed | best 0.5000 (trial 3)")


def test_no_advice_to_install_widgets_in_a_notebook(
    shown: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings():  # an advice would be an error here
        expect_no_widgets()
        warnings.warn("IProgress not found. Please update jupyter", UserWarning, stacklevel=1)
    logging.getLogger("ray.widgets.util").info("Missing packages: ['ipywidgets']")
    assert caplog.text == ""
