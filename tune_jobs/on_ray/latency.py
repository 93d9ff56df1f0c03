"""Latency measurements as a task on a Ray cluster, on the cluster's own kind of device.

One task measures everything, and it holds a whole device: a GPU, or all CPUs of a node, so that Ray runs
nothing beside it that would disturb the times. Two campaigns at once wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from eml_models.errors import InvalidValueError
from eml_models.latency.campaign import Campaign, CampaignResult
from eml_models.latency.investigation import run_campaign
from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.connect import connected
from tune_jobs.on_ray.settings import RunSettings
from tune_jobs.user_code import UserCode


def kind_of_cluster(address: str) -> str:
    """``cuda`` where a node of the cluster has a GPU, else ``cpu``.

    Raises:
        InvalidValueError: the address is none of a head.
        TuneJobsError: no cluster answers at the address, or it does not let us in.
    """
    with _joined(address) as ray:
        return "cuda" if ray.cluster_resources().get("GPU") else "cpu"


def run_campaign_on(address: str, campaign: Campaign, codes: Sequence[UserCode] = ()) -> CampaignResult:
    """`run_campaign` on a node of the cluster.

    Args:
        codes: that register the families of the campaign's networks.

    Raises:
        InvalidValueError: the cluster has no device of that kind, or the campaign is refused there.
        TuneJobsError: no cluster answers, or the task was lost.
    """
    with _joined(address) as ray:
        resources = _whole_device(ray, campaign)
        task = ray.remote(max_retries=0, **resources)(_load_and_run)
        try:
            result: CampaignResult = ray.get(task.remote(campaign, codes))
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if isinstance(cause, InvalidValueError):
                raise InvalidValueError(str(cause)) from error
            raise TuneJobsError(f"the measurement failed on the cluster: {cause}") from error
        except ray.exceptions.RayError as error:
            raise TuneJobsError(f"the measurement was lost on the cluster: {error}") from error
    return result


def _load_and_run(campaign: Campaign, codes: Sequence[UserCode]) -> CampaignResult:
    for code in codes:
        code.load()
    return run_campaign(campaign)


def _whole_device(ray: Any, campaign: Campaign) -> dict[str, float]:
    """The resources of a task that has a device of the campaign's kind to itself.

    Raises:
        InvalidValueError: no node has one.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if campaign.on_cuda:
        if not any(node.get("GPU", 0) >= 1 for node in nodes):
            raise InvalidValueError("no node of the cluster has a GPU; measure with --device cpu")
        return {"num_gpus": 1, "num_cpus": 1}
    cpus = max((node.get("CPU", 0) for node in nodes), default=0)
    if cpus < campaign.threads:
        raise InvalidValueError(
            f"no node of the cluster has {campaign.threads} CPUs; the largest has {cpus:g}"
        )
    return {"num_cpus": cpus}


@contextmanager
def _joined(address: str) -> Iterator[Any]:
    """The cluster's Ray; one that this process has joined already is used and left alone."""
    with connected(RunSettings(address=address)):
        import ray

        yield ray
