"""Every inner name of Ray that we lean on: a new Ray breaks here, and nowhere else.

Ray makes no promise about its inner names: modules and names with an underscore, generated messages, the
layout of its folders, the words of its errors, and variables that switch parts of it off. Each entry names
what it leans on, the first Ray that has it in this form ("2.30" for that or older), and what goes wrong
without it. Each has a test that fails by itself, and a policy test refuses such names in any other file.

The modules of `tune_jobs.on_ray` call this. Ray is imported inside the functions alone, because some of this
is needed before Ray may be imported (see `tune_jobs.on_ray.cluster.authentication`). One more inner name
stands in `tune_jobs.store.provenance`, which the store calls and which knows no Ray.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

TUNE_ENVIRONMENT: Mapping[str, str] = {
    "RAY_AIR_NEW_OUTPUT": "0",  # without it: Tune prints tables of its own over the progress line
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # without it: relative paths of a training function lead elsewhere
    "RAY_USAGE_STATS_ENABLED": "0",  # without it: Ray reports the run to its makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # since 2.50; without it: Ray warns of workers without a GPU
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # without it: five files for each trial
    "TUNE_DISABLE_AUTO_INIT": "1",  # without it: Tune starts another Ray where Ray has gone
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # without it: Tune takes Ctrl-C, and the run seems to end normally
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # without it: 13 KB for each trial, rewritten repeatedly
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # the bridge sets the number; without it: slots stay empty
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",  # without it: needless warnings
}
"""Variables that switch off Tune's own files, output and signal handling; the store, the progress line and
the runner replace them. Leans on variables that `ray.tune` reads when it is imported and later, on workers
too (2.30). Without it: see the comment beside each."""

LONGEST_SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""The longest path of a socket in Ray's folder: date, time, microseconds and the longest process id of Linux.
Leans on the layout of that folder (2.30). Without it: a Ray whose folder lies deep does not start, and its
error does not give the reason."""

SESSION_LOGS = "session_latest/logs"
"""The logs in Ray's folder. Leans on its layout (2.30). Without it: a failed run names logs that do not
exist."""

VERSIONS_DIFFER = "ersion mismatch"
"""A part of Ray's error about a cluster of another Ray or Python. Leans on its words (2.30). Without it: our
message does not name the way out."""

NO_RAY_HERE = "any running Ray instance"
"""A part of Ray's error where ``auto`` finds no Ray. Leans on its words (2.30). Without it: our message does
not name the way out."""

TOKEN_ADVICE = ". Ensure"
"""The beginning of Ray's own advice on tokens. Leans on its words (2.52). Without it: a message has Ray's
long advice beside ours."""

CALL = "ray::"
"""The beginning of the traceback of a worker's call. Leans on its form (2.30). Without it: the reason of a
failed trial begins with a useless line."""

NODE = r"^\[Node ([^\]]+)\]"
"""The name of the node in Ray's text about a worker that could not be prepared. Leans on its form (2.30).
Without it: the reason of a failed trial does not say which node has a full disk."""


def wait_for_ended_trials() -> None:
    """Let a worker take as long as it needs to end a trial.

    Leans on the variable TUNE_FUNCTION_THREAD_TIMEOUT_S, which Ray reads when a trial ends (2.30). Without
    it: if a worker needs more than 2 s to tidy up, Tune loses the next trial.
    """
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = "1000000000"


def time_of_grace(seconds: int) -> dict[str, str]:
    """The environment of a job that has this number of seconds to end in order once it is stopped.

    Leans on the variable RAY_JOB_STOP_WAIT_TIME_S (2.30). Without it: a job has 3 s, and loses what it
    trains.
    """
    return {"RAY_JOB_STOP_WAIT_TIME_S": str(seconds)}


def writing_to(folder: Path) -> dict[str, Any]:
    """The option of `ray.init` that names Ray's folder.

    Leans on its private option `_temp_dir` (2.30). Without it: Ray writes to a folder in which every user of
    the machine may write.
    """
    return {"_temp_dir": str(folder)}


