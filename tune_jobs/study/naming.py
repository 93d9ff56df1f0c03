"""Names of studies: which are valid, and a valid name near what a person wrote.

Pure functions. Called by `tune_jobs.study.definition` and by the store, whose folders bear the names.
"""

from __future__ import annotations

import re

NAME_PATTERN = re.compile(r"[a-z][a-z0-9._-]*")


MAX_NAME_LENGTH = 100


def name_problems(name: str) -> list[str]:
    """Problems of a study's name; empty if it is valid."""
    if len(name) > MAX_NAME_LENGTH:
        return [f"a study's name has at most {MAX_NAME_LENGTH} characters, got {len(name)}; shorten it"]
    if NAME_PATTERN.fullmatch(name):
        return []
    return [
        f"a study's name starts with a-z, followed by a-z, 0-9, '.', '_' or '-', got {name!r};"
        f" for example {suggest_name(name)!r}"
    ]


def suggest_name(name: str) -> str:
    """A valid name near `name`."""
    kept = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")
    return kept if kept[:1].isalpha() and kept.isascii() else f"study-{kept}".rstrip("-")
