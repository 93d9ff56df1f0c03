"""The job and the commit of this process."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tune_jobs.store.provenance import JOB_CONFIG, git_state, job_id

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_job_knows_its_id_and_its_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(JOB_CONFIG, raising=False)
    assert job_id() is None
    monkeypatch.setenv(JOB_CONFIG, json.dumps({"metadata": {"job_submission_id": "one-1a"}}))
    assert job_id() == "one-1a"
    monkeypatch.setenv(JOB_CONFIG, "not json")
    assert job_id() is None
    monkeypatch.setenv("TUNE_JOBS_GIT_COMMIT", "abc+")
    assert git_state(tmp_path) == ("abc", True)


def test_names_that_are_no_utf8_do_not_keep_a_commit_from_being_recorded(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.quotepath=false")
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    name = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"\xff.py")))
    name.touch()
    for words in (["init"], ["config", "core.quotepath", "false"], ["add", "."], ["commit", "-m", "one"]):
        git(*words)
    name.write_text("changed")
    commit, dirty = git_state(tmp_path)
    assert (len(commit or ""), dirty) == (40, True)
