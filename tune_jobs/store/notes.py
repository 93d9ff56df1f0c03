"""Warnings about a store, one log record each: what a read left out, and notes on an answer.

The command line shows them on stderr. Each record is marked `once`, since a command opens a store several
times and meets the same file each time.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

LOG = logging.getLogger("tune_jobs.store")
ONCE = "once"
"""The attribute that marks a record; the command line shows each text so marked a single time."""


def tell_left_out(problems: Iterable[str]) -> None:
    """Warn of files and rows that are not read."""
    for problem in problems:
        LOG.warning("left out: %s", problem, extra={ONCE: True})


def tell_note(note: str) -> None:
    """Warn of something that makes an answer easy to misread."""
    LOG.warning("%s", note, extra={ONCE: True})
