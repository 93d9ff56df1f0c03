"""A log of rows with a listener: what the store has acknowledged is also heard, in the same order.

`tune_jobs.on_ray.runner` puts it between a session and the study's writer, so that a listener hears the same
of every kind of run: own training and shipped, on Ray and in this process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tune_jobs.session.row_builder import RowLog
from tune_jobs.study.rows import Row

RowListener = Callable[[Sequence[Row]], object]
"""Hears rows that are in the store. It must be quick and raise nothing: the run waits for it."""


class HeardLog:
    """Passes rows to a log, and then to a listener."""

    def __init__(self, log: RowLog, listen: RowListener) -> None:
        self._log, self._listen = log, listen
        self._unheard: list[Row] = []

    def append_many(self, rows: Sequence[Row], *, more: bool = False) -> list[Row]:
        """The rows as the log keeps them. With `more` they are heard together with the rows that follow."""
        stored = self._log.append_many(rows, more=more)
        self._unheard += stored
        if self._unheard and not more:
            heard, self._unheard = self._unheard, []
            self._listen(heard)
        return stored
