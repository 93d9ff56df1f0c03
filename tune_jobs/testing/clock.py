"""A clock that a test moves: it advances by a fixed step at each look, forward or backward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class SteppingClock:
    """The current instant for a session or a writer, always the same in every run of a test.

    Args:
        start: the instant before the first look, UTC.
        step_s: seconds that pass at each look; below zero for a clock that is set back.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC), *, step_s: float = 1.0) -> None:
        self.now, self._step = start, timedelta(seconds=step_s)

    def __call__(self) -> datetime:
        self.now += self._step
        return self.now
