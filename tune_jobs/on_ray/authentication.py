"""Whether Ray's clients show the cluster's token. Imports no Ray, which reads these variables when imported.

Ray's clients show a token only in token mode, and are not in it when they are given an address. Here they are
as soon as there is a token to show, and RAY_AUTH_MODE has the last word.
"""

from __future__ import annotations

import os
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


def has_token() -> bool:
    """Whether Ray's clients would find a token: in a variable, in a named file, or in the home folder."""
    if os.environ.get(TOKEN):
        return True
    path = Path(os.environ.get(TOKEN_PATH) or Path.home() / ".ray" / "auth_token")
    return path.is_file() and path.stat().st_size > 0
