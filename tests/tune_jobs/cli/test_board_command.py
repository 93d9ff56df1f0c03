"""The verb board: its address for scripts, its end by a signal, and what it refuses before it serves."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from board_testing import write_drawn
from cli_testing import Cli
from patience import patience_s

from tune_jobs.cli import board_commands
from tune_jobs.report.board.access import TOKEN_VARIABLE
from tune_jobs.report.board.server import Board


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("board") / "trials"
    write_drawn(place, 0)
    return str(place)


@contextmanager
def served(store: str, *words: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A board in a process of its own, and the address that it prints.

    It begins as a shell's script begins what runs in the background: with Ctrl-C ignored.
    """
    paths = os.pathsep.join(path for path in sys.path if path)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "tune_jobs", "board", "--store", store, "--port", "0", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths, **environment},
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().rstrip("\n")
        finally:
            process.kill()


def status_of(address: str, **headers: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_address_is_the_first_line_and_a_signal_ends_it_quietly(store: str, number: signal.Signals) -> None:
    with served(store, "drawn") as (process, address):
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]+/study/drawn/", address)
        assert status_of(address) == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=patience_s())
    assert (process.returncode, out) == (130, "")
    assert err == f"note: study 'drawn' of {store}; Ctrl-C ends the board\n"


def test_beyond_loopback_a_token_is_made_and_shown_once(store: str) -> None:
    with served(store, "--host", "0.0.0.0") as (process, address):
        name, port = re.fullmatch(r"http://([^:/]+):([0-9]+)/", address).groups()  # type: ignore[union-attr]  # else it fails
        assert name == socket.gethostname()
        here = f"http://127.0.0.1:{port}/"
        assert status_of(here) == 401
        process.stderr.readline()  # type: ignore[union-attr]  # it is a pipe
        token = process.stderr.readline().removeprefix("token: ").strip()  # type: ignore[union-attr]  # as above
        assert len(token) > 40
        assert status_of(here, Authorization=f"Bearer {token}") == 200
        assert status_of(f"{here}?token=guess") == 401
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()  # type: ignore[union-attr]  # as above
    assert rest == "note: viewers need the token, and the connection is not encrypted\n"


def test_port_in_use_is_named_with_the_way_out(cli: Cli, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_commands, "NICE", 0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, out, err = cli("board", "--store", store, "--port", str(port))
    assert (code, out) == (1, "")
    assert f"port {port} of 127.0.0.1 is in use" in err
    assert "--port 0" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["drawm"], "unknown study 'drawm'; known: drawn; did you mean 'drawn'?"),
        (["--port", "70000"], "a port is a number from 0 (a free one) to 65535, got 70000"),
        (["--host", ""], "--host names an address of this machine, got an empty text"),
        (["--host", "192.0.2.1"], "--host must be an address of this machine, got '192.0.2.1'"),
        (["--token-file", "nowhere"], "--token-file 'nowhere' cannot be read"),
        (["--optuna"], "--optuna shows one study: name it"),
        (["--store", "elsewhere"], "there is no store at 'elsewhere'"),
    ],
)
def test_wrong_words_are_usage(
    cli: Cli, store: str, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.setattr(board_commands, "NICE", 0)
    place = [] if "--store" in words else ["--store", store]
    code, out, err = cli("board", *words, *place)
    assert (code, out) == (2, "")
    assert message in err


def test_own_token_comes_from_a_file_or_a_variable_and_is_not_shown(
    cli: Cli, store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[str | None] = []

    async def serve(board: Board, **options: object) -> int:
        seen.append(board._access.token)
        options["ready"]("http://127.0.0.1:1/")  # type: ignore[operator]  # as the server calls it
        return signal.SIGINT

    monkeypatch.setattr(board_commands, "serve", serve)
    monkeypatch.setattr(board_commands, "NICE", 0)
    file = tmp_path / "token"
    file.write_text("of-the-file-0123456789\n")
    outputs = [cli("board", "--store", store, "--token-file", str(file))]
    monkeypatch.setenv(TOKEN_VARIABLE, "of-the-variable-0123456789")
    outputs.append(cli("board", "--store", store))
    outputs.append(cli("board", "--store", store, "--host", "0.0.0.0"))
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    code, _, err = cli("board", "--store", store)
    assert (code, f"the token of {TOKEN_VARIABLE} must have at least 16" in err) == (2, True)
    monkeypatch.delenv(TOKEN_VARIABLE)
    cli("board", "--store", store)
    assert seen == ["of-the-file-0123456789", *["of-the-variable-0123456789"] * 2, None]
    for code, out, err in outputs:
        assert (code, "0123456789" in out + err) == (130, False)


def test_optuna_without_its_package_says_what_to_install(
    cli: Cli, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    code, _, err = cli("board", "drawn", "--optuna", "--store", store)
    assert (code, "pip install 'tune-jobs[optuna-dashboard]'" in err) == (1, True)
