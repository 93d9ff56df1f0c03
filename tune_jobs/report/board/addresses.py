"""The paths of the board's pages: relative to its root, whatever the name or port by which it is reached."""

from __future__ import annotations

ROOT = "/"
STATIC = "/static/"
ENTER = "/enter"


def study_path(study: str) -> str:
    """The page of a study. A study's name has no character that a path must escape."""
    return f"/study/{study}/"


def trial_path(study: str, number: int | str = "") -> str:
    """The page of a trial; without a number, what stands before it."""
    return f"{study_path(study)}trial/{number}"


def log_path(study: str, number: int, attempt: int) -> str:
    """The whole log of an attempt, as plain text."""
    return f"{trial_path(study, number)}/log/{attempt}"
