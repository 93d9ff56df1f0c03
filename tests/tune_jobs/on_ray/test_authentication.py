"""The token of a cluster, and of a Ray of our own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tune_jobs.on_ray.cluster.authentication import (
    MODE,
    TOKEN,
    TOKEN_PATH,
    make_private_token_if_none,
    show_token_if_any,
)

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(
    ("variables", "mode"),
    [
        ({}, None),
        ({TOKEN: "t"}, "token"),
        ({TOKEN_PATH: "full"}, "token"),
        ({TOKEN_PATH: "empty"}, None),
        ({TOKEN: "t", MODE: "disabled"}, "disabled"),
    ],
)
def test_token_mode_is_on_where_there_is_a_token(
    variables: dict[str, str], mode: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "full").write_text("t")
    (tmp_path / "empty").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (MODE, TOKEN, TOKEN_PATH):
        monkeypatch.setenv(name, "")  # so that monkeypatch puts back whatever is set below
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    show_token_if_any()
    assert os.environ.get(MODE) == mode


def test_token_of_a_ray_of_our_own_is_its_owners_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (TOKEN, TOKEN_PATH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(MODE, "disabled")
    make_private_token_if_none()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv(MODE)
    make_private_token_if_none()
    token = tmp_path / ".ray" / "auth_token"
    written = token.read_text()
    assert len(written) == 64
    assert (token.parent.stat().st_mode & 0o777, token.stat().st_mode & 0o777) == (0o700, 0o600)
    make_private_token_if_none()
    assert [path.read_text() for path in token.parent.iterdir()] == [written]
