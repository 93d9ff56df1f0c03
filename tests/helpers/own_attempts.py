"""Attempts of own training in this process, and the files of their states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.worker.own_attempt import OwnAttempt
from tune_jobs.worker.trial_run import TrialRun

RECIPE = OwnRecipe(params={"lr": 0.1, "depth": 2, "momentum": "heavy"}, epochs=4, seed=7)
Params = dict[str, Any]


def an_attempt(train: Callable[..., Any], **options: Any) -> OwnAttempt:
    return OwnAttempt(train, RECIPE, number=3, **options)


def reports_of(train: Callable[..., Any], **options: Any) -> list[tuple[int, dict[str, Any]]]:
    return [(r.epoch, dict(r.metrics)) for r in an_attempt(train, **options).iter_reports()]


def yields(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
    for epoch in range(1, run.epochs + 1):
        yield {"iou": epoch * params["lr"]}


def checkpoints_in(tmp_path: Path) -> Checkpoints:
    return Checkpoints(
        store=str(tmp_path), study="cells", identity=Identity(fingerprint="f", created_at="2026-01-01")
    )


def loads_in_next(train: Callable[..., Any], folder: Path, *, num_reports: int = 1) -> OwnAttempt:
    """The second attempt of a trial, with its first report, after the first was killed."""
    first = an_attempt(train, checkpoints=checkpoints_in(folder)).iter_reports()
    for _ in range(num_reports):
        next(first)
    first.close()
    second = an_attempt(train, checkpoints=checkpoints_in(folder), attempt=2, acknowledged={1: num_reports})
    reports = second.iter_reports()
    next(reports)
    reports.close()
    return second
