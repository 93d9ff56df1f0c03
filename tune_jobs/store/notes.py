"""What was left out of a store is told: one line each, through logging, so that the command line shows it.

The record says `once`: a command opens a store several times and meets the same file each time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

LOG = logging.getLogger("tune_jobs.store")
ONCE = "once"
"""The attribute of a record that is to be shown once a command."""


def tell_left_out(problems: Iterable[str]) -> None:
    """Warn of files and rows that are not read."""
    for problem in problems:
        LOG.warning("left out: %s", problem, extra={ONCE: True})


def tell_note(note: str) -> None:
    """Warn of what a reader should know of an answer."""
    LOG.warning("%s", note, extra={ONCE: True})
