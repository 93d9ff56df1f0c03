"""The board in a real browser: it follows a run, and what a reader does on the page stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from board_testing import HOME, Client, asked, write_drawn
from driven_browser import BROWSER, Page, browser
from figures_testing import a_study, seen_of

from tune_jobs.checkpoints.logs import Logs
from tune_jobs.report.figures.drawing import can_draw
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import Row, State

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
    pytest.mark.skipif(not can_draw(), reason="the extra figures is not installed"),
]

TOKEN = "a-token-of-sixteen-or-more"
LOADED = "document.querySelectorAll('main .waits').length === 0"


@asynccontextmanager
async def seen(tmp_path: Path, **options: object) -> AsyncIterator[tuple[Client, Page]]:
    async with asked(tmp_path / "store", **options) as client, browser(tmp_path / "browser") as page:  # type: ignore[arg-type]  # as `asked` takes them
        yield client, page
        assert [error for error in page.errors if "401" not in error] == []
        own = f"http://127.0.0.1:{client.port}/"
        assert [address for address in page.requests if not address.startswith((own, "about:"))] == []


def address_of(client: Client, path: str = HOME) -> str:
    return f"http://127.0.0.1:{client.port}{path}"


def look(talk: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await talk()

    asyncio.run(run())


def test_nothing_is_cut_at_any_width_in_both_themes(tmp_path: Path) -> None:
    write_drawn(tmp_path / "store", 12, objectives=2)
    Logs(store=str(tmp_path / "store"), study="drawn").write(3, 1, "a line of a log " * 40)

    async def talk() -> None:
        async with seen(tmp_path) as (client, page):
            for path in ("/", f"{HOME}trial/3", HOME):
                await page.open(address_of(client, path), height=16_000)
                await page.wait_for(LOADED)
                for width in (1440, 768, 390):
                    for dark in (False, True):
                        await page.resize(width, dark=dark)
                        assert await page.run("document.documentElement.scrollWidth") <= width
                        back = await page.run("getComputedStyle(document.body).backgroundColor")
                        assert (back == "rgb(255, 255, 255)") is not dark
            drawn = await page.run("document.querySelectorAll('main svg').length")
            assert drawn >= 16  # eight figures, each for wide and narrow windows

    look(talk)


@pytest.fixture
def rows() -> Sequence[Row]:
    return [replace(row, seq=0) for row in seen_of(6, state=State.COMPLETED).rows]


def test_page_follows_a_run_and_what_the_reader_does_stays(tmp_path: Path, rows: Sequence[Row]) -> None:
    ended = "document.getElementById('status').textContent"
    middle = len(rows) // 2

    async def talk() -> None:
        with StudyWriter.open(tmp_path / "store", a_study(), versions={"tune-jobs": "0"}) as writer:
            writer.append_many(rows[:middle])
            async with seen(tmp_path) as (client, page):
                await page.open(address_of(client), height=16_000)
                await page.wait_for(LOADED)
                await page.resize(1440, height=700)
                await page.run(
                    "document.querySelector('#history details').open = true;"
                    "document.querySelector('#history summary').focus({preventScroll: true});"
                    "document.querySelector('#history').scrollIntoView();"
                    "document.querySelector('#history .scroll').scrollTop = 20;"
                    "getSelection().selectAllChildren(document.querySelector('#findings li'));"
                )
                kept = await page.run("document.querySelector('#findings').outerHTML")
                before = await page.run("document.querySelector('#history').outerHTML")
                top = await page.run("document.querySelector('#history').getBoundingClientRect().top")
                writer.append_many(rows[middle:])
                await page.wait_for(f"{ended}.includes('6 trials have ended')")
                await page.wait_for(
                    f"document.querySelectorAll('#history tbody tr').length > {before.count('<tr>') - 1}"
                )
                assert await page.run("document.querySelector('#history details').open")
                assert await page.run("document.activeElement.closest('section').id") == "history"
                now = await page.run("document.querySelector('#history').getBoundingClientRect().top")
                assert abs(now - top) < 2
                assert await page.run("document.querySelector('#findings').outerHTML") == kept
                await page.run("getSelection().removeAllRanges()")
                await page.wait_for("document.querySelector('#findings').outerHTML.includes('Of 6 trials')")

    look(talk)


def test_log_that_grows_is_followed_at_its_end(tmp_path: Path) -> None:
    write_drawn(tmp_path / "store", 2)
    logs = Logs(store=str(tmp_path / "store"), study="drawn")
    logs.write(0, 1, "\n".join(map(str, range(500))))

    async def talk() -> None:
        async with seen(tmp_path) as (client, page):
            await page.open(address_of(client, f"{HOME}trial/0"))
            await page.wait_for(LOADED)
            logs.write(0, 1, "\n".join(map(str, range(800))))
            await page.wait_for("document.querySelector('.log').textContent.endsWith('799')")
            log = "document.querySelector('.log')"
            assert await page.run(f"{log}.scrollTop + {log}.clientHeight >= {log}.scrollHeight - 2")
            await page.run(f"{log}.scrollTop = 100")
            logs.write(0, 1, "\n".join(map(str, range(900))))
            await page.wait_for(f"{log}.textContent.endsWith('899')")
            assert await page.run(f"{log}.scrollTop") == 100

    look(talk)


def test_store_that_goes_and_a_board_that_ends_are_said_on_the_page(tmp_path: Path) -> None:
    write_drawn(tmp_path / "store", 2)
    problem = "document.getElementById('problem')"

    async def talk() -> None:
        async with browser(tmp_path / "browser") as page:
            async with asked(tmp_path / "store") as client:
                await page.open(address_of(client))
                await page.wait_for("document.querySelectorAll('#now table').length > 0")
                (tmp_path / "store").rename(tmp_path / "away")
                await page.wait_for(f"{problem}.textContent.includes('there is no store at')")
                assert await page.run("document.querySelectorAll('#now table').length > 0")
                (tmp_path / "away").rename(tmp_path / "store")
                await page.wait_for(f"{problem}.hidden")
                assert page.errors == []
            await page.wait_for(f"{problem}.textContent.includes('The board does not answer')")

    look(talk)


@pytest.mark.parametrize("way", ["form", "link"])
def test_token_opens_the_page_and_leaves_no_trace_in_an_address(tmp_path: Path, way: str) -> None:
    write_drawn(tmp_path / "store", 0)

    async def talk() -> None:
        async with seen(tmp_path, token=TOKEN) as (client, page):
            await page.open(address_of(client) + (f"#token={TOKEN}" if way == "link" else ""))
            if way == "form":
                await page.run(
                    "document.getElementById('token').value = 'wrong'; document.forms[0].requestSubmit()"
                )
                await page.wait_for("document.getElementById('answer').textContent.includes('not the token')")
                await page.run(
                    f"document.getElementById('token').value = '{TOKEN}'; document.forms[0].requestSubmit()"
                )
            await page.wait_for("document.querySelector('#now:not(.waits)') !== null")
            assert await page.run("location.href") == address_of(client)
            assert await page.run("document.cookie") == ""
            assert [address for address in page.requests if TOKEN in address and "#" not in address] == []

    look(talk)
