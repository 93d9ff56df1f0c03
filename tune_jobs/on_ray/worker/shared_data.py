"""A study's data set, read once for all workers: by one task, into Ray's object store.

Ray moves the arrays to each node once, and the processes of a node share them without a copy. The task is
owned by the driver, which does not wait for it: if the task's process or the node that holds the arrays is
lost, Ray runs it again. It takes no CPU, or it would wait for the very workers that wait for it. A worker
that gets nothing from it (say, the node where it ran lacks the data) reads for itself.

What this is not for: training by a function of one's own, which may read what it likes; a set so small that
reading it costs less than a process; a run of one trial at a time. Ray keeps what it shared until the driver
leaves Ray (or until there is need, then on disk), as it keeps what `ray.tune.with_parameters` was given.

`tune_jobs.on_ray.tuning` begins it, the trainable waits and takes. Ray is imported when it is used: the
runner asks for the size before there is one.
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
    SHIPPED,
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
"""Sets below this are not shared: digits (0.13 MB) is read in 20 ms, starting a process takes a second."""

LABEL_BYTES = 8
FLOAT_BYTES = 4

WAIT_S = 900.0
"""How long a worker waits before it reads for itself: the 170 MB of CIFAR-10 at 0.2 MB/s."""

MAX_RETRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedData:
    """Where workers find a data set that a task reads; travels in their payload.

    Attributes:
        verdict: reference to why the set could not be read; to None if it was.
        content: reference to the arrays and their fingerprint; to None if there are none.
    """

    dataset: str
    data_dir: str | None
    verdict: Any
    content: Any


def is_shared(study: Study, settings: RunSettings) -> bool:
    """Whether reading the study's data set once for all workers is worth it."""
    if study.has_own_fit or settings.workers == 1 or study.trials == 1:
        return False
    expected = _expected_bytes(get_dataset_spec(study.recipe.dataset))
    return expected is None or expected >= SMALL_BYTES


def shared_bytes(study: Study, settings: RunSettings) -> int:
    """What the object store has to hold of it, as far as the data set says how large it is; else 0."""
    if not is_shared(study, settings):
        return 0
    return _expected_bytes(get_dataset_spec(study.recipe.dataset)) or 0


def _expected_bytes(spec: DatasetSpec) -> int | None:
    if spec.num_train is None or spec.num_test is None:
        return None
    value_bytes = 1 if spec.name in SHIPPED else FLOAT_BYTES  # at most: one's own may be bytes too
    return (spec.num_train + spec.num_test) * (prod(spec.input_shape) * value_bytes + LABEL_BYTES)


class SharedRead:
    """The reading of a data set by a task, on the driver.

    Attributes:
        data: for the workers' payload.
    """

    def __init__(self, data: SharedData) -> None:
        self.data = data
        self._told = False

    @classmethod
    def begin(
        cls, study: Study, code: UserCode | None, settings: RunSettings, needed: Mapping[str, float]
    ) -> SharedRead:
        """Let a task read the study's data set; returns at once.

        Args:
            needed: resources of a trial. The task runs where they are, since there the data may be expected,
                as the head's node may have neither.
        """
        import ray

        from tune_jobs.on_ray.worker.registered import pack_registered

        dataset = study.recipe.dataset
        # one call a process: what an earlier study registered there under the same name must not be read
        options: dict[str, Any] = {"num_cpus": 0, "max_calls": 1, "max_retries": MAX_RETRIES}
        read: Any = ray.remote(num_returns=2, **options)(_read)
        verdict, content = read.options(scheduling_strategy=_placement(needed)).remote(
            dataset, (settings.data_dir, settings.download), code, pack_registered(code)
        )
        data = SharedData(dataset=dataset, data_dir=settings.data_dir, verdict=verdict, content=content)
        return cls(data)

    def tell(self) -> None:
        """Say once why the workers read for themselves, as soon as that is known. Does not wait."""
        import ray

        if self._told or not ray.wait([self.data.verdict], timeout=0)[0]:
            return
        self._told = True
        try:
            problem = ray.get(self.data.verdict)
        except ray.exceptions.RayError as error:
            problem = first_line(error)
        if problem is not None:
            name = self.data.dataset
            LOG.warning("data set %r was not read once for all, so each worker reads it: %s", name, problem)

    def close(self) -> None:
        """Nobody waits any more: end a reading that has not ended."""
        import ray

        if not ray.wait([self.data.verdict], timeout=0)[0]:
            ray.cancel(self.data.verdict)


def _read(
    dataset: str, where: tuple[str | None, bool], code: UserCode | None, registered: bytes
) -> tuple[str | None, tuple[RawDataset, str] | None]:
    """The task: why the set could not be read, and its arrays with their fingerprint; one of them is None."""
    from tune_jobs.on_ray.worker.registered import load_parts

    data_dir, download = where
    try:
        load_parts(code, registered)
        raw = read_dataset(dataset, data_dir=data_dir, download=download)
        return None, (raw, data_fingerprint(dataset, data_dir=data_dir) or "")
    except Exception as error:  # a worker that meets it too says it as its own
        return f"on {socket.gethostname()}, {first_line(error)}", None


def wait_for(data: SharedData) -> None:
    """On a worker: come back when the arrays are there, or it is known that they will not be."""
    _take(data)


def provide(data: SharedData) -> None:
    """On a worker: let it train on the shared arrays. Does nothing if there are none."""
    taken = _take(data)
    if taken is not None:
        provide_dataset(data.dataset, taken[0], fingerprint=taken[1], data_dir=data.data_dir)


@cache
def _take(data: SharedData) -> tuple[RawDataset, str] | None:
    """Once a process. The arrays are memory of the object store."""
    import ray

    try:
        taken: tuple[RawDataset, str] | None = ray.get(data.content, timeout=WAIT_S)
    except ray.exceptions.RayError as error:  # the driver tells the user; this is for the worker's own log
        LOG.warning("reading data set %r here: %s", data.dataset, first_line(error))
        return None
    return taken


def _placement(needed: Mapping[str, float]) -> Any:
    """A node with a trial's resources, the driver's own if it has them; any node where none has."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    chosen = choose_node(ray.nodes(), needed, own=ray.get_runtime_context().get_node_id())
    return "DEFAULT" if chosen is None else NodeAffinitySchedulingStrategy(chosen, soft=True)


def choose_node(nodes: Sequence[Mapping[str, Any]], needed: Mapping[str, float], *, own: str) -> str | None:
    """The id of a living node that has the resources in all, `own` if it has; None if none has.

    Args:
        nodes: as `ray.nodes` tells of them.
    """
    able = [
        str(node["NodeID"])
        for node in nodes
        if node["Alive"] and all(node["Resources"].get(name, 0.0) >= n for name, n in needed.items())
    ]
    return own if own in able else next(iter(able), None)
