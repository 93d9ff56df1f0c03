"""What a trial takes of a cluster, how many trials have room at a time, and whether that can ever be given.

Room is counted node by node: two nodes of 2 CPUs have no room for a trial of 4. It is looked at again while
the study runs, since nodes come and go. Where an autoscaler brings nodes, it is told of the trials that wait
by placement groups of this driver. They go with the driver, so a killed one leaves no node running for nobody
(a call of `request_resources` would). One that could be placed holds the room that a trial waits for: it is
given back, and no other is asked for until trials train in all the room that there is. What the autoscaler
answers is read by `tune_jobs.on_ray.cluster.autoscaler`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.cluster.autoscaler import Outlook, Outlooks, ask_outlook, has_autoscaler
from tune_jobs.on_ray.private import free_by_node

LOG = logging.getLogger("tune_jobs.room")

VERDICT_S = 30.0
"""How long a run that has no room yet waits for the autoscaler's first word, which has a round every 5 s;
after that it begins, and hears it between its trials."""

POLL_S = 0.5
LOOK_PERIOD_S = 3.0
WAY_OUT = "lower --cpus-per-trial or --gpus-per-trial, or add such a node"
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one trial takes of a node: whole CPUs, and whole GPUs or a fraction of one."""

    cpus: int
    gpus: float

    def resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus), **({"GPU": self.gpus} if self.gpus else {})}

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus} CPU{gpus}"


def count_room(share: Share, nodes: Sequence[Mapping[str, float]]) -> int:
    """How many trials run at a time on nodes with these resources, if nobody else is there."""
    return sum(_fit(share, node) for node in nodes)


def _fit(share: Share, node: Mapping[str, float]) -> int:
    room = int(node.get("CPU", 0.0) // share.cpus)
    if not share.gpus:
        return room
    gpus = node.get("GPU", 0.0)
    if share.gpus < 1:  # a fraction lies on one device
        return min(room, int(gpus) * int(1 / share.gpus + ROUNDING))
    return min(room, int(gpus // share.gpus))


def count_free(share: Share, nodes: Sequence[Mapping[str, float]]) -> int:
    """How many trials can begin on nodes of which this is free, taking a node's GPUs for one: fewer where the
    free parts of several only come to a share together."""
    wanted = share.resources().items()
    return sum(int(min(node.get(name, 0.0) / amount + ROUNDING for name, amount in wanted)) for node in nodes)


class Room:
    """Room for the trials of a run on the connected cluster.

    Args:
        share: what each trial takes at first.
        wanted: trials at a time that were asked for; None for as many as there is room for.
    """

    def __init__(self, share: Share, *, wanted: int | None) -> None:
        self.share, self._wanted = share, wanted
        self._demand: list[PlacementGroup] = []
        self._looked_at = float("-inf")
        self._workers = 0
        self._had_room = False
        self._brings_nodes = has_autoscaler()
        self._outlooks = Outlooks()
        self._told: set[str] = set()

    def require(self, *, ended: Callable[[], bool]) -> None:
        """Refuse what the cluster neither has nor can bring, as soon as that is known.

        Comes back at once when `ended` becomes true.

        Raises:
            TuneJobsError: no node has room for a trial, and no autoscaler can bring one that has.
        """
        nodes = living_nodes()
        room = count_room(self.share, nodes)
        if room:
            if self._wanted is not None and room < self._wanted and not self._brings_nodes:
                LOG.warning(
                    "%d workers are wanted and there is room for %d at a time; more begin if nodes join",
                    self._wanted,
                    room,
                )
            return
        if not self._brings_nodes:
            raise TuneJobsError(f"{self._describe(nodes)}, and it has no autoscaler; {WAY_OUT}")
        self._demand.append(_ask_for(self.share))
        deadline = time.monotonic() + VERDICT_S
        while time.monotonic() < deadline and not self._demand[0].wait(0):
            if ended():
                return
            if self._heed_autoscaler(nodes).coming:
                break
            time.sleep(POLL_S)
        LOG.warning("no node has room for a trial yet; waiting for the autoscaler to start one")

    def wait(self, *, ended: Callable[[], bool]) -> bool:
        """Come back when a node has room for a trial; with False when `ended` becomes true before.

        Raises:
            TuneJobsError: as `workers` does.
        """
        while not self.workers(1, training=0):
            if ended():
                return False
            time.sleep(POLL_S)
        return True

    def workers(self, left: int, *, training: int) -> int:
        """Trials at a time now; of those `left` to run still, `training` have a worker.

        Raises:
            TuneJobsError: there never was room, and the autoscaler says by now that there will be none.
        """
        if time.monotonic() - self._looked_at >= LOOK_PERIOD_S:
            self._looked_at = time.monotonic()
            nodes = living_nodes()
            room = count_room(self.share, nodes)
            self._had_room = self._had_room or room > 0
            if not room and self._workers:
                LOG.warning("no node has room for a trial any more; waiting for one")
            if not room and self._brings_nodes:
                self._heed_autoscaler(nodes)
            self._workers = room if self._wanted is None else min(room, self._wanted)
            aim = room + 1 if self._wanted is None else self._wanted
            # while a trial is still to take its place, a demand that waits could take it first
            self._ask(max(0, min(aim, left) - room) if training >= room else 0)
        return self._workers

    def count_free(self) -> int:
        """Trials that can begin now in what nobody holds, or somewhat more: see the function."""
        return count_free(self.share, free_by_node())

    def make_way(self) -> None:
        """Let no demand take the place of a trial that is about to begin; asked for again when it trains."""
        self._ask(0)

    def close(self) -> None:
        """Ask for nothing any more."""
        self._ask(0)

    def _ask(self, missing: int) -> None:
        """Let the autoscaler know of so many trials for which there is no node yet."""
        waiting: list[PlacementGroup] = []
        for group in self._demand:
            placed = group.wait(0)
            if placed or len(waiting) >= missing:
                remove_placement_group(group)
            else:
                waiting.append(group)
        if self._brings_nodes:
            waiting += [_ask_for(self.share) for _ in range(missing - len(waiting))]
        self._demand = waiting

    def _heed_autoscaler(self, nodes: Sequence[Mapping[str, float]]) -> Outlook:
        """Hear what the autoscaler says of a trial: told is why it starts no node, raised that it never will.

        A run that had room waits for ever: its nodes may come back when others have gone.
        """
        outlook = ask_outlook(self.share.resources())
        for failure in outlook.failures:
            if failure not in self._told:
                self._told.add(failure)
                LOG.warning("the autoscaler could not start a node and will try again: %s", failure)
        if self._outlooks.is_hopeless(outlook) and not self._had_room:
            self.close()
            raise TuneJobsError(
                f"{self._describe(nodes)}, and its autoscaler starts none that has: no node type does, or as"
                f" many nodes run as may (max_workers); {WAY_OUT}"
            )
        return outlook

    def _describe(self, nodes: Sequence[Mapping[str, float]]) -> str:
        most = max(((n.get("GPU", 0.0), n.get("CPU", 0.0)) for n in nodes), default=(0.0, 0.0))
        return (
            f"a trial takes {self.share}, and no node of the cluster has that (its {len(nodes)} nodes have at"
            f" most {most[1]:g} CPU and {most[0]:g} GPU)"
        )


def living_nodes() -> list[dict[str, float]]:
    """The resources of each node that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def has_gpus() -> bool:
    """Whether a node of the cluster has a GPU."""
    return any(node.get("GPU", 0.0) > 0 for node in living_nodes())


def _ask_for(share: Share) -> PlacementGroup:
    group: PlacementGroup = placement_group([share.resources()])
    return group
