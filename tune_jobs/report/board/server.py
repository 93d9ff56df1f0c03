"""The web server of a board: paths to pages, parts, logs and news. Answers GET and HEAD alone.

Every handler is short: what blocks runs in the threads of `watching.Worker`. Called by
`tune_jobs.cli.board_commands`.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from eml_models.errors import EmlError, InvalidValueError, UnknownNameError
from eml_models.wording import sentence
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.errors import StoreError, StoreMissingError, TuneJobsError
from tune_jobs.report.board.access import HEADERS, Access, is_unspecified
from tune_jobs.report.board.addresses import ENTER, ROOT, STATIC, study_path, trial_path
from tune_jobs.report.board.answers import CSS, JSON, SCRIPT, TEXT, answer, as_json
from tune_jobs.report.board.connections import IDLE_S, Connections, quiet_when_full, request_logger
from tune_jobs.report.board.frames import (
    RELOAD_S,
    board_style,
    enter_page,
    store_frame,
    study_frame,
    trial_frame,
    words_page,
)
from tune_jobs.report.board.moment import Part
from tune_jobs.report.board.sources import Source, StudiesSource, StudySource
from tune_jobs.report.board.store_parts import STUDIES
from tune_jobs.report.board.study_parts import WHOLE
from tune_jobs.report.board.trial_parts import (
    END_BYTES,
    FACTS,
    LOGS,
    MOST_SHOWN,
    LogEnd,
    facts_part,
    logs_part,
    words_part,
)
from tune_jobs.report.board.watching import PACE, WAIT_S, Watched, Worker
from tune_jobs.report.page.whole import POLICY as PAGE_POLICY
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.naming import NAME_PATTERN

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MOST_STUDIES = 4
"""Studies whose rows are kept in memory though no page of them is open: those asked for last."""

WHOLE_LOG = 64 << 20
"""Most bytes of a log that are sent, the last of it. A worker writes at most 256 KiB."""

PLAIN_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

STUDY = r"/study/{study:[a-z][a-z0-9._-]*}"
TRIAL = STUDY + r"/trial/{number:[0-9]{1,9}}"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a board shows.

    Attributes:
        store: a folder or a URL.
        study: the only study that is shown; None for all of the store.
    """

    store: str
    study: str | None = None


