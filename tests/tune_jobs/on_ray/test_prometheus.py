"""The metrics of a running study, on series that only note what is set. Starts no Ray."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from session_testing import WORKER, Clock, MemoryLog, a_study, rising

from tune_jobs.on_ray import prometheus
from tune_jobs.session.state_machine import Session

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


class Series:
    """A gauge or a counter: the last value, or the sum, by name and labels."""

    seen: dict[tuple[str, ...], float]

    def __init__(self, name: str, **words: Any) -> None:
        self._name = name

    def set(self, value: float, tags: dict[str, str]) -> None:
        self.seen[self._name, *tags.values()] = value

    def inc(self, value: float, tags: dict[str, str]) -> None:
        key = (self._name, *tags.values())
        self.seen[key] = self.seen.get(key, 0) + value


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    time = SimpleNamespace(now=100.0)
    time.monotonic = lambda: time.now
    monkeypatch.setattr(prometheus, "time", time)
    monkeypatch.setattr(prometheus, "Gauge", Series)
    monkeypatch.setattr(prometheus, "Counter", Series)
    monkeypatch.setattr(Series, "seen", {}, raising=False)
    return time


@pytest.mark.parametrize(("busy", "seconds"), [(None, None), (0.25, 5.0)])
def test_busy_seconds_of_a_gpu_are_a_series_and_on_a_cpu_there_is_none(
    now: SimpleNamespace, busy: float | None, seconds: float | None
) -> None:
    log = MemoryLog()
    session = Session(a_study(trials=1, asha=None), log, clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    name = session.study.name
    worker = replace(WORKER, gpu_busy=busy, step_s=None if busy is None else 0.01)
    for epoch in range(1, attempt.recipe.epochs + 1):
        report = {**rising(attempt, epoch), "epoch_s": 20.0 / attempt.recipe.epochs}
        session.record_report(attempt.number, report, worker)
    prometheus.StudyMetrics(name, log.rows).update(session.progress())
    found = Series.seen.get(("tune_jobs_gpu_busy_seconds", name))
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_metrics_count_the_reports_of_this_driver_alone(now: SimpleNamespace) -> None:
    log = MemoryLog()
    session = Session(a_study(trials=2, asha=None), log, clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_report(attempt.number, rising(attempt, 1), WORKER)
    name = session.study.name
    studied = prometheus.StudyMetrics(name, log.rows)  # of a driver that continues from here
    for epoch in (2, 3):
        session.record_report(attempt.number, rising(attempt, epoch), WORKER)
        now.now += prometheus.PERIOD_S
        studied.update(session.progress())
        studied.update(session.progress())  # too soon to count again
    assert Series.seen["tune_jobs_reports", name] == 2
    assert Series.seen["tune_jobs_trials", name, "running"] == 1
    assert Series.seen["tune_jobs_trials_wanted", name] == 2
