"""The board in a real browser: it follows a run, and what a reader does on the page stays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from board_testing import HOME, served, write_drawn
from browser_testing import Browser, Tab, needs_browser
from figures_testing import a_study, seen_of

from tune_jobs.checkpoints.logs import Logs
from tune_jobs.report.figures.drawing import can_draw
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import Row, State

TOKEN = "a-token-of-sixteen-or-more"
LOADED = "document.querySelectorAll('main .waits').length === 0"

needs_figures = pytest.mark.skipif(not can_draw(), reason="the extra figures is not installed")


@contextmanager
def seen(chromium: Browser, address: str, *, height: int = 900) -> Iterator[Tab]:
    """A tab, in which no error may appear, and which may ask the board alone."""
    with chromium.tab(height=height) as tab:
        yield tab
        assert [line for line in tab.console if "401" not in line] == []
        assert tab.asked_of_others(address) == []


@needs_browser
@needs_figures
def test_nothing_is_cut_at_any_width_in_both_themes(chromium: Browser, tmp_path: Path) -> None:
    write_drawn(tmp_path / "store", 12, objectives=2)
    Logs(store=str(tmp_path / "store"), study="drawn").write(3, 1, "a line of a log " * 40)
    with served(tmp_path / "store") as address, seen(chromium, address, height=16_000) as tab:
        for path in ("/", f"{HOME}trial/3", HOME):
            tab.resize(1440, height=16_000)
            tab.go(address + path)
            tab.wait_for(LOADED)
            for width in (1440, 768, 390):
                for dark in (False, True):
                    tab.resize(width, dark=dark)
                    assert tab.evaluate("document.documentElement.scrollWidth") <= width
                    back = tab.evaluate("getComputedStyle(document.body).backgroundColor")
                    assert (back == "rgb(255, 255, 255)") is not dark
        drawn = tab.evaluate("document.querySelectorAll('main svg').length")
        assert drawn >= 16  # eight figures, each for wide and narrow windows


@pytest.fixture
def rows() -> Sequence[Row]:
    return [replace(row, seq=0) for row in seen_of(6, state=State.COMPLETED).rows]


@needs_browser
@needs_figures
def test_page_follows_a_run_and_what_the_reader_does_stays(
    chromium: Browser, tmp_path: Path, rows: Sequence[Row]
) -> None:
    ended = "document.getElementById('status').textContent"
    middle = len(rows) // 2
    with (
        StudyWriter.open(tmp_path / "store", a_study(), versions={"tune-jobs": "0"}) as writer,
        served(tmp_path / "store") as address,
        seen(chromium, address, height=16_000) as tab,
    ):
        writer.append_many(rows[:middle])
        tab.go(address + HOME)
        tab.wait_for(LOADED)
        tab.resize(1440, height=700)
        tab.evaluate(
            "document.querySelector('#history details').open = true;"
            "document.querySelector('#history summary').focus({preventScroll: true});"
            "document.querySelector('#history').scrollIntoView();"
            "document.querySelector('#history .scroll').scrollTop = 20;"
            "getSelection().selectAllChildren(document.querySelector('#findings li'));"
        )
        kept = tab.evaluate("document.querySelector('#findings').outerHTML")
        before = tab.evaluate("document.querySelector('#history').outerHTML")
        top = tab.evaluate("document.querySelector('#history').getBoundingClientRect().top")
        writer.append_many(rows[middle:])
        tab.wait_for(f"{ended}.includes('6 trials have ended')")
        tab.wait_for(f"document.querySelectorAll('#history tbody tr').length > {before.count('<tr>') - 1}")
        assert tab.evaluate("document.querySelector('#history details').open")
        assert tab.evaluate("document.activeElement.closest('section').id") == "history"
        now = tab.evaluate("document.querySelector('#history').getBoundingClientRect().top")
        assert abs(now - top) < 2
        assert tab.evaluate("document.querySelector('#findings').outerHTML") == kept
        tab.evaluate("getSelection().removeAllRanges()")
        tab.wait_for("document.querySelector('#findings').outerHTML.includes('Of 6 trials')")


@needs_browser
def test_log_that_grows_is_followed_at_its_end(chromium: Browser, tmp_path: Path) -> None:
    write_drawn(tmp_path / "store", 2)
    logs = Logs(store=str(tmp_path / "store"), study="drawn")
    logs.write(0, 1, "\n".join(map(str, range(500))))
    log = "document.querySelector('.log')"
    with served(tmp_path / "store") as address, seen(chromium, address) as tab:
        tab.go(f"{address}{HOME}trial/0")
        tab.wait_for(LOADED)
        logs.write(0, 1, "\n".join(map(str, range(800))))
        tab.wait_for(f"{log}.textContent.endsWith('799')")
        assert tab.evaluate(f"{log}.scrollTop + {log}.clientHeight >= {log}.scrollHeight - 2")
        tab.evaluate(f"{log}.scrollTop = 100")
        logs.write(0, 1, "\n".join(map(str, range(900))))
        tab.wait_for(f"{log}.textContent.endsWith('899')")
        assert tab.evaluate(f"{log}.scrollTop") == 100


@needs_browser
@needs_figures
def test_store_that_goes_and_a_board_that_ends_are_said_on_the_page(
    chromium: Browser, tmp_path: Path
) -> None:
    write_drawn(tmp_path / "store", 2)
    problem = "document.getElementById('problem')"
    with chromium.tab() as tab:
        with served(tmp_path / "store") as address:
            tab.go(address + HOME)
            tab.wait_for("document.querySelectorAll('#now table').length > 0")
            (tmp_path / "store").rename(tmp_path / "away")
            tab.wait_for(f"{problem}.textContent.includes('there is no store at')")
            assert tab.evaluate("document.querySelectorAll('#now table').length > 0")
            (tmp_path / "away").rename(tmp_path / "store")
            tab.wait_for(f"{problem}.hidden")
            assert tab.console == []
        tab.wait_for(f"{problem}.textContent.includes('The board does not answer')")


@needs_browser
@pytest.mark.parametrize("way", ["form", "link"])
def test_token_opens_the_page_and_leaves_no_trace_in_an_address(
    chromium: Browser, tmp_path: Path, way: str
) -> None:
    write_drawn(tmp_path / "store", 0)
    tried = "document.getElementById('token').value = '{}'; document.forms[0].requestSubmit()"
    with served(tmp_path / "store", token=TOKEN) as address, seen(chromium, address) as tab:
        opened = address + HOME + (f"#token={TOKEN}" if way == "link" else "")
        tab.go(opened)
        if way == "form":
            tab.evaluate(tried.format("wrong"))
            tab.wait_for("document.getElementById('answer').textContent.includes('not the token')")
            tab.evaluate(tried.format(TOKEN))
        tab.wait_for("document.querySelector('#now:not(.waits)') !== null")
        assert tab.evaluate("location.href") == address + HOME
        tab.go("about:blank")
        tab.go(opened)  # with the cookie
        tab.wait_for("document.querySelector('#now:not(.waits)') !== null")
        assert tab.evaluate("location.href") == address + HOME
        assert tab.evaluate("document.cookie") == ""
        assert [asked for asked in tab.requests if TOKEN in asked and "#" not in asked] == []
