"""The results of a study: its best trial with weights, its front, its failures; the same from the store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from every_ending import every_ending
from own_studies import cells, files, train_into

from eml_models.errors import InvalidValueError
from tune_jobs import Minimize, NoBestTrialError, Results, RunResults, TrialStore, run_study
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import State


def test_best_is_the_completed_trial_with_the_best_objective(ended: Results) -> None:
    best, trials = ended.best, ended.trials
    completed = trials[trials["state"] == "completed"]
    assert best.value == completed["iou"].max()
    assert best.number == completed.loc[completed["iou"].idxmax(), "number"]
    assert list(best.params)[:2] == ["lr", "head"]  # in the order of the space
    assert best.values == {"iou": best.value}
    assert best.weights is not None
    assert best.weights.load() == {"epoch": 9}
    assert best.no_weights is None
    assert ended.trial(best.number) == best


def test_smaller_is_better_where_the_study_says_so(tmp_path: Path) -> None:
    study = every_ending(objectives=(Minimize("iou"),), asha=None, trials=8)
    found = run_study(study, store=tmp_path, inline=True)
    trials = found.trials[found.trials["state"] == "completed"]
    assert found.best.value == trials["iou"].min()


def test_a_trial_without_weights_says_why(ended: Results) -> None:
    trials = ended.trials
    worst = trials[trials["state"] == "completed"].sort_values("iou").iloc[0]["number"]
    refused = trials[trials["state"] == "infeasible"].iloc[0]["number"]
    assert ended.trial(worst).weights is None
    assert "trials that kept theirs: " in str(ended.trial(worst).no_weights)
    assert ended.trial(refused).no_weights == "it was never trained"
    with pytest.raises(InvalidValueError, match="has no trial 999 that has ended"):
        ended.trial(999)


def test_a_saved_folder_is_written_and_not_loaded(tmp_path: Path) -> None:
    train_into(str(tmp_path / "store"), files())
    weights = TrialStore(tmp_path / "store").results("files").best.weights
    assert weights is not None
    assert (weights.unpack(tmp_path / "model") / "model.txt").read_text() == "epoch 2"
    with pytest.raises(InvalidValueError, match="name a new folder"):
        weights.unpack(tmp_path / "model")
    with pytest.raises(InvalidValueError, match="saved a folder alone"):
        weights.load()


def test_failures_are_the_failed_trials_with_their_errors(ended: Results) -> None:
    failed = ended.failures
    assert set(failed["state"]) == {"failed"}
    assert set(failed["failure"]) == {"raised", "diverged"}
    assert failed[failed["failure"] == "raised"]["error"].str.contains("ValueError: no such head").all()
    assert len(failed) == ended.counts[State.FAILED]


def test_the_front_of_one_objective_is_its_best_trial(ended: Results) -> None:
    assert list(ended.front["number"]) == [ended.best.number]


def test_the_front_of_two_objectives_has_the_trials_that_none_beats(tmp_path: Path) -> None:
    study = cells().with_changes(objectives=("number:max", "memory_gb:min"), asha=None, trials=10)
    found = run_study(study, store=tmp_path, inline=True)
    front, all_ended = found.front, found.trials[found.trials["state"] == "completed"]
    assert 0 < len(front) < len(all_ended)
    assert found.best.number == front["number"].iloc[0]
    assert found.best.values.keys() == {"number", "memory_gb"}
    for _, one in all_ended.iterrows():
        beaten = (front["metric_number"] >= one["metric_number"]) & (front["memory_gb"] <= one["memory_gb"])
        assert beaten.any()


def test_a_store_gives_the_same_later_and_elsewhere(ended: Results) -> None:
    """Another process has the name of the training function and not its code."""
    later = TrialStore(ended.store).results("cells")
    pd.testing.assert_frame_equal(later.trials, ended.trials)
    pd.testing.assert_frame_equal(later.reports, ended.reports)
    pd.testing.assert_frame_equal(later.front, ended.front)
    pd.testing.assert_frame_equal(later.failures, ended.failures)
    assert later.best.params == ended.best.params
    assert later.study.definition() == ended.study.definition()
    assert later.study.trials == 24
    assert TrialStore(ended.store).results(every_ending()).study.train is every_ending().train
    assert [t.params for t in later.to_optuna().trials] == [t.params for t in ended.to_optuna().trials]


def test_a_study_without_trials_has_empty_frames_and_no_best(tmp_path: Path) -> None:
    with StudyWriter.open(tmp_path, every_ending(), versions={}):
        """Defines the study."""
    found = TrialStore(tmp_path).results("cells")
    assert len(found.trials) == len(found.reports) == len(found.front) == len(found.failures) == 0
    assert {"number", "state", "iou", "param_lr", "param_depth", "reason"} <= set(found.trials.columns)
    assert {"number", "epoch", "iou"} <= set(found.reports.columns)
    assert found.to_optuna().trials == []
    with pytest.raises(NoBestTrialError, match="has no trial that has ended, so it has no best trial"):
        _ = found.best
    assert repr(found) == "Results(cells: 0 trials; none is best yet)"


def test_a_study_of_failed_trials_says_where_the_errors_are(tmp_path: Path) -> None:
    def breaks(params: dict[str, Any], run: Any) -> Any:
        raise ValueError("no such file")

    found = run_study(every_ending(train=breaks, trials=3), store=tmp_path, inline=True)
    assert found.all_failed
    with pytest.raises(NoBestTrialError, match=r"\(3 failed.*\); results\.failures shows the errors"):
        _ = found.best
    assert "no such file" in found.failures["error"].iloc[0]
    assert found.front.empty
    assert found.trials["iou"].isna().all()
    assert found.trials["iou"].dtype == "float64"


def test_repr_is_one_line(ended: Results) -> None:
    assert len(repr(ended)) < 250
    assert f"best iou {ended.best.value:.6g} of trial {ended.best.number} (lr=" in repr(ended)


def test_how_the_run_ended_is_there_too(ended: RunResults) -> None:
    assert ended.progress.trained == 24
    assert ended.begun is not None
    assert ended.begun.trained == 0
    assert not ended.interrupted
    assert not ended.limit_reached
    assert not ended.already_complete
    assert not ended.all_failed
    assert ended.num_failed == len(ended.failures)
    assert ended.end_reason is None
    assert run_study(every_ending(), store=ended.store, inline=True).already_complete


def test_import_loads_neither_ray_nor_plots_nor_pandas() -> None:
    code = "import sys, tune_jobs.results.of_study, tune_jobs.results.running; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"ray", "torch", "pandas", "pyarrow", "optuna", "matplotlib", "plotly"}
    assert not set(done.stdout.split()) & heavy
