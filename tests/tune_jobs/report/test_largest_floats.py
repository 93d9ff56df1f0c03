"""Objectives near the largest float: every table, figure and finding is made, and none holds an infinity."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tune_jobs import Choice, Integer, Maximize, Minimize, Space, Study
from tune_jobs.report.documents import report_document, study_document
from tune_jobs.report.figures.catalog import iter_figures
from tune_jobs.report.figures.figure import Figure
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.findings import findings_of
from tune_jobs.report.render import render
from tune_jobs.store.reading.study_snapshot import snapshot_of
from tune_jobs.testing.in_process import run_in_process

VALUES = (1.7e308, -1.7e308, 1e308, -1e308, 5.0, 1.6e308, -1.2e308)


def train(params: dict[str, Any], run: Any) -> Any:
    for epoch in range(run.epochs):
        yield {
            "score": VALUES[(run.number + epoch) % len(VALUES)],
            "loss": VALUES[(3 * run.number + epoch) % len(VALUES)],
        }


def a_study(*, several: bool) -> Study:
    return Study(
        name="huge",
        space=Space(Choice("a", (1, 2)), Choice("b", ("x", "y")), Integer("repeat", 1, 3)),
        train=train,
        objectives=(Maximize("score"), Minimize("loss")) if several else Maximize("score"),
        sampler="grid",
        trials=12,
        epochs=2,
    )


@pytest.mark.parametrize("several", [False, True])
def test_tables_figures_and_findings_are_made(several: bool) -> None:
    study = a_study(several=several)
    rows = run_in_process(study).rows
    known = snapshot_of(study, rows)
    for form in ("table", "json", "latex"):
        for table in [*study_document(known, form, top=5), *report_document(known, form)]:
            render(table, form)
    seen = Seen.of(known, [])
    figures = [figure for figure in iter_figures(seen) if isinstance(figure, Figure)]
    assert {"heat_map", "history", *(("front", "hypervolume") if several else ())} <= {
        f.name for f in figures
    }
    for figure in figures:
        json.dumps(figure.values, allow_nan=False, default=str)
        json.dumps(figure.panels, allow_nan=False, default=str)
    findings_of(seen)
