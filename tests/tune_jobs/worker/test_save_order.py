"""A training function that saves behind its reports is noticed, and no other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import pytest
from own_attempts import an_attempt

from tune_jobs import Float, Maximize, Space, Study, run_study
from tune_jobs.worker.save_order import ADVICE


@pytest.fixture
def spend(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets seconds pass at once."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def pass_by(seconds: float) -> None:
        now[0] += seconds

    return pass_by


def order_of(steps: str, spend: Callable[[float], None], *, reports: bool) -> list[str | None]:
    """The advice with each report; an epoch has these steps: t(rain) s(ave) r(eport) v(alidate)."""

    def act(step: str, run: Any) -> None:
        if step == "t":
            spend(1.0)
        elif step == "q":
            spend(0.0001)
        elif step == "v":
            spend(0.3)
        elif step == "s":
            run.save({"x": 1})

    def generates(params: Any, run: Any) -> Any:
        for _ in range(run.epochs):
            for step in steps:
                if step == "r":
                    yield {"iou": 1.0}
                act(step, run)

    def calls(params: Any, run: Any) -> None:
        for _ in range(run.epochs):
            for step in steps:
                if step == "r":
                    run.report({"iou": 1.0})
                act(step, run)

    attempt = an_attempt(calls if reports else generates)
    return [attempt.advice for _ in attempt.iter_reports()]


@pytest.mark.parametrize("reports", [False, True])
@pytest.mark.parametrize(
    ("steps", "noticed"),
    [
        ("trs", True),
        ("tvrs", True),
        ("tsr", False),
        ("tsvr", False),
        ("str", False),  # at the start of each epoch, so before the first report too
        ("rts", False),  # the next epoch is trained before its state is saved
        ("rvst", False),
        ("tr", False),
        ("qrs", False),  # too short to know
        ("tsrs", False),
    ],
)
def test_saves_behind_each_report_are_noticed_at_the_third(
    spend: Callable[[float], None], steps: str, noticed: bool, reports: bool
) -> None:
    expected = [None, None, ADVICE if noticed else None, None]
    assert order_of(steps, spend, reports=reports) == expected


def late(params: Any, run: Any) -> Any:
    for _ in range(run.epochs):
        time.sleep(0.06)
        yield {"score": params["x"]}
        run.save({"x": 1})


def test_a_run_says_it_once(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    objective = Maximize("score")
    study = Study(name="late", space=Space(Float("x", 0, 1)), train=late, objectives=objective, epochs=3)
    with caplog.at_level(logging.WARNING):
        run_study(study.with_changes(trials=2, asha=None), store=tmp_path, inline=True)
    assert [record.message for record in caplog.records] == [f"trial 0: {ADVICE}"]
