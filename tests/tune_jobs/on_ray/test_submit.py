"""The four acts on jobs, through the commands: what is sent, found, followed and stopped."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from job_dashboard import Dashboard
from patience import patience_s

from tune_jobs.cli.job_verbs import read_command
from tune_jobs.errors import JobError

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


ROOT = Path(__file__).parents[3]


TOKEN = "5" * 64


def test_submit_shows_the_token_sends_the_code_alone_and_says_so(
    dashboard: Dashboard, working_folder: Path, tmp_path: Path
) -> None:
    """From a shell with a token in its home folder and no variable of Ray's."""
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text(TOKEN)
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = {**plain, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "TUNE_JOBS_DATA_DIR": "mine"}
    words = ["submit", "digits-recipes", "--address", dashboard.address, "--store", "/shared/trials"]
    done = subprocess.run(
        [sys.executable, "-m", "tune_jobs", *words, "--trials", "4", "--no-wait"],
        cwd=working_folder, env=environment, capture_output=True, text=True, timeout=patience_s(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert dashboard.tokens == {f"Bearer {TOKEN}"}
    (job,) = dashboard.jobs
    message = done.stderr.splitlines()
    assert message[:3] == [
        f"uploading 2 files (9 bytes, packed {len(dashboard.package)} bytes) of {working_folder};"
        " the largest is .gitignore (8 bytes)",
        "  left out as secrets, by their names: .env, keys/id_rsa",
        "  left out as stores and environments, by their contents: runs [old]",
    ]
    assert message[3].startswith(
        f"submitted job {job['submission_id']} to {dashboard.address}: study digits-re"
    )
    assert [line.split()[3] for line in message[4:]] == ["logs", "status", "stop"]
    assert job["entrypoint"] == (
        "python -m tune_jobs run digits-recipes --store /shared/trials --trials 4"  # no data folder of ours
    )
    assert dashboard.sent == {".gitignore", "src/a.py"}


def test_stop_ends_nothing_where_several_jobs_have_the_name(dashboard: Dashboard, call: Any) -> None:
    dashboard.add("one-1", "one", "/a")
    dashboard.add("one-2", "one", "/b", start=2)
    dashboard.add("one-3", "one", "/b", "SUCCEEDED", start=3)
    for verb in ("stop", "logs"):
        code, _, message = call(verb, "one")
        assert code == 2
        assert (
            "2 jobs of study 'one' are under way: one-2 (store /b), one-1 (store /a); name one by" in message
        )
    assert dashboard.stopped == []
    listed = json.loads(call("status", "one", "--format", "json")[1])
    assert [job["job"] for job in listed] == ["one-2", "one-1"]
    assert call("stop", "one-1")[0] == 0
    assert call("stop", "one")[0] == 0  # now there is one
    assert dashboard.stopped == ["one-1", "one-2"]
    listed = json.loads(call("status", "one", "--format", "json")[1])
    assert [job["job"] for job in listed] == ["one-3"]  # the newest, as none is under way


def test_data_folder_that_means_nothing_on_a_node_is_refused(
    dashboard: Dashboard, call: Any, working_folder: Path
) -> None:
    words = ("submit", "digits-recipes", "--store", "/shared/trials", "--working-dir", str(working_folder))
    code, _, message = call(*words, "--data-dir", "data")
    assert code == 2
    assert "--data-dir must be an absolute path for a job, got 'data'" in message
    assert dashboard.jobs == []


LOCKED = """
import threading
from functools import partial
from tune_jobs.inputs.shipped import digits_recipes

def fit(recipe, *, lock, **options):
    yield None

def study():
    return digits_recipes().with_changes(fit=partial(fit, lock=threading.Lock()))
"""


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((), "its training function fit must be picklable, because workers get a copy of it"),
        (("--gpus-per-trial", "auto"), "give --gpus-per-trial a number"),
    ],
)
def test_study_that_no_worker_could_train_is_not_sent(
    dashboard: Dashboard,
    call: Any,
    working_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    more: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(working_folder)
    (working_folder / "own.py").write_text(LOCKED)
    code, out, err = call("submit", "own.py:study", "--store", "/shared/trials", *more)
    assert (code, out) == (2, "")
    assert told in err
    assert dashboard.jobs == []


def test_what_the_job_reads_has_to_be_in_the_upload(
    dashboard: Dashboard, call: Any, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(working_folder)
    for place in ("data", "ignored"):
        (working_folder / place).mkdir(exist_ok=True)
        (working_folder / place / "own.py").write_text(
            "from tune_jobs.inputs.shipped import SHIPPED\n\nf = SHIPPED['digits-recipes']\n"
        )
        (working_folder / place / "points.json").write_text('[{"optimizer": "adam"}]')
    words = ("submit", "--store", "/shared/trials", "--no-wait")
    for given in (["data/own.py:f"], ["digits-recipes", "--enqueue", "ignored/points.json"]):
        code, _, message = call(*words, *given)
        assert code == 2
        assert "the job would not find" in message
    code, _, message = call(*words, "digits-recipes", "--warm-start", "trials::one")
    assert code == 2
    assert "the store 'trials' is a relative path" in message
    assert dashboard.jobs == []


def test_token_in_the_working_folder_stays_here(
    dashboard: Dashboard, call: Any, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (working_folder / "our-token").write_text(TOKEN)
    monkeypatch.chdir(working_folder / "src")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "../our-token")
    words = ("submit", "digits-recipes", "--store", "/shared/trials", "--no-wait")
    assert call(*words, "--working-dir", str(working_folder))[0] == 0
    assert dashboard.sent == {".gitignore", "src/a.py"}


def test_job_that_the_line_broke_upon_is_named(
    dashboard: Dashboard, call: Any, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head has taken the job, and its answer does not arrive."""

    def take(path: str, body: bytes) -> object:
        Dashboard.post(dashboard, path, body)
        raise ConnectionError("the line broke")

    monkeypatch.setattr(dashboard, "post", take)
    words = ("submit", "digits-recipes", "--store", "/shared/trials", "--working-dir", str(working_folder))
    code, _, message = call(*words)
    assert code == 1
    assert f"It may have started job {dashboard.jobs[0]['submission_id']!r} nevertheless" in message


def test_log_that_cannot_be_followed_leaves_the_job_and_says_so(dashboard: Dashboard, call: Any) -> None:
    dashboard.add("one-1", "one", "/a")  # this dashboard knows no websockets
    code, _, message = call("logs", "one", "--follow")
    assert code == 1
    assert "no longer following the log; job one-1 may still run" in message
    assert "logs one-1 --follow" in message
    assert "could not do that: 404" in message


def test_cluster_of_another_ray_is_refused_before_anything_is_sent(
    answering_server: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tune_jobs.on_ray.jobs.job import Submission
    from tune_jobs.on_ray.jobs.submit import Jobs

    address = answering_server(200, {"version": "4", "ray_version": "2.50.1"})
    monkeypatch.setenv("RAY_ADDRESS", "10.255.255.1:6379")  # what was asked for goes before it
    jobs = Jobs(address, read_command)
    submission = Submission(study="one", store="/shared", words=("run", "one"), folder=tmp_path)
    ours = re.escape(version("ray"))
    with pytest.raises(JobError, match=rf"runs Ray 2\.50\.1, and this is written for Ray {ours}"):
        jobs.submit(submission, tell=print)
