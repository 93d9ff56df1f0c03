"""What an epoch of a finalist came to: its fields are all that a training may report.

`eml_models.training.final_fit` makes them. Imports no torch: `tune_jobs.study.definition` and
    `tune_jobs.session.report_checks` need the
names alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from eml_models.training.epoch_report import EpochReport


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalReport(EpochReport):
    """An `EpochReport` with the share of test images classed right; None before the last epoch."""

    test_accuracy: float | None = None


FINAL_METRICS = frozenset(f.name for f in fields(FinalReport)) - {f.name for f in fields(EpochReport)}
"""Metrics that only the last epoch has: of the test set, which chooses nothing."""
