"""The room of a cluster: resources of a trial, how many trials fit at a time, and whether one ever will.

Room is counted node by node: two nodes of 2 CPUs have no room for a trial of 4. It is counted again while
the study runs, since nodes come and go.

Where an autoscaler brings nodes, this driver asks it for the trials that wait, by placement groups (the
demands). Ray removes them with the driver, so no node keeps running after the driver was killed; it would
after a call of `request_resources`. A demand that Ray could place holds the room that a trial waits for. So
it is given back, and no other demand is made until trials train in all the room that there is.

`tune_jobs.on_ray.tuning` and `tune_jobs.on_ray.bridge` call this; `tune_jobs.on_ray.cluster.autoscaler` reads
the autoscaler's answers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group

from eml_models.wording import count_of
from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.cluster.autoscaler import Outlook, Outlooks, ask_outlook, has_autoscaler
from tune_jobs.on_ray.private import free_by_node

LOG = logging.getLogger("tune_jobs.room")

VERDICT_S = 30.0
"""Seconds that a run without room waits for the first answer of the autoscaler, which has a round every 5 s.
Then the run begins, and reads the answers while it runs."""

POLL_S = 0.5
LOOK_PERIOD_S = 3.0
WAY_OUT = "lower --cpus-per-trial or --gpus-per-trial, or add such a node"
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """The resources that one trial takes of a node: whole CPUs, and whole GPUs or a fraction of a GPU."""

    cpus: int
    gpus: float

    def resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus), **({"GPU": self.gpus} if self.gpus else {})}

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus} CPU{gpus}"


def count_room(share: Share, nodes: Sequence[Mapping[str, float]]) -> int:
    """How many trials run at a time on nodes with these resources, if nothing else runs there."""
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
    """How many trials can begin on nodes with these free resources, or somewhat more.

    Each node's GPUs count as a single GPU. So a share counts as free even where only the free parts of
    several GPUs together make up the share.
    """
    wanted = share.resources().items()
    return sum(int(min(node.get(name, 0.0) / amount + ROUNDING for name, amount in wanted)) for node in nodes)


class Room:
    """Room for the trials of a run on the connected cluster.

    Args:
        share: the resources of each trial's first attempt.
        wanted: the number of trials at a time that the user wants; None for as many as have room.
    """

    def __init__(self, share: Share, *, wanted: int | None) -> None:
        self.share, self._wanted = share, wanted
        self._demand: list[PlacementGroup] = []
        self._looked_at = float("-inf")
        self._workers = 0
        self._had_room = False
        self._brings_nodes = has_autoscaler()
        self._outlooks = Outlooks()
        self._reported: set[str] = set()

    def require(self, *, ended: Callable[[], bool]) -> None:
        """Refuse a share for which the cluster neither has a node nor can start one, once that is known.

        Returns at once when `ended` becomes true.

        Raises:
            TuneJobsError: no node has room for a trial, and no autoscaler can start such a node.
        """
        nodes = living_nodes()
        room = count_room(self.share, nodes)
        if room:
            if self._wanted is not None and room < self._wanted and not self._brings_nodes:
                LOG.warning(
                    "%d workers are wanted, and %d trials have room at a time; more begin if nodes join",
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
            if self._read_autoscaler(nodes).coming:
                break
            time.sleep(POLL_S)
        LOG.warning("no node has room for a trial yet; waiting for the autoscaler to start one")

    def wait(self, *, ended: Callable[[], bool]) -> bool:
        """Wait until a node has room for a trial; False if `ended` becomes true before.

        Raises:
            TuneJobsError: as `workers` does.
        """
        while not self.workers(1, training=0):
            if ended():
                return False
            time.sleep(POLL_S)
        return True

    def workers(self, left: int, *, training: int) -> int:
        """How many trials may run at a time now.

        Args:
            left: trials that the study still has to run, running trials included.
            training: those of them that have a worker.

        Raises:
            TuneJobsError: there never was room, and the autoscaler now says that there will never be any.
        """
        if time.monotonic() - self._looked_at >= LOOK_PERIOD_S:
            self._looked_at = time.monotonic()
            nodes = living_nodes()
            room = count_room(self.share, nodes)
            self._had_room = self._had_room or room > 0
            if not room and self._workers:
                LOG.warning("no node has room for a trial any more; waiting for a node")
            if not room and self._brings_nodes:
                self._read_autoscaler(nodes)
            self._workers = room if self._wanted is None else min(room, self._wanted)
            aim = room + 1 if self._wanted is None else self._wanted
            # a waiting demand could take the place of a trial that has yet to start
            self._demand_room(max(0, min(aim, left) - room) if training >= room else 0)
        return self._workers

    def count_free(self) -> int:
        """How many trials can begin now in free resources, or somewhat more (see the function)."""
        return count_free(self.share, free_by_node())

    def withdraw_demands(self) -> None:
        """Give all demands back, so that none takes the place of a trial that is about to begin.

        `workers` makes them again once that trial trains.
        """
        self._demand_room(0)

    def close(self) -> None:
        """Give all demands back at the end of a run."""
        self._demand_room(0)

    def _demand_room(self, missing: int) -> None:
        """Ask the autoscaler for room for this number of trials."""
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

    def _read_autoscaler(self, nodes: Sequence[Mapping[str, float]]) -> Outlook:
        """The autoscaler's outlook of a trial; warns of each new failure to start a node.

        A run that had room waits for ever: its nodes may come back once others have left.

        Raises:
            TuneJobsError: there never was room, and the autoscaler will never start a node that has room.
        """
        outlook = ask_outlook(self.share.resources())
        for failure in outlook.failures:
            if failure not in self._reported:
                self._reported.add(failure)
                LOG.warning("the autoscaler could not start a node and will try again: %s", failure)
        if self._outlooks.is_hopeless(outlook) and not self._had_room:
            self.close()
            raise TuneJobsError(
                f"{self._describe(nodes)}, and its autoscaler starts no such node: no node type has that, or"
                f" the allowed number of nodes (max_workers) runs already; {WAY_OUT}"
            )
        return outlook

    def _describe(self, nodes: Sequence[Mapping[str, float]]) -> str:
        most = max(((n.get("GPU", 0.0), n.get("CPU", 0.0)) for n in nodes), default=(0.0, 0.0))
        return (
            f"a trial takes {self.share}, and no node of the cluster has that"
            f" ({count_of(len(nodes), 'node')}; the largest has {most[1]:g} CPU and {most[0]:g} GPU)"
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
