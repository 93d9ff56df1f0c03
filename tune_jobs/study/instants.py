"""The current instant. Called wherever rows, locks and files are given the time."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The current instant, aware, UTC."""
    return datetime.now(UTC)
