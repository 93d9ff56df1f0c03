"""Each inner name of Ray that `tune_jobs.on_ray.private` leans on: what is missing or changed in a new Ray.

A test here that fails alone names what the new Ray lacks, and `private.py` says beside that name what goes
wrong without it. Nothing here starts Ray but the last tests, which look at one that runs.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import subprocess
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tune_jobs.on_ray import private
from tune_jobs.store import provenance

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@cache
def source(*folders: str) -> str:
    """The text of all modules of Ray below these paths of it."""
    spec = find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    top = Path(spec.origin).parent
    files = [
        file
        for folder in folders
        for file in ([top / folder] if folder.endswith(".py") else sorted((top / folder).rglob("*.py")))
    ]
    assert files, f"Ray has no {folders} any more"
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def reads_variable(name: str, *folders: str) -> bool:
    """Whether Ray asks the environment for it there, at once or by a constant."""
    asked = rf'(?:environ\.get|getenv)\(\s*"{name}"|^\w+ = "{name}"$'
    return re.search(asked, source(*folders), re.MULTILINE) is not None


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", private.TUNE_ENVIRONMENT)
def test_ray_reads_the_variable_that_switches_a_part_of_tune_off(name: str) -> None:
    assert reads_variable(name, "tune", "train", "air", "_private", "_common")


def test_worker_reads_how_long_it_may_take_to_end_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    private.wait_for_ended_trials()
    ((name, seconds),) = os.environ.items()
    assert reads_variable(name, "tune/trainable")
    assert int(seconds) > 10**6


def test_supervisor_of_a_job_reads_its_time_of_grace() -> None:
    ((name, seconds),) = private.time_of_grace(30).items()
    assert reads_variable(name, "dashboard/modules/job")
    assert seconds == "30"


def test_supervisor_of_a_job_tells_it_its_id_as_the_store_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR
    from ray.dashboard.modules.job.common import JOB_ID_METADATA_KEY

    monkeypatch.setenv(RAY_JOB_CONFIG_JSON_ENV_VAR, f'{{"metadata": {{"{JOB_ID_METADATA_KEY}": "one-1"}}}}')
    assert provenance.job_id() == "one-1"


def test_init_takes_the_folder_to_write_to(tmp_path: Path) -> None:
    (name,) = private.writing_to(tmp_path)
    assert f'kwargs.pop("{name}"' in source("_private/worker.py")


@pytest.mark.parametrize(
    "words",
    [
        '"%Y-%m-%d_%H-%M-%S_%f"',
        'f"session_{date_str}_{os.getpid()}"',
        '"sockets"',
        '"plasma_store"',
        '"logs"',
    ],
)
def test_folder_of_ray_is_laid_out_as_the_paths_in_it_say(words: str) -> None:
    """`private.LONGEST_SOCKET` and `private.SESSION_LOGS`."""
    assert words in source("_private/node.py")
    assert 'SESSION_LATEST = "session_latest"' in source("_private/ray_constants.py")


def test_loopback_is_the_address_of_a_ray_that_starts_there() -> None:
    from ray._private import ray_constants, services

    before = ray_constants.ENABLE_RAY_CLUSTER
    with private.on_loopback():
        assert services.get_node_ip_address() == "127.0.0.1"
    assert ray_constants.ENABLE_RAY_CLUSTER is before is True


def test_processes_of_a_local_ray_are_started_by_this_class() -> None:
    """Replaced by `private.rays_processes_as`."""
    from ray._private import services

    before = services.ConsolePopen
    assert issubclass(before, subprocess.Popen)
    assert re.search(r"= ConsolePopen\(", source("_private/services.py"))
    with private.rays_processes_as(list):
        assert services.ConsolePopen is list
    assert services.ConsolePopen is before


def test_vital_processes_of_a_ray_have_these_names() -> None:
    from ray._private import services

    assert {Path(services.GCS_SERVER_EXECUTABLE).name, Path(services.RAYLET_EXECUTABLE).name} == set(
        private.VITAL
    )


@pytest.mark.parametrize(("told", "seconds"), [(None, 60.0), ("12", 12.0), ("soon", 60.0)])
def test_patience_of_ray_with_a_head(
    told: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `private.HEAD_PATIENCE`, which Ray's compiled part reads."""
    import ray._raylet

    assert private.HEAD_PATIENCE.encode() in Path(ray._raylet.__file__).read_bytes()
    monkeypatch.delenv(private.HEAD_PATIENCE, raising=False)
    if told:
        monkeypatch.setenv(private.HEAD_PATIENCE, told)
    assert private.head_patience_s() == seconds


