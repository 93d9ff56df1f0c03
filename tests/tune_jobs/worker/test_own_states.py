"""States that own training saves: what a later attempt loads, and what stays at the end."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_attempts import RECIPE, Params, an_attempt, checkpoints_in, reports_of, yields

from eml_models.errors import InvalidValueError
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.worker.trial_run import TrialRun


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
    second = an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged={1: acknowledged})
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
    next(an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged={1: 2}).iter_reports())
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
    second = an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged={1: 3})
    assert [(r.epoch, r.metrics["iou"]) for r in second.iter_reports()] == [(3, 3.0), (4, 4.0)]


def test_a_function_that_does_not_load_begins_again(tmp_path: Path) -> None:
    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(saves, checkpoints=checkpoints).iter_reports()
    next(first)
    first.close()
    second = an_attempt(yields, checkpoints=checkpoints, attempt=2, acknowledged={1: 1})
    assert [r.epoch for r in second.iter_reports()] == [1, 2, 3, 4]
    assert second.resumed_from == 0


def test_elapsed_seconds_go_on_behind_those_of_the_saved_report(tmp_path: Path) -> None:
    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(saves, checkpoints=checkpoints).iter_reports()
    seconds = [next(first).elapsed_s, next(first).elapsed_s]
    first.close()
    third = next(an_attempt(saves, checkpoints=checkpoints, attempt=2, acknowledged={1: 2}).iter_reports())
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
    second = an_attempt(loads_twice, checkpoints=checkpoints, attempt=2, acknowledged={1: 3})
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
    second = an_attempt(loads_twice, checkpoints=checkpoints, attempt=2, acknowledged={1: 1})
    assert [report.epoch for report in second.iter_reports()] == [1, 2, 3, 4]
    assert (second.resumed_from, second.passed_over) == (0, "could not list the bucket")


def holding_itself() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (torch.nn.Linear(1, 1), "got Linear at state"),
        ({"model": torch.nn.Linear(1, 1)}, "got Linear at state['model']"),
        ([np.zeros(2)], "got ndarray at state[0]"),
        ({"f": print}, "got builtin_function_or_method at state['f']"),
        ({"best": {(1, 2): 3}}, "got tuple at a key of state['best']"),
        ({torch.ones(1): 3}, "got Tensor at a key of state"),
        ([torch.eye(2).to_sparse()], "got a tensor that cannot be copied"),
        ({"w": torch.ones(2, device="meta")}, "layout torch.strided) at state['w']"),
        (torch.nn.LazyLinear(2).state_dict(), "at state['weight']"),
        ([10**1000], "got a whole number of 3,322 bits (the most are 2,000) at state[0]"),
        (holding_itself(), "got lists or dictionaries that hold themselves"),
    ],
)
def test_a_state_of_anything_else_is_refused_with_its_place(state: object, words: str) -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        run.save(state)
        yield {"iou": 0.1}

    with pytest.raises(InvalidValueError) as error:
        reports_of(train)
    assert words in str(error.value)


def test_the_state_of_pythons_own_generator_comes_back_as_it_takes_it(tmp_path: Path) -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        generator = random.Random(run.seed)
        if (state := run.load()) is not None:
            generator.setstate(state["generator"])
        for _ in range(run.epochs - run._last):
            value = generator.random()
            run.save({"generator": generator.getstate(), "largest": 2**2000 - 1})
            yield {"iou": value}

    checkpoints = checkpoints_in(tmp_path)
    first = an_attempt(train, checkpoints=checkpoints).iter_reports()
    found = [next(first).metrics, next(first).metrics]
    first.close()
    second = an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged={1: 2})
    found += [report.metrics for report in second.iter_reports()]
    assert found == [report.metrics for report in an_attempt(train).iter_reports()]


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
    next(an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged={1: 1}).iter_reports())
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
        len(list(an_attempt(train, checkpoints=checkpoints, attempt=2, acknowledged={1: 1}).iter_reports()))
        == 3
    )
    recipes = dict.fromkeys((1, 2), RECIPE.to_json())
    (path,) = checkpoints.iter_own(3, ("final",), recipes, [], read_owner=owner_of_state)
    assert read_state(path).state == {"weight": torch.ones(1)}
