"""The examples for scikit-learn, for a program that prints JSON lines, and for Lightning, without Ray."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from tune_jobs.checkpoints.files import Checkpoints, Identity
from tune_jobs.inputs.user_code import load_study
from tune_jobs.study.definition import Study
from tune_jobs.study.parameters import Params
from tune_jobs.study.rows import Failure, State
from tune_jobs.testing.in_process import run_in_process
from tune_jobs.worker.own_attempt import OwnAttempt
from tune_jobs.worker.saved_folder import unpack
from tune_jobs.worker.saved_state import read_state

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS_LIGHTNING = pytest.mark.skipif(
    find_spec("lightning") is None, reason="needs lightning: pip install 'tune-jobs[lightning]'"
)


def example(name: str) -> Study:
    return load_study(f"{EXAMPLES / name}.py:study")[0]


def checkpoints_in(folder: Path) -> Checkpoints:
    identity = Identity(fingerprint="f", created_at="2026-01-01")
    return Checkpoints(store=str(folder), study="example", identity=identity)


def attempt(
    study: Study, params: Params, folder: Path, *, acknowledged: Mapping[int, int] | None = None
) -> OwnAttempt:
    """The first attempt of a trial, or the second where reports of the first are acknowledged."""
    assert study.train is not None
    return OwnAttempt(
        study.train,
        study.own_recipe_for(params, 0),
        number=0,
        attempt=2 if acknowledged else 1,
        acknowledged=acknowledged,
        checkpoints=checkpoints_in(folder),
    )


def test_scikit_learn_reports_once_and_keeps_its_model(tmp_path: Path) -> None:
    study = example("scikit_learn")
    log = run_in_process(study.with_changes(trials=2))
    assert [trial.state for trial in log.trials] == [State.COMPLETED] * 2
    assert [report.epoch for report in log.reports] == [1, 1]
    assert all(set(json.loads(row.metrics)) == {"accuracy", "accuracy_sd", "score_ms"} for row in log.reports)
    params: Params = {"n_estimators": 5, "max_depth": 2, "criterion": "gini"}
    assert len(list(attempt(study, params, tmp_path).iter_reports())) == 1
    (kept,) = tmp_path.rglob("final-1.pt")
    unpack(read_state(kept).folder, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "model.joblib").is_file()


def test_program_that_prints_json_lines_is_searched() -> None:
    log = run_in_process(example("json_lines").with_changes(trials=4))
    assert {trial.state for trial in log.trials} <= {State.COMPLETED, State.STOPPED, State.FAILED}
    assert {t.failure for t in log.trials} <= {None, Failure.DIVERGED}
    assert any(trial.state is State.COMPLETED and trial.epochs == 9 for trial in log.trials)


def test_program_ends_with_its_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[str]] = []

    class Noted(subprocess.Popen):  # type: ignore[type-arg]  # the class has no parameters at run time
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)  # type: ignore[call-overload]  # as they are
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Noted)
    params: Params = {"rate": 0.1, "momentum": 0.0}
    reports = attempt(example("json_lines").with_changes(epochs=10**6), params, tmp_path).iter_reports()
    assert next(reports).epoch == 1
    reports.close()
    assert [program.returncode for program in started] == [-9]


def test_program_that_fails_fails_its_trial(tmp_path: Path) -> None:
    study = example("json_lines").with_changes(epochs=1)
    assert study.train is not None
    module = load_study(f"{EXAMPLES / 'json_lines'}.py:study")[1]
    assert module is not None
    reports = study.train({"no-such-option": 1}, attempt(study, {"rate": 1.0, "momentum": 0.0}, tmp_path).run)
    with pytest.raises(RuntimeError, match=r"json_lines_program.py ended with exit code 2"):
        next(reports)


@NEEDS_LIGHTNING
@pytest.mark.filterwarnings("ignore")  # of Lightning: on numbers of workers and the like
def test_lightning_reports_what_it_logs_and_continues_a_killed_trial(tmp_path: Path) -> None:
    study = example("with_lightning").with_changes(epochs=4)
    params: Params = {"lr": 0.01, "width": 16}
    first = attempt(study, params, tmp_path).iter_reports()
    before = [next(first), next(first)]
    first.close()
    second = attempt(study, params, tmp_path, acknowledged={1: 2})
    after = list(second.iter_reports())
    assert second.resumed_from == 2
    assert [report.epoch for report in before + after] == [1, 2, 3, 4]
    assert all({"val/accuracy", "val/loss"} <= report.metrics.keys() for report in before + after)
    assert after[-1].metrics["val/accuracy"] > before[0].metrics["val/accuracy"]


@NEEDS_LIGHTNING
@pytest.mark.filterwarnings("ignore")  # of Lightning: on numbers of workers and the like
def test_lightning_is_searched_and_stopped() -> None:
    log = run_in_process(example("with_lightning").with_changes(trials=4, epochs=4))
    assert State.STOPPED in {trial.state for trial in log.trials}
    assert {trial.state for trial in log.trials} <= {State.COMPLETED, State.STOPPED}
