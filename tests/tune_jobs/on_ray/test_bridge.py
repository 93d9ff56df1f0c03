"""The bridge between Ray Tune's hooks and a session, such as a crash that is no hang. Starts no Ray."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from session_testing import Clock, MemoryLog, a_study

from eml_models.training.recipe import Recipe
from tune_jobs.errors import BrokenDeviceError, TuneJobsError
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.messages import (
    AttemptFailed,
    EpochReported,
    LatencyMeasured,
    Message,
    TrainingBegan,
    TrainingReturned,
    WorkerUnusable,
    to_json,
)
from tune_jobs.session.state_machine import Session
from tune_jobs.study.rows import Decision, EventKind, EventRow, Failure, State

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


class FakeRoom:
    """Two places, both free."""

    share = SimpleNamespace(gpus=0.25)

    def workers(self, left: int, *, training: int) -> int:
        return 2

    def count_free(self) -> int:
        return 2

    def withdraw_demands(self) -> None: ...


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Any, MemoryLog, SimpleNamespace]]:
    """A bridge on trials that are silent for 2 s at most, its session's rows, and its time."""
    from tune_jobs.on_ray import bridge
    from tune_jobs.on_ray.gpus.share import Shares

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
    assert ends(log) == ["attempt 1 crashed"]


def test_a_process_that_dies_while_it_starts_has_crashed(played: Callable[..., Any]) -> None:
    bridge, log, time = played()
    bridge.suggest("a")
    time.now = 30.0
    bridge.take_crash("a", "the worker died")
    assert ends(log) == ["attempt 1 crashed"]


def test_a_worker_that_ends_itself_after_its_time_has_hung(played: Callable[..., Any]) -> None:
    bridge, log, time = played()
    bridge.suggest("a")
    time.now = 30.0
    bridge.take_start("a")
    time.now = 32.0
    bridge.take_crash("a", "the worker died")
    assert ends(log) == ["attempt 1 hung"]


ALONE, SHARED = (
    f"BrokenDeviceError: so it ends{words}: RuntimeError: CUDA error: an illegal memory access"
    for words in ("", BrokenDeviceError.SHARED)
)


@pytest.mark.parametrize("began", [True, False])
@pytest.mark.parametrize(
    ("gpus", "error", "how", "next_gpus"),
    [
        (0.25, SHARED, "attempt 1 ended with a fault of a GPU that it shared", 0.5),
        (0.25, "the worker died", "attempt 1 crashed", 0.25),
        (0.25, ALONE, "attempt 1 crashed", 0.25),
        (1.0, SHARED, "attempt 1 crashed", 1.0),
    ],
)
def test_a_fault_under_an_mps_server_costs_no_attempt_and_leads_to_a_larger_share(
    played: Callable[..., Any], began: bool, gpus: float, error: str, how: str, next_gpus: float
) -> None:
    from tune_jobs.on_ray.gpus.share import Shares

    bridge, log, _ = played()
    bridge._shares = Shares(gpus)
    bridge.suggest("a")
    bridge.take_start("a")
    if began:  # else the server refused the new process, while its other processes ended
        bridge.take_message("a", {"message": to_json(TrainingBegan(worker=WorkerInfo(mps=True))), "pid": 7})
    bridge.take_crash("a", error)
    assert ends(log) == [how]
    counted = bridge.session.history.trials[0].num_crashed
    assert counted == (0 if "shared" in how else 1)
    assert bridge.suggest("b")["gpus"] == next_gpus
    assert Shares(gpus, log.rows).of(0) == next_gpus  # also of a run that continues


def test_worker_that_a_signal_to_every_process_ends_has_not_failed(played: Callable[..., Any]) -> None:
    bridge, log, _ = played()
    bridge.suggest("a")
    bridge.take_start("a")
    bridge._ended = lambda: True
    bridge.take_crash("a", "the worker died")
    assert ends(log) == []
    assert bridge.interrupted


def test_thread_that_was_left_writes_no_row(played: Callable[..., Any]) -> None:
    bridge, log, _ = played()
    bridge.suggest("a")
    bridge.take_start("a")
    before = len(log.rows)
    bridge._turns.leave()
    assert bridge.take_message("a", {"message": to_json(TrainingBegan(worker=WorkerInfo()))}) == Decision.STOP
    bridge.take_crash("a", "the worker died")
    assert bridge.suggest("b") == "FINISHED"
    assert len(log.rows) == before


