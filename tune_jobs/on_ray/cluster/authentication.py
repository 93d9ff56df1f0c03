"""Makes Ray's clients show the cluster's token if there is any, and writes a token for a Ray of our own.

Ray's clients show a token only in token mode, and an address alone does not turn that mode on. Here a token
turns it on, unless RAY_AUTH_MODE says otherwise. Does not import Ray, because Ray reads these variables when
it is imported. `tune_jobs.on_ray.cluster.connect`, `tune_jobs.on_ray.cluster.local_ray` and the job commands
call this first.
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
    """Turn token mode on if there is a token and the environment sets no mode.

    Must be called before anything imports Ray, which reads the mode then and never again.
    """
    if MODE not in os.environ and has_token():
        os.environ[MODE] = "token"


def make_private_token_if_none() -> None:
    """Write a token for a Ray of our own that only this user may read; Ray's own would be readable for all.

    Does nothing where there is a token, or where the environment sets a mode without tokens. Nor where this
    process may not write to the home folder: Ray itself reports that.
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
            os.link(made, path)  # the whole file at once, and only if no other run was quicker
        finally:
            made.unlink()


def has_token() -> bool:
    """Whether Ray's clients would find a token: in a variable, in a named file, or in the home folder."""
    if os.environ.get(TOKEN):
        return True
    with suppress(OSError, RuntimeError):  # a folder that this process may not enter, or no home
        path = Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")
        return path.is_file() and path.stat().st_size > 0
    return False
