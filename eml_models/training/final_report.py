"""The report of an epoch of a finalist; a training may report these fields and no others.

`eml_models.training.final_fit` makes the reports. Imports no torch, because `tune_jobs.study.definition` and
`tune_jobs.session.report_checks` need only the names.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from eml_models.training.epoch_report import EpochReport


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalReport(EpochReport):
    """An `EpochReport` with the accuracy on the test set as a share in [0, 1]; None before the last epoch."""

    test_accuracy: float | None = None


FINAL_METRICS = frozenset(f.name for f in fields(FinalReport)) - {f.name for f in fields(EpochReport)}
"""Metrics of the last epoch only. They come from the test set, so no choice may use them."""
