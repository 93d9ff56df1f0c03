"""The page of 20,000 trials stays small, and a browser opens it at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from browser_testing import Browser, needs_browser
from figures_testing import seen_of
from patience import slowness

from tune_jobs import State
from tune_jobs.report.figures.drawing import can_draw
from tune_jobs.report.page.whole import study_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_draw(), reason="the extra figures is not installed"),
]

MOST_BYTES = 10_000_000
MOST_S = 3.0
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


@needs_browser
@pytest.mark.parametrize("rungs", [True, False])
def test_page_of_20000_trials_is_small_and_opens_at_once(
    chromium: Browser, tmp_path: Path, rungs: bool
) -> None:
    ends = {} if rungs else {"state": State.COMPLETED}
    page = study_page(seen_of(20_000, parameters=8, objectives=2, rungs=rungs, **ends))
    file = tmp_path / "page.html"
    file.write_text(page)
    assert len(page.encode()) < MOST_BYTES
    assert "of 20,000" in page
    for width in (1440, 390):
        with chromium.tab(width=width) as tab:
            began = time.monotonic()
            tab.go(file.as_uri())
            assert tab.evaluate(PAINTED)
            assert time.monotonic() - began < MOST_S * slowness()
            assert tab.cut() == []
