"""The progress of a study in the metadata of its job."""

from __future__ import annotations

from dataclasses import replace

import pytest
from session_testing import NOTHING

from tune_jobs.on_ray.jobs import progress as of_jobs
from tune_jobs.on_ray.jobs.progress import JobProgress, describe
from tune_jobs.store.provenance import JOB_CONFIG

BEGUN = replace(NOTHING, target=1200)
LATER = replace(BEGUN, trained=1000, failed=2, best=0.98765432, best_number=7, elapsed_s=90.0)


def test_words_of_progress() -> None:
    assert describe(BEGUN) == "0 of 1,200 trials"
    assert describe(LATER) == "1,000 of 1,200 trials, 2 failed, best 0.987654 (trial 7)"


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    monkeypatch.setattr(of_jobs, "note_in_job", lambda *words: found.append(words))
    return found


def test_a_run_outside_of_a_job_writes_nothing(
    noted: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(JOB_CONFIG, raising=False)
    JobProgress().update(LATER, last=True)
    assert noted == []


def test_a_job_has_its_news_now_and_then_and_the_last(
    noted: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(of_jobs.time, "monotonic", lambda: now[0])
    monkeypatch.setenv(JOB_CONFIG, '{"metadata": {"job_submission_id": "demo-1"}}')
    job = JobProgress()
    for progress, seconds in ((BEGUN, 1.0), (replace(BEGUN, trained=1), 10.0), (BEGUN, 10.0), (LATER, 0.1)):
        job.update(progress)
        now[0] += seconds
    job.update(LATER, last=True)
    job.update(LATER, last=True)
    assert [words for _, _, words in noted] == [describe(BEGUN), describe(LATER)]
    assert {(name, key) for name, key, _ in noted} == {("demo-1", "progress")}
