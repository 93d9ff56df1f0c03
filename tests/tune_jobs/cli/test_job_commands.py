"""The words that a submitted job gets, and the words of its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.cli.run_verbs import run

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def test_options_are_passed_on_as_they_were_given(tmp_path: Path) -> None:
    from tune_jobs.cli.job_commands import given_words

    (tmp_path / "points.json").write_text("[]")
    words = ["digits-recipes", "--trials", "8", "--fix", "optimizer=adam", "--fix", "batch_size=32"]
    words += ["--no-asha", "--checkpoint-period", "0", "--enqueue", str(tmp_path / "points.json")]
    words += ["--address", "1.2.3.4:6379"]
    context = run.make_context("run", words)
    assert given_words(context, run, str(tmp_path)) == [
        "--trials", "8", "--no-asha", "--fix", "optimizer=adam", "--fix", "batch_size=32",
        "--checkpoint-period", "0.0", "--enqueue", "points.json",
    ]  # fmt: skip
    again = run.make_context("run", ["digits-recipes", *given_words(context, run, str(tmp_path))])
    assert {**again.params, "enqueue": None, "address": None} == {
        **context.params,
        "enqueue": None,
        "address": None,
    }


def test_file_outside_of_the_working_folder_is_refused(tmp_path: Path) -> None:
    from tune_jobs.cli.job_commands import inside

    assert inside(str(tmp_path / "a" / "b.py"), tmp_path) == os.path.join("a", "b.py")
    with pytest.raises(InvalidValueError, match="only that folder is uploaded for a job"):
        inside(str(tmp_path.parent / "b.py"), tmp_path)


def test_file_behind_a_link_in_the_folder_keeps_its_place(tmp_path: Path) -> None:
    """What the link leads to is sent, if at all, under the link's own name."""
    from tune_jobs.cli.job_commands import inside

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link").symlink_to("../elsewhere")
    assert inside(str(tmp_path / "work" / "link" / "a.py"), tmp_path / "work") == os.path.join("link", "a.py")


def test_head_without_a_python_gets_the_way_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    from tune_jobs.cli.job_commands import _say_end
    from tune_jobs.on_ray.jobs.job import Job

    values = {"store": None, "started_at": None, "ended_at": None, "message": "failed"}
    _say_end(Job(id="one-1", study="one", state="FAILED", exit_code=127, **values))
    assert "start Ray there with its environment's folder first in PATH" in capsys.readouterr().err
