"""A whole investigation of a GPU, whose measuring processes play their answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eml_models.errors import WorkerLostError
from eml_models.latency.bench.ending import End
from eml_models.latency.bench.worker_process import WorkerProgram
from eml_models.latency.explaining import evidence, investigation
from eml_models.latency.explaining.campaign import Campaign, CampaignResult
from eml_models.latency.explaining.verdicts import Outcome
from eml_models.latency.measuring.modes import COMPILED, default_modes, parse_mode
from eml_models.networks.words import parse_network

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


def test_each_round_is_handed_out_and_an_interruption_keeps_it() -> None:
    rounds: list[CampaignResult] = []
    result = investigation.run_campaign(
        replace(CAMPAIGN, rounds=5), on_round=rounds.append, interrupted=lambda: len(rounds) == 2
    )
    assert [{timed.measurement.n for timed in one.timed} for one in rounds] == [{1}, {2}]
    assert {one.end for one in rounds} == {End.FINISHED}
    assert [timed.case.key for timed in result.timed] == [timed.case.key for timed in rounds[0].timed]
    assert {timed.measurement.n for timed in result.timed} == {2}
    assert result.end is End.INTERRUPTED
    assert result.skipped == ()
    assert len(result.waterfalls) == 1
    assert len(result.verdicts) == 5


def test_what_the_end_came_before_is_named_and_what_was_measured_is_explained() -> None:
    networks = (NETWORK, replace(NETWORK, name="other"))
    message: list[str] = []
    result = investigation.run_campaign(
        replace(CAMPAIGN, networks=networks),
        on_progress=message.append,
        interrupted=lambda: sum("ms" in text for text in message) >= 20,
    )
    assert (result.end, len(result.timed)) == (End.INTERRUPTED, 20)
    assert {reason for _, reason in result.skipped} == {"not measured: the measurement was interrupted"}
    assert {timed.case.network.name for timed in result.timed} == {one.name for one in networks}
    for waterfall in result.waterfalls:
        assert ("compiled", "not measured: the measurement was interrupted") in waterfall.untestable
        assert sum(share.ms for share in waterfall.shares) == pytest.approx(waterfall.total_ms)
    assert len(result.waterfalls) == 2
    assert len(result.verdicts) == 5


def test_a_time_limit_ends_what_would_never_end() -> None:
    hanging = replace(
        NETWORK, name="hangs"
    )  # the first case already; nothing is measured, and that is no error
    result = investigation.run_campaign(replace(CAMPAIGN, networks=(hanging,), max_minutes=0.01))
    assert (result.end, result.timed) == (End.TIME_LIMIT, ())
    (reason,) = {reason for _, reason in result.skipped}
    assert reason == "not measured: the time limit of 0.01 minutes was reached"
    assert any("before the ceilings were measured" in note for note in result.notes)


def test_a_network_that_no_compiler_takes_is_a_row_with_the_reason_and_is_explained() -> None:
    result = investigation.run_campaign(replace(CAMPAIGN, networks=(replace(NETWORK, name="uncompilable"),)))
    words = "the model cannot be compiled: KeyError"
    assert {str(case.mode) for case, reason in result.untimed if reason == words} == {
        "fp16-autocast/nchw/compile",
        "fp16-weights/channels_last/reduce-overhead/folded",
    }
    (waterfall,) = result.waterfalls
    assert waterfall.untestable == (("compiled", words),)


def test_a_network_whose_every_case_ends_its_process_costs_the_other_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv("PLAYED_LOG", str(log))
    networks = (NETWORK, replace(NETWORK, name="dies-in-time"))
    result = investigation.run_campaign(replace(CAMPAIGN, networks=networks, rounds=3))
    mine = [timed for timed in result.timed if timed.case.network == NETWORK]
    assert {timed.measurement.n for timed in mine} == {3}
    assert len(result.timed) == len(mine)
    opened = log.read_text().count(f"open {NETWORK.name} ")
    assert opened <= 2 * len(mine)
    assert all("killed by signal 9" in reason for _, reason in result.skipped)


def test_a_chain_can_do_without_its_compiled_stage() -> None:
    result = investigation.run_campaign(
        replace(CAMPAIGN, modes=(parse_mode("fp32"),), compiles=False, rounds=1)
    )
    assert not any(timed.case.mode.execution in COMPILED for timed in result.timed)
    (waterfall,) = result.waterfalls
    assert sum(share.ms for share in waterfall.shares) == pytest.approx(waterfall.total_ms)
