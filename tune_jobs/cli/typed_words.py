"""The words of a command that a user can type or has typed: this Python, a store's option, the command.

Called by the acts that say what to type next.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path


def store_option(store: str) -> str:
    """The words that name a store in a command to type; none for the default."""
    return "" if store == "trials" else f" --store {shlex.quote(store)}"


def python_command() -> str:
    """The words that start this Python: ``python`` if the shell finds it under this name, else its path."""
    if shutil.which("python") == sys.executable:
        return "python"
    path = Path(sys.executable)
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def typed_command() -> str:
    """The command that the user typed, which also continues the run."""
    return f"{python_command()} -m tune_jobs {shlex.join(sys.argv[1:])}"
