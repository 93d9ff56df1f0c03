"""How own training ends: stopped, failed, at its last report, and what still runs or reports after it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from own_attempts import RECIPE, Params, an_attempt, checkpoints_in, loads_in_next, reports_of
from patience import wait_until

from tune_jobs.worker import own_attempt
from tune_jobs.worker.own_attempt import OwnAttempt
from tune_jobs.worker.trial_run import TrialRun, TrialStopped


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


def reports_in_finally(params: Params, run: TrialRun) -> None:
    try:
        run.report({"iou": 0.1})
        if params["momentum"] == "fails":
            raise ValueError("bad")
    finally:
        run.report({"iou": 0.2})


def yields_in_finally(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
    try:
        yield {"iou": 0.1}
        if params["momentum"] == "fails":
            raise ValueError("bad")
    finally:
        yield {"iou": 0.2}


@pytest.mark.parametrize("train", [reports_in_finally, yields_in_finally])
def test_a_report_in_a_finally_counts_at_the_end_and_before_a_failure_and_not_after_a_stop(
    train: Callable[..., Any],
) -> None:
    assert reports_of(train) == [(1, {"iou": 0.1}), (2, {"iou": 0.2})]
    stopped = an_attempt(train).iter_reports()
    next(stopped)
    stopped.close()
    failing = OwnAttempt(train, replace(RECIPE, params={"momentum": "fails"}), number=3).iter_reports()
    assert [next(failing).epoch, next(failing).epoch] == [1, 2]
    with pytest.raises(ValueError, match="bad"):
        next(failing)


@pytest.mark.parametrize(
    "error", [SystemExit(3), TrialStopped("by itself"), asyncio.CancelledError()], ids=repr
)
def test_whatever_a_clean_up_of_a_stopped_generator_raises_is_a_warning(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        try:
            yield {"iou": 0.1}
        finally:
            raise error

    taken = an_attempt(train).iter_reports()
    next(taken)
    taken.close()
    assert f"trial 3 has ended, and its training function then raised: {error!r}" in caplog.text


class Odd(BaseException):
    """No `Exception`, as those of some libraries that end a task."""


@pytest.mark.parametrize("generator", [True, False])
@pytest.mark.parametrize("error", [Odd("end of task"), asyncio.CancelledError(), GeneratorExit()], ids=repr)
def test_what_is_no_exception_fails_the_trial_and_not_the_run(error: BaseException, generator: bool) -> None:
    def yields_first(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        yield {"iou": 0.1}
        raise error

    def calls_first(params: Params, run: TrialRun) -> None:
        run.report({"iou": 0.1})
        raise error

    taken = an_attempt(yields_first if generator else calls_first).iter_reports()
    assert next(taken).epoch == 1
    with pytest.raises(RuntimeError, match=r"the training function raised .*, which is no Exception"):
        next(taken)


def test_a_generator_that_raises_trial_stopped_itself_has_ended() -> None:
    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        yield {"iou": 0.1}
        raise TrialStopped

    assert reports_of(train) == [(1, {"iou": 0.1})]


def test_what_is_reported_after_the_end_is_not_recorded() -> None:
    kept: list[TrialRun] = []

    def train(params: Params, run: TrialRun) -> dict[str, float]:
        kept.append(run)
        return {"iou": 0.1}

    assert reports_of(train) == [(1, {"iou": 0.1})]
    with pytest.raises(TrialStopped):
        kept[0].report({"iou": 0.2})
    kept[0].save({"epoch": 9})  # harmless
    assert reports_of(train) == [(1, {"iou": 0.1})]
    with pytest.raises(TrialStopped):
        kept[0].report({"iou": 0.2})


def test_threads_that_report_after_the_end_of_their_function_end() -> None:
    ended: list[str] = []
    may_report = threading.Event()

    def train(params: Params, run: TrialRun) -> None:
        def report() -> None:
            may_report.wait()
            try:
                while True:
                    run.report({"iou": -1.0})
            except TrialStopped as error:
                ended.append(str(error))

        for _ in range(3):
            threading.Thread(target=report, daemon=True).start()
        run.report({"iou": 0.1})

    assert reports_of(train) == [(1, {"iou": 0.1})]
    assert reports_of(lambda params, run: {"iou": 0.3}) == [(1, {"iou": 0.3})]
    may_report.set()
    wait_until(lambda: len(ended) == 3, "the threads still report", period_s=0.01)
    assert set(ended) == {"trial 3 has ended"}


@pytest.mark.parametrize("generator", [True, False])
def test_any_thread_may_save_and_load_and_a_report_takes_along_what_was_saved(
    tmp_path: Path, generator: bool
) -> None:
    found: list[Any] = []

    def in_thread(work: Callable[[], object]) -> None:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    def yields_first(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        in_thread(lambda: found.append(run.load()))
        in_thread(lambda: run.save({"epoch": len(found)}))
        yield {"iou": 0.1}

    def calls_first(params: Params, run: TrialRun) -> None:
        run.report(next(iter(yields_first(params, run))))

    assert loads_in_next(yields_first if generator else calls_first, tmp_path).resumed_from == 1
    assert found == [None, {"epoch": 1}]


def test_no_save_of_another_thread_is_lost_between_two_reports(tmp_path: Path) -> None:
    """The state after the last save is there, however the saves and the reports fell."""
    last: list[int] = []

    def train(params: Params, run: TrialRun) -> Iterator[dict[str, float]]:
        def save() -> None:
            for epoch in range(300):
                run.save(epoch)
                last[:] = [epoch]

        thread = threading.Thread(target=save)
        thread.start()
        for _ in range(3):
            yield {"iou": 0.1}
        thread.join()
        yield {"iou": 0.2}

    training = an_attempt(train, checkpoints=checkpoints_in(tmp_path))
    assert len(list(training.iter_reports())) == 4
    assert training.saved is not None
    assert training.saved.state == last[0] == 299
