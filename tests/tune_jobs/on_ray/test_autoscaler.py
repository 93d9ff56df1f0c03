"""What Ray's two autoscalers say, as they say it: captured from Ray 2.60's own, no cluster."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


BUNDLE = {"CPU": 1.0, "GPU": 4.0}


def first_status(**changes: Any) -> dict[str, Any]:
    """The status of the first autoscaler with a placement group of `BUNDLE` waiting."""
    report = {
        "active_nodes": {"ray.head.default": 1},
        "pending_nodes": [],
        "pending_launches": {},
        "failed_nodes": [],
        "node_availability_summary": {"node_availabilities": {}},
        "node_type_mapping": {"fff0": "ray.head.default"},
    }
    group = {"bundles": [[{"CPU": 1.0, "GPU": 4.0}, 1]], "strategy": "PACK"}
    return {
        "time": 1795574885.3,
        "autoscaler_report": {**report, **changes},
        "load_metrics_report": {"pg_demand": [[group, 1]], "resource_demand": []},
    }


UNAVAILABLE = {
    "node_type": "a100",
    "is_available": False,
    "last_checked_timestamp": 1.0,
    "unavailable_node_information": {"category": "quota", "description": "no capacity"},
}


@pytest.mark.parametrize(
    ("changes", "never", "coming", "failures"),
    [
        ({}, True, False, ()),
        ({"pending_launches": {"a100": 1}}, False, True, ()),
        ({"pending_nodes": [["i-1", "10.0.0.1", "a100", "setting-up"]]}, False, True, ()),
        (
            {"node_availability_summary": {"node_availabilities": {"a100": UNAVAILABLE}}},
            False,
            False,
            ("a100: no capacity",),
        ),
    ],
)
def test_first_autoscaler_says_never_by_starting_nothing_for_what_it_has_seen(
    changes: dict[str, Any], never: bool, coming: bool, failures: tuple[str, ...]
) -> None:
    from tune_jobs.on_ray.cluster.autoscaler import outlook_of_first

    outlook = outlook_of_first(first_status(**changes), BUNDLE)
    assert (outlook.never, outlook.coming, outlook.failures) == (never, coming, failures)
    assert not outlook_of_first(first_status(**changes), {"CPU": 1.0}).never  # not seen yet


def test_first_autoscaler_that_only_looks_on_scales_nothing() -> None:
    from tune_jobs.on_ray.cluster.autoscaler import outlook_of_first, scales

    assert scales(first_status())
    assert not scales(first_status(node_type_mapping={"a1": "node_a1", "b2": "node_b2"}))
    for before_its_first_round in ({}, {"autoscaler_report": None}):
        assert not scales(before_its_first_round)
        assert outlook_of_first(before_its_first_round, BUNDLE).round is None


@pytest.mark.parametrize(
    ("infeasible", "starting", "never", "coming"),
    [
        (BUNDLE, False, True, False),
        (BUNDLE, True, False, False),  # what is starting may have it
        (None, True, False, True),
        (None, False, False, False),
        ({"CPU": 1.0}, False, False, False),  # somebody else's
    ],
)
def test_second_autoscaler_says_never_unless_something_starts(
    infeasible: dict[str, float] | None, starting: bool, never: bool, coming: bool
) -> None:
    from ray.core.generated import autoscaler_pb2

    from tune_jobs.on_ray.cluster.autoscaler import outlook_of_second

    state = autoscaler_pb2.AutoscalingState(last_seen_cluster_resource_state_version=23)
    if infeasible:
        request = autoscaler_pb2.ResourceRequest(resources_bundle=infeasible)
        state.infeasible_gang_resource_requests.add(requests=[request])
    if starting:
        state.pending_instances.add(ray_node_type_name="a100", instance_id="i-1")
    state.failed_instance_requests.add(ray_node_type_name="a100", reason="no capacity", count=1)
    state.failed_instance_requests.add(ray_node_type_name="v100", count=1)
    outlook = outlook_of_second(state, BUNDLE)
    assert (outlook.round, outlook.never, outlook.coming) == ("23", never, coming)
    assert outlook.failures == ("a100: no capacity", "v100: monitor.log on the head says why")


def test_hopeless_is_what_three_rounds_in_a_row_call_never() -> None:
    from tune_jobs.on_ray.cluster.autoscaler import Outlook, Outlooks

    outlooks = Outlooks()
    heard = [("1", True), ("1", True), ("2", True), ("2", False), ("3", True), ("4", True), ("4", True)]
    assert not any(outlooks.is_hopeless(Outlook(round=number, never=never)) for number, never in heard)
    assert outlooks.is_hopeless(Outlook(round="5", never=True))
