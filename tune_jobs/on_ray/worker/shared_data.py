"""A study's data set, read once for all workers: by one task, into Ray's object store.

Ray moves the arrays to each node once, and the processes of a node share them without a copy. The driver owns
the task and does not wait for it. If the task's process is lost, or the node that holds the arrays, Ray runs
the task again. The task takes no CPU, or it would wait for the very workers that wait for it. If the task
fails (say, its node lacks the data), each worker reads the set itself.

Three kinds of run do not share: training by the user's own function, which may read any data; a set that is
read faster than a process starts; and one trial at a time. Ray keeps the arrays until the driver leaves Ray
(on disk when memory is short), as it keeps the arguments of `ray.tune.with_parameters`.

`tune_jobs.on_ray.tuning` begins the reading, and `tune_jobs.on_ray.worker.trainable` waits for it. Ray is
imported inside the functions, because `tune_jobs.on_ray.runner` asks for the size before Ray starts.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

from eml_models.data.datasets import (
    DatasetSpec,
    RawDataset,
    data_fingerprint,
    get_dataset_spec,
    provide_dataset,
    read_dataset,
)
from eml_models.wording import first_line
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.session.settings import RunSettings
from tune_jobs.study.definition import Study

LOG = logging.getLogger("tune_jobs.data")

SMALL_BYTES = 8 << 20
"""Smaller sets are not shared: digits (0.13 MB) is read in 20 ms, and a process starts in a second."""

LABEL_BYTES = 8

WAIT_S = 900.0
"""Seconds that a worker waits before it reads the set itself: the 170 MB of CIFAR-10 at 0.2 MB/s."""

MAX_RETRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedData:
    """References to a data set that a task reads; part of the workers' payload.

    Attributes:
        verdict: a reference to the reason why the set could not be read; to None if it could.
        content: a reference to the arrays and their fingerprint; to None if the set could not be read.
    """

    dataset: str
    data_dir: str | None
    verdict: Any
    content: Any


def is_shared(study: Study, settings: RunSettings) -> bool:
    """Whether the study's data set should be read once for all workers."""
    if study.has_own_fit or settings.workers == 1 or study.trials == 1:
        return False
    expected = _expected_bytes(get_dataset_spec(study.shipped_recipe.dataset))
    return expected is None or expected >= SMALL_BYTES


def shared_bytes(study: Study, settings: RunSettings) -> int:
    """Bytes of the shared data set in the object store; 0 if it is not shared or its size is unknown."""
    if not is_shared(study, settings):
        return 0
    return _expected_bytes(get_dataset_spec(study.shipped_recipe.dataset)) or 0


def _expected_bytes(spec: DatasetSpec) -> int | None:
    if spec.num_train is None or spec.num_test is None:
        return None
    return (spec.num_train + spec.num_test) * (prod(spec.input_shape) * spec.value_bytes + LABEL_BYTES)


class SharedRead:
    """The reading of a data set by a task, on the driver.

    Attributes:
        data: the references for the workers' payload.
    """

    def __init__(self, data: SharedData) -> None:
        self.data = data
        self._checked = False

    @classmethod
    def begin(
        cls, study: Study, code: UserCode | None, settings: RunSettings, needed: Mapping[str, float]
    ) -> SharedRead:
        """Let a task read the study's data set; returns at once.

        Args:
            needed: resources of a trial. The task runs on a node that has them, where trials will need the
                data too. The head's node may lack both.
        """
        import ray

        from tune_jobs.on_ray.worker.registered import pack_registered

        dataset = study.shipped_recipe.dataset
        # a new process for each call: an earlier study may have registered another set under the same name
        options: dict[str, Any] = {"num_cpus": 0, "max_calls": 1, "max_retries": MAX_RETRIES}
        read: Any = ray.remote(num_returns=2, **options)(_read)
        verdict, content = read.options(scheduling_strategy=_placement(needed)).remote(
            dataset, (settings.data_dir, settings.download), code, pack_registered(code)
        )
        data = SharedData(dataset=dataset, data_dir=settings.data_dir, verdict=verdict, content=content)
        return cls(data)

    def warn_of_failure(self) -> None:
        """Warn once if the reading has failed, so that each worker reads the set itself. Does not wait."""
        import ray

        if self._checked or not ray.wait([self.data.verdict], timeout=0)[0]:
            return
        self._checked = True
        try:
            problem = ray.get(self.data.verdict)
        except ray.exceptions.RayError as error:
            problem = first_line(error)
        if problem is not None:
            name = self.data.dataset
            LOG.warning("data set %r could not be shared, so each worker reads it itself: %s", name, problem)

    def close(self) -> None:
        """Stop the reading if it has not ended: no worker waits for it any more."""
        import ray

        if not ray.wait([self.data.verdict], timeout=0)[0]:
            ray.cancel(self.data.verdict)


def _read(
    dataset: str, where: tuple[str | None, bool], code: UserCode | None, registered: bytes
) -> tuple[str | None, tuple[RawDataset, str] | None]:
    """The task: returns the reason for a failure, or the arrays with their fingerprint; the other is None."""
    from tune_jobs.on_ray.worker.registered import load_parts

    data_dir, download = where
    try:
        load_parts(code, registered)
        raw = read_dataset(dataset, data_dir=data_dir, download=download)
        return None, (raw, data_fingerprint(dataset, data_dir=data_dir) or "")
    except Exception as error:  # of any type: a worker with the same error reports it as its trial's
        return f"on {socket.gethostname()}, {first_line(error)}", None


def wait_for(data: SharedData) -> None:
    """Wait on a worker until the arrays are there or the reading has failed."""
    _take(data)


def provide(data: SharedData) -> None:
    """Let a worker train on the shared arrays. Does nothing if the reading has failed."""
    taken = _take(data)
    if taken is not None:
        provide_dataset(data.dataset, taken[0], fingerprint=taken[1], data_dir=data.data_dir)


@cache
def _take(data: SharedData) -> tuple[RawDataset, str] | None:
    """The arrays and their fingerprint, fetched once for each process; the arrays lie in the object store."""
    import ray

    try:
        taken: tuple[RawDataset, str] | None = ray.get(data.content, timeout=WAIT_S)
    except ray.exceptions.RayError as error:  # the driver warns the user; this is for the worker's own log
        LOG.warning(
            "data set %r could not be shared, so it is read here: %s", data.dataset, first_line(error)
        )
        return None
    return taken


def _placement(needed: Mapping[str, float]) -> Any:
    """A strategy for a node with a trial's resources, the driver's node first; any node if none has them."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    chosen = choose_node(ray.nodes(), needed, own=ray.get_runtime_context().get_node_id())
    return "DEFAULT" if chosen is None else NodeAffinitySchedulingStrategy(chosen, soft=True)


def choose_node(nodes: Sequence[Mapping[str, Any]], needed: Mapping[str, float], *, own: str) -> str | None:
    """The id of a living node whose total resources suffice, `own` if it is among them; None if none does.

    Args:
        nodes: in the form of `ray.nodes`.
        own: the id of the driver's node.
    """
    able = [
        str(node["NodeID"])
        for node in nodes
        if node["Alive"] and all(node["Resources"].get(name, 0.0) >= n for name, n in needed.items())
    ]
    return own if own in able else next(iter(able), None)
