"""Latency measurements on a Ray cluster, on the cluster's own kind of device.

One process of the cluster (an actor) measures everything. It holds a whole device, either a GPU with some
CPUs or all CPUs of a node, so that Ray runs nothing beside it that would disturb the times. So a second
campaign waits until the first has ended. This process asks it for news twice a second, so that the caller can
store each round as it ends. The command `latency` calls this.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.latency.bench.processes import Progress
from eml_models.latency.explaining.campaign import Campaign, CampaignResult
from eml_models.latency.explaining.investigation import OnRound, run_campaign
from tune_jobs.errors import TuneJobsError
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.cluster.connect import connected
from tune_jobs.on_ray.leaving import Connection, Turns, finish_or_leave
from tune_jobs.session.ending_signals import EndingSignals
from tune_jobs.session.settings import RunSettings

CPUS_BESIDE_GPU = 8
"""CPUs held beside a GPU, if the node has that many."""

AT_ONCE = 3
"""Calls of the measuring process that run side by side: the campaign, a question for news, a stop."""

LOOK_S = 0.5
"""Seconds between two questions for news."""


def kind_of_cluster(address: str) -> str:
    """``cuda`` where a node of the cluster has a GPU, else ``cpu``.

    Raises:
        InvalidValueError: the address is not a head's.
        TuneJobsError: no cluster answers at the address, or it refuses us.
    """
    with _joined(address) as (ray, _):
        return "cuda" if ray.cluster_resources().get("GPU") else "cpu"


def run_campaign_on(
    address: str,
    campaign: Campaign,
    codes: Sequence[UserCode] = (),
    *,
    on_progress: Progress = lambda text: None,
    on_round: OnRound = lambda result: None,
    signals: EndingSignals | None = None,
) -> CampaignResult:
    """`run_campaign` on a node of the cluster.

    Args:
        codes: the user's modules that register the families of the campaign's networks.
        on_progress, on_round: as for `run_campaign`, called in this process.
        signals: end the campaign with the results so far.

    Raises:
        InvalidValueError: the cluster has no device of that kind, or refuses the campaign.
        RayLostError: the cluster died; `on_round` has got the rounds before.
        TuneJobsError: no cluster answers, or the measuring process was lost.
    """
    with _joined(address) as (ray, connection):
        signals = signals or EndingSignals()
        signals.listen()  # again: Ray has set its own handler of SIGTERM, which exits at once
        turns = Turns()
        resources = _whole_device(ray.nodes(), campaign)
        actor = ray.remote(max_restarts=0, max_concurrency=AT_ONCE, **resources)(_Measurer)
        try:
            measurer = actor.remote()
            task = measurer.run.remote(campaign, codes)

            def keep(result: CampaignResult) -> None:
                with turns.turn():
                    on_round(result)

            return finish_or_leave(
                lambda: _follow(ray, measurer, task, signals, on_progress, keep),
                connection,
                turns,
                ended=lambda: signals.arrived,
            )
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, InvalidValueError):
                raise InvalidValueError(str(cause)) from error
            raise TuneJobsError(f"the measurement failed on the cluster: {cause}") from error
        except ray.exceptions.RayError as error:
            raise TuneJobsError(f"the measurement was lost on the cluster: {error}") from error


def _follow(
    ray: Any, measurer: Any, task: Any, signals: EndingSignals, on_progress: Progress, on_round: OnRound
) -> CampaignResult:
    """Pass the task's news on until it has ended, and pass a signal to it."""
    stopped, ended = False, False
    while not ended:
        ended = bool(ray.wait([task], timeout=LOOK_S)[0])
        if signals.arrived and not stopped:
            measurer.stop.remote()
            stopped = True
        news = measurer.take.remote()
        if not ray.wait([news], timeout=LOOK_S)[0]:
            continue  # no node has room for the process yet, or the process is about to end
        texts, so_far = ray.get(news)
        for text in texts:
            on_progress(text)
        if so_far is not None and not ended:
            on_round(so_far)
    result: CampaignResult = ray.get(task)
    return result


class _Measurer:
    """Runs one campaign in a process of the cluster, in one thread; other threads give news and end it."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._texts: list[str] = []
        self._so_far: CampaignResult | None = None

    def run(self, campaign: Campaign, codes: Sequence[UserCode]) -> CampaignResult:
        for code in codes:
            code.load()
        return run_campaign(
            campaign,
            on_progress=self._add_text,
            on_round=self._keep,
            interrupted=self._stopped.is_set,
        )

    def stop(self) -> None:
        """End the campaign with the results so far."""
        self._stopped.set()

    def take(self) -> tuple[list[str], CampaignResult | None]:
        """The news since the last call: lines of progress, and the newest result if a round has ended."""
        with self._lock:
            news = self._texts, self._so_far
            self._texts, self._so_far = [], None
        return news

    def _add_text(self, text: str) -> None:
        with self._lock:
            self._texts.append(text)

    def _keep(self, result: CampaignResult) -> None:
        with self._lock:
            self._so_far = result


def _whole_device(nodes: Sequence[Mapping[str, Any]], campaign: Campaign) -> dict[str, float]:
    """The resources of a task that holds a whole device of the campaign's kind.

    With a GPU it holds as many CPUs as the launch of kernels, the images and a compiler keep busy: other work
    on these CPUs would disturb the host's part of a time.

    Raises:
        InvalidValueError: no node has such a device.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    if campaign.on_cuda:
        with_gpu = [node.get("CPU", 0) for node in alive if node.get("GPU", 0) >= 1]
        if not with_gpu:
            raise InvalidValueError("no node of the cluster has a GPU; measure with --device cpu")
        return {"num_gpus": 1, "num_cpus": min(CPUS_BESIDE_GPU, max(with_gpu))}
    cpus = max((node.get("CPU", 0) for node in alive), default=0)
    if cpus < campaign.threads:
        raise InvalidValueError(
            f"the measurement uses {campaign.threads} threads, and no node of the cluster has that number of"
            f" CPUs; the largest has {cpus:g}. Give fewer --threads, or add such a node"
        )
    return {"num_cpus": cpus}


@contextmanager
def _joined(address: str) -> Iterator[tuple[Any, Connection]]:
    """Ray, connected to the cluster, and the connection.

    A process that has joined a cluster already keeps its connection.
    """
    with connected(RunSettings(address=address)) as connection:
        import ray

        yield ray, connection
