"""A run in this process: the rows and decisions of one worker, no Ray, and an orderly end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs import Asha, Choice, Float, Maximize, RunSettings, Space, Study, TrialStore, run_study
from tune_jobs.analysis.audit import audit
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.errors import BrokenDeviceError, RunFailedError
from tune_jobs.session.state_machine import Session
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.rows import Failure, ReportRow, State
from tune_jobs.testing.in_process import run_in_process
from tune_jobs.testing.memory_log import MemoryLog
from tune_jobs.worker.inline import run_inline

Rows = list[tuple[Any, ...]]


def train(params: dict[str, Any], run: Any) -> Any:
    state = run.load() or {"epoch": 0}
    for epoch in range(state["epoch"] + 1, run.epochs + 1):
        run.save({"epoch": epoch})
        yield {"iou": params["lr"] * epoch * params["depth"]}


def own_study(**changes: Any) -> Study:
    words: dict[str, Any] = {
        "name": "cells",
        "space": Space(Float("lr", 1e-5, 1e-1, log=True), Choice("depth", (2, 3))),
        "train": train,
        "objectives": (Maximize("iou"),),
        "epochs": 9,
        "trials": 10,
        "asha": Asha(min_epochs=1),
    }
    return Study(**{**words, **changes})


def shipped_study() -> Study:
    return Study(
        name="digits",
        space=Space(Float("learning_rate", 0.01, 1.0, log=True)),
        recipe=Recipe(learning_rate=0.1, epochs=3, max_train_samples=100),
        trials=3,
    )


def table(trials: Any) -> Rows:
    return sorted((t.number, t.params, t.state, t.epochs, t.objective, t.reason) for t in trials)


def stored(store: Path, study: str) -> Any:
    rows = TrialStore(store).rows(study)
    return [row for row in rows if row.table == "trials"]


@pytest.mark.parametrize("study", [own_study(), shipped_study()], ids=["own", "shipped"])
def test_it_records_and_decides_as_one_worker_does(tmp_path: Path, study: Study) -> None:
    outcome = run_study(study, inline=True, store=str(tmp_path))
    assert outcome.progress.trained == study.trials
    log: MemoryLog = run_in_process(study, **({} if study.train else {"device": "cpu", "data_dir": None}))
    assert table(stored(tmp_path, study.name)) == table(log.trials)
    checked = audit(study, TrialStore(tmp_path).rows(study.name))
    assert not checked.differences


def test_it_never_imports_ray(tmp_path: Path) -> None:
    script = f"""
import sys
from tune_jobs import Float, Maximize, Space, Study, run_study
study = Study(name="own", space=Space(Float("lr", 0.1, 1.0)), objectives=(Maximize("iou"),), epochs=2,
              train=lambda params, run: iter([{{"iou": 0.5}}, {{"iou": params["lr"]}}]), trials=2)
run_study(study, inline=True, store={str(tmp_path)!r})
print("ray" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_a_signal_ends_it_at_the_next_message_and_the_next_run_continues(tmp_path: Path) -> None:
    study = own_study(trials=3, asha=None)
    seen: list[int] = []

    def run(after: int | None) -> bool:
        with StudyWriter.open(tmp_path, study, versions={}) as writer:
            session = Session(study, writer, writer.rows)
            return run_inline(
                session,
                RunSettings(store=str(tmp_path), inline=True),
                Checkpoints.of(str(tmp_path), study.name),
                ended=lambda: after is not None and len(seen) >= after,
                on_progress=lambda progress: seen.append(progress.trained),
            )

    assert run(after=13)  # in the second trial
    assert [t.number for t in stored(tmp_path, study.name)] == [0]
    assert not run(after=None)
    assert table(stored(tmp_path, study.name)) == table(run_in_process(study).trials)
    epochs = [
        row.epoch
        for row in TrialStore(tmp_path).rows("cells")
        if isinstance(row, ReportRow) and row.number == 1
    ]
    assert epochs == list(range(1, 10))  # none twice: the state of the last acknowledged report was loaded


def test_an_error_of_training_is_that_trials_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(params: dict[str, Any], run: Any) -> Any:
        yield {"iou": 0.1}
        raise ValueError("no such file: masks")

    study = own_study(train=breaks, trials=2, asha=None)
    outcome = run_study(study, inline=True, store=str(tmp_path))
    assert outcome.progress.failed == 2
    (said,) = caplog.messages  # for two trials that failed alike
    line, place, more = said.splitlines()
    assert line == "trial 0 failed: attempt 1 raised an error: ValueError: no such file: masks"
    assert place == f"  at {__file__}:{breaks.__code__.co_firstlineno + 2} in breaks"
    assert more == f"  its traceback: python -m tune_jobs show cells 0 --store {tmp_path}"
    first = stored(tmp_path, study.name)[0]
    assert (first.state, first.failure) == (State.FAILED, Failure.RAISED)
    assert "ValueError: no such file: masks" in first.error
    events = TrialStore(tmp_path).events(study.name)
    started = events[events["kind"] == "attempt_started"].iloc[0]
    assert started["device"].startswith("cpu")
    assert started["code"]
    assert json.loads(started["detail"])["imports_s"] >= 0


@pytest.mark.parametrize(
    "wrong",
    [{"workers": 2}, {"address": "auto"}, {"trial_timeout_s": 5.0}, {"gpus_per_trial": 0.5}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_settings_of_a_cluster_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValueError, match="is of a run on Ray, and this run is in one process"):
        RunSettings(inline=True, **wrong)


def test_one_worker_may_be_said() -> None:
    assert RunSettings(inline=True, workers=1).workers == 1


def test_a_gpu_that_is_lost_ends_the_run_and_the_next_run_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card is simulated; each later trial of this process would fail too."""
    study, lost = own_study(trials=2, asha=None), [True]

    def require(device: str, error: Exception) -> None:
        raised = error.__cause__ or error  # own training's errors are carried by another
        if "CUDA error" in str(raised):
            raise BrokenDeviceError(f"so it ends: {raised}")

    def fails_once(params: dict[str, Any], run: Any) -> Any:
        for report in train(params, run):
            yield report
            if lost:
                lost.clear()
                raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr("tune_jobs.worker.inline.require_working_device", require)
    study = study.with_changes(train=fails_once)
    with pytest.raises(
        RunFailedError, match=r"trial 0 left a GPU that .* continues the study in a new process"
    ):
        run_study(study, inline=True, store=str(tmp_path))
    assert stored(tmp_path, study.name) == []
    outcome = run_study(study, inline=True, store=str(tmp_path))
    assert outcome.progress.completed == 2
    failures = [row.failure for row in TrialStore(tmp_path).rows(study.name) if row.table == "events"]
    assert [failure for failure in failures if failure] == [Failure.CRASHED]
