"""How own training ends: stopped, failed, at its last report, and what still runs or reports after it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from own_attempts import Params, an_attempt, reports_of
from patience import wait_until

from tune_jobs.worker import own_attempt
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