@contextmanager
def on_loopback() -> Iterator[None]:
    """Make Ray use loopback as this machine's address while it starts, as it does on macOS and Windows.

    `ray.init` replaces a loopback address by another, unless a constant forbids that. The environment's
    RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER sets the constant when Ray is imported; that may have happened already.

    Leans on `ray._private.ray_constants.ENABLE_RAY_CLUSTER`, which `ray._private.services` reads (2.30).
    Without it: a Ray of our own listens on the machine's own address, which other machines reach.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def rays_processes_as(start: Callable[..., Any]) -> Iterator[None]:
    """A context in which Ray starts its processes by `start`, with the arguments of `subprocess.Popen`.

    Leans on `ConsolePopen` of `ray._private.services` (2.30). Without it: a signal to the process group of a
    run ends its Ray too, and the Ray of a killed run lives on for a minute.
    """
    from ray._private import services

    module: Any = services
    before, module.ConsolePopen = module.ConsolePopen, start
    try:
        yield
    finally:
        module.ConsolePopen = before


VITAL = ("gcs_server", "raylet")
"""The programs without which a Ray is dead: its control process, and the manager of its node. Leans on their
names (2.30). Without it: the death of a Ray of our own is noticed after a minute."""


HEAD_PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""The variable with the seconds after which Ray takes a head for dead. Leans on its name (2.30). Without it:
as for `head_patience_s`."""


def head_patience_s() -> float:
    """Seconds after which Ray takes a head for dead, and ends this process.

    Leans on the default of that variable (2.30). Without it: Ray's own words end a run, without the command
    that continues it.
    """
    try:
        return float(os.environ.get(HEAD_PATIENCE, 60))
    except ValueError:
        return 60.0


def abandon_ray() -> None:
    """Let the end of this process, and an error in it, call Ray no more; without a head the call would hang.

    Ray's compiled part hangs too when Python ends. So the process ends before that, with exit code 1, which
    Ray would give it a minute later. The command line ends with a code of its own.

    Leans on `ray.shutdown`, which Ray registers for the end of the process, and on the mode of
    `ray._private.worker.global_worker`, at which its hook for errors looks (2.30). Without it: a process
    whose Ray has died ends after a minute.
    """
    import ray
    from ray._private.worker import global_worker

    atexit.unregister(ray.shutdown)
    worker: Any = global_worker  # Ray itself sets None, which its type forbids
    worker.set_mode(None)

    def end_after_other_handlers() -> None:
        atexit.unregister(end_after_other_handlers)
        atexit._run_exitfuncs()
        os._exit(1)

    atexit.register(end_after_other_handlers)


def rays_here() -> set[str]:
    """The addresses of all Ray clusters that run on this machine.

    Leans on `ray._private.services.find_gcs_addresses` (2.30). Without it: ``auto`` may join any of them.
    """
    from ray._private import services

    return set(services.find_gcs_addresses())


def noted_ray_here() -> str | None:
    """The address that the last ``ray start`` of this machine left, if its Ray runs.

    Leans on `ray._private.services.find_bootstrap_address` (2.30). Without it: ``auto`` may join any Ray of
    this machine.
    """
    from ray._private import services

    found: str | None = services.find_bootstrap_address(None)
    return found


def gpus_here() -> int:
    """The GPUs that a Ray of our own would count on this machine. Needs no Ray that runs.

    Leans on `ray._private.accelerators.get_accelerator_manager_for_resource` and on the methods of its
    managers, as Ray itself does when it starts (2.30). Without it: a run that asks for a GPU where there is
    none fails only after Ray has started.
    """
    from ray._private.accelerators import get_accelerator_manager_for_resource

    manager = get_accelerator_manager_for_resource("GPU")
    if manager is None:
        return 0
    count, visible = (
        manager.get_current_node_num_accelerators(),
        manager.get_current_process_visible_accelerator_ids(),
    )
    return int(count if visible is None else min(count, len(visible)))


