"""A document is a page of tables for people, and its first table alone for programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from session_testing import a_study, play

from eml_models.errors import InvalidValueError
from tune_jobs.analysis.audit import Audit
from tune_jobs.report.documents import (
    audit_lines,
    pivot_document,
    report_document,
    study_document,
    study_notes,
)
from tune_jobs.report.formats import CSV, JSON, REPORT_FORMATS, TABLE
from tune_jobs.session.state_machine import Session
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import EventKind
from tune_jobs.testing.rows import event_row


@pytest.fixture
def known(tmp_path: Path) -> StudySnapshot:
    with StudyWriter.open(str(tmp_path), a_study(), versions={}) as writer:
        play(Session(a_study(), writer))
    return TrialStore(tmp_path).read("played")


@pytest.mark.parametrize("form", [JSON, CSV])
def test_document_for_programs_is_one_table(known: StudySnapshot, form: str) -> None:
    (best,) = study_document(known, form, top=1)
    assert "network" in best.columns
    assert len(best.rows) == 1
    (found,) = report_document(known, form, by=("optimizer",))
    assert found.columns[0] == "optimizer"


def test_pivot_is_one_table_in_every_form_and_finalists_have_none(known: StudySnapshot) -> None:
    for form in REPORT_FORMATS:
        assert pivot_document(known, form, ("optimizer",)).columns[0] == "optimizer"
    finalists = replace(known, definition={**known.definition, "candidates": [{"name": "a", "changes": {}}]})
    with pytest.raises(InvalidValueError, match="compares finalists, which have no parameters with levels"):
        pivot_document(finalists, TABLE, ("optimizer",))


def test_page_of_a_study_has_its_tables_in_order(known: StudySnapshot) -> None:
    titles = [table.title for table in study_document(known, TABLE, top=10)]
    assert titles[0].startswith("best 2 of 2")
    assert titles[1:3] == ["how trials ended", "decisions at the rungs"]
    assert "worker-seconds went" in titles[3]


def test_notes_of_a_study_name_steps_that_wait_for_launches(known: StudySnapshot) -> None:
    assert not any("launches" in line for line in study_notes(known))
    detail = '{"how":"completed","execution":"eager","step_s":0.027,"gpu_busy":0.2}'
    ended = event_row(EventKind.ATTEMPT_ENDED, 0, detail=detail, seq=max(row.seq for row in known.rows) + 1)
    (note,) = (line for line in study_notes(replace(known, rows=(*known.rows, ended))) if "launches" in line)
    assert note.startswith("note: training is bound by launches: a step takes 27.00 ms, of which the GPU")
    assert "--execution auto" in note


def test_audit_in_lines() -> None:
    found = Audit(num_proposals=1, num_decisions=2, differences=("row 3: other",))
    assert [*audit_lines(found)] == ["1 proposal and 2 decisions computed again: 1 differ", "  row 3: other"]
