"""The ledger as a table: the worker-seconds of a study by class, from `tune_jobs.analysis.ledger`.

Called by `documents`.
"""

from __future__ import annotations

from collections.abc import Iterable

from tune_jobs.analysis.ledger import CLASSES, account
from tune_jobs.report.tables import Table
from tune_jobs.study.rows import Row

__all__ = ["CLASSES", "account", "ledger"]


def ledger(rows: Iterable[Row]) -> Table:
    """`account` as a table, with the share of each class."""
    seconds = account(rows)
    whole = sum(seconds.values())
    lines = [(name, seconds[name], seconds[name] / whole) for name in CLASSES if seconds[name] > 0]
    return Table(
        title=f"where {whole:.1f} worker-seconds went",
        columns=("class", "worker_s", "share"),
        rows=tuple(lines),
        shares=("share",),
    )
