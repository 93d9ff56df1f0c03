"""`run_study` on a real Ray: every end of a trial, every row, reused workers, no traces but the store."""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from patience import slowness
from ray_studies import bad_study, curve_study, fit_and_print, fit_untidily

from eml_models.errors import InvalidValueError
from eml_models.training.recipe import Recipe
from tune_jobs import RunFailedError, RunSettings, StudyChangedError, TrialStore, run_study
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.errors import TuneJobsError
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Choice
from tune_jobs.study.space import Space

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_of_the_tests")]


CODE = UserCode(module="ray_studies", search_paths=(str(Path(__file__).parent),))
"""How the workers find the training functions of this folder."""


def run(study: Study, folder: Path, **changes: Any) -> TrialStore:
    settings = RunSettings(store=str(folder / "store"), workers=2, **changes)
    run_study(study, settings, code=CODE)
    return TrialStore(folder / "store")


def folders_of_this_process() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob(f"tune-jobs-{os.getpid()}-*"))


def test_search_ends_with_every_row_in_the_store(tmp_path: Path) -> None:
    before = folders_of_this_process()  # that of the tests' Ray
    store = run(curve_study(), tmp_path)
    trials, reports = store.trials(), store.reports()
    assert sorted(trials["number"]) == list(range(12))
    assert set(trials["state"]) == {"completed", "stopped"}
    for trial in trials.itertuples():
        own = reports[reports["number"] == trial.number].sort_values("epoch")
        assert list(own["epoch"]) == list(range(1, int(trial.epochs) + 1))
        assert own["val_accuracy"].iloc[-1] == trial.objective
        assert (own["decision"].iloc[-1] == "stop") == (trial.state == "stopped")
    assert folders_of_this_process() == before


def test_workers_are_reused_and_use_their_share_of_threads(tmp_path: Path) -> None:
    store = run(curve_study(asha=None, trials=8), tmp_path)
    began = store.events().query("kind == 'attempt_started'")
    assert len(began) == 8
    assert 1 <= began["pid"].nunique() <= 2
    assert set(store.reports()["train_loss"]) == {1.0}


def test_grid_runs_every_point_to_its_end(tmp_path: Path) -> None:
    space = Space(Choice("learning_rate", (0.01, 0.1)), Choice("optimizer", ("sgd", "adam")))
    store = run(curve_study(space=space, sampler=SamplerName.GRID, asha=None, trials=4), tmp_path)
    trials = store.trials()
    assert set(trials["state"]) == {"completed"}
    assert trials["params"].nunique() == 4


def test_each_way_to_fail_is_a_row_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    study = bad_study(1, 2, 3, 4, 5, 6)
    store = run(study, tmp_path, max_failures=2, max_failed_in_a_row=9, data_dir=str(tmp_path / "calls"))
    trials = store.trials().set_index("param_batch_size")
    ends = {int(size): (row["state"], row["reason"], row["attempt"]) for size, row in trials.iterrows()}
    assert ends[1][:2] == ("failed", "attempt 1 raised an error: ValueError: a layer is missing")
    assert "a layer is missing" in trials.loc[1, "error"]
    assert ends[2][0] == "failed"
    assert ends[2][1].startswith("attempt 1 diverged: val_accuracy is nan")
    assert ends[3][1].startswith("attempt 1 ran out of memory: MemoryError: no room")
    assert (ends[4][0], ends[4][2]) == ("completed", 3)
    assert (ends[5][0], ends[5][2]) == ("failed", 3)
    assert ends[5][1].startswith("attempt 3 crashed: The actor died unexpectedly")
    assert ends[6][0] == "completed"


def test_what_an_attempt_prints_is_its_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    study = bad_study(1, 2, 3, 4, 8).with_changes(
        name="prints", fit=fit_and_print, recipe=Recipe(learning_rate=0.1, epochs=2)
    )
    store = run(study, tmp_path, max_failures=1)
    logs = Logs(store=str(tmp_path / "store"), study="prints")
    for row in store.trials().itertuples():
        size, number = int(row.param_batch_size), int(row.number)
        assert logs.attempts(number) == {1: [], 4: [1, 2]}.get(size, [1])
        for attempt in logs.attempts(number):
            lines = (logs.read(number, attempt) or "").splitlines()
            for kind in ("print", "logging", "subprocess", "C"):
                assert lines.count(f"{kind} of {size}") == 1
            assert any(line.endswith(f"UserWarning: warning of {size}") for line in lines)
            assert ("last words of 4" in lines) == (size == 4)
            assert {line.split(" of ")[1] for line in lines if " of " in line and "{" not in line} == {
                str(size)
            }
    said = next(text for text in caplog.messages if "ValueError: a layer is missing" in text)
    assert "\n    print of 3\n" in said
    assert any(
        "is tried again: attempt 1 crashed" in text and "print of 4" in text for text in caplog.messages
    )


