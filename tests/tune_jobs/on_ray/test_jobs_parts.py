"""Jobs without a cluster: what is uploaded, what is recognised, what is refused before anything is sent."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from eml_models.errors import InvalidValueError
from tune_jobs.cli.job_verbs import read_command
from tune_jobs.cli.run_verbs import run
from tune_jobs.errors import JobError, TuneJobsError
from tune_jobs.inputs.shipped import SHIPPED
from tune_jobs.on_ray.cluster.authentication import (
    MODE,
    TOKEN,
    TOKEN_PATH,
    make_private_token_if_none,
    show_token_if_any,
)
from tune_jobs.on_ray.cluster.reaching import jobs_url, require_listener
from tune_jobs.on_ray.latency import kind_of_cluster
from tune_jobs.on_ray.runner import run_study
from tune_jobs.provenance import JOB_CONFIG, git_state, job_id
from tune_jobs.session.settings import RunSettings
from tune_jobs.store.files.protocol import require_lasting_store

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
    with pytest.raises(InvalidValueError, match="all that a job takes with it"):
        inside(str(tmp_path.parent / "b.py"), tmp_path)


def test_file_behind_a_link_in_the_folder_keeps_its_place(tmp_path: Path) -> None:
    """What the link leads to is sent, if at all, under the link's own name."""
    from tune_jobs.cli.job_commands import inside

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link").symlink_to("../elsewhere")
    assert inside(str(tmp_path / "work" / "link" / "a.py"), tmp_path / "work") == os.path.join("link", "a.py")


def test_relative_store_is_refused_and_a_lasting_one_is_not() -> None:
    with pytest.raises(
        InvalidValueError, match="'trials' is a relative path, and the working folder of a job is removed"
    ):
        require_lasting_store("trials")
    require_lasting_store("/shared/trials")
    require_lasting_store("s3://bucket/trials")


def test_job_knows_its_id_and_its_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(JOB_CONFIG, raising=False)
    assert job_id() is None
    monkeypatch.setenv(JOB_CONFIG, json.dumps({"metadata": {"job_submission_id": "one-1a"}}))
    assert job_id() == "one-1a"
    monkeypatch.setenv(JOB_CONFIG, "not json")
    assert job_id() is None
    monkeypatch.setenv("TUNE_JOBS_GIT_COMMIT", "abc+")
    assert git_state(tmp_path) == ("abc", True)


def test_names_that_are_no_utf8_do_not_keep_a_commit_from_being_told(tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    ("variables", "mode"),
    [
        ({}, None),
        ({TOKEN: "t"}, "token"),
        ({TOKEN_PATH: "full"}, "token"),
        ({TOKEN_PATH: "empty"}, None),
        ({TOKEN: "t", MODE: "disabled"}, "disabled"),
    ],
)
def test_token_mode_is_on_where_there_is_a_token(
    variables: dict[str, str], mode: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "full").write_text("t")
    (tmp_path / "empty").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (MODE, TOKEN, TOKEN_PATH):
        monkeypatch.setenv(name, "")  # so that monkeypatch puts back whatever is set below
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    show_token_if_any()
    assert os.environ.get(MODE) == mode


def test_token_of_a_ray_of_our_own_is_its_owners_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (TOKEN, TOKEN_PATH):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(MODE, "disabled")
    make_private_token_if_none()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delenv(MODE)
    make_private_token_if_none()
    token = tmp_path / ".ray" / "auth_token"
    written = token.read_text()
    assert len(written) == 64
    assert (token.parent.stat().st_mode & 0o777, token.stat().st_mode & 0o777) == (0o700, 0o600)
    make_private_token_if_none()
    assert [path.read_text() for path in token.parent.iterdir()] == [written]


def test_address_where_nobody_listens_is_refused_at_once() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    with pytest.raises(TuneJobsError, match=f"no Ray cluster answers at 127.0.0.1:{port}"):
        require_listener(f"127.0.0.1:{port}")
    for scheme in ("", "ray://"):
        with pytest.raises(TuneJobsError, match="no Ray cluster answers"):
            jobs_url(f"{scheme}127.0.0.1:{port}")
    with pytest.raises(InvalidValueError, match="HOST:PORT"):
        require_listener("just-a-host")
    with pytest.raises(InvalidValueError, match="is that of a dashboard, which takes jobs"):
        require_listener("http://127.0.0.1:8265")
    require_listener("auto")
    with pytest.raises(TuneJobsError, match="no Ray cluster answers"):
        kind_of_cluster(f"127.0.0.1:{port}")


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "http://127.0.0.1:8265", "127.0.0.1"])
def test_address_that_is_none_for_a_run_is_refused_before_the_store_knows(
    address: str, tmp_path: Path
) -> None:
    settings = RunSettings(store=str(tmp_path / "trials"), address=address)
    with pytest.raises(InvalidValueError, match=r"HOST:(PORT|6379)"):
        run_study(SHIPPED["digits-recipes"](), settings)
    assert list(tmp_path.iterdir()) == []


