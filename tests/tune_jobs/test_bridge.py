"""The bridge between Ray Tune's hooks and a session: how a crash is told from a hang. Starts no Ray."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from session_testing import Clock, MemoryLog, a_study

from tune_jobs.session import Session
from tune_jobs.trial import EventKind, EventRow

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


class FakeRoom:
    """Two places, both free."""

    share = SimpleNamespace(gpus=0.25)

    def workers(self, left: int, *, training: int) -> int:
        return 2

    def count_free(self) -> int:
        return 2

    def make_way(self) -> None: ...


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, MemoryLog, SimpleNamespace]]:
    """A bridge on trials that are silent for 2 s at most, its session's rows, and its time."""
    from tune_jobs.on_ray import bridge
    from tune_jobs.on_ray.gpu_share import Shares

    def make() -> tuple[Any, MemoryLog, SimpleNamespace]:
        log, time = MemoryLog(), SimpleNamespace(now=0.0)
        time.monotonic = lambda: time.now
        monkeypatch.setattr(bridge, "time", time)
        session = Session(a_study(trials=2, asha=None), log, clock=Clock())
        room: Any = FakeRoom()
        made = bridge.Bridge(session, room, Shares(0.25), ended=lambda: False, trial_timeout_s=2.0)
        return made, log, time

    return make


def ends(log: MemoryLog) -> list[str]:
    found = [json.loads(getattr(row, "detail", None) or "{}").get("how") for row in log.rows]
    return [how.partition(":")[0] for how in found if how]


def test_the_wait_for_a_worker_is_no_silence_of_the_trial(played: Callable[..., Any]) -> None:
    bridge, log, time = played()
    bridge.suggest("a")
    time.now = 30.0  # until there was room
    bridge.take_start("a")
    time.now = 31.0
    bridge.take_crash("a", "the worker died")
    assert ends(log) == ["crashed in attempt 1"]


def test_a_process_that_dies_while_it_starts_has_crashed(played: Callable[..., Any]) -> None:
    bridge, log, time = played()
    bridge.suggest("a")
    time.now = 30.0
    bridge.take_crash("a", "the worker died")
    assert ends(log) == ["crashed in attempt 1"]


def test_a_worker_that_ends_itself_after_its_time_has_hung(played: Callable[..., Any]) -> None:
    bridge, log, time = played()
    bridge.suggest("a")
    time.now = 30.0
    bridge.take_start("a")
    time.now = 32.0
    bridge.take_crash("a", "the worker died")
    assert ends(log) == ["hung in attempt 1"]


@pytest.mark.parametrize(
    ("epoch", "says"),
    [
        (0, "trial 0 starts again from its first epoch: attempt-1.pt is torn"),
        (7, "trial 0 goes on from epoch 7 alone: attempt-1.pt is torn"),
    ],
)
def test_a_checkpoint_of_no_use_is_told_by_the_run_and_by_the_attempts_event(
    played: Callable[..., Any], caplog: pytest.LogCaptureFixture, epoch: int, says: str
) -> None:
    bridge, log, _ = played()
    bridge.suggest("a")
    bridge.take_start("a")
    worker = {"resumed_from_epoch": epoch, "passed_over": "attempt-1.pt is torn"}
    bridge.take_message("a", {"message": json.dumps({"kind": "begun", "worker": worker})})
    assert bridge.error is None
    assert [record.getMessage() for record in caplog.records if record.name == "tune_jobs.run"] == [says]
    (begun,) = (row for row in log.of(EventRow) if row.kind is EventKind.ATTEMPT_STARTED)  # type: ignore[attr-defined]
    assert json.loads(begun.detail)["passed_over"] == "attempt-1.pt is torn"  # type: ignore[attr-defined]


def test_a_trial_with_a_larger_share_waits_alone(
    played: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge, _, _ = played()
    monkeypatch.setattr(bridge._shares, "of", lambda number: 0.5)
    assert bridge.suggest("a")["gpus"] == 0.5
    assert bridge.suggest("b") is None
    bridge.take_start("a")
    assert bridge.suggest("b") is not None


def test_tune_decides_on_each_report_before_the_next() -> None:
    from ray.tune.schedulers import FIFOScheduler

    from tune_jobs.on_ray.bridge import StudyScheduler

    assert FIFOScheduler().supports_buffered_results  # as it would be
    assert not StudyScheduler(None).supports_buffered_results
