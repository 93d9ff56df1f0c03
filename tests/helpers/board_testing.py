"""A board over a store, asked in this process; and stores of studies with hostile texts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from threading import Thread
from typing import Any, TypeAlias

from aiohttp.test_utils import TestClient, TestServer
from figures_testing import a_study, seen_of
from patience import patience_s

from tune_jobs.report.board.access import Access
from tune_jobs.report.board.server import Board, Shown
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.rows import Row, State

Client: TypeAlias = "TestClient[Any, Any]"  # aiohttp before 3.11 cannot say it at run time

HOME = "/study/drawn/"
"""The page of the study of `write_drawn`."""


def write_rows(store: Any, study: Study, rows: Iterable[Row]) -> None:
    """Write rows to a store, as a run that has ended."""
    with StudyWriter.open(store, study, versions={"tune-jobs": "0"}) as writer:
        writer.append_many([replace(row, seq=0) for row in rows])


def write_drawn(store: Any, count: int, *, state: State | None = None, **changes: int) -> None:
    """Write a study of `figures_testing` with this many ended trials."""
    write_rows(store, a_study(**changes), seen_of(count, state=state, **changes).rows)


@contextmanager
def served(store: Any, **options: Any) -> Iterator[str]:
    """A board in a thread of its own, for a browser; yields its address. Takes the options of `asked`."""
    loop, ends = asyncio.new_event_loop(), asyncio.Event()
    address: Future[str] = Future()

    async def serve() -> None:
        async with asked(store, **options) as client:
            address.set_result(f"http://127.0.0.1:{client.port}")
            await ends.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except Exception as error:  # whoever waits for the address has to know
            if address.done():
                raise
            address.set_exception(error)

    thread = Thread(target=run)
    thread.start()
    try:
        yield address.result(patience_s())
    finally:
        loop.call_soon_threadsafe(ends.set)
        thread.join()
        loop.close()


@asynccontextmanager
async def asked(
    store: Any,
    *,
    study: str | None = None,
    token: str | None = None,
    look_s: float = 0.0,
    make: type[Board] = Board,
) -> AsyncIterator[Client]:
    """A client of a board that looks at the store whenever it is asked.

    Args:
        look_s: least seconds between two looks.
        make: the kind of the board.
    """
    shown, access = Shown(store=str(store), study=study), Access(host="127.0.0.1", token=token)
    board = make(shown, access, look_s=look_s, pace=0.0)
    async with TestClient(TestServer(board.app())) as client:
        try:
            yield client
        finally:
            board.worker.close()


def ask(store: Any, talk: Callable[[Client], Awaitable[None]], **options: Any) -> None:
    """Let `talk` ask a board."""

    async def run() -> None:
        async with asked(store, **options) as client:
            await talk(client)

    asyncio.run(run())


async def text_of(client: Client, path: str, status: int = 200, **options: Any) -> str:
    """The text of an answer that must have this status."""
    async with client.get(path, allow_redirects=False, **options) as answer:
        text = await answer.text()
        assert answer.status == status, text
        return text


async def news_of(client: Client, path: str = f"{HOME}news") -> dict[str, str]:
    """The news of a page, after its first reading."""
    while True:
        async with client.get(path) as answer:
            found: dict[str, str] = await answer.json()
        if not found["version"].endswith("-0"):
            return found
        await asyncio.sleep(0.01)


async def changed(client: Client, version: str, path: str = f"{HOME}news") -> dict[str, str]:
    """The news as soon as they have another version."""
    while True:
        async with client.get(path) as answer:
            found: dict[str, str] = await answer.json()
        if found["version"] != version:
            return found
        await asyncio.sleep(0.01)
