"""Odd names, odd texts and short trials go through a session, the store and SQL as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mini_studies
import pytest

from eml_models.errors import InvalidValueError
from tune_jobs import TrialStore
from tune_jobs.analysis.audit import audit
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.definition import Study
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.rows import Decision, State, TrialRow
from tune_jobs.testing.in_process import play, run_in_process


@pytest.fixture(autouse=True)
def family() -> Iterator[None]:
    with mini_studies.registered():
        yield


def run_into(store: Path, study: Study) -> TrialStore:
    """A run with one worker whose rows are in a store."""
    with StudyWriter.open(store, study, versions={}) as writer:
        session = Session(study, writer, writer.rows)
        names = ("epoch", "val_accuracy", "elapsed_s")
        play(session, lambda attempt: ({n: getattr(r, n) for n in names} for r in study.fit(attempt.recipe)))
    return TrialStore(store)


def test_names_that_differ_by_case_alone_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="'W' and 'w' differ by the case of letters only"):
        mini_studies.case()


def test_texts_that_look_like_other_types_stay_texts(tmp_path: Path) -> None:
    store = run_into(tmp_path, mini_studies.csvs())
    rows = [row for row in store.rows("csvs") if isinstance(row, TrialRow)]
    tags = [parse_object(row.params)["tag"] for row in sorted(rows, key=lambda row: row.number)]
    assert set(tags) == set(mini_studies.TAGS)
    found = store.sql("select param_tag, typeof(param_tag) as kind, param_flag from trials order by number")
    assert list(found["param_tag"]) == tags
    assert set(found["kind"]) == {"VARCHAR"}


def test_grid_tries_each_cell_as_often(tmp_path: Path) -> None:
    store = run_into(tmp_path, mini_studies.grid())
    found = store.sql("select param_flag, count(*) as n from trials group by all")
    assert sorted(found["n"]) == [4, 4]


def test_short_trials_end_at_their_own_last_epoch_and_are_decided_below_it() -> None:
    study = mini_studies.short()
    log = run_in_process(study)
    asked = {row.number: parse_object(row.params)["epochs"] for row in log.trials}
    for row in log.trials:
        if row.state is State.COMPLETED:
            assert row.epochs == asked[row.number]
    decided = {(row.number, row.epoch) for row in log.reports if row.decision is not None}
    assert {epoch for _, epoch in decided} <= {1, 3}
    assert all(epoch < asked[number] for number, epoch in decided)
    assert any(row.decision is Decision.STOP for row in log.reports)
    assert audit(study, log.rows).differences == ()
