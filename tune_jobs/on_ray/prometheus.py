"""Prometheus metrics of a running study, through Ray: they appear at the metrics endpoint of Ray's nodes.

The driver alone sets them, while it runs: series of workers would outlive the workers, and their labels would
grow with the trials. Labels are the study, the states of a trial and the classes of the ledger, so a study
has some twenty series however long it runs. Ray drops a gauge that is not set again, so all are set
periodically.

The ledger is computed from all rows, so its cost grows with them. It is computed again at most every
`LEDGER_PERIOD_S`, and seldom enough to cost less than a fiftieth of the driver's time.

`tune_jobs.on_ray.tuning` calls this.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from ray.util.metrics import Counter, Gauge

from tune_jobs.analysis.gpu_busy import gpu_busy_s
from tune_jobs.analysis.ledger import CLASSES, account
from tune_jobs.session.attempt import Progress
from tune_jobs.study.rows import ReportRow, Row

PERIOD_S = 3.0
"""Ray exports every 10 s and drops a gauge that was not set for about 20 s."""

LEDGER_PERIOD_S = 15.0
LEDGER_COST = 50
"""The ledger is computed again only after this many times its own duration."""

STATES = ("running", "completed", "stopped", "failed", "infeasible")
"""The fields of `Progress` that count trials."""


class StudyMetrics:
    """The metrics of one study, set from its driver.

    Args:
        study: its name, the label of every series.
        rows: every acknowledged row of the study; the study's writer appends to them.
    """

    def __init__(self, study: str, rows: Sequence[Row]) -> None:
        self._rows, self._study = rows, study
        self._trials = _gauge("trials", "Trials of the study by state.", "state")
        self._target = _gauge("trials_wanted", "Trials that the study will train.")
        self._best = _gauge("best_objective", "Best objective of the study so far.")
        self._feasible = _gauge("feasible_share", "Share of the proposals within the limits.")
        self._seconds = _gauge("worker_seconds", "Worker-seconds of the study by class.", "ledger")
        self._busy = _gauge("gpu_busy_seconds", "Seconds for which ended attempts kept GPUs busy.")
        self._reports = Counter(
            "tune_jobs_reports", description="Reports that this driver recorded.", tag_keys=("study",)
        )
        self._num_seen = len(rows)
        self._next_at = self._ledger_at = 0.0
        self._spent: dict[str, float] = {}
        self._busy_s: float | None = None

    def update(self, progress: Progress) -> None:
        """Set every series, if it is time."""
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + PERIOD_S
        for state in STATES:
            self._trials.set(getattr(progress, state), self._tags(state=state))
        self._target.set(progress.target, self._tags())
        if progress.best is not None:
            self._best.set(progress.best, self._tags())
        admitted = progress.trained + progress.running
        if admitted + progress.infeasible:
            self._feasible.set(admitted / (admitted + progress.infeasible), self._tags())
        new, self._num_seen = self._rows[self._num_seen :], len(self._rows)
        if num_reports := sum(isinstance(row, ReportRow) for row in new):
            self._reports.inc(num_reports, self._tags())
        if now >= self._ledger_at:
            self._take_ledger()
        for name in CLASSES:
            self._seconds.set(self._spent.get(name, 0.0), self._tags(ledger=name))
        if self._busy_s is not None:  # on CPUs there is no such series
            self._busy.set(self._busy_s, self._tags())

    def _take_ledger(self) -> None:
        began = time.monotonic()
        self._spent, self._busy_s = dict(account(self._rows)), gpu_busy_s(self._rows)
        ended = time.monotonic()
        self._ledger_at = ended + max(LEDGER_PERIOD_S, LEDGER_COST * (ended - began))

    def _tags(self, **more: str) -> dict[str, str]:
        return {"study": self._study, **more}


def _gauge(name: str, description: str, *labels: str) -> Gauge:
    return Gauge(f"tune_jobs_{name}", description=description, tag_keys=("study", *labels))
