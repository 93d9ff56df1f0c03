"""Who may look at a board: names against DNS rebinding, and the token in a header or as a cookie."""

from __future__ import annotations

import base64
import socket

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.report.board.access import Access, checked_token, is_loopback, new_token

TOKEN = "0123456789abcdef-xyz"
HERE, BEYOND = Access(host="127.0.0.1"), Access(host="0.0.0.0", token=TOKEN)


@pytest.mark.parametrize(
    "header", ["localhost", "localhost:9999", "LocalHost:80", "127.0.0.1:8642", "[::1]:8642", "127.0.0.2"]
)
def test_loopback_is_known_by_its_own_names_at_any_port(header: str) -> None:
    assert HERE.is_known_host(header)
    assert BEYOND.is_known_host(header)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "evil.example",
        "evil.example:8642",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "[",
        "192.0.2.7",
    ],
)
def test_loopback_refuses_other_names(header: str | None) -> None:
    assert not HERE.is_known_host(header)


def test_beyond_loopback_addresses_and_the_names_of_this_machine_are_known() -> None:
    assert BEYOND.is_known_host("192.0.2.7:8642")
    assert BEYOND.is_known_host(f"{socket.gethostname()}:1")
    assert Access(host="board.example", token=TOKEN).is_known_host("Board.example:8642")
    assert not BEYOND.is_known_host("evil.example")


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"any:{password}".encode()).decode()


@pytest.mark.parametrize("given", [f"Bearer {TOKEN}", f"bearer  {TOKEN} ", basic(TOKEN)])
def test_token_admits_in_a_header(given: str) -> None:
    assert BEYOND.admits(authorization=given, cookies={})


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "Bearer",
        "Bearer x",
        TOKEN,
        basic(""),
        basic(f"{TOKEN}x"),
        "Basic ?",
        "Basic /w==",
        "Bearer é",
    ],
)
def test_wrong_or_missing_token_is_refused(given: str | None) -> None:
    assert not BEYOND.admits(authorization=given, cookies={})


def test_cookie_takes_the_place_of_the_token_and_does_not_show_it() -> None:
    other = Access(host="0.0.0.0", token=new_token())
    assert BEYOND.admits(authorization=None, cookies={BEYOND.cookie_name: BEYOND.cookie})
    assert not BEYOND.admits(authorization=None, cookies={BEYOND.cookie_name: other.cookie})
    assert not BEYOND.admits(authorization=None, cookies={BEYOND.cookie_name: TOKEN})
    assert BEYOND.cookie_name != other.cookie_name  # two boards of one host share the browser's cookies
    assert TOKEN not in BEYOND.cookie + BEYOND.cookie_name + repr(BEYOND)


def test_board_without_a_token_admits_everybody() -> None:
    assert HERE.admits(authorization=None, cookies={})


@pytest.mark.parametrize("text", ["", "short", "x" * 15, "with space in the middle", "ünïcödé-ünïcödé-ü"])
def test_token_that_can_be_guessed_or_not_be_sent_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"the token of FILE must have at least 16 .* make one with"):
        checked_token(text, "FILE")


def test_own_token_loses_the_line_end_of_its_file() -> None:
    assert checked_token(f"{TOKEN}\n", "FILE") == TOKEN
    assert checked_token(new_token(), "FILE") != checked_token(new_token(), "FILE")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("a.b", False),
    ],
)
def test_loopback_is_recognised(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