def build_job_client(address: str, *, timeouts_s: tuple[float, float]) -> Any:
    """A client of jobs with time limits for a connection and for an answer. Ray's own client has no limit.

    Leans on `JobSubmissionClient._do_request`, which makes all its requests, with options of
    `requests.request` (2.30). Without it: the command line waits for ever for a head that has gone silent.
    """
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):
        def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
            return super()._do_request(method, endpoint, **{"timeout": timeouts_s, **options})

    return Client(address)


def ray_of_cluster(client: Any) -> str | None:
    """The cluster's version of Ray, as a client of jobs knows it.

    Leans on `JobSubmissionClient._server_ray_version` (2.54). Without it: a job goes to a cluster of
    another Ray.
    """
    found: str | None = client._server_ray_version
    return found


def free_by_node() -> list[dict[str, float]]:
    """The free resources of each living node.

    Leans on `ray._private.state.available_resources_per_node` (2.30). Without it: the number of open slots is
    unknown, and trials begin one after the other.
    """
    from ray._private.state import available_resources_per_node

    return list(available_resources_per_node().values())


def is_second_autoscaler() -> bool:
    """Whether the cluster's autoscaler is the second of Ray's two.

    Leans on `ray.autoscaler.v2.utils.is_autoscaler_v2` (2.30). Without it: neither can be read.
    """
    from ray.autoscaler.v2.utils import is_autoscaler_v2

    return bool(is_autoscaler_v2(fetch_from_server=True, gcs_client=_gcs()))


def first_autoscaler() -> dict[str, Any]:
    """The status that the first autoscaler wrote last; empty before its first round.

    Leans on the key `ray._private.ray_constants.DEBUG_AUTOSCALING_STATUS` of GCS's key-value store, and on
    the fields of its value: `AutoscalerSummary`, `LoadMetricsSummary` and `NodeAvailabilitySummary` of
    `ray.autoscaler._private` (2.30). Without it: a run waits for ever for a node that will never come.
    """
    from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS

    found = _gcs().internal_kv_get(DEBUG_AUTOSCALING_STATUS.encode(), None)
    return dict(json.loads(found)) if found else {}


def second_autoscaler() -> Any:
    """The second autoscaler's state, a protobuf message.

    Leans on `GcsClient.get_cluster_status` and on `AutoscalingState` in `ray.core.generated.autoscaler_pb2`
    (2.30). Without it: a run waits for ever for a node that will never come.
    """
    from ray.core.generated import autoscaler_pb2

    reply = autoscaler_pb2.GetClusterStatusReply  # type: ignore[attr-defined]  # made at import
    return reply.FromString(_gcs().get_cluster_status()).autoscaling_state


def type_of_unscaled_node(node: str) -> str:
    """The type that an autoscaler gives to a node that it only watches.

    Leans on `ray.autoscaler._private.util.format_readonly_node_type` (2.30). Without it: a run waits for
    nodes of a head without scaling.
    """
    from ray.autoscaler._private.util import format_readonly_node_type

    return str(format_readonly_node_type(node))


def _gcs() -> Any:
    """A client of GCS. Leans on `ray._raylet.GcsClient` (2.30). Without it: no autoscaler can be read."""
    import ray
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, without types

    return GcsClient(address=ray.get_runtime_context().gcs_address)


@contextmanager
def worker_errors_as(translate: Callable[[Exception], Exception]) -> Iterator[None]:
    """A context in which each new run of Tune sees the error of a worker's call as `translate` returns it.

    Leans on `RayActorManager._actor_task_failed` of `ray.air.execution._internal`, and on the manager that
    `ray.tune.execution.tune_controller` makes by that name (2.30). Without it: if Ray ends one worker because
    memory is low, the run ends with all of its trials.
    """
    from ray.air.execution._internal import RayActorManager
    from ray.tune.execution import tune_controller

    class Manager(RayActorManager):
        def _actor_task_failed(self, tracked_actor_task: Any, exception: Exception) -> None:
            super()._actor_task_failed(tracked_actor_task, translate(exception))

    module: Any = tune_controller
    before, module.RayActorManager = module.RayActorManager, Manager
    try:
        yield
    finally:
        module.RayActorManager = before


