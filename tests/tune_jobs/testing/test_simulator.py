"""Simulated searches: real proposals and rungs over curves that are given, the same in each run."""

from __future__ import annotations

from session_testing import a_study

from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import Failure, ReportRow, State, TrialRow
from tune_jobs.testing.simulator import simulate

STUDY = a_study(sampler="random", trials=12)


def rising(params: Params, number: int, epoch: int) -> float:
    """Values that rise with the number of the trial and its epochs."""
    return number / 100 + epoch / 1000


def test_study_runs_to_its_end_and_stops_at_rungs() -> None:
    log = simulate(STUDY, rising)
    ends = [row for row in log.rows if isinstance(row, TrialRow)]
    assert len(ends) == log.history.num_trained == STUDY.trials
    assert {row.state for row in ends} <= {State.COMPLETED, State.STOPPED}
    for row in ends:
        epochs = [r.epoch for r in log.rows if isinstance(r, ReportRow) and r.number == row.number]
        assert epochs == list(range(1, len(epochs) + 1))
        assert (len(epochs) == STUDY.recipe.epochs) == (row.state is State.COMPLETED)


def test_same_arguments_make_the_same_rows() -> None:
    assert simulate(STUDY, rising).rows == simulate(STUDY, rising).rows


def test_worst_first_means_that_nothing_is_stopped() -> None:
    log = simulate(STUDY, rising, workers=1)
    ends = [row for row in log.rows if isinstance(row, TrialRow)]
    assert {row.state for row in ends} == {State.COMPLETED}  # each trial is better than all before it


def test_refused_proposals_are_rows_and_are_not_trained() -> None:
    log = simulate(STUDY, rising, refused=lambda params, number: 10**9 if number % 3 == 0 else None)
    refused = [row for row in log.rows if isinstance(row, TrialRow) and row.state is State.INFEASIBLE]
    assert {row.number % 3 for row in refused} == {0}
    assert {row.macs for row in refused} == {10**9}
    assert log.history.num_trained == STUDY.trials


def test_curve_without_a_value_is_a_trial_that_diverged() -> None:
    log = simulate(STUDY, lambda params, number, epoch: None if number == 2 else 0.5)
    (failed,) = [row for row in log.rows if isinstance(row, TrialRow) and row.state is State.FAILED]
    assert (failed.number, failed.failure) == (2, Failure.DIVERGED)
