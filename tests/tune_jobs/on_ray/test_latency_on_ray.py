"""Latencies measured as a task on a real Ray, which holds a whole device."""

from __future__ import annotations

from dataclasses import replace

import pytest

from eml_models.errors import InvalidValueError
from eml_models.latency.bench.ending import End
from eml_models.latency.explaining.campaign import Campaign, CampaignResult
from eml_models.latency.measuring.modes import parse_mode
from eml_models.networks.words import parse_network
from tune_jobs.on_ray.latency import kind_of_cluster, run_campaign_on
from tune_jobs.session.ending_signals import EndingSignals

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("ray_of_the_tests")]

HERE = "auto"
"""The Ray of the tests, which this process has joined."""
CAMPAIGN = Campaign(
    networks=(parse_network("resnet18:width=4"),),
    modes=(parse_mode("fp32"),),
    batch_sizes=(1,),
    explain=False,
    rounds=1,
    seconds=0.01,
)


def test_a_task_measures_and_brings_everything_back() -> None:
    assert kind_of_cluster(HERE) == "cpu"
    texts, rounds = list[str](), list[CampaignResult]()
    result = run_campaign_on(HERE, CAMPAIGN, on_progress=texts.append, on_round=rounds.append)
    assert result.campaign == CAMPAIGN
    assert len(result.timed) == 2
    fastest = result.fastest("resnet18:width=4", 1)
    assert fastest is not None
    assert fastest.measurement.median_ms > 0


def test_a_signal_here_ends_the_task_there_with_what_it_has() -> None:
    signals = EndingSignals()

    def end(result: CampaignResult) -> None:
        signals.arrived = True

    endless = replace(CAMPAIGN, rounds=100_000)
    result = run_campaign_on(HERE, endless, on_round=end, signals=signals)
    assert result.end is End.INTERRUPTED
    assert len(result.timed) == 2


def test_a_device_that_the_cluster_lacks_is_refused() -> None:
    on_gpu = Campaign(
        networks=CAMPAIGN.networks, modes=CAMPAIGN.modes, batch_sizes=(1,), device="cuda", explain=False
    )
    with pytest.raises(InvalidValueError, match="no node of the cluster has a GPU"):
        run_campaign_on(HERE, on_gpu)
    many = Campaign(networks=CAMPAIGN.networks, modes=CAMPAIGN.modes, batch_sizes=(1,), threads=999)
    with pytest.raises(InvalidValueError, match="999 threads, and no node of the cluster has that number"):
        run_campaign_on(HERE, many)
