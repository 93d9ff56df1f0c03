"""Own training in this process: counting, saving and loading, endings, and what a report may be. No Ray."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from patience import wait_until

from eml_models.errors import InvalidValueError
from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.worker import own_attempt
from tune_jobs.worker.own_attempt import OwnAttempt
from tune_jobs.worker.trial_run import TrialRun, TrialStopped

RECIPE = OwnRecipe(params={"lr": 0.1, "depth": 2, "momentum": "heavy"}, epochs=4, seed=7)
Params = dict[str, Any]


def an_attempt(train: Callable[..., Any], **options: Any) -> OwnAttempt:
    return OwnAttempt(train, RECIPE, number=3, **options)


def reports_of(train: Callable[..., Any], **options: Any) -> list[tuple[int, dict[str, Any]]]:
    return [(r.epoch, dict(r.metrics)) for r in an_attempt(train, **options).iter_reports()]


def yields(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
    for epoch in range(1, run.epochs + 1):
        yield {"iou": epoch * params["lr"]}


def calls(params: Params, run: TrialRun) -> None:
    for epoch in range(1, run.epochs + 1):
        run.report({"iou": epoch * params["lr"]})


def returns_iterator(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
    return yields(params, run)


class AsObject:
    """A training function with settings of its own."""

    def __call__(self, params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        yield from yields(params, run)


KINDS = pytest.mark.parametrize("train", [yields, calls, returns_iterator, AsObject()])


@KINDS
def test_reports_are_counted_from_one(train: Callable[..., Any]) -> None:
    assert reports_of(train) == [(epoch, {"iou": epoch * 0.1}) for epoch in (1, 2, 3, 4)]


def test_a_returned_mapping_is_the_only_report() -> None:
    assert reports_of(lambda params, run: {"iou": 0.5}) == [(1, {"iou": 0.5})]
    assert reports_of(lambda params, run: None) == []


def test_params_are_plain_and_bound_to_nothing() -> None:
    seen = []

    def train(params: Params, run: TrialRun) -> dict[str, float]:
        seen.append((params, run.seed, run.number, run.epochs, run.device))
        params["lr"] = 9.0  # the trial's own copy
        return {"iou": 0.0}

    reports_of(train)
    assert seen == [({"lr": 9.0, "depth": 2, "momentum": "heavy"}, 7, 3, 4, "cpu")]
    assert RECIPE.params["lr"] == 0.1


@dataclass
class Scores:
    """A report as a dataclass."""

    iou: float
    dice: float


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        (Scores(iou=0.5, dice=0.25), {"iou": 0.5, "dice": 0.25}),
        ({"iou": np.float32(0.5)}, {"iou": 0.5}),
        ({"iou": torch.tensor(0.5)}, {"iou": 0.5}),
        ({"iou": torch.tensor([3])}, {"iou": 3}),
        ({"iou": np.array(2)}, {"iou": 2}),
        (
            {"iou": True, "dice.mean": None, "note": "x" * 2000},
            {"iou": True, "dice.mean": None, "note": "x" * 997 + "..."},
        ),
        ({"iou": 10**400}, {"iou": float("inf")}),
        ({"iou": 2**70}, {"iou": float(2**70)}),
    ],
)
def test_values_become_plain(metrics: object, expected: dict[str, Any]) -> None:
    ((_, found),) = reports_of(lambda params, run: metrics)
    assert found == expected
    assert [type(value) for value in found.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (0.5, "a report is a mapping or a dataclass of metrics"),
        ({"iou": [1, 2]}, "metric iou must be a number, a truth value or text, got list"),
        ({"iou": torch.zeros(2)}, "metric iou must be a number"),
        ({"iou": {"mean": 1.0}}, "metric iou must be a number"),
        ({1: 0.5}, "the name of a metric has 1 to 100 characters"),
        ({'a"b': 0.5}, "the name of a metric has 1 to 100 characters"),
        ({"epoch": 0, "iou": 1.0}, "must be a whole number above the last (0) and at most 4, got 0"),
        ({"epoch": 1.5, "iou": 1.0}, "must be a whole number above the last (0) and at most 4, got 1.5"),
    ],
)
def test_what_is_no_report_is_an_error_that_says_the_rule(metrics: object, words: str) -> None:
    def generator(params: Params, run: TrialRun) -> Iterator[object]:
        yield metrics

    def function(params: Params, run: TrialRun) -> None:
        run.report(metrics)

    for train in (generator, function):
        with pytest.raises(InvalidValueError) as error:
            reports_of(train)
        assert words in str(error.value)


def test_an_epoch_may_be_stated_and_counting_continues_from_it() -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        yield {"epoch": 2, "iou": 0.2}
        yield {"iou": 0.3}

    assert reports_of(train) == [(2, {"iou": 0.2}), (3, {"iou": 0.3})]


def test_a_generator_does_not_call_report_too() -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        run.report({"iou": 0.2})
        yield {"iou": 0.3}

    with pytest.raises(InvalidValueError, match="yields its reports"):
        reports_of(train)


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_an_error_of_a_function_is_raised_where_its_reports_are_taken(error: BaseException) -> None:
    def train(params: Params, run: TrialRun) -> None:
        run.report({"iou": 0.2})
        raise error

    taken = an_attempt(train).iter_reports()
    next(taken)
    with pytest.raises(type(error)):
        next(taken)


@pytest.mark.parametrize("catches", [(), (Exception,), (BaseException,)])
def test_a_stopped_function_ends_and_what_it_reports_later_is_lost(catches: Any) -> None:
    ended: list[str] = []

    def train(params: Params, run: TrialRun) -> None:
        try:
            for _ in range(20):
                try:
                    run.report({"iou": 0.2})
                except catches:
                    ended.append("caught")
        finally:
            ended.append("ended")

    taken = an_attempt(train).iter_reports()
    assert next(taken).epoch == 1
    taken.close()
    assert ended[-1] == "ended"
    assert ended[:-1] == ["caught"] * (20 if catches == (BaseException,) else 0)


def test_a_function_that_reports_for_ever_is_halted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(own_attempt, "STOPPING_S", 0.05)
    calls: list[int] = []

    def train(params: Params, run: TrialRun) -> None:
        while True:
            calls.append(1)
            with suppress(TrialStopped):
                run.report({"iou": 0.2})

    taken = an_attempt(train).iter_reports()
    next(taken)
    taken.close()
    assert "its training function still runs after 0.05 s: it catches TrialStopped" in caplog.text
    wait_until(lambda: not_growing(calls), "it is not halted", period_s=0.01)


def not_growing(calls: list[int]) -> bool:
    before = len(calls)
    time.sleep(0.05)
    return len(calls) == before


def test_any_thread_of_a_function_may_report() -> None:
    def train(params: Params, run: TrialRun) -> None:
        def report() -> None:
            run.report({"iou": 0.1})

        threads = [threading.Thread(target=report) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert [epoch for epoch, _ in reports_of(train)] == [1, 2, 3, 4]


def test_a_stopped_report_of_another_thread_ends_that_thread() -> None:
    ended: list[str] = []

    def train(params: Params, run: TrialRun) -> None:
        def report() -> None:
            try:
                for _ in range(3):
                    run.report({"iou": 0.1})
            except TrialStopped:
                ended.append("thread")

        thread = threading.Thread(target=report)
        thread.start()
        thread.join()
        ended.append("function")

    taken = an_attempt(train).iter_reports()
    next(taken)
    taken.close()
    assert ended == ["thread", "function"]


def test_trial_stopped_passes_an_except_exception() -> None:
    assert not issubclass(TrialStopped, Exception)


def test_a_stopped_generator_is_closed_also_if_it_yields_again() -> None:
    ended: list[int] = []

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        try:
            yield {"iou": 0.1}
        except GeneratorExit:
            ended.append(1)
            yield {"iou": 0.2}

    taken = an_attempt(train).iter_reports()
    next(taken)
    taken.close()
    assert ended == [1]


@pytest.mark.parametrize("generator", [True, False])
def test_reports_after_the_last_epoch_are_not_taken(
    generator: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def forever(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        while True:
            yield {"iou": 0.1}

    def function(params: Params, run: TrialRun) -> None:
        for metrics in forever(params, run):
            run.report(metrics)

    assert [epoch for epoch, _ in reports_of(forever if generator else function)] == [1, 2, 3, 4]
    assert "trial 3 reports after epoch 4, with which it is complete" in caplog.text


def checkpoints_in(tmp_path: Path) -> Checkpoints:
    return Checkpoints(
        store=str(tmp_path), study="cells", identity=Identity(fingerprint="f", created_at="2026-01-01")
    )


def saves(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
    state = run.load() or {"epoch": 0, "weight": torch.zeros(2)}
    weight = state["weight"]
    for epoch in range(state["epoch"] + 1, run.epochs + 1):
        weight = weight + epoch
        run.save({"epoch": epoch, "weight": weight})
        weight += 0.0  # in place: what was saved must not change
        yield {"sum": float(weight.sum())}


def saves_by_calls(params: Params, run: TrialRun) -> None:
    for metrics in saves(params, run):
        run.report(metrics)


WHOLE = [(1, {"sum": 2.0}), (2, {"sum": 6.0}), (3, {"sum": 12.0}), (4, {"sum": 20.0})]


@pytest.mark.parametrize("train", [saves, saves_by_calls])
@pytest.mark.parametrize("taken", [1, 2, 3])
@pytest.mark.parametrize("last_is_acknowledged", [True, False])
def test_a_killed_attempt_continues_behind_its_last_acknowledged_report(
    tmp_path: Path, train: Callable[..., Any], taken: int, last_is_acknowledged: bool
) -> None:
    """A kill is a close: nothing after it is written. The driver may have recorded the last report or not."""
    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(train, checkpoints=checkpoints).iter_reports()
    before = [(r.epoch, dict(r.metrics)) for r in (next(first) for _ in range(taken))]
    first.close()
    acknowledged = taken if last_is_acknowledged else taken - 1
    second = an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged=acknowledged)
    after = [(r.epoch, dict(r.metrics)) for r in second.iter_reports()]
    assert before[:acknowledged] + after == WHOLE
    assert second.resumed_from == acknowledged


def test_a_save_that_no_report_follows_does_not_count(tmp_path: Path) -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        found.append(run.load())
        for epoch in range(1, 4):
            run.save({"epoch": epoch})
            yield {"iou": 0.1}
            run.save({"epoch": -epoch})  # replaced before the next report, or killed before it

    found: list[Any] = []
    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(train, checkpoints=checkpoints).iter_reports()
    next(first), next(first)
    first.close()
    next(an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged=2).iter_reports())
    assert found == [None, {"epoch": 2}]


def test_a_function_that_saves_rarely_repeats_the_reports_after_its_save(tmp_path: Path) -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        start = (run.load() or {"epoch": 0})["epoch"]
        for epoch in range(start + 1, run.epochs + 1):
            if epoch == 2:
                run.save({"epoch": epoch})
            yield {"iou": float(epoch)}

    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(train, checkpoints=checkpoints).iter_reports()
    for _ in range(3):
        next(first)
    first.close()
    second = an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged=3)
    assert [(r.epoch, r.metrics["iou"]) for r in second.iter_reports()] == [(3, 3.0), (4, 4.0)]


def test_a_function_that_does_not_load_begins_again(tmp_path: Path) -> None:
    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(saves, checkpoints=checkpoints).iter_reports()
    next(first)
    first.close()
    second = an_attempt(yields, checkpoints=checkpoints, attempt=2, acknowledged=1)
    assert [r.epoch for r in second.iter_reports()] == [1, 2, 3, 4]
    assert second.resumed_from == 0


def test_elapsed_seconds_go_on_behind_those_of_the_saved_report(tmp_path: Path) -> None:
    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(saves, checkpoints=checkpoints).iter_reports()
    seconds = [next(first).elapsed_s, next(first).elapsed_s]
    first.close()
    third = next(an_attempt(saves, checkpoints=checkpoints, attempt=2, acknowledged=2).iter_reports())
    assert third.elapsed_s == pytest.approx(seconds[1] + third.epoch_s)


@pytest.mark.parametrize("behind_the_loop", [True, False])
def test_the_last_state_stays_as_the_trials_weights(tmp_path: Path, behind_the_loop: bool) -> None:
    from tune_jobs.worker.saved_state import owner_of_state, read_state

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        yield from saves(params, run)
        if behind_the_loop:
            run.save({"name": "averaged"})

    checkpoints = checkpoints_in(tmp_path)
    reports_of(train, checkpoints=checkpoints)
    recipes = {1: RECIPE.to_json()}
    (path,) = checkpoints.iter_own(3, ("final",), recipes, [], read_owner=owner_of_state)
    state = read_state(path).state
    assert state == {"name": "averaged"} if behind_the_loop else state["epoch"] == 4


def loads_twice(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
    state, _ = run.load() or {"epoch": 0}, run.load_folder()
    for epoch in range(state["epoch"] + 1, run.epochs + 1):
        run.save({"epoch": epoch})
        yield {"iou": epoch / 10}


def test_of_a_damaged_state_the_one_before_it_is_used_and_a_message_says_so_once(tmp_path: Path) -> None:
    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(loads_twice, checkpoints=checkpoints).iter_reports()
    for _ in range(3):
        next(first)
    first.close()
    torn = checkpoints.folder(3) / "attempt-1.pt"
    torn.write_bytes(torn.read_bytes()[:100])
    second = an_attempt(loads_twice, checkpoints=checkpoints, attempt=2, acknowledged=3)
    reports = second.iter_reports()
    assert next(reports).epoch == 3
    said = second.with_resumed(WorkerInfo(pid=7))
    assert (said.pid, said.resumed_from_epoch) == (7, 2)
    assert said.passed_over == f"{torn} is not a snapshot, or is damaged; start without it"
    assert second.with_resumed(WorkerInfo()) == WorkerInfo()


def test_a_store_that_stays_away_costs_the_state_and_not_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object, **words: object) -> Iterator[Path]:
        raise OSError("could not list the bucket")

    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(loads_twice, checkpoints=checkpoints).iter_reports()
    next(first)
    first.close()
    monkeypatch.setattr("tune_jobs.checkpoints.saving.READ_PAUSES_S", (0.0, 0.0))
    monkeypatch.setattr(Checkpoints, "iter_living", away)
    second = an_attempt(loads_twice, checkpoints=checkpoints, attempt=2, acknowledged=1)
    assert [report.epoch for report in second.iter_reports()] == [1, 2, 3, 4]
    assert (second.resumed_from, second.passed_over) == (0, "could not list the bucket")


def test_a_folder_is_kept_as_files(tmp_path: Path) -> None:
    found: list[str] = []

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        folder = run.load_folder()
        if folder is not None:
            found.append((folder / "inner" / "model.txt").read_text())
        written = run.scratch / "checkpoint" / "inner"
        written.mkdir(parents=True)
        (written / "model.txt").write_text("weights")
        run.save_folder(run.scratch / "checkpoint")
        yield {"iou": 0.1}

    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(train, checkpoints=checkpoints).iter_reports()
    next(first)
    first.close()
    next(an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged=1).iter_reports())
    assert found == ["weights"]


def test_the_scratch_folder_goes_with_the_attempt() -> None:
    seen: list[Path] = []

    def train(params: Params, run: TrialRun) -> dict[str, float]:
        seen.append(run.scratch)
        assert run.scratch.is_dir()
        return {"iou": 0.0}

    reports_of(train)
    assert not seen[0].exists()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (torch.nn.Linear(1, 1), "got Linear at state"),
        ({"model": torch.nn.Linear(1, 1)}, "got Linear at state['model']"),
        ([np.zeros(2)], "got ndarray at state[0]"),
        ({"f": print}, "got builtin_function_or_method at state['f']"),
    ],
)
def test_a_state_of_anything_else_is_refused_with_its_place(state: object, words: str) -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        run.save(state)
        yield {"iou": 0.1}

    with pytest.raises(InvalidValueError) as error:
        reports_of(train)
    assert words in str(error.value)


def test_a_full_disk_costs_the_checkpoint_and_not_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **words: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Checkpoints, "write", full)
    training = an_attempt(saves, checkpoints=checkpoints_in(tmp_path))
    assert next(training.iter_reports()).epoch == 1
    assert training.take_unsaved() == {"checkpoint to resume from": "No space left on device"}
    assert training.take_unsaved() == {}


@pytest.mark.parametrize("generator", [True, False])
def test_an_exit_of_the_program_is_an_error_of_the_trial(generator: bool) -> None:
    def yields_then_exits(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        yield {"iou": 0.1}
        raise SystemExit(3)

    def calls_then_exits(params: Params, run: TrialRun) -> None:
        run.report({"iou": 0.1})
        raise SystemExit(3)

    with pytest.raises(RuntimeError, match=r"the training function called sys.exit\(3\)"):
        reports_of(yields_then_exits if generator else calls_then_exits)


def test_a_clean_up_that_raises_as_a_trial_is_stopped_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        try:
            yield {"iou": 0.1}
        finally:
            raise ValueError("no such run of the tracker")

    taken = an_attempt(train).iter_reports()
    next(taken)
    taken.close()
    assert "no such run of the tracker" in caplog.text


class Stage(StrEnum):
    """A value that a file would not give back."""

    WARM = "warm"


def test_numbers_of_numpy_and_members_of_enumerations_come_back_as_plain_values(tmp_path: Path) -> None:
    found: list[Any] = []

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        found.append(run.load())
        run.save(
            {"best": np.float64(0.5), "count": np.int64(3), "is_new": np.bool_(True), "stage": Stage.WARM}
        )
        yield {"iou": 0.1}

    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(train, checkpoints=checkpoints).iter_reports()
    next(first)
    first.close()
    next(an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged=1).iter_reports())
    assert found == [None, {"best": 0.5, "count": 3, "is_new": True, "stage": "warm"}]
    assert [type(value) for value in found[1].values()] == [float, int, bool, str]


def test_a_loaded_state_is_a_copy_and_stays_the_trials_last_state(tmp_path: Path) -> None:
    from tune_jobs.worker.saved_state import owner_of_state, read_state

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        state = run.load()
        if state is None:
            run.save({"weight": torch.ones(1)})
        else:
            state["weight"] += 1  # in place: the stored state must not change
        for _ in range(4 - run._last):
            yield {"iou": 0.1}

    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(train, checkpoints=checkpoints).iter_reports()
    next(first)
    first.close()
    assert (
        len(list(an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged=1).iter_reports())) == 3
    )
    recipes = dict.fromkeys((1, 2), RECIPE.to_json())
    (path,) = checkpoints.iter_own(3, ("final",), recipes, [], read_owner=owner_of_state)
    assert read_state(path).state == {"weight": torch.ones(1)}


def test_a_folder_and_a_state_may_be_saved_at_different_reports(tmp_path: Path) -> None:
    found: list[bool] = []

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        found.append(run.load_folder() is not None)
        (run.scratch / "kept").mkdir(exist_ok=True)
        run.save_folder(run.scratch / "kept")
        for epoch in range(1, 4):
            yield {"iou": 0.1}
            run.save({"epoch": epoch})

    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(train, checkpoints=checkpoints).iter_reports()
    for _ in range(3):
        next(first)
    first.close()
    next(an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged=3).iter_reports())
    assert found == [False, True]
