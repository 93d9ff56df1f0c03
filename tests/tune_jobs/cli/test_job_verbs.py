"""The study and the store of a job, read from the command that a user typed."""

from __future__ import annotations

from typing import Any

import pytest

from tune_jobs.cli.job_verbs import read_command

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("python -m tune_jobs run digits-recipes --store /s", ("digits-recipes", "/s")),
        ("python -m tune_jobs run own.py:mine --name x --store=s3://b/t", ("x", "s3://b/t")),
        ("tune-jobs run own.py:mine", ("mine", None)),
        ("/x/bin/tune-jobs run --store /s digits-recipes", ("digits-recipes", "/s")),
        ("cd a && python -m tune_jobs run --no-asha --fix 'a=(1)' d --store /s | tee log", ("d", "/s")),
        ("python -m tune_jobs run digits-recipes --scale smoke", ("digits-recipes-smoke", None)),
        ("python -m tune_jobs run digits-recipes --scale smoke --name x", ("x-smoke", None)),
        ("python -m tune_jobs finalists --top 2 digits-recipes --store /s", ("digits-recipes-final", "/s")),
        ("python -m tune_jobs finalists digits-recipes --scale smoke", ("digits-recipes-smoke-final", None)),
        ("python -m tune_jobs finalists own.py:mine --name best", ("best", None)),
        ("python -m tune_jobs run d --measure-latency '' --store /s", ("d", "/s")),
        ("python -m tune_jobs show digits-recipes", (None, None)),
        ("python -m tune_jobs run", (None, None)),
        ("python train.py run digits-recipes", (None, None)),
        ("echo 'unbalanced", (None, None)),
    ],
)
def test_study_of_a_job_is_read_from_its_command(
    command: str, found: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_JOBS_STORE", "/of/this/machine")
    assert read_command(command) == found