@contextmanager
def workers_named(run: str, trial_of: Callable[[Mapping[str, Any]], str]) -> Iterator[None]:
    """A context in which the workers and the calls of each new run of Tune have names in the Ray dashboard.

    A worker keeps its name while it takes one trial after the other, so it is ``RUN worker 3``. Each call of
    it has the name of its trial, and so has its process, which Ray calls by the call that it runs.

    Args:
        run: the beginning of the workers' names; no other run of the cluster may have the same.
        trial_of: the name of a trial, by its config.

    Leans on `add_actor` and `_schedule_tracked_actor_task` of the `RayActorManager` that
    `ray.tune.execution.tune_controller` makes, on its `_live_actors_to_ray_actors_resources`, on the config
    that Tune gives to a new worker and to ``reset``, and on the default options of an actor's class (2.30).
    Without it: the dashboard shows every worker as the same function, without a trial.
    """
    from ray.tune.execution import tune_controller

    module: Any = tune_controller
    before = module.RayActorManager

    class Manager(before):  # type: ignore[misc, valid-type]  # known at run time alone
        def __init__(self, *words: Any, **options: Any) -> None:
            super().__init__(*words, **options)
            self._num_named, self._trial_names = 0, WeakKeyDictionary[Any, str]()

        def add_actor(self, *, cls: Any, kwargs: Mapping[str, Any], **options: Any) -> Any:
            self._num_named += 1
            named = _with_name(cls, f"{run} worker {self._num_named}")
            tracked = super().add_actor(cls=named, kwargs=kwargs, **options)
            self._trial_names[tracked] = trial_of(kwargs["config"])
            return tracked

        def _schedule_tracked_actor_task(
            self, tracked_actor_task: Any, method_name: str, **options: Any
        ) -> Any:
            tracked, live = tracked_actor_task._tracked_actor, self._live_actors_to_ray_actors_resources
            if method_name == "reset" and options.get("args"):
                self._trial_names[tracked] = trial_of(options["args"][0])
            actor, resources = live[tracked]
            live[tracked] = _NamedCalls(actor, self._trial_names.get(tracked) or run), resources
            try:
                return super()._schedule_tracked_actor_task(tracked_actor_task, method_name, **options)
            finally:
                live[tracked] = actor, resources

    module.RayActorManager = Manager
    try:
        yield
    finally:
        module.RayActorManager = before


def _with_name(actor_class: Any, name: str) -> Any:
    """The class of an actor, whose next actor has this name. What Ray has registered of it is shared.

    Leans on `_default_options` of `ray.actor.ActorClass` (2.30). Without it: as for `workers_named`.
    """
    named = copy(actor_class)
    named._default_options = {**actor_class._default_options, "name": name}
    return named


class _NamedCalls:
    """An actor whose calls have a name."""

    def __init__(self, actor: Any, name: str) -> None:
        self._actor, self._name = actor, name

    def __getattr__(self, method: str) -> Any:
        return getattr(self._actor, method).options(name=self._name)


def note_in_job(job_id: str, key: str, value: str) -> None:
    """Write a value into the metadata of a job that runs; does nothing if the record cannot be changed.

    Ray writes the record at the beginning and the end of a job, and none of its calls changes the metadata in
    between. This reads the record and writes it back within a millisecond, and only while it says that the
    job runs; Ray itself writes a job's end after its driver, who calls this, has ended.

    Leans on the key of GCS's key-value store under which `JobInfoStorageClient` of
    `ray.dashboard.modules.job.common` keeps a job's record as JSON, and on its fields ``status`` and
    ``metadata`` (2.30). Without it: the dashboard shows the study of a job, and not its progress.
    """
    place = {"namespace": b"job", "timeout": 2}
    record_key = f"_ray_internal_job_info_{job_id}".encode()
    try:
        client = _gcs()
        record = json.loads(client.internal_kv_get(record_key, **place) or "{}")
        if record.get("status") != "RUNNING":
            return
        record["metadata"] = {**(record.get("metadata") or {}), key: value}
        client.internal_kv_put(record_key, json.dumps(record).encode(), True, **place)
    except Exception as error:  # of any type of Ray's: a record that is not written costs nothing
        logging.getLogger("tune_jobs.ray").debug("the job's metadata was not written: %s", error)


