"""A job that another version submitted says both versions before it reads its words."""

from __future__ import annotations

from pathlib import Path

import pytest

import tune_jobs
from tune_jobs.cli import main
from tune_jobs.errors import JobError
from tune_jobs.on_ray.jobs.versions import SUBMITTED_BY, require_same_version, version_variables

OURS = "0.1.0"


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This version, in a job's folder that has no code of ours."""
    monkeypatch.setattr(tune_jobs, "__version__", OURS, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("theirs", ["0.2.0", "1.1.0", "0.2.0.dev1"])
def test_another_version_is_refused_with_both(theirs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SUBMITTED_BY, theirs)
    with pytest.raises(JobError, match=rf"tune-jobs {theirs} submitted .* cluster runs tune-jobs {OURS}:"):
        require_same_version()


@pytest.mark.parametrize("theirs", [None, OURS, "0.1.7"])
def test_same_version_runs(theirs: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if theirs is None:
        monkeypatch.delenv(SUBMITTED_BY, raising=False)
    else:
        monkeypatch.setenv(SUBMITTED_BY, theirs)
    require_same_version()


def test_uploaded_code_is_the_clients_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SUBMITTED_BY, "9.9.9")
    monkeypatch.chdir(Path(tune_jobs.__file__).parents[1])
    require_same_version()


def test_job_says_both_versions_before_it_reads_words_that_it_may_not_know(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(SUBMITTED_BY, "0.2.0")
    monkeypatch.setattr("sys.argv", ["tune-jobs", "run", "digits-recipes", "--option-of-0.2"])
    assert main() == 1
    said = capsys.readouterr().err
    assert "0.2.0" in said
    assert OURS in said
    assert "--option-of" not in said


def test_client_without_a_version_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert version_variables() == {SUBMITTED_BY: OURS}
    monkeypatch.setattr(tune_jobs, "__version__", tune_jobs.NOT_INSTALLED)
    assert version_variables() == {}
