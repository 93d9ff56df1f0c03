"""A study in Optuna's own dashboard, for people who know its pages. Needs the extra ``optuna-dashboard``.

Its pages see a copy of the trials in memory (`tune_jobs.search.optuna_copy`). The copy is made anew when the
store has changed, so the pages follow a run as ours do, and nothing that they do reaches the store. Requests
that would change the copy (POST, PUT, DELETE) are refused like every method except GET and HEAD. Called by
`tune_jobs.cli.board_commands`.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web

from tune_jobs.errors import TuneJobsError
from tune_jobs.inputs.named_study import study_of
from tune_jobs.report.board.access import Access
from tune_jobs.report.board.addresses import ENTER, ROOT, STATIC
from tune_jobs.report.board.moment import Moment
from tune_jobs.report.board.server import Board, Shown
from tune_jobs.report.board.sources import StudySource
from tune_jobs.report.board.watching import WAIT_S, Watched
from tune_jobs.search.optuna_copy import optuna_copy

Wsgi = Callable[[dict[str, Any], Callable[..., object]], Iterable[bytes]]
"""A program as Python's web servers call it (PEP 3333)."""

FIRST_PAGE = "/dashboard/studies/0"
"""The page of the only study of a copy."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
    " font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What its pages may load: from the board alone. Their styles stand in the pages themselves."""

PASSED_ON = frozenset({"content-type", "content-encoding", "location", "last-modified"})
"""Headers of its answers that reach the browser."""


class OptunaBoard(Board):
    """A board that shows one study in Optuna's dashboard.

    Raises:
        TuneJobsError: the package is not installed.
    """

    def __init__(self, shown: Shown, access: Access, **options: Any) -> None:
        super().__init__(shown, access, **options)
        require_dashboard()
        assert shown.study is not None
        self._copy: Watched[Wsgi] = self.watch(_Copies(shown.store, shown.study))

    def app(self) -> web.Application:
        app = super().bare_app()
        app.add_routes(
            [
                web.get(ROOT, _to_first_page),
                web.get(ENTER, self.enter),
                web.get("/favicon.ico", self.pages),
                web.get(f"{STATIC}{{name:(enter\\.js|board\\.css)}}", self.static),
                web.get("/{rest:.*}", self.pages),
            ]
        )
        return app

    async def pages(self, request: web.Request) -> web.StreamResponse:
        """An answer of the dashboard."""
        await self._copy.look(wait_s=WAIT_S)
        moment = await self._copy.newest()
        found = await self.worker.work(partial(_call, moment.subject, _environ(request)))
        response = web.Response(status=found.status, body=found.body)
        for name, value in found.headers:
            if name.lower() in PASSED_ON:
                response.headers[name] = value
        response.headers["Content-Security-Policy"] = POLICY
        return response


def require_dashboard() -> Any:
    """Optuna's dashboard.

    Raises:
        TuneJobsError: it is not installed.
    """
    try:
        import optuna_dashboard
    except ImportError as error:
        raise TuneJobsError("--optuna needs a package: pip install 'tune-jobs[optuna-dashboard]'") from error
    return optuna_dashboard


class _Copies(StudySource):
    """Reads a study into a dashboard over a copy of its trials."""

    def read(self, stamp: Hashable, earlier: Moment[Any] | None) -> Moment[Any]:
        moment = super().read(stamp, None)
        known = moment.subject
        copy = optuna_copy(study_of(known), known.rows)
        program = require_dashboard().wsgi(copy._storage)
        return Moment(stamp=stamp, subject=program, status=moment.status, builders={})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """An answer of a program."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def _call(program: Wsgi, environ: dict[str, Any]) -> _Answer:
    begun: list[Any] = []

    def start(status: str, headers: list[tuple[str, str]], error: object = None) -> None:
        begun[:] = [int(status.split()[0]), headers]

    parts = program(environ, start)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close is not None:
            close()
    return _Answer(status=begun[0], headers=begun[1], body=body)


def _environ(request: web.Request) -> dict[str, Any]:
    """A request as a program takes it, without a body and without the headers of who asks."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path.encode().decode("latin-1"),
        "QUERY_STRING": request.query_string,
        "SERVER_NAME": request.url.host or "",
        "SERVER_PORT": str(request.url.port or ""),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": request.headers.get("Host", ""),
        "HTTP_ACCEPT_ENCODING": request.headers.get("Accept-Encoding", ""),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


async def _to_first_page(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(FIRST_PAGE)