def test_a_recipe_is_written_out_once_an_attempt(
    played: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge, log, _ = played()
    texts, write = [], Recipe.to_json
    monkeypatch.setattr(Recipe, "to_json", lambda recipe: texts.append(write(recipe)) or texts[-1])
    sent = bridge.suggest("a")["recipe"]
    assert texts == [sent] == [row.recipe for row in log.starts]


@pytest.mark.parametrize(
    ("epoch", "says"),
    [
        (0, "trial 0 starts again from its first epoch: attempt-1.pt is torn"),
        (7, "trial 0 is resumed from the older epoch 7: attempt-1.pt is torn"),
    ],
)
def test_a_checkpoint_of_no_use_is_named_by_the_run_and_by_the_attempts_event(
    played: Callable[..., Any], caplog: pytest.LogCaptureFixture, epoch: int, says: str
) -> None:
    bridge, log, _ = played()
    bridge.suggest("a")
    bridge.take_start("a")
    worker = WorkerInfo(resumed_from_epoch=epoch, passed_over="attempt-1.pt is torn")
    bridge.take_message("a", {"message": to_json(TrainingBegan(worker=worker))})
    assert bridge.error is None
    assert [record.getMessage() for record in caplog.records if record.name == "tune_jobs.run"] == [says]
    (begun,) = (row for row in log.of(EventRow) if row.kind is EventKind.ATTEMPT_STARTED)  # type: ignore[attr-defined]
    assert json.loads(begun.detail)["passed_over"] == "attempt-1.pt is torn"  # type: ignore[attr-defined]


def test_an_older_state_of_own_training_is_named_with_the_report_behind_it(
    played: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    bridge, _, _ = played()
    bridge.suggest("a")
    bridge.take_start("a")
    bridge.take_message("a", {"message": to_json(TrainingBegan(worker=WorkerInfo()))})
    worker = WorkerInfo(resumed_from_epoch=7, passed_over="attempt-1.pt is torn")
    bridge.take_message("a", {"message": to_json(replace(EPOCH, worker=worker))})
    assert bridge.error is None
    says = [record.getMessage() for record in caplog.records if record.name == "tune_jobs.run"]
    assert says == ["trial 0 is resumed from the older epoch 7: attempt-1.pt is torn"]


def test_a_trial_with_a_larger_share_waits_alone(
    played: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge, _, _ = played()
    monkeypatch.setattr(bridge._shares, "of", lambda number: 0.5)
    assert bridge.suggest("a")["gpus"] == 0.5
    assert bridge.suggest("b") is None
    bridge.take_start("a")
    assert bridge.suggest("b") is not None


EPOCH = EpochReported(
    metrics={"epoch": 1, "val_accuracy": 0.5, "elapsed_s": 1.0},
    unsaved={},
    worker=WorkerInfo(device="cpu: x"),
)


@pytest.mark.parametrize(
    ("message", "decision", "states"),
    [
        (LatencyMeasured(latency_ms=1.5, worker=WorkerInfo()), Decision.CONTINUE, []),
        (TrainingBegan(worker=WorkerInfo()), Decision.CONTINUE, []),
        (EPOCH, Decision.CONTINUE, []),
        (
            AttemptFailed(failure=Failure.RAISED, error="KeyError: x", worker=WorkerInfo()),
            Decision.STOP,
            [State.FAILED],
        ),
        (
            EpochReported(
                metrics={"epoch": 1, "val_accuracy": float("nan")}, unsaved={}, worker=WorkerInfo()
            ),
            Decision.STOP,
            [State.FAILED],
        ),
        (TrainingReturned(worker=WorkerInfo()), Decision.STOP, [State.FAILED]),
    ],
)
def test_every_message_reaches_the_session(
    played: Callable[..., Any], message: Message, decision: Decision, states: list[State]
) -> None:
    bridge, log, _ = played()
    bridge.suggest("a")
    bridge.take_start("a")
    assert bridge.take_message("a", {"message": to_json(message), "pid": 7}) is decision
    assert bridge.error is None
    assert [row.state for row in log.trials] == states


def batch_of(*messages: Message) -> dict[str, str]:
    return {"message": "\n".join(map(to_json, messages))}


def epoch(number: int, **metrics: object) -> EpochReported:
    known = {"epoch": number, "val_accuracy": 0.5, "elapsed_s": float(number), **metrics}
    return EpochReported(metrics=known, unsaved={}, worker=WorkerInfo())  # type: ignore[arg-type]  # numbers


def test_messages_that_arrive_together_become_the_rows_of_messages_one_by_one(
    played: Callable[..., Any],
) -> None:
    messages = [TrainingBegan(worker=WorkerInfo(device="cpu: x")), epoch(1), epoch(2), epoch(3)]
    (together, log, _), (one_by_one, other, _) = played(), played()
    for bridge in (together, one_by_one):
        bridge.suggest("a")
        bridge.take_start("a")
    num_epochs = together.session.study.recipe.epochs
    assert len(messages) <= num_epochs
    assert together.take_message("a", batch_of(*messages)) is Decision.CONTINUE
    for message in messages:
        assert one_by_one.take_message("a", batch_of(message)) is Decision.CONTINUE
    assert [type(row) for row in log.rows] == [type(row) for row in other.rows]
    assert [(row.seq, row.epoch) for row in log.reports] == [(row.seq, row.epoch) for row in other.reports]
    assert len(log.durable_after) == len(other.durable_after) - len(messages) + 1


def test_what_follows_the_end_of_a_trial_in_a_batch_is_dropped(played: Callable[..., Any]) -> None:
    bridge, log, _ = played()
    bridge.suggest("a")
    bridge.take_start("a")
    batch = batch_of(epoch(1), epoch(2, val_accuracy=float("nan")), epoch(3))
    assert bridge.take_message("a", batch) is Decision.STOP
    assert bridge.error is None
    assert [row.epoch for row in log.reports] == [1]
    assert [row.state for row in log.trials] == [State.FAILED]
    assert log.durable_after[-1] == log.rows[-1].seq


def test_a_full_run_does_not_ask_ray_for_room_at_each_step(
    played: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge, _, _ = played()
    for name in ("a", "b"):
        bridge.suggest(name)
        bridge.take_start(name)
    asked: list[None] = []
    monkeypatch.setattr(FakeRoom, "count_free", lambda self: asked.append(None) or 0)
    assert bridge.suggest("c") is None
    assert asked == []


def test_what_one_worker_cannot_train_ends_the_run(played: Callable[..., Any]) -> None:
    bridge, log, _ = played()
    bridge.suggest("a")
    unusable = WorkerUnusable(error="the data set is not there", worker=WorkerInfo())
    assert bridge.take_message("a", {"message": to_json(unusable)}) is Decision.STOP
    assert str(bridge.error) == "a worker cannot train this study: the data set is not there"
    assert bridge.suggest("b") == "FINISHED"
    assert log.trials == []


def test_a_text_that_is_no_message_ends_the_run_in_order(played: Callable[..., Any]) -> None:
    bridge, _, _ = played()
    bridge.suggest("a")
    assert bridge.take_message("a", {"message": '{"kind": "begun", "worker": {}}'}) is Decision.STOP
    assert isinstance(bridge.error, TuneJobsError)
    assert "kind must be one of latency_measured, training_began" in str(bridge.error)


def test_tune_decides_on_each_report_before_the_next() -> None:
    from ray.tune.schedulers import FIFOScheduler

    from tune_jobs.on_ray.bridge import StudyScheduler

    assert FIFOScheduler().supports_buffered_results  # as it would be
    assert not StudyScheduler(None).supports_buffered_results


def report_of(epoch: int) -> dict[str, object]:
    worker = WorkerInfo(device="cpu: x")
    metrics = {"epoch": epoch, "val_accuracy": 0.5, "elapsed_s": 1.0}
    return {"message": to_json(EpochReported(metrics=metrics, unsaved={}, worker=worker)), "pid": 7}


def test_silent_worker_is_reported_in_words_and_nothing_is_decided(played: Callable[..., Any]) -> None:
    bridge, log, time = played()
    bridge.trial_timeout_s = None
    bridge.suggest("a")
    bridge.take_start("a")
    began = TrainingBegan(worker=WorkerInfo(hostname="far"))
    bridge.take_message("a", {"message": to_json(began), "pid": 7})
    for epoch in (1, 2):
        time.now += 20.0
        bridge.take_message("a", report_of(epoch))
    rows = len(log.rows)
    time.now += 199.0
    assert [*bridge.iter_silences()] == []
    time.now += 1.0
    (note,) = bridge.iter_silences()
    assert note.startswith("trial 0 has said nothing for 3 min, since epoch 2, and its epochs take 20 s.")
    assert (
        "Its worker is process 7 on far, and `show played 0 --log` prints its output; the run keeps" in note
    )
    assert "--trial-timeout 200" in note
    assert [*bridge.iter_silences()] == []
    assert len(log.rows) == rows
    assert bridge.session.live_numbers == (0,)
    bridge.take_message("a", report_of(3))
    time.now += 300.0
    assert len([*bridge.iter_silences()]) == 1


@pytest.mark.parametrize("end", ["crash", "returned"])
def test_trial_that_ended_is_not_silent(played: Callable[..., Any], end: str) -> None:
    bridge, _, time = played()
    bridge.suggest("a")
    bridge.take_start("a")
    bridge.take_message("a", {"message": to_json(TrainingBegan(worker=WorkerInfo())), "pid": 7})
    time.now += 20.0
    bridge.take_message("a", report_of(1))
    if end == "crash":
        bridge.take_crash("a", "the worker died")
    else:
        bridge.take_message("a", {"message": to_json(TrainingReturned(worker=WorkerInfo()))})
    time.now += 10_000.0
    assert [*bridge.iter_silences()] == []
