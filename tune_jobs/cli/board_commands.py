"""Acts for the verb board: checks what is asked, prints the address, and serves until a signal ends it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from eml_models.errors import InvalidValueError
from tune_jobs.cli.telling import put, tell, tell_note
from tune_jobs.errors import EXIT_INTERRUPTED
from tune_jobs.inputs.user_code import stored_name
from tune_jobs.report.board.access import TOKEN_VARIABLE, Access, checked_token, is_loopback, new_token
from tune_jobs.report.board.addresses import ROOT, study_path
from tune_jobs.report.board.server import Board, Shown, serve
from tune_jobs.store.reader import TrialStore

NICE = 5
"""How far a board stands behind other processes of this machine, such as the run that it shows."""

GRACE_S = 1.0
"""Seconds that a reading has to end after a signal; it writes nothing, so it may be cut short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardOptions:
    """The options of the verb."""

    host: str
    port: int
    token_file: str | None = None
    with_optuna: bool = False


def show_board(store: str, study: str | None, options: BoardOptions) -> int:
    """Serve the board until a signal ends it; returns the exit code.

    Raises:
        StoreMissingError: there is no store.
        UnknownNameError: the store has no such study.
        InvalidValueError: the host or the token cannot be.
        TuneJobsError: the port is in use.
    """
    if not options.host:
        raise InvalidValueError("--host names an address of this machine, got an empty text")
    opened = TrialStore(store)
    name = None if study is None else stored_name(study)
    if name is not None:
        opened.definition(name)
    token, is_new = _token(options)
    shown = Shown(store=str(opened.path), study=name)
    board = _board(shown, Access(host=options.host, token=token), with_optuna=options.with_optuna)
    first = ROOT if name is None or options.with_optuna else study_path(name)

    def ready(address: str) -> None:
        put(f"{address}{first[1:]}\n")
        tell_note(f"{f'study {name!r}' if name else 'the studies'} of {shown.store}; Ctrl-C ends the board")
        if is_new:
            tell(f"token: {token}")
        if not is_loopback(options.host):
            tell_note("viewers need the token, and the connection is not encrypted")

    with suppress(OSError):  # not allowed here; it is a courtesy
        os.nice(NICE)
    asyncio.run(serve(board, host=options.host, port=options.port, ready=ready))
    _leave_if_busy(board)
    return EXIT_INTERRUPTED


def _board(shown: Shown, access: Access, *, with_optuna: bool) -> Board:
    if not with_optuna:
        return Board(shown, access)
    from tune_jobs.report.board.optuna_pages import OptunaBoard

    return OptunaBoard(shown, access)


def _token(options: BoardOptions) -> tuple[str | None, bool]:
    """The token that viewers must give, if any, and whether it was made now."""
    if options.token_file is not None:
        try:
            text = Path(options.token_file).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidValueError(f"--token-file {options.token_file!r} cannot be read: {error}") from error
        return checked_token(text, options.token_file), False
    if text := os.environ.get(TOKEN_VARIABLE, ""):
        return checked_token(text, TOKEN_VARIABLE), False
    return (None, False) if is_loopback(options.host) else (new_token(), True)


def _leave_if_busy(board: Board) -> None:
    """End the process here if a thread is still at work: Python would wait for it, perhaps for a bucket."""
    deadline = time.monotonic() + GRACE_S
    while board.worker.is_busy:
        if time.monotonic() > deadline:
            for stream in (sys.stdout, sys.stderr):
                with suppress(OSError):
                    stream.flush()
            os._exit(EXIT_INTERRUPTED)
        time.sleep(0.02)