class Board:
    """The handlers of a board.

    Args:
        look_s: least seconds between two looks at the store; None for as many as its place deserves.
        pace: as `watching.PACE`.
    """

    def __init__(
        self, shown: Shown, access: Access, *, look_s: float | None = None, pace: float = PACE
    ) -> None:
        self.worker, self.connections = Worker(), Connections()
        self._look_s, self._pace = look_s, pace
        self._shown, self._access = shown, access
        self._studies: dict[str, Watched[StudySnapshot]] = {}
        self._all: Watched[None] = self.watch(StudiesSource(shown.store))
        here = Path(__file__).parent
        self._static = {
            "board.css": (CSS, Part.of(board_style())),
            **{name: (SCRIPT, Part.of((here / name).read_text())) for name in ("live.js", "enter.js")},
        }

    def watch(self, source: Source) -> Watched[Any]:
        """The source, watched at the pace of this board."""
        if self._look_s is not None:
            source.look_s = self._look_s
        return Watched(source, self.worker, pace=self._pace)

    def bare_app(self) -> web.Application:
        """An application without paths, which refuses what may not look."""
        app = web.Application(middlewares=[self._guard], client_max_size=0)
        app.on_response_prepare.append(_add_headers)
        return app

    def app(self) -> web.Application:
        """The application with its paths."""
        app = self.bare_app()
        app.add_routes(
            [
                web.get(ROOT, self.root),
                web.get(ENTER, self.enter),
                web.get(f"{STATIC}{{name}}", self.static),
                web.get("/favicon.ico", _nothing),
                web.get("/news", self.all_news),
                web.get(f"/part/{STUDIES}", self.all_part),
                web.get(STUDY, self.to_study),
                web.get(f"{STUDY}/", self.study),
                web.get(f"{STUDY}/news", self.news),
                web.get(f"{STUDY}/part/{{name}}", self.part),
                web.get(f"{STUDY}/{WHOLE}", self.whole),
                web.get(f"{STUDY}/trial", self.to_trial),
                web.get(TRIAL, self.trial),
                web.get(f"{TRIAL}/part/{FACTS}", self.trial_facts),
                web.get(f"{TRIAL}/part/{LOGS}", self.trial_logs),
                web.get(f"{TRIAL}/log/{{attempt:[0-9]{{1,9}}}}", self.log),
            ]
        )
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse what may not look, and turn errors into words."""
        if not self._access.is_known_host(request.headers.get("Host")):
            return answer(request, _wrong_host(request), TEXT, status=421)
        open_path = request.path.startswith(STATIC) or request.path in (ENTER, "/favicon.ico")
        authorization = request.headers.get("Authorization")
        if not open_path and not self._access.admits(authorization=authorization, cookies=request.cookies):
            return answer(request, enter_page(), status=401)
        if not open_path:
            self.connections.hear(request.protocol)
        try:
            return await handler(request)
        except web.HTTPRedirection:
            raise
        except web.HTTPException as error:
            return _in_words(request, f"{error.reason}: {request.path}", status=error.status, allow=error)
        except EmlError as error:
            return _in_words(request, str(error), status=_status_of(error))
        except Exception as error:  # a fault of ours: the viewer gets it in words, and the board stays
            logger.warning("the board met a fault", exc_info=error)
            return _in_words(request, f"the board met a fault: {type(error).__name__}: {error}", status=500)

    async def root(self, request: web.Request) -> web.StreamResponse:
        if self._shown.study is not None:
            raise web.HTTPFound(study_path(self._shown.study))
        return answer(request, store_frame(self._shown.store))

    async def enter(self, request: web.Request) -> web.StreamResponse:
        """Exchange the token for the cookie."""
        given = request.headers.get("Authorization")
        if not self._access.is_token(given):
            response = answer(request, "This is not the token of this board.\n", TEXT, status=401)
            if (
                not (given or "").lower().startswith("bearer")
            ):  # else the browser would ask on top of the page
                response.headers["WWW-Authenticate"] = 'Basic realm="tune-jobs board", charset="UTF-8"'
            return response
        found = web.HTTPSeeOther(ROOT)
        if self._access.token is not None:
            found.set_cookie(self._access.cookie_name, self._access.cookie, httponly=True, samesite="Strict")
        raise found

    async def static(self, request: web.Request) -> web.StreamResponse:
        kind, part = self._static.get(request.match_info["name"], (TEXT, None))
        if part is None:
            raise web.HTTPNotFound
        return answer(request, part.text, kind, tag=part.tag)

    async def all_news(self, request: web.Request) -> web.StreamResponse:
        self._require_all()
        return await _news(request, self._all)

    async def all_part(self, request: web.Request) -> web.StreamResponse:
        self._require_all()
        part = await self._all.part(STUDIES)
        return answer(request, part.text, tag=part.tag)

    async def to_study(self, request: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(study_path(request.match_info["study"]))

    async def study(self, request: web.Request) -> web.StreamResponse:
        name = await self._known(request)
        return answer(request, study_frame(name, alone=self._shown.study is not None))

    async def news(self, request: web.Request) -> web.StreamResponse:
        return await _news(request, self._watched(request))

    async def part(self, request: web.Request) -> web.StreamResponse:
        part = await self._watched(request).part(request.match_info["name"])
        return answer(request, part.text, tag=part.tag)

    async def whole(self, request: web.Request) -> web.StreamResponse:
        part = await self._watched(request).part(WHOLE)
        response = answer(request, part.text, tag=part.tag)
        response.headers["Content-Security-Policy"] = f"{PAGE_POLICY}; frame-ancestors 'none'"
        if "live" in request.query:
            response.headers["Refresh"] = str(RELOAD_S)
        return response

    async def to_trial(self, request: web.Request) -> web.StreamResponse:
        number = request.query.get("number", "").strip()
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise InvalidValueError(f"a trial is named by its number, got {number[:40]!r}")
        raise web.HTTPFound(trial_path(request.match_info["study"], int(number)))

    async def trial(self, request: web.Request) -> web.StreamResponse:
        name = await self._known(request)
        return answer(request, trial_frame(name, int(request.match_info["number"])))

    async def trial_facts(self, request: web.Request) -> web.StreamResponse:
        moment = await self._watched(request).newest()
        number = int(request.match_info["number"])
        try:
            text = await self.worker.look(partial(facts_part, moment.subject, number))
        except InvalidValueError as error:  # there is no such trial yet
            text = words_part(str(error))
        part = Part.of(text)
        return answer(request, part.text, tag=part.tag)

    async def trial_logs(self, request: web.Request) -> web.StreamResponse:
        logs, number = self._logs(request), int(request.match_info["number"])
        found = await self.worker.look(partial(_read_ends, logs, number))
        part = Part.of(logs_part(logs.study, number, found))
        return answer(request, part.text, tag=part.tag)

    async def log(self, request: web.Request) -> web.StreamResponse:
        logs, info = self._logs(request), request.match_info
        number, attempt = int(info["number"]), int(info["attempt"])
        found = await self.worker.look(partial(_read_log, logs, number, attempt))
        if found is None:
            raise InvalidValueError(f"attempt {attempt} of trial {number} of {logs.study!r} has no log")
        response = answer(request, found, TEXT)
        response.headers["Content-Security-Policy"] = PLAIN_POLICY
        return response

    async def _known(self, request: web.Request) -> str:
        """The study of a request.

        Raises:
            UnknownNameError: there is no such study.
        """
        name = self._name_of(request)
        watched = self._studies.get(name)
        if watched is None or watched.moment is None:
            await self.worker.look(lambda: TrialStore(self._shown.store).definition(name))
        return name

    def _watched(self, request: web.Request) -> Watched[StudySnapshot]:
        name = self._name_of(request)
        found = self._studies.pop(name, None) or self.watch(StudySource(self._shown.store, name))
        self._studies[name] = found  # the one asked for last stands last
        for earlier in [*self._studies][:-MOST_STUDIES]:
            if not self._studies[earlier].is_wanted:
                del self._studies[earlier]
        return found

    def _name_of(self, request: web.Request) -> str:
        """The study of a request, which need not exist."""
        name = request.match_info["study"]
        if self._shown.study not in (None, name) or not NAME_PATTERN.fullmatch(name):
            known = [self._shown.study] if self._shown.study is not None else []
            raise UnknownNameError("study", name, known)
        return name

    def _logs(self, request: web.Request) -> Logs:
        return Logs(store=self._shown.store, study=self._name_of(request))

    def _require_all(self) -> None:
        if self._shown.study is not None:
            raise web.HTTPNotFound


async def _news(request: web.Request, watched: Watched[Any]) -> web.StreamResponse:
    await watched.look(wait_s=WAIT_S)
    moment, problem = watched.moment, watched.problem
    status = "Reading the rows for the first time." if moment is None else moment.status
    words = ""
    if problem is not None:
        rest = "" if moment is None else " What is below was read before. It is tried again."
        words, status = (
            f"{sentence(f'The store cannot be read: {problem}')}{rest}",
            "" if moment is None else status,
        )
    news = {"version": watched.version, "status": status, "problem": words}
    return answer(request, as_json(news), JSON, tag=watched.version)


def _read_ends(logs: Logs, number: int) -> list[LogEnd]:
    """The logs of a trial, each with its end if it is of one of the newest attempts."""
    try:
        sizes = logs.sizes(number)
        newest = sorted(sizes)[-MOST_SHOWN:]
        ends = {attempt: logs.end(number, attempt, most=END_BYTES) for attempt in newest}
    except OSError as error:
        raise StoreError(f"the logs cannot be read: {error}") from error
    return [LogEnd(attempt=attempt, size=size, end=ends.get(attempt)) for attempt, size in sizes.items()]


def _read_log(logs: Logs, number: int, attempt: int) -> bytes | None:
    try:
        return logs.end(number, attempt, most=WHOLE_LOG) if attempt in logs.sizes(number) else None
    except OSError as error:
        raise StoreError(f"the log cannot be read: {error}") from error


async def _nothing(request: web.Request) -> web.StreamResponse:
    return web.Response(status=204)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        if name == "Server" or name not in response.headers:
            response.headers[name] = value


def _in_words(
    request: web.Request, words: str, *, status: int, allow: web.HTTPException | None = None
) -> web.Response:
    """An error as a page, or as a line for scripts, which ask for parts and news."""
    is_page = request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate" and "/part/" not in request.path
    title = "There is no such page" if status == 404 else "This cannot be shown"
    text = words_page(title, words) if is_page else words
    response = answer(request, text, "text/html" if is_page else TEXT, status=status)
    if allow is not None and "Allow" in allow.headers:
        response.headers["Allow"] = allow.headers["Allow"]
    return response


def _status_of(error: EmlError) -> int:
    return 404 if isinstance(error, InvalidValueError | StoreMissingError) else 503


def _wrong_host(request: web.Request) -> str:
    return (
        "This board is not known by the name in the address. Open it by the address that it printed, by an IP"
        " address, or by localhost through a tunnel.\n"
    )


async def serve(
    board: Board,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
) -> int:
    """Serve until a signal arrives.

    Args:
        port: 0 for a free one.
        ready: is called with the address of the board, which ends with a slash, when it listens.

    Returns:
        The number of the signal.

    Raises:
        TuneJobsError: the port is in use, or needs rights.
        InvalidValueError: the host is no address of this machine.
    """
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def end(number: int) -> None:
        if not ended.done():
            ended.set_result(number)

    loop = asyncio.get_running_loop()
    for number in ENDING:
        if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
            continue  # as below nohup
        loop.add_signal_handler(number, end, number)
    loop.set_exception_handler(quiet_when_full())
    runner = web.AppRunner(
        board.app(),
        access_log=None,
        handle_signals=False,
        shutdown_timeout=0.5,
        logger=request_logger(),
        keepalive_timeout=IDLE_S,
    )
    await runner.setup()
    server = runner.server
    assert server is not None  # since the setup
    watch = asyncio.create_task(board.connections.watch(lambda: server.connections))
    try:
        await _listen(runner, host, port)
        ready(_address(host, runner.addresses[0][1]))
        return await ended
    finally:
        watch.cancel()
        board.worker.close()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except socket.gaierror as error:
        raise InvalidValueError(
            f"--host must be a name or an address of this machine, got {host!r}: {error.strerror}"
        ) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise TuneJobsError(
                f"port {port} of {host} is in use, perhaps by another board; name another with --port, or"
                " take a free one with --port 0"
            ) from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise InvalidValueError(
                f"--host must be an address of this machine, got {host!r}; --host 0.0.0.0 takes all of them"
            ) from error
        reason = error.strerror or str(error)
        raise TuneJobsError(
            f"the board cannot listen at port {port} of {host}: {reason}; name another with --port"
        ) from error


def _address(host: str, port: int) -> str:
    """The address for a browser."""
    with suppress(OSError):
        host = socket.gethostname() if is_unspecified(host) else host
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
