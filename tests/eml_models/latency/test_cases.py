"""Cases: their JSON both ways, their keys, and their words for people."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from eml_models.latency.bench.cases import (
    Allocator,
    Case,
    Source,
    Variant,
    case_from_dict,
    usual_allocator,
    usual_search,
)
from eml_models.latency.measuring.modes import PLAIN, parse_mode
from eml_models.networks.words import parse_network

CASE = Case(network=parse_network("mobilenet:widths=[1,1,1,1,1,1,2]"), mode=PLAIN, batch_size=8)
OTHERS = (
    CASE,
    replace(CASE, network=parse_network("resnet18")),
    replace(CASE, mode=parse_mode("bf16-weights")),
    replace(CASE, batch_size=1),
    replace(CASE, source=Source.LOADER),
    replace(CASE, variant=Variant.SKELETON),
    replace(CASE, allocator=Allocator.DEFAULT),
    replace(CASE, kernel_search=False),
)


@pytest.mark.parametrize("case", OTHERS)
def test_case_survives_json(case: Case) -> None:
    assert case_from_dict(json.loads(json.dumps(case.as_dict()))) == case


def test_each_field_enters_the_key() -> None:
    assert len({case.key for case in OTHERS}) == len(OTHERS)


def test_words_leave_out_what_most_cases_share() -> None:
    assert CASE.words == f"{CASE.network.name} {PLAIN} batch 8"
    unusual = replace(CASE, variant=Variant.WITHOUT_DEPTHWISE, source=Source.LOADER)
    assert unusual.words == f"{CASE.words} without depthwise from a loader"


@pytest.mark.parametrize(
    ("device", "allocator", "search"),
    [("cuda:1", Allocator.DEFAULT, False), ("cpu", Allocator.KEEPING, True)],
)
def test_usual_choices_of_a_device(device: str, allocator: Allocator, search: bool) -> None:
    assert (usual_allocator(device), usual_search(device)) == (allocator, search)
