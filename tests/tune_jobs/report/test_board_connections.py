"""Clients that send nothing, or no request: what they hold is bounded, and they fill no log."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from board_testing import write_drawn

from tune_jobs.report.board import connections
from tune_jobs.report.board.access import Access
from tune_jobs.report.board.connections import MOST_SILENT, SILENT_S, Connections, quiet_when_full
from tune_jobs.report.board.server import Board, Shown, serve


class Held:
    """A connection."""

    is_closed = False

    def force_close(self) -> None:
        self.is_closed = True


def test_silent_connections_end_and_those_with_an_admitted_request_stay() -> None:
    now = 100.0
    watched, silent, heard = Connections(lambda: now), Held(), Held()
    watched.hear(heard)
    watched.close_silent([silent, heard])
    now += SILENT_S - 1
    watched.close_silent([silent, heard])
    assert not silent.is_closed
    now += 1
    watched.close_silent([silent, heard])
    assert (silent.is_closed, heard.is_closed) == (True, False)
    watched.close_silent([])
    assert (watched._since, watched._heard) == ({}, set())


def test_oldest_of_too_many_silent_connections_end_at_once() -> None:
    now = 100.0
    watched, old, new = Connections(lambda: now), [Held(), Held()], [Held() for _ in range(MOST_SILENT)]
    watched.close_silent(old)
    now += 1
    watched.close_silent([*new, *old])
    assert all(each.is_closed for each in old)
    assert not any(each.is_closed for each in new)


def test_limit_of_open_files_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    handle, loop = quiet_when_full(), asyncio.new_event_loop()
    for _ in range(3):
        handle(loop, {"message": "socket.accept() out of system resource", "exception": OSError(24, "full")})
    assert [record.message.startswith("the board has as many") for record in caplog.records] == [True]
    handle(loop, {"message": "another fault"})
    assert len(caplog.records) == 2
    loop.close()


NO_REQUESTS = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
    "long": b"GET /?" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: other.example\r\n\r\n",
    "no path": b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


def test_served_board_closes_silent_clients_and_logs_no_bad_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_drawn(tmp_path, 0)
    monkeypatch.setattr(connections, "SILENT_S", 0.0)
    monkeypatch.setattr(connections, "LOOK_S", 0.01)
    caplog.set_level(logging.WARNING)
    board = Board(Shown(store=str(tmp_path)), Access(host="127.0.0.1"))

    async def talk(port: int, sent: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        answer = await reader.read()
        writer.close()
        return answer

    async def run() -> None:
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            serve(board, host="127.0.0.1", port=0, ready=lambda text: address.set_result(text))
        )
        port = int((await address).rstrip("/").rpartition(":")[2])
        assert await talk(port, b"GET / HT") == b""
        monkeypatch.setattr(connections, "SILENT_S", 600.0)
        for sent in NO_REQUESTS.values():
            assert (await talk(port, sent)).startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
        serving.cancel()
        await asyncio.wait({serving})

    asyncio.run(run())
    assert caplog.text == ""
