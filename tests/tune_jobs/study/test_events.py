"""What events say: each kind both ways, whatever its values; queries name keys that there are."""

from __future__ import annotations

import json
import re

import pytest
from documents import DOCUMENTS, ROOT
from event_strategies import DETAIL
from hypothesis import given, settings

from eml_models.errors import InvalidValueError
from tune_jobs.study import json_forms
from tune_jobs.study.events import (
    DETAILS,
    AttemptEnded,
    AttemptInterrupted,
    AttemptStarted,
    Detail,
    Enqueued,
    Point,
    SessionEnd,
    SessionEnded,
    SessionStarted,
    TrialElsewhere,
    WarmStarted,
    detail_as_json,
    detail_from_json,
    preparing_s,
)
from tune_jobs.study.rows import EventKind, State


@given(detail=DETAIL)
@settings(max_examples=400, deadline=None)
def test_what_an_event_says_comes_back_from_its_json(detail: Detail) -> None:
    text = detail_as_json(detail)
    assert detail_from_json(detail.kind, text) == detail
    assert None not in json.loads(text).values()


def test_each_kind_of_event_has_its_detail() -> None:
    assert set(DETAILS) == set(EventKind)
    assert all(detail.kind is kind for kind, detail in DETAILS.items())


TOLD = TrialElsewhere(
    trial_id="other/3",
    number=3,
    params={"x": 0.5, "kernels": (3, 5)},
    state=State.COMPLETED,
    reason="ran",
    macs=9,
)
WRITTEN: list[tuple[Detail, str]] = [
    (SessionStarted(workers=2, gpus_per_trial="auto"), '{"gpus_per_trial":"auto","workers":2}'),
    (SessionEnded(how=SessionEnd.INTERRUPTED), '{"how":"interrupted"}'),
    (AttemptStarted(waited_s=1.5, gpus=0.5), '{"gpus":0.5,"resumed_from_epoch":0,"waited_s":1.5}'),
    (AttemptEnded(how="completed", epochs=3), '{"epochs":3,"how":"completed","train_s":0.0}'),
    (AttemptInterrupted(data_s=2.0), '{"data_s":2.0}'),
    (
        Enqueued(points=(Point(params={"x": 1}, retry_of=4, first=True),)),
        '{"points":[{"first":true,"params":{"x":1},"retry_of":4}]}',
    ),
    (
        WarmStarted(origin="other", trials=(TOLD,)),
        '{"from":"other","trials":[{"macs":9,"number":3,"objectives":"{}","params":{"kernels":[3,5],"x":0.5},'
        '"reason":"ran","state":"completed","trial_id":"other/3"}]}',
    ),
]


@pytest.mark.parametrize(("detail", "text"), WRITTEN, ids=lambda value: getattr(value, "kind", None))
def test_the_json_of_an_event_is_as_queries_expect_it(detail: Detail, text: str) -> None:
    assert detail_as_json(detail) == text


def test_a_whole_number_of_seconds_is_a_float_and_another_key_is_not_read() -> None:
    found = detail_from_json(EventKind.ATTEMPT_STARTED, '{"waited_s":1,"data_s":null,"other":[]}')
    assert found == AttemptStarted(waited_s=1.0)
    assert isinstance(found.waited_s, float)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidValueError) as caught:
        detail_from_json(EventKind.ATTEMPT_ENDED, '{"train_s":-1,"epochs":0.5}')
    assert str(caught.value) == (
        "how is missing; train_s must be seconds, got -1; epochs must be a whole number from 0, got 0.5"
    )


def test_preparing_is_what_an_event_says_of_it() -> None:
    assert preparing_s(AttemptStarted(imports_s=1.0, latency_s=0.0)) == {"imports_s": 1.0, "latency_s": 0.0}
    assert preparing_s(AttemptInterrupted(data_s=2.0, first_step_s=3.0)) == {
        "data_s": 2.0,
        "first_step_s": 3.0,
    }
    assert preparing_s(SessionStarted(workers=2)) == {}


def queries() -> list[tuple[str, str]]:
    """The SQL of README and pages, of the package and of tests that looks into a detail, with the file."""
    files = [*DOCUMENTS, *(ROOT / "tune_jobs").rglob("*.py"), *(ROOT / "tests" / "e2e").glob("*.py")]
    return [
        (file.name, line)
        for file in files
        for line in file.read_text().splitlines()
        if re.search(r"detail\s*->", line)
    ]


def test_sql_that_looks_into_a_detail_names_keys_that_there_are() -> None:
    keys = {key for kind in DETAILS.values() for key in json_forms.keys_of(kind)}
    assert {"sql-cookbook.md", "leaderboard.py"} <= {file for file, _ in queries()}
    for file, line in queries():
        named = re.findall(r"detail\s*->>?\s*'([^']*)'", line)
        assert named, (file, line)
        assert set(named) <= keys, (file, line)


def test_sql_names_kinds_that_there_are() -> None:
    files = [*DOCUMENTS, *(ROOT / "tune_jobs").rglob("*.py"), *(ROOT / "tests" / "e2e").glob("*.py")]
    for file in files:
        for said in re.findall(r"\bkind (?:=|==|in) (\([^)]*\)|'[^']*')", file.read_text()):
            assert set(re.findall(r"'([^']*)'", said)) <= set(EventKind), (file, said)