def test_hung_trial_is_ended_and_tried_again(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    limit_s = round(6 * slowness())  # one that does not hang imports torch in that time
    store = run(bad_study(6, 7), tmp_path, trial_timeout_s=limit_s, data_dir=str(tmp_path / "calls"))
    trials = store.trials().set_index("param_batch_size")
    assert dict(trials["state"]) == {6: "completed", 7: "completed"}
    assert trials.loc[7, "attempt"] == 2
    (number,) = trials.loc[[7], "number"]
    ends = store.events().query(f"kind == 'attempt_ended' and number == {number}")["detail"]
    assert f"attempt 1 hung: there was no report for {limit_s} s, so the worker ended itself" in ends.iloc[0]


def test_worker_that_ray_ends_for_want_of_memory_is_a_crash_and_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray
    from ray.air.execution._internal import event_manager

    (tmp_path / "calls").mkdir()

    def get(future: Any) -> Any:
        try:
            return ray.get(future)
        except ray.exceptions.RayActorError as error:
            raise ray.exceptions.OutOfMemoryError("the node was running low on memory") from error

    monkeypatch.setattr(event_manager, "ray", SimpleNamespace(get=get, wait=ray.wait))
    store = run(bad_study(4, 6), tmp_path, data_dir=str(tmp_path / "calls"))
    trials = store.trials().set_index("param_batch_size")
    assert dict(trials["attempt"]) == {4: 3, 6: 1}
    assert set(trials["state"]) == {"completed"}
    (number,) = trials.loc[[4], "number"]
    crashes = store.events().query(f"kind == 'attempt_ended' and number == {number}")["detail"]
    assert "the node was running low on memory" in crashes.iloc[0]


def test_trial_that_is_slow_to_tidy_up_costs_no_other_trial(tmp_path: Path) -> None:
    study = bad_study(1, 2, 3, 4, fit=fit_untidily)
    store = run(study, tmp_path)
    assert list(store.trials()["state"]) == ["completed"] * 4
    assert set(store.trials()["attempt"]) == {1}


def test_failed_trials_run_again_on_request(tmp_path: Path) -> None:
    study = bad_study(1, 6)
    run(study, tmp_path)
    store = run(study, tmp_path, retry_failed=True)
    trials = store.trials().set_index("number")
    assert sorted(trials["state"]) == ["completed", "failed", "failed"]
    assert (trials.loc[2, "state"], trials.loc[2, "param_batch_size"]) == ("failed", 1)


def test_too_many_failures_end_the_run_and_keep_their_rows(tmp_path: Path) -> None:
    space = Space(
        Choice("batch_size", (1,)), Choice("schedule", ("constant", "step", "cosine", "exponential"))
    )
    with pytest.raises(
        RunFailedError, match="3 trials failed in a row, the last with this error: ValueError: a layer"
    ):
        run(bad_study(1, space=space, trials=4), tmp_path, max_failed_in_a_row=3)
    failed = list(TrialStore(tmp_path / "store").trials()["state"])
    assert failed in (["failed"] * 3, ["failed"] * 4)  # another may fail while the third is reported


def test_second_run_is_complete_and_a_larger_one_continues(tmp_path: Path) -> None:
    run(curve_study(trials=4), tmp_path)
    settings = RunSettings(store=str(tmp_path / "store"), workers=2)
    assert run_study(curve_study(trials=4), settings).already_complete
    run_study(curve_study(trials=6), settings, code=CODE)
    assert sorted(TrialStore(tmp_path / "store").trials()["number"]) == list(range(6))


def test_changed_definition_is_refused_with_the_difference(tmp_path: Path) -> None:
    run(curve_study(trials=2), tmp_path)
    with pytest.raises(StudyChangedError, match="seed: was 0, is now 1"):
        run(curve_study(trials=2, seed=1), tmp_path)


def test_a_point_outside_the_space_is_refused_before_there_is_a_store(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="optimizr: not in this space; known: batch_size"):
        run(bad_study(6), tmp_path, points=({"optimizr": "sgd"},))
    assert not (tmp_path / "store").exists()


def test_limit_of_device_hours_ends_the_run_and_the_study_continues_later(tmp_path: Path) -> None:
    study, store = curve_study(asha=None), str(tmp_path / "store")
    run_study(study.with_changes(trials=2), RunSettings(store=store, workers=2), code=CODE)
    spent_s = float(TrialStore(store).trials()["device_s"].sum())
    endless = study.with_changes(trials=100_000)
    more = RunSettings(store=store, workers=2, max_device_hours=(spent_s + 1) / 3600)
    limited = run_study(endless, more, code=CODE)
    assert limited.limit_reached
    assert 2 <= limited.progress.trained < 100_000
    again = run_study(endless, more, code=CODE)
    assert again.limit_reached
    assert again.progress.trained == limited.progress.trained
    later = study.with_changes(trials=limited.progress.trained + 2)
    assert not run_study(later, RunSettings(store=store, workers=2), code=CODE).limit_reached


def test_real_training_keeps_the_weights_of_the_best(tmp_path: Path) -> None:
    from eml_models.training.recipe import Recipe
    from tune_jobs.study.fits import fit_recipe

    recipe = Recipe(learning_rate=0.05, epochs=2)
    study = curve_study(recipe=recipe, fit=fit_recipe, trials=4, asha=None)
    store = run(study, tmp_path, keep_checkpoints=2, checkpoint_period_s=0.0)
    best = store.trials().sort_values(["objective", "number"], ascending=[False, True])["number"].head(2)
    kept = tmp_path / "store" / "checkpoints" / "curves"
    assert sorted(int(folder.name) for folder in kept.iterdir()) == sorted(best)
    assert {file.name for file in kept.glob("*/*")} == {"final-1.pt"}
    fingerprints = store.trials()["data_fingerprint"]
    assert fingerprints.notna().all()
    assert fingerprints.nunique() == 1
    started = store.events().query("kind == 'session_started'")["detail"].iloc[0]
    assert json.loads(started)["workers"] == 2


def test_trials_that_cannot_be_saved_continue_and_a_note_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from eml_models.training.recipe import Recipe
    from tune_jobs.study.fits import fit_recipe

    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "checkpoints").write_text("a file where the folder should be")
    study = curve_study(recipe=Recipe(learning_rate=0.05, epochs=3), fit=fit_recipe, trials=3, asha=None)
    with caplog.at_level(logging.WARNING, "tune_jobs.run"):
        store = run(study, tmp_path, checkpoint_period_s=0.0)
    assert list(store.trials()["state"]) == ["completed"] * 3
    message = sorted(re.findall(r"trial \d continues, but its (.+) could not be saved", caplog.text))
    assert message == ["checkpoint to resume from", "weights after the last epoch"]


