"""Every message of a worker arrives as it was sent, and any other text is an error in words."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.errors import TuneJobsError
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import (
    MESSAGE_TYPES,
    AttemptFailed,
    EpochReported,
    LatencyMeasured,
    Message,
    Metric,
    TrainingBegan,
    TrainingReturned,
    from_json,
    to_json,
)
from tune_jobs.study.rows import Failure

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")

SECONDS = st.floats(min_value=0, allow_infinity=False)
WORKERS = st.builds(
    WorkerInfo,
    node=st.none() | st.text(),
    device=st.none() | st.text(),
    pid=st.none() | st.integers(0, 2**22),
    gpus=st.floats(0, 8),
    resumed_from_epoch=st.integers(0, 10**6),
    passed_over=st.none() | st.text(),
    execution=st.none() | st.text(),
    eager_because=st.none() | st.text(),
    step_s=st.none() | SECONDS,
    gpu_busy=st.none() | st.floats(0, 1),
    driver_version=st.none() | st.text(),
    mps=st.none() | st.booleans(),
    others_bytes=st.none() | st.integers(0, 2**63),
    imports_s=st.none() | SECONDS,
    first_step_s=st.none() | SECONDS,
    peak_memory_bytes=st.none() | st.integers(0, 2**63),
)
TEXTS = st.text(st.characters(codec=None))  # half of a character too: an error may quote any bytes
METRICS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
MESSAGES: dict[type, st.SearchStrategy[Any]] = {
    kind: st.builds(
        kind,
        **{
            name: {
                WorkerInfo: WORKERS,
                Failure: st.sampled_from(Failure),
                str: TEXTS,
                float: st.floats(),
                bool: st.booleans(),
                str | None: st.none() | TEXTS,
            }.get(hint, st.dictionaries(st.text(), METRICS if name == "metrics" else st.text()))
            for name, hint in get_type_hints(kind).items()
            if name in {f.name for f in fields(kind)}
        },
    )
    for kind in MESSAGE_TYPES
}


@pytest.mark.parametrize("kind", MESSAGE_TYPES)
@given(data=st.data())
def test_a_message_arrives_as_it_was_sent(kind: type, data: st.DataObject) -> None:
    message = data.draw(MESSAGES[kind])
    arrived = from_json(to_json(message))
    assert type(arrived) is kind
    assert repr(arrived) == repr(message)  # NaN is equal to nothing, and shows itself


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 1, True, "x", None]
)
def test_metrics_that_are_no_usual_numbers_arrive_as_they_were(value: Metric) -> None:
    arrived = from_json(to_json(EpochReported(metrics={"val_loss": value}, unsaved={}, worker=WorkerInfo())))
    assert isinstance(arrived, EpochReported)
    assert repr(arrived.metrics) == repr({"val_loss": value})


def test_what_a_worker_has_not_said_takes_no_place() -> None:
    message = TrainingBegan(worker=WorkerInfo(node="10.0.0.1"))
    assert json.loads(to_json(message)) == {"kind": "training_began", "worker": {"node": "10.0.0.1"}}


def test_kinds_have_names_of_their_own() -> None:
    assert len({kind.kind for kind in MESSAGE_TYPES}) == len(MESSAGE_TYPES)


def changed(message: Message, **values: Any) -> str:
    return json.dumps({**json.loads(to_json(message)), **values})


RETURNED = TrainingReturned(worker=WorkerInfo())
MEASURED = LatencyMeasured(latency_ms=1.0, worker=WorkerInfo())
FAILED = AttemptFailed(failure=Failure.RAISED, error="x", worker=WorkerInfo())
REPORTED = EpochReported(metrics={"epoch": 1}, unsaved={}, worker=WorkerInfo())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Expecting value"),
        ("[1]", r"a message must be an object, got '\[1\]'"),
        ("[" * 100_000, "recursion"),
        ("{}", "kind must be one of latency_measured, .*, got 'None'"),
        ('{"kind": "begun"}', "kind must be one of latency_measured, .*, got 'begun'"),
        ('{"kind": ["a"]}', "kind must be one of latency_measured"),
        ('{"kind": "training_began"}', "TrainingBegan lacks worker"),
        (changed(RETURNED, worker=[]), r"WorkerInfo must be an object, got '\[\]'"),
        (changed(RETURNED, worker={"hostnames": "x"}), "WorkerInfo has no field hostnames; it has node, "),
        (changed(RETURNED, worker={"pid": 1.5}), "pid must be a whole number or null, got '1.5'"),
        (changed(RETURNED, worker={"pid": True}), "pid must be a whole number or null, got 'True'"),
        (changed(RETURNED, latency_ms=1.0), "TrainingReturned has no field latency_ms; it has worker"),
        (changed(MEASURED, latency_ms="1"), "latency_ms must be a number, got '1'"),
        (changed(MEASURED, latency_ms=None), "latency_ms must be a number, got 'None'"),
        (changed(FAILED, failure="tired"), "failure must be one of diverged, .*, got 'tired'"),
        (changed(FAILED, failure=["raised"]), "failure must be one of diverged, "),
        (changed(FAILED, error=None), "error must be text, got 'None'"),
        (changed(REPORTED, metrics={"epoch": [1]}), "metrics must be an object of numbers and texts"),
        (changed(REPORTED, unsaved={"checkpoint": 1}), "unsaved must be an object of texts"),
    ],
)
def test_any_other_text_is_an_error_in_words(text: str, says: str) -> None:
    with pytest.raises(TuneJobsError, match=says) as caught:
        from_json(text)
    assert "must run the same version of tune_jobs" in str(caught.value)
    assert len(str(caught.value)) < 700
