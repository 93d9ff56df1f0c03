"""Reads from the cluster's autoscaler whether there is an autoscaler, and whether it will ever meet a demand.

Ray 2.60 has two autoscalers. `ray up` and KubeRay start the second, unless `RAY_UP_enable_autoscaler_v2=0` or
`autoscalerOptions.version: v1` says otherwise. The second one lists in Ray's control store (GCS) the demands
that it can never place. The first one writes there which demands wait and which nodes start: a demand counts
as "never" if it waits and no node starts for it. Neither gives the reason: perhaps no node type has the
resources, perhaps the allowed number of nodes runs already. A head without scaling has an autoscaler too, but
it only watches.

`tune_jobs.on_ray.cluster.room` calls this; nothing here starts a node. Both formats are inner names of Ray:
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
"""Rounds of the autoscaler that must agree on "never". A single round may lack a node that has just started
or joined."""

NO_REASON = "monitor.log on the head says why"
"""Stands for a missing reason: the second autoscaler of Ray 2.60 does not pass it on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """The outlook of a demand after one round of an autoscaler.

    Attributes:
        round: a name for the round; None before the first.
        never: the autoscaler has seen the demand, has no node for it, and starts none.
        coming: a node is starting, for this demand or another.
        failures: why recent starts of nodes failed.
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
        """Whether the last `NUM_ROUNDS` rounds said "never". May be called several times in one round."""
        if not outlook.never:
            self._rounds.clear()
            return False
        self._rounds.add(outlook.round)
        return len(self._rounds) >= NUM_ROUNDS


def has_autoscaler() -> bool:
    """Whether an autoscaler starts nodes on demand; that of a plain `ray start --head` does not."""
    return is_second_autoscaler() or scales(first_autoscaler())


def ask_outlook(resources: Mapping[str, float]) -> Outlook:
    """The outlook of a placement group with one bundle of these resources."""
    if not is_second_autoscaler():
        return outlook_of_first(first_autoscaler(), resources)
    return outlook_of_second(second_autoscaler(), resources)


def scales(status: Mapping[str, Any]) -> bool:
    """Whether the first autoscaler starts nodes. If it only watches, each node has a type of its own."""
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
        f"{name}: {(record['unavailable_node_information'] or {}).get('description') or NO_REASON}"
        for name, record in records.items()
        if not record["is_available"]
    )
    never = dict(resources) in waiting and not coming and not failures
    return Outlook(round=str(status["time"]), never=never, coming=coming, failures=failures)


def outlook_of_second(state: Any, resources: Mapping[str, float]) -> Outlook:
    """The outlook by the second autoscaler's state, a protobuf message.

    A node that is starting may still meet a demand that this autoscaler calls infeasible: with the provider
    ``local`` of `ray up`, it does not know the resources of a machine until the machine has joined.
    """
    coming = bool(state.pending_instance_requests or state.pending_instances)
    infeasible = any(
        dict(request.resources_bundle) == dict(resources)
        for gang in state.infeasible_gang_resource_requests
        for request in gang.requests
    )
    failures = tuple(
        f"{failed.ray_node_type_name}: {failed.reason or NO_REASON}"
        for failed in state.failed_instance_requests
    )
    number = state.last_seen_cluster_resource_state_version
    return Outlook(
        round=str(number) if number else None,
        never=infeasible and not coming,
        coming=coming and not infeasible,
        failures=failures,
    )
