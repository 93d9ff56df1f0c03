"""What the cluster's autoscaler says: whether there is one, and whether a demand will ever be met.

Ray 2.60 has two. `ray up` and KubeRay start the second unless they are told not to
(`RAY_UP_enable_autoscaler_v2=0`, `autoscalerOptions.version: v1`); it tells GCS what it can never place. The
first writes a status into GCS's key-value store that says what waits and what is started, so "never" is
what it has seen and starts nothing for. Neither tells a demand that no node type meets from one for which as
many nodes run as may. A head that nobody scales has an autoscaler too, which only looks on.

Asked by `tune_jobs.on_ray.cluster.room`; asks for nothing itself. The formats are Ray's own affair:
`tune_jobs.on_ray.private` fetches them, and its tests know their fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tune_jobs.on_ray.private import (
    first_autoscaler,
    is_second_autoscaler,
    second_autoscaler,
    type_of_unscaled_node,
)

NUM_ROUNDS = 3
"""Rounds of the autoscaler that must agree on "never": a node that was just started, or that has just joined,
may be missing in one."""

UNSAID = "monitor.log on the head says why"
"""The second autoscaler of Ray 2.60 loses the reason on its way into its state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What one round of an autoscaler makes of a demand.

    Attributes:
        round: names the round; None before its first.
        never: it has seen the demand, has no node for it, and none is starting.
        coming: a node is starting, for this demand or another.
        failures: why nodes could not be started lately.
    """

    round: str | None = None
    never: bool = False
    coming: bool = False
    failures: tuple[str, ...] = ()


class Outlooks:
    """The outlook of a demand over several rounds."""

    def __init__(self) -> None:
        self._rounds: set[str | None] = set()

    def is_hopeless(self, outlook: Outlook) -> bool:
        """Whether the last `NUM_ROUNDS` rounds said "never"; called as often as one likes."""
        if not outlook.never:
            self._rounds.clear()
            return False
        self._rounds.add(outlook.round)
        return len(self._rounds) >= NUM_ROUNDS


def has_autoscaler() -> bool:
    """Whether somebody starts nodes on demand; a plain `ray start --head` does not."""
    return is_second_autoscaler() or scales(first_autoscaler())


def ask_outlook(resources: Mapping[str, float]) -> Outlook:
    """What the cluster's autoscaler makes of a placement group with one bundle of these resources."""
    if not is_second_autoscaler():
        return outlook_of_first(first_autoscaler(), resources)
    return outlook_of_second(second_autoscaler(), resources)


def scales(status: Mapping[str, Any]) -> bool:
    """Whether the first autoscaler starts nodes; one that only looks on has a type for each node."""
    types = (status.get("autoscaler_report") or {}).get("node_type_mapping") or {}
    return any(node_type != type_of_unscaled_node(node) for node, node_type in types.items())


def outlook_of_first(status: Mapping[str, Any], resources: Mapping[str, float]) -> Outlook:
    """The outlook by the first autoscaler's status."""
    report = status.get("autoscaler_report")
    if not report:
        return Outlook()
    waiting = [
        bundle for group, _ in status["load_metrics_report"]["pg_demand"] for bundle, _ in group["bundles"]
    ]
    coming = bool(report["pending_launches"] or report["pending_nodes"])
    records = report["node_availability_summary"]["node_availabilities"]
    failures = tuple(
        f"{name}: {(record['unavailable_node_information'] or {}).get('description') or UNSAID}"
        for name, record in records.items()
        if not record["is_available"]
    )
    never = dict(resources) in waiting and not coming and not failures
    return Outlook(round=str(status["time"]), never=never, coming=coming, failures=failures)


def outlook_of_second(state: Any, resources: Mapping[str, float]) -> Outlook:
    """The outlook by the second autoscaler's state, a protobuf message.

    What it calls infeasible may yet be met by a node that is starting: of machines that are there (`ray up`
    with the provider ``local``) it knows no resources before they have joined.
    """
    coming = bool(state.pending_instance_requests or state.pending_instances)
    infeasible = any(
        dict(request.resources_bundle) == dict(resources)
        for gang in state.infeasible_gang_resource_requests
        for request in gang.requests
    )
    failures = tuple(
        f"{failed.ray_node_type_name}: {failed.reason or UNSAID}" for failed in state.failed_instance_requests
    )
    number = state.last_seen_cluster_resource_state_version
    return Outlook(
        round=str(number) if number else None,
        never=infeasible and not coming,
        coming=coming and not infeasible,
        failures=failures,
    )