def error_of_trial(trial: Any) -> str:
    """Tune's text about a trial's last error; empty if there is none.

    Tune's `Trial.get_error` reads the place to which the text will be copied later, so it finds none yet.

    Leans on `ray.tune.experiment.Trial.error_file`, whose first line counts failures (2.30). Without it: a
    crashed trial has no reason.
    """
    file = trial.error_file
    text = Path(file).read_text() if file and Path(file).exists() else ""
    return text.partition("\n")[2]


def match_patterns(folder: Path, patterns: Sequence[str]) -> Callable[[Path], bool]:
    """A function that says whether a path in a folder matches patterns as in a ``.gitignore``.

    Leans on `ray._private.runtime_env.packaging._get_excludes` (2.30). Without it: nothing can be submitted.
    """
    from ray._private.runtime_env.packaging import _get_excludes

    match: Callable[[Path], bool] = _get_excludes(folder, list(patterns))
    return match


def match_file(folder: Path, name: str) -> Callable[[Path], bool] | None:
    """A function that says whether a path matches a folder's ``.gitignore`` or ``.rayignore``.

    Args:
        name: the name of that file; without such a file in the folder, None is returned.

    Leans on `ray._private.runtime_env.packaging._get_ignore_file` (2.53). Without it: nothing can be
    submitted.
    """
    from ray._private.runtime_env.packaging import _get_ignore_file

    match: Callable[[Path], bool] | None = _get_ignore_file(folder, name)
    return match


def usual_excludes() -> list[str]:
    """The patterns of files that Ray itself leaves out of every upload.

    Leans on `ray._private.ray_constants.get_runtime_env_default_excludes` (2.54). Without it: nothing can be
    submitted.
    """
    from ray._private import ray_constants

    return list(ray_constants.get_runtime_env_default_excludes())


def obeys_gitignore() -> bool:
    """Whether Ray obeys a ``.gitignore``, by the user's environment.

    Leans on `ray._private.ray_constants.RAY_RUNTIME_ENV_IGNORE_GITIGNORE`, the name of a variable (2.30).
    Without it: nothing can be submitted.
    """
    from ray._private import ray_constants

    return os.environ.get(ray_constants.RAY_RUNTIME_ENV_IGNORE_GITIGNORE, "0") != "1"


def most_package_bytes() -> int:
    """Bytes of the largest archive that a head takes: its dashboard and its store of packages have limits.

    Leans on `ray._private.ray_constants.DASHBOARD_CLIENT_MAX_SIZE` (2.47) and
    `ray._private.runtime_env.packaging.GCS_STORAGE_MAX_SIZE` (2.30). Without it: nothing can be submitted.
    """
    from ray._private.ray_constants import DASHBOARD_CLIENT_MAX_SIZE
    from ray._private.runtime_env.packaging import GCS_STORAGE_MAX_SIZE

    return min(int(DASHBOARD_CLIENT_MAX_SIZE), int(GCS_STORAGE_MAX_SIZE) - 1)


def worker_log_files() -> tuple[Path, ...]:
    """The files into which Ray sends stdout and stderr of this worker's process; none outside of a worker.

    Leans on `get_out_file_path` and `get_err_file_path` of `ray._private.worker.global_worker` (2.30).
    Without it: the logs of attempts are empty.
    """
    from ray._private.worker import global_worker

    return tuple(
        Path(path) for path in (global_worker.get_out_file_path(), global_worker.get_err_file_path()) if path
    )


def ray_logs_here() -> Path | None:
    """The folder of the logs of Ray's node on this machine; None if this process started or joined none.

    Leans on `get_logs_dir_path` of `ray._private.worker._global_node` (2.30). Without it: the log of a worker
    that died lacks its last second.
    """
    from ray._private import worker

    node = worker._global_node
    return Path(node.get_logs_dir_path()) if node is not None else None
