"""Room on nodes: counted node by node, and demanded from an autoscaler."""

from __future__ import annotations

from typing import Any

import pytest

from tune_jobs.errors import TuneJobsError

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


@pytest.mark.parametrize(
    ("cpus", "gpus", "nodes", "room"),
    [
        (1, 0, [{"CPU": 2}, {"CPU": 3}], 5),
        (4, 0, [{"CPU": 2}, {"CPU": 3}], 0),  # 5 in all, and none of them has 4
        (1, 0.25, [{"CPU": 16, "GPU": 2}], 8),
        (3, 0.25, [{"CPU": 16, "GPU": 2}], 5),  # the CPUs bind
        (1, 0.3, [{"CPU": 16, "GPU": 2}], 6),  # a fraction lies on one device
        (1, 1 / 3, [{"CPU": 16, "GPU": 1}], 3),
        (1, 2, [{"CPU": 8, "GPU": 3}, {"CPU": 8}], 1),
        (1, 1, [{"CPU": 0}, {}], 0),
    ],
)
def test_room_is_counted_node_by_node(
    cpus: int, gpus: float, nodes: list[dict[str, float]], room: int
) -> None:
    from tune_jobs.on_ray.cluster.room import Share, count_room

    assert count_room(Share(cpus=cpus, gpus=gpus), nodes) == room


@pytest.mark.parametrize(
    ("cpus", "gpus", "free", "trials"),
    [
        (1, 0, [{"CPU": 2}, {"CPU": 3}], 5),
        (2, 0, [{"CPU": 1}, {"CPU": 1}, {"memory": 9}], 0),  # pieces of several nodes
        (1, 0.25, [{"CPU": 8, "GPU": 0.75}, {"CPU": 1, "GPU": 1}], 4),
        (1, 1 / 3, [{"CPU": 8, "GPU": 1 - 1 / 3}], 2),
        (1, 1, [{"CPU": 8, "GPU": 0.75}, {"CPU": 8, "GPU": 0.25}], 0),
    ],
)
def test_what_is_free_is_counted_node_by_node(
    cpus: int, gpus: float, free: list[dict[str, float]], trials: int
) -> None:
    from tune_jobs.on_ray.cluster.room import Share, count_free

    assert count_free(Share(cpus=cpus, gpus=gpus), free) == trials


class Demand:
    """A placement group, of which a cluster without nodes places none."""

    def __init__(self) -> None:
        self.placed, self.removed = False, False

    def wait(self, timeout_s: float) -> bool:
        return self.placed


class ScaledCluster:
    """Nodes, demands and an autoscaler's word, in the place of Ray's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from tune_jobs.on_ray.cluster import room
        from tune_jobs.on_ray.cluster.autoscaler import Outlook

        self.nodes: list[dict[str, float]] = []
        self.demands: list[Demand] = []
        self.outlook = Outlook()
        monkeypatch.setattr(room, "LOOK_PERIOD_S", 0.0)
        monkeypatch.setattr(room, "has_autoscaler", lambda: True)
        monkeypatch.setattr(room, "living_nodes", lambda: self.nodes)
        monkeypatch.setattr(room, "ask_outlook", lambda resources: self.outlook)
        monkeypatch.setattr(room, "_ask_for", self._ask_for)
        monkeypatch.setattr(room, "remove_placement_group", lambda demand: setattr(demand, "removed", True))

    def _ask_for(self, share: Any) -> Demand:
        self.demands.append(Demand())
        return self.demands[-1]

    @property
    def asked(self) -> int:
        return sum(not demand.removed for demand in self.demands)


def test_demand_is_for_what_waits_and_never_holds_the_room_of_a_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tune_jobs.on_ray.cluster.room import Room, Share

    cluster = ScaledCluster(monkeypatch)
    room = Room(Share(cpus=1, gpus=0.0), wanted=3)
    assert (room.workers(9, training=0), cluster.asked) == (0, 3)
    cluster.nodes.append({"CPU": 1.0})
    cluster.demands[0].placed = True  # on the node that came, where a trial is to begin
    assert (room.workers(9, training=0), cluster.asked) == (1, 0)  # those that wait could take it too
    assert (room.workers(9, training=1), cluster.asked) == (1, 2)
    room.withdraw_demands()  # for the trial after that one
    assert cluster.asked == 0
    assert (room.workers(9, training=1), cluster.asked) == (1, 2)
    assert (room.workers(2, training=1), cluster.asked) == (1, 1)  # two are left to run, one of them waits
    room.close()
    assert cluster.asked == 0


@pytest.mark.parametrize("had_room", [True, False])
def test_run_that_never_had_room_ends_when_there_will_be_none_and_one_that_had_waits(
    had_room: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tune_jobs.on_ray.cluster.autoscaler import Outlook
    from tune_jobs.on_ray.cluster.room import Room, Share

    cluster = ScaledCluster(monkeypatch)
    cluster.nodes = [{"CPU": 1.0}] if had_room else []
    room = Room(Share(cpus=1, gpus=0.0), wanted=1)
    assert room.workers(1, training=0) == had_room
    cluster.nodes = []
    for number in ("1", "2"):
        cluster.outlook = Outlook(round=number, never=True)
        assert room.workers(1, training=0) == 0
    cluster.outlook = Outlook(round="3", never=True)
    if had_room:
        assert room.workers(1, training=0) == 0
    else:
        with pytest.raises(TuneJobsError, match="its autoscaler starts no such node"):
            room.workers(1, training=0)
        assert cluster.asked == 0


def test_run_that_waits_for_the_autoscalers_first_word_ends_with_a_signal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tune_jobs.on_ray.cluster import room

    ScaledCluster(monkeypatch)
    monkeypatch.setattr(room, "VERDICT_S", float("inf"))
    room.Room(room.Share(cpus=1, gpus=0.0), wanted=1).require(ended=lambda: True)


def test_the_reason_why_no_node_starts_is_shown_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from tune_jobs.on_ray.cluster.autoscaler import Outlook
    from tune_jobs.on_ray.cluster.room import Room, Share

    cluster = ScaledCluster(monkeypatch)
    room = Room(Share(cpus=1, gpus=1.0), wanted=1)
    cluster.outlook = Outlook(round="1", failures=("a100: no capacity",))
    for _ in range(3):
        room.workers(1, training=0)
    assert caplog.text.count("could not start a node and will try again: a100: no capacity") == 1
