"""Errors and notes of a run in Python name keywords, and not options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eml_models.errors import UnknownNameError
from tune_jobs import Float, Maximize, Space, Study, StudyChangedError, run_study
from tune_jobs.errors import StoreLockedError, TuneJobsError
from tune_jobs.results.python_words import errors_in_python, in_python
from tune_jobs.store.writer import StudyWriter

UNCHANGED = (
    "`tune_jobs repair s --store /x`: it shows",
    "type\n  .venv/bin/python -m tune_jobs list --store x",
    "run it by the study that was changed: run STUDY --name x",
    "acts only with --yes",
    "a--store and ---store",
    "no option at all",
)


@pytest.mark.parametrize(
    ("typed", "spoken"),
    [
        ("choose another with --store", "choose another with store=..."),
        ("raise --max-macs, or widen", "raise study.with_changes(max_macs=...), or widen"),
        ("give --gpus-per-trial a number", "give gpus_per_trial=... a number"),
        ("--gpus-per-trial auto measures a step", "gpus_per_trial='auto' measures a step"),
        ("got --gpus-per-trial 0.5: others", "got gpus_per_trial=0.5: others"),
        ("--device cuda needs a GPU", "device='cuda' needs a GPU"),
        ("(--trial-timeout)", "(trial_timeout_s=...)"),
        ("run the same command again with --trial-timeout 60: that", "make the same call again with"
         " trial_timeout_s=60: that"),
        ("run the same command with --retry-failed, or", "make the same call with retry_failed=True, or"),
        ("first, with --enqueue", "first, with points=..."),
        ("name its folder with --data-dir (data_dir=...), or", "name its folder with data_dir=..., or"),
        ("fetch it with --download (download=True)", "fetch it with download=True"),
        ("--name=a-2 or --rename; --warm-start=a", "study.with_changes(name='a-2'); warm_start='a'"),
        *[(text, text) for text in UNCHANGED],
    ],
)  # fmt: skip
def test_options_become_keywords(typed: str, spoken: str) -> None:
    assert in_python(typed) == spoken


def train(params: dict[str, Any], run: Any) -> Any:
    yield {"score": params["x"]}


def a_study(**changes: Any) -> Study:
    space = Space(Float("x", 0, 1))
    words = {"train": train, "objectives": Maximize("score"), "trials": 2, "epochs": 1, **changes}
    return Study(name="spoken", space=space, **words)


def test_a_changed_study_is_told_the_keywords(tmp_path: Path) -> None:
    with StudyWriter.open(str(tmp_path), a_study(), versions={}):
        with pytest.raises(StoreLockedError) as locked:
            run_study(a_study(), store=tmp_path, inline=True)
        assert "under another name with study.with_changes(name=...)" in str(locked.value)
    with pytest.raises(StudyChangedError) as changed:
        run_study(a_study(seed=1), store=tmp_path, inline=True)
    assert "with study.with_changes(name='spoken-2'); warm_start='spoken' then" in str(changed.value)
    assert "--" not in str(changed.value) + str(locked.value)


def test_the_nearest_name_may_be_a_change_of_the_study() -> None:
    words: dict[str, Any] = {"trails": 2}
    with pytest.raises(UnknownNameError, match=r"unknown setting of a run 'trails'; .*mean 'trials'\?"):
        run_study(a_study(), **words)


def test_an_error_keeps_its_type_and_its_attributes() -> None:
    with pytest.raises(UnknownNameError) as caught, errors_in_python():
        raise UnknownNameError("place", "--store", ["--name"])
    assert caught.value.name == "--store"
    with pytest.raises(TuneJobsError) as empty, errors_in_python():
        raise TuneJobsError
    assert empty.value.args == ()
