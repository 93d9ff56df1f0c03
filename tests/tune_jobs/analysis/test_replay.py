"""A trial trained again: each report is compared with that of its own epoch."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from session_testing import WORKER, Clock, MemoryLog, a_study
from store_testing import start

from eml_models import Recipe, fit
from eml_models.errors import InvalidValueError
from tune_jobs.analysis.replay import (
    ReplayedEpoch,
    begin_replay,
    iter_replay,
    require_started,
    stored_trial,
    tolerance_of,
)
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.fits import fit_recipe, name_of_fit
from tune_jobs.study.rows import Failure


def test_reports_are_compared_by_their_epoch_where_the_store_lacks_some() -> None:
    recipe = Recipe(learning_rate=0.1, epochs=4, max_train_samples=64)
    log = MemoryLog()
    session = Session(a_study(recipe=recipe, trials=1, asha=None), log, clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    for report in fit(attempt.recipe):
        if report.epoch in (2, 3):
            metrics = {name: getattr(report, name) for name in type(report).__slots__}
            session.record_report(attempt.number, metrics, WORKER)
    trial = stored_trial(log.rows, attempt.number, fit=name_of_fit(fit_recipe))
    replayed = list(iter_replay(trial, begin_replay(trial, device="cpu", data_dir=None), device="cpu"))
    assert [(epoch.epoch, epoch.equal) for epoch in replayed] == [(2, True), (3, True)]
    assert [epoch.stored[0] for epoch in replayed] == [row.train_loss for row in log.reports]


@pytest.mark.parametrize(
    ("accuracy", "num_images", "tolerance"),
    [
        (0.9, 10_000, 0.009),  # 3 * sqrt(0.9 * 0.1 / 10,000)
        (0.5, 100, 0.15),
        (1.0, 100, 3 * math.sqrt(0.01 * 0.99 / 100)),  # as if one image were wrong
        (None, 100, 0.0),
        (0.9, 0, 0.0),
    ],
)
def test_tolerance_is_three_standard_errors(
    accuracy: float | None, num_images: int, tolerance: float
) -> None:
    assert tolerance_of(accuracy, num_images) == pytest.approx(tolerance)


def on_cuda(kernels: str | None) -> WorkerInfo:
    return replace(WORKER, device="cuda: x", kernels=kernels)


@pytest.mark.parametrize(
    ("workers", "asked", "tolerance"),
    [
        ([on_cuda("deterministic")], "deterministic", None),
        ([on_cuda("default")], "default", 0.09),
        ([on_cuda("searched")], "default", 0.09),
        ([on_cuda(None)], "default", 0.09),
        ([WORKER], "default", 0.09),  # trained on a CPU, replayed on CUDA
        ([on_cuda("deterministic"), on_cuda("default")], "default", 0.09),  # its first attempt crashed
    ],
)
def test_a_replay_on_cuda_is_to_the_bit_only_where_all_kernels_were_deterministic(
    monkeypatch: pytest.MonkeyPatch, workers: list[WorkerInfo], asked: str, tolerance: float | None
) -> None:
    log, asked_for = MemoryLog(), []
    session = Session(a_study(trials=1, asha=None), log, clock=Clock())
    *crashed, last = workers
    for worker in crashed:
        attempt = session.next_attempt()
        assert attempt is not None
        session.record_begin(attempt.number, worker)
        session.record_failure(attempt.number, Failure.CRASHED, "lost", worker=WorkerInfo())
    attempt = session.next_attempt()
    assert attempt is not None
    session.record_begin(attempt.number, last)
    stored = {"epoch": 1, "train_loss": 1.0, "train_accuracy": 0.5, "val_loss": 1.0, "val_accuracy": 0.9}
    session.record_report(attempt.number, stored, WorkerInfo())

    class Training(Iterator[SimpleNamespace]):
        num_validation = 100

        def __next__(self) -> SimpleNamespace:
            return SimpleNamespace(**{**stored, "val_accuracy": 0.95, "train_loss": 1.1})

    def fit_again(recipe: Recipe, *, kernels: str, **options: Any) -> Training:
        asked_for.append(kernels)
        return Training()

    monkeypatch.setattr("eml_models.training.loop.fit", fit_again)
    trial = stored_trial(log.rows, 0, fit=name_of_fit(fit_recipe))
    (epoch,) = iter_replay(trial, begin_replay(trial, device="cuda", data_dir=None), device="cuda")
    assert asked_for == [asked]
    assert epoch.tolerance == (None if tolerance is None else pytest.approx(tolerance))
    assert not epoch.equal
    assert epoch.agrees == (tolerance is not None)
    worse = replace(epoch, replayed=(1.0, 0.5, 1.0, 0.80))
    assert not worse.agrees


def test_a_replay_on_a_cpu_is_to_the_bit() -> None:
    epoch = ReplayedEpoch(epoch=1, stored=(1.0, 0.5, 1.0, 0.9), replayed=(1.0, 0.5, 1.0, 0.9000000000000001))
    assert not epoch.agrees


@pytest.mark.parametrize(
    ("trained", "words"),
    [
        ((1, 2, 3), "1 to 3"),
        ((0, 2, 3, 5), "0, 2 to 3, 5"),
        ((0,), "0"),
        (tuple(range(0, 24, 2)), "0, 2, 4, 6, 8, 10, 12, 14, 16, 18, ..."),
    ],
)
def test_the_trained_ones_are_named_without_those_that_a_limit_refused(
    trained: tuple[int, ...], words: str
) -> None:
    rows = [start(number) for number in trained]
    with pytest.raises(
        InvalidValueError, match=re.escape(f"trial 9 was never trained; the trained ones are {words}") + "$"
    ):
        require_started(rows, 9)


def test_trial_of_a_study_without_trained_ones_is_refused_with_a_way_out() -> None:
    with pytest.raises(
        InvalidValueError, match=r"trial 0 was never trained; no trial .* yet, so run it first"
    ):
        require_started([], 0)
