"""A whole investigation of a GPU, whose measuring processes play their answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from eml_models.errors import WorkerLostError
from eml_models.latency import evidence, investigation
from eml_models.latency.bench import WorkerProgram
from eml_models.latency.campaign import Campaign
from eml_models.latency.modes import default_modes
from eml_models.latency.networks import parse_network
from eml_models.latency.verdicts import Outcome

NETWORK = parse_network("mobilenet:width_mult=0.1,head_channels=8,depths=[1,1,1,1,1,1,1]")
CAMPAIGN = Campaign(
    networks=(NETWORK,),
    modes=default_modes("cuda"),
    batch_sizes=(1, 128),
    device="cuda",
    rounds=2,
    program=WorkerProgram(module="played_worker"),
)


@pytest.fixture(autouse=True)
def played_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(investigation, "require_device", torch.device)
    monkeypatch.setattr(evidence, "_launch_bounds", lambda network: {"A100": 62})


def test_a_gpu_is_investigated_to_the_end() -> None:
    failing = replace(NETWORK, name="dies-in-open")
    result = investigation.run_campaign(replace(CAMPAIGN, networks=(NETWORK, failing)))
    (waterfall,) = result.waterfalls
    assert waterfall.network == NETWORK.name
    assert waterfall.untestable == ()
    assert sum(share.ms for share in waterfall.shares) == pytest.approx(waterfall.total_ms)
    assert [verdict.outcome for verdict in result.verdicts] != [Outcome.NOT_TESTABLE] * 5
    assert {timed.case.network.name for timed in result.timed} == {NETWORK.name}
    assert all(timed.measurement.n == 2 for timed in result.timed)
    (note,) = result.notes
    assert note.startswith("dies-in-open is not explained: its real step: ")
    assert "killed by signal 9" in note
    before, fastest = result.before(NETWORK.name, 128), result.fastest(NETWORK.name, 128)
    assert before is not None
    assert fastest is not None
    assert not before.case.kernel_search
    assert result.before("dies-in-open", 128) is None


def test_where_nothing_can_be_timed_the_reason_is_said() -> None:
    failing = replace(NETWORK, name="exits")
    with pytest.raises(WorkerLostError, match=r"nothing could be timed: .*the driver"):
        investigation.run_campaign(replace(CAMPAIGN, networks=(failing,)))
