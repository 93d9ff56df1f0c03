"""A timing becomes a row; the row of a network's real step holds where its time went."""

from __future__ import annotations

import json
from dataclasses import replace

from eml_models.latency.bench.cases import Case, Source
from eml_models.latency.explaining.campaign import Campaign, CampaignResult, Timed
from eml_models.latency.explaining.evidence import count_network
from eml_models.latency.explaining.waterfall import Hypothesis, Kind, Share, Waterfall
from eml_models.latency.measuring.conditions import Conditions
from eml_models.latency.measuring.modes import PLAIN
from eml_models.latency.measuring.timing import Measurement
from eml_models.networks.words import NetworkSpec
from tune_jobs.analysis.timed_networks import Asked, row_of
from tune_jobs.testing.rows import NOON

NETWORK = NetworkSpec(name="drawn/3", model="small_cnn", input_shape=(1, 8, 8))
CAMPAIGN = Campaign(networks=(NETWORK,), modes=(PLAIN,), batch_sizes=(8,))
CONDITIONS = Conditions(
    device="cpu",
    device_name="a CPU",
    torch_version="2.14.1",
    cudnn_version=None,
    threads=1,
    allocator="default",
    clock_mhz=None,
    load_average=0.5,
)
CASE = Case(network=NETWORK, mode=PLAIN, batch_size=8)
SHARE = Share(
    names=("folded",), cause="passes", hypothesis=Hypothesis.MANY_OPERATORS, kind=Kind.MEASURED, ms=2.0
)
WATERFALL = Waterfall(network="drawn/3", batch_size=8, total_ms=2.0, shares=(SHARE,))


def row_of_case(case: Case) -> object:
    measured = Measurement(
        mode=case.mode,
        batch_size=8,
        requested_batch_size=8,
        n=9,
        median_ms=2.0,
        q1_ms=2.0,
        q3_ms=2.0,
        conditions=CONDITIONS,
    )
    timed = Timed(case=case, measurement=measured)
    result = CampaignResult(
        campaign=CAMPAIGN,
        timed=(timed,),
        skipped=(),
        counts={NETWORK.name: count_network(NETWORK, 1)},
        ceilings=None,
        waterfalls=(WATERFALL,),
        verdicts=(),
    )
    asked = Asked(network=NETWORK, study="drawn", number=3)
    return row_of(timed, asked, result, run="0001", now=NOON, commit=None).waterfall


def test_row_of_the_real_step_alone_holds_the_waterfall() -> None:
    assert row_of_case(CASE) is None
    assert row_of_case(replace(CASE, batch_size=4, source=Source.LOADER)) is None
    assert json.loads(str(row_of_case(replace(CASE, source=Source.LOADER)))) == WATERFALL.as_dict()
