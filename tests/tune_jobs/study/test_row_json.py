"""JSON texts of rows: right ones pass, each wrong one is a problem with its column."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from eml_models.training.recipe import Recipe
from tune_jobs.study.row_json import json_problems
from tune_jobs.study.rows import EventKind, EventRow, ReportRow, Row, StartRow, State, TrialRow

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
START = StartRow(
    study="s", trial_id="s/0", number=0, attempt=1, history_seq=0, seed=0, started_at=NOON,
    params='{"width":8,"widths":[1,2]}', recipe=Recipe(learning_rate=0.1, epochs=2).to_json(),
)  # fmt: skip
TRIAL = TrialRow(
    study="s", trial_id="s/0", number=0, attempt=1, seed=0, ended_at=NOON, state=State.COMPLETED,
    reason="because a test says so", params="{}", objectives='{"macs":3,"latency_ms":null}',
)  # fmt: skip
EVENT = EventRow(
    study="s", kind=EventKind.SESSION_ENDED, session="x", happened_at=NOON, detail='{"how":"finished"}'
)
REPORT = ReportRow(study="s", trial_id="s/0", number=0, attempt=1, epoch=1, reported_at=NOON)


@pytest.mark.parametrize("row", [START, TRIAL, EVENT, REPORT])
def test_a_row_as_it_is_written_has_no_problem(row: Row) -> None:
    assert json_problems(row) == []


@pytest.mark.parametrize(
    ("row", "problems"),
    [
        (replace(START, params="[]"), ["params must be a JSON object, got '[]'"]),
        (
            replace(START, params='{"a":{}}', recipe="{}"),
            ["params a must be text, a number, a truth value or a list of these, got an object of 0"],
        ),
        (replace(START, recipe='{"epochs":"2"}'), ["recipe epochs must be a whole number, got '2'"]),
        (
            replace(TRIAL, params="", objectives='{"macs":"3"}'),
            ["params must be JSON", "objectives macs must be"],
        ),
        (replace(EVENT, detail="{}"), ["detail how is missing"]),
        (
            replace(EVENT, detail='{"how":"well"}'),
            ["detail how must be one of finished, interrupted, failed, got 'well'"],
        ),
    ],
)
def test_each_wrong_text_is_a_problem_with_its_column(row: Row, problems: list[str]) -> None:
    found = json_problems(row)
    assert len(found) == len(problems)
    assert all(text.startswith(problem) for text, problem in zip(found, problems, strict=True))
