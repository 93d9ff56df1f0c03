"""Whether Ray's clients show the cluster's token. Imports no Ray, which reads these variables when imported.

Ray's clients show a token only in token mode, and are not in it when they are given an address. Here they are
as soon as there is a token to show, and RAY_AUTH_MODE has the last word.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"

HINT = (
    "Put the cluster's token into ~/.ray/auth_token, or name its file in RAY_AUTH_TOKEN_PATH, and leave"
    " RAY_AUTH_MODE unset or set it to token before Ray is imported"
)


def show_token_if_any() -> None:
    """Turn token mode on if a token is at hand and nobody chose a mode.

    To be called before anything imports Ray, which reads the mode then and never again.
    """
    if MODE not in os.environ and has_token():
        os.environ[MODE] = "token"


def make_private_token_if_none() -> None:
    """Give a Ray of our own a token that only this user may read: Ray would write it for all to read.

    Does nothing where there is a token, where a mode without one was chosen, or where the home folder is
    closed to us, of which Ray tells.
    """
    if os.environ.get(MODE, "token").lower() != "token" or os.environ.get(TOKEN_PATH) or has_token():
        return
    with suppress(OSError, RuntimeError):
        path = Path.home() / ".ray" / "auth_token"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = path.with_name(f"auth_token-{os.getpid()}")
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32))
        try:
            os.link(made, path)  # whole, and only where another run has not been quicker
        finally:
            made.unlink()


def has_token() -> bool:
    """Whether Ray's clients would find a token: in a variable, in a named file, or in the home folder."""
    if os.environ.get(TOKEN):
        return True
    with suppress(OSError, RuntimeError):  # a folder that is closed to us, or no home
        path = Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")
        return path.is_file() and path.stat().st_size > 0
    return False
