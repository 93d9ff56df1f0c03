"""The copy for Optuna equals our own tables, and Optuna's own analyses run on it."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import optuna
import pandas as pd
import pytest
from every_ending import every_ending
from optuna.trial import TrialState
from own_studies import cells

from tune_jobs import Results, TrialStore, run_study
from tune_jobs.search.distributions import distributions_of
from tune_jobs.search.optuna_copy import optuna_copy
from tune_jobs.study.parameters import Constant
from tune_jobs.study.rows import StartRow, TrialRow

STATES = {
    "completed": TrialState.COMPLETE,
    "stopped": TrialState.PRUNED,
    "infeasible": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return run_study(every_ending(), store=tmp_path_factory.mktemp("store"), inline=True)


@pytest.fixture(scope="module")
def copy(found: Results) -> optuna.Study:
    return found.to_optuna()


def test_states_values_and_reasons_are_those_of_the_trials(found: Results, copy: optuna.Study) -> None:
    table = found.trials
    assert set(table["state"]) == set(STATES)  # the study has all of them
    assert [t.number for t in copy.trials] == list(table["number"])
    assert [t.state for t in copy.trials] == [STATES[state] for state in table["state"]]
    assert [t.user_attrs["state"] for t in copy.trials] == list(table["state"])
    assert [t.user_attrs["reason"] for t in copy.trials] == list(table["reason"])
    for trial, value in zip(copy.trials, table["iou"], strict=True):
        assert trial.value == (value if trial.state is TrialState.COMPLETE else None)
    assert copy.best_trial.number == found.best.number
    assert copy.best_params == found.best.params


def test_intermediate_values_are_the_reports(found: Results, copy: optuna.Study) -> None:
    reports = found.reports.dropna(subset=["iou"])
    ours = {n: dict(zip(r["epoch"], r["iou"], strict=True)) for n, r in reports.groupby("number")}
    assert {t.number: t.intermediate_values for t in copy.trials if t.intermediate_values} == ours


def test_params_are_those_that_apply_with_their_distributions(found: Results, copy: optuna.Study) -> None:
    table, space = found.trials.set_index("number"), found.study.space
    names = [p.name for p in space.parameters if not isinstance(p, Constant)]
    for trial in copy.trials:
        row = table.loc[trial.number]
        assert trial.params == {n: row[f"param_{n}"] for n in names if not pd.isna(row[f"param_{n}"])}
        assert trial.distributions == {n: distributions_of(space)[n] for n in trial.params}
    assert {len(trial.params) for trial in copy.trials} == {2, 3}  # with the condition, and without


def test_constraints_are_the_excess_over_the_limits(found: Results, copy: optuna.Study) -> None:
    for trial, memory in zip(copy.trials, found.trials["memory_gb"], strict=True):
        (excess,) = trial.constraints.values()
        assert excess == pytest.approx((memory - 3) / 3)
        assert (excess > 0) == (trial.user_attrs["state"] == "infeasible")


def test_times_are_those_of_the_rows(found: Results, copy: optuna.Study) -> None:
    starts = {row.number: row.started_at for row in found.known.rows if isinstance(row, StartRow)}
    ends = found.trials.set_index("number")["ended_at"]
    for trial in copy.trials:
        assert trial.datetime_complete is not None
        assert trial.datetime_start is not None
        ended = ends[trial.number].tz_localize("UTC")
        assert trial.datetime_complete.astimezone(UTC) == ended
        assert trial.datetime_start.astimezone(UTC) == starts.get(trial.number, ended)  # refused at once


def test_importances_of_optuna_run_on_it(copy: optuna.Study) -> None:
    few = optuna.importance.FanovaImportanceEvaluator(n_trees=8, seed=0)
    found = optuna.importance.get_param_importances(copy, params=["lr", "head"], evaluator=few)
    assert set(found) == {"lr", "head"}
    assert sum(found.values()) == pytest.approx(1.0)


def test_optuna_continues_with_it(copy: optuna.Study, found: Results) -> None:
    mine = optuna.create_study(direction="maximize")
    mine.add_trials(copy.trials)
    assert mine.ask(copy.trials[0].distributions).params.keys() == copy.trials[0].params.keys()
    assert len(found.to_optuna().trials) == len(copy.trials)  # a copy: nothing reaches the store


def test_it_is_made_without_a_word(found: Results, capfd: pytest.CaptureFixture[str]) -> None:
    found.to_optuna()
    assert capfd.readouterr().err == ""


def test_several_objectives_have_all_their_values(tmp_path: Path) -> None:
    study = cells().with_changes(objectives=("number:max", "memory_gb:min"), trials=8)
    run_study(study, store=tmp_path, inline=True)
    results = TrialStore(tmp_path).results("cells")
    copied = results.to_optuna()
    table = results.trials.set_index("number")
    complete = [t for t in copied.trials if t.state is TrialState.COMPLETE]
    assert complete
    assert all(t.values == list(table.loc[t.number, ["metric_number", "memory_gb"]]) for t in complete)
    assert {t.number for t in copied.best_trials} == set(results.front["number"])
    assert all(t.intermediate_values for t in copied.trials if t.user_attrs["state"] == "stopped")


def test_unfinished_trials_are_running(found: Results) -> None:
    number = found.best.number
    end = next(row for row in found.known.rows if isinstance(row, TrialRow) and row.number == number)
    before = [row for row in found.known.rows if row.seq < end.seq]
    trial = optuna_copy(found.study, before).trials[number]
    assert trial.state is TrialState.RUNNING
    assert trial.datetime_complete is None
    assert trial.intermediate_values


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the plotting library
def test_plots_of_optuna_run_on_it(copy: optuna.Study) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    matplotlib.use("agg")
    from optuna.visualization import matplotlib as plots

    for plot in (plots.plot_optimization_history, plots.plot_intermediate_values, plots.plot_slice):
        assert plot(copy) is not None


def test_metric_called_as_an_attribute_of_ours_has_another_name(tmp_path: Path) -> None:
    results = run_study(cells(), store=tmp_path, inline=True)  # its objective is called number
    trials = results.to_optuna().trials
    assert [trial.user_attrs["number"] for trial in trials] == [trial.number for trial in trials]
    assert {t.user_attrs["metric_number"] for t in trials if t.state is TrialState.COMPLETE} == {
        t.value for t in trials if t.value is not None
    }
