"""The job commands as their tests call them, their servers, and a place for a worker without Ray."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from job_dashboard import Dashboard

from tune_jobs.cli import main
from tune_jobs.on_ray.worker import trainable


@pytest.fixture
def known_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainable that asks Ray for nothing, and takes its store for reachable."""
    monkeypatch.setattr(trainable, "with_place", lambda worker: replace(worker, node="10.0.0.1"))
    monkeypatch.setattr(trainable, "check_store", lambda probe: None)


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    made = Dashboard()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(made.get(self.path))

        def do_POST(self) -> None:
            self._answer(made.post(self.path, self._body()))

        def do_PUT(self) -> None:
            made.package = self._body()
            self._answer({})

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers["Content-Length"]))

        def _answer(self, answer: object | None) -> None:
            made.tokens.add(self.headers["Authorization"])
            self.send_response(404 if answer is None else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.address = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def working_folder(tmp_path: Path) -> Path:
    """A folder with code, and with what nobody wants to send."""
    folder = tmp_path / "work"
    for name in ("src/a.py", ".env", "keys/id_rsa", "runs [old]/studies/study_slug=s-a/d.parquet"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    (folder / ".gitignore").write_text("ignored\n")  # of which Ray tells at length
    return folder


@pytest.fixture
def call(
    dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Any:
    """Run a job command in this process: its exit code, stdout and stderr."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", dashboard.address)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["tune-jobs", *words])
        code = main()
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return run


@pytest.fixture
def answering_server() -> Iterator[Callable[[int, dict[str, object]], str]]:
    """Starts an HTTP server that answers everything alike; returns its HOST:PORT."""
    servers: list[HTTPServer] = []

    def start(status: int, answer: dict[str, object]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *args: object) -> None:
                """Silent."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
