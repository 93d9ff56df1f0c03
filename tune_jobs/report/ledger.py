"""The ledger as a table: the worker-seconds of a study by class, from `tune_jobs.analysis.ledger`.

Its note has the seconds in which GPUs were busy, if they were measured (`tune_jobs.analysis.gpu_busy`).

Called by `documents`.
"""

from __future__ import annotations

from collections.abc import Iterable

from tune_jobs.analysis.gpu_busy import describe_gpu_busy
from tune_jobs.analysis.ledger import CLASSES, account
from tune_jobs.report.tables import Table
from tune_jobs.study.rows import Row

__all__ = ["CLASSES", "account", "ledger"]


def ledger(rows: Iterable[Row]) -> Table:
    """`account` as a table, with the share of each class, and the seconds in which GPUs were busy."""
    rows = list(rows)
    seconds = account(rows)
    whole = sum(seconds.values())
    lines = [(name, seconds[name], seconds[name] / whole) for name in CLASSES if seconds[name] > 0]
    return Table(
        title=f"where {whole:.1f} worker-seconds went",
        note=describe_gpu_busy(rows) or "",
        columns=("class", "worker_s", "share"),
        rows=tuple(lines),
        shares=("share",),
        parts=("worker_s",),
    )
