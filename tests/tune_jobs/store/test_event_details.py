"""What attempts note of their GPU is a typed column of the view of events."""

from __future__ import annotations

import typing
from dataclasses import fields
from pathlib import Path

from store_testing import open_writer

from tune_jobs.analysis.one_trial import ON_GPU
from tune_jobs.store.columns.event_details import DETAIL_COLUMNS
from tune_jobs.store.reader import TrialStore
from tune_jobs.study import json_forms
from tune_jobs.study.events import AttemptEnded, AttemptInterrupted, AttemptStarted, detail_as_json
from tune_jobs.study.rows import EventKind
from tune_jobs.testing.rows import event_row, start_row

KIND_OF_FORM = {
    json_forms.Text: "string",
    json_forms.Number: "double",
    json_forms.Seconds: "double",
    json_forms.Whole: "int64",
    json_forms.Flag: "bool",
}


def test_columns_have_the_names_and_types_of_the_details() -> None:
    found: dict[str, str] = {}
    for detail in (AttemptStarted, AttemptEnded, AttemptInterrupted):
        hints = typing.get_type_hints(detail, include_extras=True)
        for name in {f.name for f in fields(detail)} & DETAIL_COLUMNS.keys():
            found[name] = KIND_OF_FORM[typing.get_args(hints[name])[0]]
    assert found == dict(DETAIL_COLUMNS)
    assert set(ON_GPU) == DETAIL_COLUMNS.keys()


def test_query_answers_with_them_and_with_null_on_a_cpu(tmp_path: Path) -> None:
    begun = AttemptStarted(gpus=0.5, driver_version="580.159.04", cudnn_version=91900, mps=False)
    ended = AttemptEnded(how="completed", execution="graph", step_s=0.005, gpu_busy=0.96)
    with open_writer(tmp_path) as writer:
        writer.append_many(
            [
                start_row(0),
                event_row(EventKind.ATTEMPT_STARTED, 0, detail=detail_as_json(begun)),
                event_row(EventKind.ATTEMPT_ENDED, 0, detail=detail_as_json(ended)),
                start_row(1),
                event_row(EventKind.ATTEMPT_ENDED, 1, detail=detail_as_json(AttemptEnded(how="stopped"))),
            ]
        )
    frame = TrialStore(tmp_path).sql(
        "select number, max(execution) as execution, max(gpu_busy) as busy, max(driver_version) as driver,"
        " max(cudnn_version) as cudnn, bool_or(mps) as mps from events where attempt is not null"
        " group by number order by number"
    )
    assert list(frame.iloc[0]) == [0, "graph", 0.96, "580.159.04", 91900, False]
    assert frame.iloc[1].drop("number").isna().all()
