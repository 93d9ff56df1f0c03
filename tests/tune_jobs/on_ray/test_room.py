"""Room on nodes, and shares of a GPU: pure counting, no cluster."""

from __future__ import annotations

import pytest
from session_testing import Clock, MemoryLog, a_study, rising

from eml_models.errors import BatchTooLargeError, NotCompiledError, UnsupportedModeError
from eml_models.training.recipe import Recipe
from eml_models.training.step_load import StepLoad, measure_step_load
from tune_jobs.errors import TuneJobsError
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.on_ray.gpus.share import Shares, choose_part
from tune_jobs.on_ray.messages import AttemptFailed, WorkerUnusable
from tune_jobs.on_ray.worker.describing_failure import describe_failure
from tune_jobs.on_ray.worker.gpu_limit import CONTEXT_BYTES, memory_fraction
from tune_jobs.search.largest import largest_candidate
from tune_jobs.session.attempt import WorkerInfo
from tune_jobs.session.state_machine import Session
from tune_jobs.study.rows import Failure

GB = 10**9
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(
    ("cpus", "gpus", "nodes", "room"),
    [
        (1, 0, [{"CPU": 2}, {"CPU": 3}], 5),
        (4, 0, [{"CPU": 2}, {"CPU": 3}], 0),  # 5 in all, and none of them has 4
        (1, 0.25, [{"CPU": 16, "GPU": 2}], 8),
        (3, 0.25, [{"CPU": 16, "GPU": 2}], 5),  # the CPUs bind
        (1, 0.3, [{"CPU": 16, "GPU": 2}], 6),  # a fraction lies on one device
        (1, 1 / 3, [{"CPU": 16, "GPU": 1}], 3),
        (1, 2, [{"CPU": 8, "GPU": 3}, {"CPU": 8}], 1),
        (1, 1, [{"CPU": 0}, {}], 0),
    ],
)
def test_room_is_counted_node_by_node(
    cpus: int, gpus: float, nodes: list[dict[str, float]], room: int
) -> None:
    from tune_jobs.on_ray.cluster.room import Share, count_room

    assert count_room(Share(cpus=cpus, gpus=gpus), nodes) == room


@pytest.mark.parametrize(
    ("cpus", "gpus", "free", "trials"),
    [
        (1, 0, [{"CPU": 2}, {"CPU": 3}], 5),
        (2, 0, [{"CPU": 1}, {"CPU": 1}, {"memory": 9}], 0),  # pieces of several nodes
        (1, 0.25, [{"CPU": 8, "GPU": 0.75}, {"CPU": 1, "GPU": 1}], 4),
        (1, 1 / 3, [{"CPU": 8, "GPU": 1 - 1 / 3}], 2),
        (1, 1, [{"CPU": 8, "GPU": 0.75}, {"CPU": 8, "GPU": 0.25}], 0),
    ],
)
def test_what_is_free_is_counted_node_by_node(
    cpus: int, gpus: float, free: list[dict[str, float]], trials: int
) -> None:
    from tune_jobs.on_ray.cluster.room import Share, count_free

    assert count_free(Share(cpus=cpus, gpus=gpus), free) == trials


def test_share_of_memory_leaves_room_for_the_context() -> None:
    assert memory_fraction(0.25, 40 * GB) == pytest.approx(0.25 - CONTEXT_BYTES / (40 * GB))
    with pytest.raises(TuneJobsError, match="no more than a CUDA context"):
        memory_fraction(0.01, 40 * GB)


@pytest.mark.parametrize(
    ("peak", "beside", "busy", "trials"),
    [
        (30, 1, 0.1, 1),
        (80, 1, 0.1, 1),  # more than there is: it is tried all the same, and told of
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


def test_what_was_measured_beside_torchs_memory_is_left_out_of_the_share() -> None:
    assert memory_fraction(0.25, 40 * GB, 2 * GB) == pytest.approx(0.25 - 2 / 40)
    with pytest.raises(TuneJobsError, match=r"no more than a CUDA context takes \(3\.0 GB\)"):
        memory_fraction(0.05, 40 * GB, 3 * GB)


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


def test_out_of_memory_has_its_peak_in_the_row() -> None:
    log = MemoryLog()
    session = Session(a_study(trials=1), log, clock=Clock())
    attempt = session.next_attempt()
    assert attempt is not None
    worker = WorkerInfo(peak_memory_bytes=7 * GB)
    session.record_failure(attempt.number, Failure.OUT_OF_MEMORY, "OutOfMemoryError: x", worker=worker)
    assert log.trials[0].peak_memory_bytes == 7 * GB


def test_largest_candidate_is_within_the_limits_and_has_the_largest_batch() -> None:
    from tune_jobs.feasible.cost import count_cost

    study = SHIPPED["digits-mobilenet"]()
    recipe = largest_candidate(study, drawn=40)
    assert isinstance(recipe, Recipe)
    assert study.limits.max_macs is not None
    assert count_cost(recipe).macs <= study.limits.max_macs
    few = largest_candidate(study, drawn=8)
    assert count_cost(recipe).activations >= count_cost(few).activations
    assert largest_candidate(SHIPPED["digits-recipes"](), drawn=40).batch_size == 128


def test_load_of_a_step_is_measured() -> None:
    found = measure_step_load(Recipe(learning_rate=0.1, epochs=1), device="cpu")
    assert 50 << 20 < found.peak_bytes < found.total_bytes
    assert (found.beside_bytes, found.busy) == (0, 1.0)


@pytest.mark.parametrize(("gpus", "kind"), [(0.5, Failure.OUT_OF_SHARE), (1.0, Failure.OUT_OF_MEMORY)])
def test_a_batch_to_time_that_does_not_fit_into_a_share_asks_for_a_larger_one(
    gpus: float, kind: Failure
) -> None:
    error = BatchTooLargeError("a batch of 128 does not fit")
    message = describe_failure(error, gpus=gpus, worker=WorkerInfo())
    assert isinstance(message, AttemptFailed)
    assert message.failure is kind


def test_one_network_that_no_compiler_takes_ends_its_trial_and_not_the_run() -> None:
    words = ("mode fp32/nchw/compile on cpu", "the model cannot be compiled: KeyError: 'x'")
    of_trial = describe_failure(NotCompiledError(*words), gpus=0, worker=WorkerInfo())
    of_worker = describe_failure(UnsupportedModeError(*words), gpus=0, worker=WorkerInfo())
    assert isinstance(of_trial, AttemptFailed)
    assert isinstance(of_worker, WorkerUnusable)
