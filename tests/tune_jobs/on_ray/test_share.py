"""Shares of a GPU: chosen from a measured step, and doubled for a trial that ran out."""

from __future__ import annotations

import pytest
from session_testing import Clock, MemoryLog, a_study, rising

from eml_models.training.device_load import StepLoad
from tune_jobs.on_ray.gpus.share import Shares, choose_part, fastest_together
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.rows import Failure

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


GB = 10**9


@pytest.mark.parametrize(
    ("peak", "beside", "busy", "trials"),
    [
        (30, 1, 0.1, 1),
        (80, 1, 0.1, 1),  # more than there is: it is tried all the same, with a note
        (15, 1, 0.1, 2),  # 40 / (15 * 1.25 + 1) is 2.03
        (15, 1.5, 0.1, 1),  # a context that takes more leaves room for one less
        (2, 0.5, 0.05, 13),  # 40 / 3 is 13.3: no cap but memory's
        (2, 0.5, 0.2, 6),  # that many keep the GPU busy, and a fifth more
        (2, 0.5, 0.95, 2),
        (2, 0.5, 1.0, 2),
    ],
)
def test_measured_step_decides_how_many_share(peak: float, beside: float, busy: float, trials: int) -> None:
    load = StepLoad(peak_bytes=int(peak * GB), beside_bytes=int(beside * GB), total_bytes=40 * GB, busy=busy)
    part = choose_part(load)
    assert part.gpus == 1 / trials
    assert part.beside_bytes == load.beside_bytes


@pytest.mark.parametrize(
    ("others", "trials"),
    [(0, 13), (10, 10), (25, 5), (39, 1)],  # of 40 GB, for trials of 3 GB
)
def test_memory_that_strangers_hold_is_shared_out_to_nobody(others: float, trials: int) -> None:
    load = StepLoad(
        peak_bytes=2 * GB, beside_bytes=GB // 2, total_bytes=40 * GB, busy=0.05, others_bytes=int(others * GB)
    )
    part = choose_part(load)
    assert part.gpus == 1 / trials
    torchs = trials * (part.gpus * load.total_bytes - part.beside_bytes)
    assert torchs + trials * load.beside_bytes + load.others_bytes <= load.total_bytes + trials


@pytest.mark.parametrize(
    ("images_per_s", "trials"),
    [
        ({1: 100.0}, 1),
        ({1: 100.0, 2: 99.0, 4: 98.0}, 1),  # the card is full
        ({1: 100.0, 2: 114.0, 4: 120.0}, 1),  # less than the least gain, of each over the other
        ({1: 100.0, 2: 115.0, 4: 116.0}, 2),
        ({1: 100.0, 2: 180.0, 4: 150.0}, 2),  # four get in each other's way
        ({1: 100.0, 2: 90.0, 4: 110.0}, 1),  # faster than two, and hardly faster than a single one
        ({1: 100.0, 2: 105.0, 4: 130.0}, 4),
        ({1: 100.0, 2: 180.0, 4: 323.0}, 4),
        ({1: 100.0, 2: 180.0, 4: 324.0}, 8),  # 1.8 times: nearly linear
        ({1: 100.0, 2: 200.0, 3: 300.0}, 3),  # memory held three
        ({1: 100.0, 2: 200.0}, 2),
    ],
)
def test_the_number_of_trials_is_the_fastest_that_was_measured(
    images_per_s: dict[int, float], trials: int
) -> None:
    assert fastest_together(images_per_s) == trials


@pytest.mark.parametrize(
    ("peak", "images_per_s", "trials"),
    [
        (2, {}, 2),  # not measured: the busy share decides
        (2, {1: 100.0, 2: 101.0, 4: 102.0}, 1),  # measured: it does not
        (2, {1: 100.0, 2: 150.0, 4: 240.0}, 4),
        (2, {1: 100.0, 2: 200.0, 4: 400.0}, 8),
        (4, {1: 100.0, 2: 200.0, 4: 400.0}, 7),  # of 40 GB, for trials of 5.5
    ],
)
def test_measured_paces_decide_in_place_of_the_busy_share(
    peak: int, images_per_s: dict[int, float], trials: int
) -> None:
    load = StepLoad(peak_bytes=peak * GB, beside_bytes=GB // 2, total_bytes=40 * GB, busy=0.95)
    assert choose_part(load, images_per_s).gpus == 1 / trials


def test_share_doubles_for_each_time_that_a_trial_ran_out_also_after_a_resume() -> None:
    log = MemoryLog()
    session = Session(a_study(trials=2, asha=None), log, clock=Clock())
    shares = Shares(0.25)
    worker = WorkerInfo(device="cuda: x", peak_memory_bytes=11 * GB)
    for expected in (0.25, 0.5):  # the trial that ran out goes before a new proposal
        attempt = session.next_attempt()
        assert attempt is not None
        assert (attempt.number, shares.of(0)) == (0, expected)
        shares.note(0, Failure.OUT_OF_SHARE)
        session.record_failure(0, Failure.OUT_OF_SHARE, "OutOfMemoryError: x", worker=worker)
    third = session.next_attempt()
    assert third is not None
    session.record_report(0, rising(third, 1), worker)
    assert Shares(0.25, log.rows).of(0) == shares.of(0) == 1.0
    assert Shares(0.25, log.rows).of(1) == 0.25
    assert Shares(2.0, log.rows).of(0) == 2.0


def test_a_fault_of_a_shared_gpu_leads_its_trials_apart_until_the_culprit_is_alone() -> None:
    """Four trials under an MPS server: trial 2 faults at each try, and every neighbour ends with it."""
    shares, rounds = Shares(0.25), 0
    while shares.of(2) < 1:
        rounds += 1
        for number in range(round(1 / shares.of(2))):
            shares.note((2 + number) % 4, Failure.SHARED_FAULT)
    assert rounds == 2
    assert shares.of(2) == 1.0
    assert shares.of(1) < 1.0  # it was no neighbour in the second round


def test_out_of_memory_has_its_peak_in_the_row() -> None:
    log = MemoryLog()
    session = Session(a_study(trials=1), log, clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    worker = WorkerInfo(peak_memory_bytes=7 * GB)
    session.record_failure(attempt.number, Failure.OUT_OF_MEMORY, "OutOfMemoryError: x", worker=worker)
    assert log.trials[0].peak_memory_bytes == 7 * GB
