"""The current instant. Called for the times of rows, locks and files."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The current instant, aware, UTC."""
    return datetime.now(UTC)