def test_store_that_workers_do_not_see_ends_the_run_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen = StoreProbe(store=str(tmp_path / "store"), study="study", nonce="of the driver alone")
    monkeypatch.setattr(StoreProbe, "leave", lambda store, study: unseen)
    with pytest.raises(RunFailedError, match="does not see the driver's store"):
        run(curve_study(trials=2), tmp_path)
    monkeypatch.undo()
    assert len(run(curve_study(trials=2), tmp_path).trials()) == 2  # nothing was lost by it


def test_trial_that_fits_no_node_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(TuneJobsError, match="a trial takes 64 CPU, and no node of the cluster has that"):
        run(curve_study(), tmp_path, cpus_per_trial=64)
    with pytest.raises(TuneJobsError, match=r"1 CPU and 0\.5 GPU, and no node"):
        run(curve_study(), tmp_path, gpus_per_trial=0.5)
    with pytest.raises(TuneJobsError, match="1 CPU and 1 GPU, and no node"):
        run(digits_recipes(), tmp_path, gpus_per_trial="auto")


def test_waiting_for_a_gpu_to_measure_on_ends_with_a_signal() -> None:
    from tune_jobs.on_ray.gpus.measure import measure_part

    assert measure_part(digits_recipes(), None, RunSettings(), None, ended=lambda: True) is None