def test_address_where_nobody_listens_is_refused_before_the_store_knows(tmp_path: Path) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
    with pytest.raises(TuneJobsError, match=f"no Ray cluster answers at {address}"):
        run_study(SHIPPED["digits-recipes"](), RunSettings(store=str(tmp_path / "trials"), address=address))
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def dashboard() -> Iterator[Callable[[int, dict[str, object]], str]]:
    """Starts an HTTP server that answers everything alike; returns its HOST:PORT."""
    servers: list[HTTPServer] = []

    def start(status: int, answer: dict[str, object]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *args: object) -> None:
                """Silent."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_dashboard_without_a_scheme_is_recognised(dashboard: Callable[..., str]) -> None:
    address = dashboard(401, {})
    assert jobs_url(address) == f"http://{address}"
    assert jobs_url("http://head:8265") == "http://head:8265"
    with pytest.raises(InvalidValueError, match="is that of a dashboard, which takes jobs"):
        require_listener(address)  # where a driver would wait for a head until its time is over


def test_cluster_of_another_ray_is_refused_before_anything_is_sent(
    dashboard: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tune_jobs.on_ray.jobs.submit import Jobs, Submission

    address = dashboard(200, {"version": "4", "ray_version": "2.50.1"})
    monkeypatch.setenv("RAY_ADDRESS", "10.255.255.1:6379")  # what was asked for goes before it
    jobs = Jobs(address, read_command)
    submission = Submission(study="one", store="/shared", words=("run", "one"), folder=tmp_path)
    ours = re.escape(version("ray"))
    with pytest.raises(JobError, match=rf"runs Ray 2\.50\.1, and this is written for Ray {ours}"):
        jobs.submit(submission, tell=print)


@pytest.mark.parametrize(
    ("answer", "told"), [({}, "is no dashboard of Ray"), ({"ray_version": "soon"}, "Invalid version")]
)
def test_server_that_is_no_dashboard_is_told_as_such(
    answer: dict[str, object], told: str, dashboard: Callable[..., str]
) -> None:
    from tune_jobs.on_ray.jobs.submit import Jobs

    with pytest.raises(JobError, match=told):
        Jobs(dashboard(200, answer), read_command)
    with pytest.raises(JobError, match="does not have `get_job_submission_client_cluster_info`"):
        Jobs("json://head:8265", read_command)


def test_dashboard_that_takes_no_word_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from tune_jobs.on_ray.jobs import submit as jobs

    monkeypatch.setattr(jobs, "ANSWER_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(JobError, match=f"no Ray dashboard answers at {url}: .*timed out"):
            jobs.Jobs(url, read_command)


def test_job_that_a_signal_ended_exits_as_a_shell_tells_it() -> None:
    from tune_jobs.on_ray.jobs.submit import Job

    values = {"store": None, "started_at": None, "ended_at": None, "message": None}
    job = Job(id="one-1", study="one", state="FAILED", exit_code=-9, **values)
    assert job.exit_status == 137


def test_what_ray_says_of_a_cluster_is_put_into_words() -> None:
    from tune_jobs.on_ray.cluster.connect import _describe

    mismatch = RuntimeError("Version mismatch: The cluster was started with: Ray: 2.50.1 Python: 3.12.1")
    assert "of another Ray or Python than this process" in _describe("10.0.0.5:6379", mismatch)
    closed = ConnectionError("Failed to connect to Ray cluster at 10.0.0.5:6379")
    assert "most likely the token is missing or wrong" in _describe("10.0.0.5:6379", closed)


def test_a_line_that_breaks_is_a_missing_dashboard() -> None:
    from tune_jobs.on_ray.jobs.submit import _explained

    with (
        pytest.raises(JobError, match=r"no Ray dashboard answers at .*: refused\. Is"),
        _explained("http://127.0.0.1:8265"),
    ):
        raise ConnectionError("refused.")