@pytest.mark.parametrize(
    ("call", "said", "exit_code"),
    [
        ("", ["Ray's end", "handler"], 0),
        ("worker.global_worker.set_mode(0); private.abandon_ray()", ["handler"], 1),
    ],
)
def test_abandoned_ray_is_called_no_more_at_the_end_of_the_process(
    call: str, said: list[str], exit_code: int
) -> None:
    """The handlers of others run, and what Ray's compiled part does when Python ends is skipped."""
    code = (
        "import atexit\n"
        "atexit.register(lambda: print('handler', flush=True))\n"
        "import ray\n"
        "from ray._private import worker\n"
        "from tune_jobs.on_ray import private\n"
        "worker.disconnect = lambda *options: print('Ray\\'s end', flush=True)\n"
        f"{call}\n"
        "assert worker.global_worker.mode is None\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout.splitlines(), done.returncode) == (said, exit_code), done.stderr
    assert "if global_worker.mode == SCRIPT_MODE and hasattr" in source("_private/worker.py")


def test_rays_of_this_machine_are_addresses() -> None:
    assert all(re.fullmatch(r".+:\d+", address) for address in private.rays_here())


def test_last_ray_that_was_started_is_noted_in_rays_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    assert private.noted_ray_here() is None
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("10.0.0.5:6379")
    assert private.noted_ray_here() == "10.0.0.5:6379"


def test_gpus_of_this_machine_are_counted_as_ray_counts_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own count is that of the devices, less those that the environment hides."""
    from ray._private import accelerators, resource_and_label_spec

    assert private.gpus_here() >= 0
    methods = ("get_current_node_num_accelerators", "get_current_process_visible_accelerator_ids")
    for answers, count in (((2, None), 2), ((2, ["0"]), 1), ((2, []), 0)):
        manager = SimpleNamespace(
            **{name: (lambda answer=answer: answer) for name, answer in zip(methods, answers, strict=True)}
        )
        monkeypatch.setattr(accelerators, "get_accelerator_manager_for_resource", {"GPU": manager}.get)
        assert private.gpus_here() == count
    asked = inspect.getsource(resource_and_label_spec)
    assert all(name in asked for name in ("get_accelerator_manager_for_resource", *methods))


def test_ray_says_in_these_words_that_versions_differ() -> None:
    from ray._private.utils import check_version_info

    with pytest.raises(RuntimeError, match=private.VERSIONS_DIFFER):
        check_version_info({"ray_version": "0.1", "python_version": "3.0.0"}, "127.0.0.1")


def test_ray_says_in_these_words_that_none_runs_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray._private import services

    monkeypatch.setattr(services, "find_gcs_addresses", set)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(ConnectionError, match=private.NO_RAY_HERE):
        services.get_ray_address_from_environment("auto", str(tmp_path))


def test_ray_names_a_node_that_could_not_prepare_a_worker_so() -> None:
    assert '_node_prefix = f"[Node {self._node_ip}] "' in source("_private/runtime_env/agent")
    found = re.search(private.NODE, "Could not create it.\n[Node 10.0.0.2] Traceback\n", re.MULTILINE)
    assert found is not None
    assert found[1] == "10.0.0.2"


def test_advice_of_ray_on_tokens_begins_so() -> None:
    from ray.exceptions import AuthenticationError

    text = str(AuthenticationError("no token"))
    assert text.startswith("no token")
    assert private.TOKEN_ADVICE in text


def test_client_of_jobs_hands_its_limits_to_each_request_and_hears_the_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import requests

    asked = []

    def request(method: str, url: str, **options: Any) -> Any:
        asked.append(options["timeout"])
        answer = {"ray_version": "2.1.0", "version": "4", "ray_commit": "", "session_name": ""}
        return SimpleNamespace(
            status_code=200,
            text="",
            json=lambda: [] if url.endswith("/jobs/") else answer,
            raise_for_status=int,
        )

    monkeypatch.setattr(requests, "request", request)
    client = private.build_job_client("http://127.0.0.1:1", timeouts_s=(5.0, 120.0))
    assert client.list_jobs() == []
    assert len(asked) >= 2
    assert set(asked) == {(5.0, 120.0)}
    assert private.ray_of_cluster(client) == "2.1.0"


def test_free_resources_are_asked_for_without_a_word_more() -> None:
    """By `private.free_by_node`."""
    from ray._private.state import available_resources_per_node

    assert parameters(available_resources_per_node) == []


def test_which_autoscaler_a_cluster_has_is_asked_of_its_head() -> None:
    """By `private.is_second_autoscaler`."""
    from ray.autoscaler.v2.utils import is_autoscaler_v2

    assert {"fetch_from_server", "gcs_client"} <= set(parameters(is_autoscaler_v2))


@pytest.mark.parametrize("method", ["internal_kv_get", "get_cluster_status"])
def test_head_is_asked_by_a_client_of_its_own(method: str) -> None:
    from ray._raylet import GcsClient, InnerGcsClient

    assert GcsClient.__getattr__  # hands what it is asked for to the inner one
    assert callable(getattr(InnerGcsClient, method))


@pytest.mark.parametrize(
    ("home", "kind", "names"),
    [
        (
            "autoscaler",
            "AutoscalerSummary",
            {"pending_nodes", "pending_launches", "node_availability_summary", "node_type_mapping"},
        ),
        ("load_metrics", "LoadMetricsSummary", {"pg_demand"}),
        ("node_provider_availability_tracker", "NodeAvailabilitySummary", {"node_availabilities"}),
        (
            "node_provider_availability_tracker",
            "NodeAvailabilityRecord",
            {"is_available", "unavailable_node_information"},
        ),
        ("node_provider_availability_tracker", "UnavailableNodeInformation", {"description"}),
    ],
)
def test_status_of_the_first_autoscaler_has_these_fields(home: str, kind: str, names: set[str]) -> None:
    """Read by `private.first_autoscaler`."""
    module = import_module(f"ray.autoscaler._private.{home}")
    assert names <= {field.name for field in dataclasses.fields(getattr(module, kind))}


@pytest.mark.parametrize("key", ["autoscaler_report", "load_metrics_report", "time"])
def test_status_of_the_first_autoscaler_is_written_under_these_keys(key: str) -> None:
    from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS

    assert isinstance(DEBUG_AUTOSCALING_STATUS, str)
    assert f'"{key}"' in source("autoscaler/_private/monitor.py")
    assert "DEBUG_AUTOSCALING_STATUS" in source("autoscaler/_private/monitor.py")


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("GetClusterStatusReply", {"autoscaling_state"}),
        (
            "AutoscalingState",
            {
                "last_seen_cluster_resource_state_version",
                "pending_instance_requests",
                "pending_instances",
                "infeasible_gang_resource_requests",
                "failed_instance_requests",
            },
        ),
        ("GangResourceRequest", {"requests"}),
        ("ResourceRequest", {"resources_bundle"}),
        ("FailedInstanceRequest", {"ray_node_type_name", "reason"}),
    ],
)
def test_state_of_the_second_autoscaler_has_these_fields(message: str, names: set[str]) -> None:
    """Read by `private.second_autoscaler`."""
    from ray.core.generated import autoscaler_pb2

    assert names <= set(getattr(autoscaler_pb2, message).DESCRIPTOR.fields_by_name)


def test_node_that_is_only_looked_at_has_a_type_of_its_own() -> None:
    assert private.type_of_unscaled_node("ab12") == "node_ab12"
    assert "format_readonly_node_type" in source("autoscaler/_private/readonly")


def test_tune_hears_of_a_workers_error_as_it_is_translated(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.air.execution._internal import RayActorManager
    from ray.tune.execution import tune_controller

    heard = []

    def fail(self: object, tracked_actor_task: object, exception: Exception) -> None:
        heard.append(exception)

    assert parameters(RayActorManager._actor_task_failed) == parameters(fail)
    assert re.search(r"= RayActorManager\(", source("tune/execution/tune_controller.py"))
    monkeypatch.setattr(RayActorManager, "_actor_task_failed", fail)
    with private.worker_errors_as(lambda error: KeyError(str(error))):
        made: Any = tune_controller.RayActorManager
        made.__new__(made)._actor_task_failed(
            tracked_actor_task=None, exception=ValueError("the node is low")
        )
    assert tune_controller.RayActorManager is RayActorManager
    assert [(type(error), *error.args) for error in heard] == [(KeyError, "the node is low")]


def test_workers_and_their_calls_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker keeps its name; its calls are named by the trial that it has then."""
    import ray
    from ray.air.execution._internal import RayActorManager
    from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
    from ray.tune.execution import tune_controller

    assert {"cls", "kwargs", "resource_request"} <= set(parameters(RayActorManager.add_actor))
    assert {"method_name", "args"} <= set(parameters(RayActorManager._schedule_tracked_actor_task))
    controller = source("tune/execution/tune_controller.py")
    assert re.search(r"add_actor\(\s*cls=_actor_cls,", controller)
    assert re.search(r'method_name="reset",\s*args=\(extra_config,\),', controller)
    made: list[Any] = []
    called: list[tuple[str, str]] = []

    class Actor:
        def __getattr__(self, method: str) -> Any:
            return Method(method)

    class Method:
        def __init__(self, method: str, name: str = "") -> None:
            self.method, self.name = method, name

        def options(self, *, name: str) -> Any:
            return Method(self.method, name)

        def remote(self, *words: Any, **options: Any) -> Any:
            called.append((self.method, self.name))
            return object()

    @ray.remote
    class Trainable:
        pass

    with private.workers_named("demo/1f", lambda config: f"demo-{config['number']}"):
        manager: Any = tune_controller.RayActorManager(
            resource_manager=SimpleNamespace(request_resources=lambda **options: None)
        )
        monkeypatch.setattr(manager._actor_task_events, "track_future", lambda **options: None)
        for number in (0, 1):
            tracked = manager.add_actor(
                cls=Trainable, kwargs={"config": {"number": number}}, resource_request=number
            )
            made.append(manager._pending_actors_to_attrs[tracked][0]._default_options["name"])
        actor = Actor()
        manager._live_actors_to_ray_actors_resources[tracked] = (actor, None)
        for method, args in (("train", ()), ("reset", ({"number": 7},)), ("train", ())):
            task = TrackedActorTask(tracked_actor=tracked)
            manager._schedule_tracked_actor_task(
                tracked_actor_task=task, method_name=method, args=args, kwargs={}
            )
        assert manager._live_actors_to_ray_actors_resources[tracked] == (actor, None)
    assert made == ["demo/1f worker 1", "demo/1f worker 2"]
    assert "name" not in Trainable._default_options
    assert called == [("train", "demo-1"), ("reset", "demo-7"), ("train", "demo-7")]
    assert tune_controller.RayActorManager is RayActorManager


def test_progress_is_written_only_to_a_job_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.dashboard.modules.job.common import JobInfo, JobInfoStorageClient
    from ray.job_submission import JobStatus

    kept: dict[bytes, bytes] = {}

    class Client:
        def internal_kv_get(self, key: bytes, namespace: bytes, timeout: int) -> bytes | None:
            return kept.get(key)

        def internal_kv_put(
            self, key: bytes, value: bytes, overwrite: bool, *, namespace: bytes, timeout: int
        ) -> int:
            assert overwrite
            kept[key] = value
            return 0

    monkeypatch.setattr(private, "_gcs", Client)
    key = JobInfoStorageClient.JOB_DATA_KEY.format(job_id="demo-1").encode()
    private.note_in_job("demo-1", "progress", "1 of 2 trials")
    assert kept == {}
    info = JobInfo(status=JobStatus.RUNNING, entrypoint="python -m tune_jobs", metadata={"study": "demo"})
    kept[key] = json.dumps(info.to_json()).encode()
    private.note_in_job("demo-1", "progress", "1 of 2 trials")
    found = JobInfo.from_json(json.loads(kept[key]))
    assert found == dataclasses.replace(info, metadata={"study": "demo", "progress": "1 of 2 trials"})
    kept[key] = json.dumps(dataclasses.replace(info, status=JobStatus.STOPPED).to_json()).encode()
    before = kept[key]
    private.note_in_job("demo-1", "progress", "2 of 2 trials")
    assert kept[key] == before
    monkeypatch.setattr(private, "_gcs", lambda: None)  # as a cluster without its control process
    private.note_in_job("demo-1", "progress", "2 of 2 trials")


def test_tune_writes_the_error_of_a_trial_below_a_line_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.exceptions import RayActorError
    from ray.tune.experiment import Trial

    monkeypatch.setattr(Trial, "local_path", str(tmp_path))
    trial = Trial("train", stub=True)
    assert private.error_of_trial(trial) == ""
    trial.handle_error(RayActorError(error_msg="killed"))
    assert private.error_of_trial(trial) == "killed\n"


def test_patterns_mean_what_they_mean_in_a_gitignore(tmp_path: Path) -> None:
    matches = private.match_patterns(tmp_path, ["*.log", "/data"])
    assert [matches(tmp_path / name) for name in ("a/b.log", "data", "a/data", "c.py")] == [
        True,
        True,
        False,
        False,
    ]


def test_ignore_file_is_read_with_its_patterns(tmp_path: Path) -> None:
    assert private.match_file(tmp_path, ".gitignore") is None
    (tmp_path / ".gitignore").write_text("*.log\n!kept.log\n")
    matches = private.match_file(tmp_path, ".gitignore")
    assert matches is not None
    assert [matches(tmp_path / name) for name in ("a.log", "kept.log")] == [True, False]


def test_ray_leaves_environments_and_history_out_by_itself() -> None:
    assert {".git", ".venv"} <= set(private.usual_excludes())


@pytest.mark.parametrize(("value", "heeded"), [(None, True), ("0", True), ("1", False)])
def test_user_may_tell_ray_to_heed_no_gitignore(
    value: str | None, heeded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", raising=False)
    if value is not None:
        monkeypatch.setenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", value)
    assert private.obeys_gitignore() is heeded


def test_limits_of_an_upload_are_bytes() -> None:
    assert 1 << 20 < private.most_package_bytes() < 1 << 34


def test_a_process_without_ray_has_no_files_and_no_folder_of_rays_logs() -> None:
    program = (
        "from tune_jobs.on_ray import private\n"
        "assert private.worker_log_files() == ()\n"
        "assert private.ray_logs_here() is None"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_of_the_tests")
class TestOnARayThatRuns:
    """What shows only there."""

    def test_its_folder_is_laid_out_as_the_paths_in_it_say(self) -> None:
        import ray

        session = Path(ray._private.worker._global_node.get_session_dir_path())
        folder = session.parent
        assert (folder / private.SESSION_LOGS).samefile(session / "logs")
        sockets = [str(path.relative_to(folder)) for path in (session / "sockets").iterdir()]
        assert sockets
        assert max(map(len, sockets)) <= len(private.LONGEST_SOCKET)

    def test_it_is_found_and_listens_on_loopback(self) -> None:
        import ray

        address = ray.get_runtime_context().gcs_address
        assert address.startswith("127.0.0.1:")
        assert address in private.rays_here()

    def test_its_free_resources_are_listed_by_node(self) -> None:
        (free,) = private.free_by_node()
        assert 0 <= free.get("CPU", 0.0) <= 2

    def test_its_autoscaler_is_none_that_scales(self) -> None:
        assert private.is_second_autoscaler() is False
        assert private.first_autoscaler() == {} or "time" in private.first_autoscaler()
        assert not private.second_autoscaler().pending_instances

    def test_output_of_a_worker_is_in_the_files_that_it_names(self) -> None:
        import ray

        def prints() -> list[str]:
            os.system("echo from a subprocess; echo and its error >&2")
            return [str(file) for file in private.worker_log_files()]

        out, err = map(Path, ray.get(ray.remote(prints).remote()))
        assert "from a subprocess\n" in out.read_text()
        assert "and its error\n" in err.read_text()
        folder = private.ray_logs_here()
        assert folder is not None
        assert folder.samefile(out.parent)

    def test_traceback_of_a_call_begins_with_its_name(self) -> None:
        import ray

        def fail() -> None:
            raise ValueError("no such thing")

        with pytest.raises(ValueError, match="no such thing") as caught:
            ray.get(ray.remote(fail).remote())
        assert re.sub(r"\x1b\[[0-9;]*m", "", str(caught.value)).startswith(private.CALL)
