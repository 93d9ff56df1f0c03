"""What times of a GPU come to, written by hand: halved batches, failed cases, what is compared with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from latency_testing import CONDITIONS

from eml_models.latency.bench.cases import Allocator, Case
from eml_models.latency.counting.operators import OperatorKind
from eml_models.latency.counting.roofline import DEVICES, estimate_roofline
from eml_models.latency.explaining import evidence
from eml_models.latency.explaining.agenda import list_table_cases
from eml_models.latency.explaining.campaign import Campaign, CampaignResult, Timed
from eml_models.latency.explaining.evidence import count_network, explain, probes
from eml_models.latency.explaining.verdicts import NetworkEvidence, Outcome, judge
from eml_models.latency.explaining.waterfall import COMPILED, KERNELS, Stage, chain_on_cpu, chain_on_cuda
from eml_models.latency.measuring.modes import Execution, Precision, default_modes
from eml_models.latency.measuring.timing import Measurement
from eml_models.networks.words import parse_network

TINY = parse_network("mobilenet:width_mult=0.1,head_channels=8,depths=[1,1,1,1,1,1,1]")
TINY = replace(TINY, name="tiny", input_shape=(3, 8, 8))
LARGE = replace(TINY, name="large", options={**TINY.options, "width_mult": 0.3})
ON_CUDA = Campaign(networks=(LARGE, TINY), modes=default_modes("cuda"), batch_sizes=(1, 128), device="cuda:0")
ON_CPU = Campaign(networks=(TINY,), modes=default_modes("cpu"), batch_sizes=(1, 32))
A100 = DEVICES["a100-40g"]


@pytest.fixture(autouse=True)
def no_launch_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are modelled, and take two counts a network."""
    monkeypatch.setattr(evidence, "_launch_bounds", lambda network: {})


def timed(case: Case, ms: float, *, batch_size: int | None = None) -> Timed:
    """A case that took so long, over a smaller batch if one is given."""
    found = batch_size or case.batch_size
    notes = () if found == case.batch_size else (f"a batch of {case.batch_size} does not fit: {found}",)
    measurement = Measurement(
        mode=case.mode,
        batch_size=found,
        requested_batch_size=case.batch_size,
        n=9,
        median_ms=ms,
        q1_ms=ms,
        q3_ms=ms,
        conditions=replace(CONDITIONS, device="cuda", device_name="A100"),
        notes=notes,
    )
    return Timed(case=case, measurement=measurement)


def result_of(entries: list[Timed]) -> CampaignResult:
    counts = {network.name: count_network(network, 1) for network in ON_CUDA.networks}
    return CampaignResult(
        campaign=ON_CUDA,
        timed=tuple(entries),
        skipped=(),
        counts=counts,
        ceilings=None,
        waterfalls=(),
        verdicts=(),
    )


def test_a_halved_batch_is_neither_the_fastest_nor_gains_anything() -> None:
    cases = [case for case in list_table_cases(ON_CUDA) if case.network is TINY and case.batch_size == 128]
    before, *others = [timed(case, 10.0) for case in cases]
    halved = timed(others[-1].case, 2.0, batch_size=32)
    result = result_of([before, timed(others[0].case, 8.0), halved])
    fastest = result.fastest("tiny", 128)
    assert fastest is not None
    assert fastest.measurement.median_ms == 8.0
    assert result.speed_up(fastest) == pytest.approx(1.25)
    assert result.speed_up(halved) is None
    assert result.gain(result.fastest, "tiny", 128) is None  # the reference was not timed


def test_what_was_halved_is_compared_with_by_nothing() -> None:
    before, other = (timed(case, 1.0) for case in list(list_table_cases(ON_CUDA))[:2])
    halved = timed(replace(before.case, batch_size=128), 1.0, batch_size=64)
    result = result_of([halved, other])
    assert result.before("large", 128) is result.before("large", 1) is None
    assert result.speed_up(other) is None


def explained(
    campaign: Campaign, chain: tuple[Stage, ...], times: Mapping[str, float], *, without: str = ""
) -> tuple[list[NetworkEvidence], list[str]]:
    """The evidence of a chain and its probes, all of 5 ms but for `times`; of one stage half the batch."""
    cases = [*(stage.case for stage in chain), *probes(campaign, TINY).values()]
    halved = next((stage.case.key for stage in chain if stage.name == without), None)
    entries = {
        case.key: timed(case, times.get(case.key, 5.0), batch_size=64 if case.key == halved else None)
        for case in cases
    }
    notes: list[str] = []
    one = replace(campaign, networks=(TINY,))
    return explain(one, {TINY.name: chain}, entries, {}, A100, notes), notes


def test_a_stage_of_half_the_batch_is_left_out_of_the_chain_with_its_note() -> None:
    chain = chain_on_cuda(TINY, 128)
    times = {stage.case.key: ms for stage, ms in zip(chain, range(20, 0, -2), strict=False)}
    (whole,), _ = explained(ON_CUDA, chain, times)
    (found,), notes = explained(ON_CUDA, chain, times, without=KERNELS)
    assert whole.waterfall.untestable == ()
    assert found.waterfall.untestable == ((KERNELS, "a batch of 128 does not fit: 64"),)
    assert found.waterfall.find(KERNELS) is None
    assert sum(share.ms for share in found.waterfall.shares) == pytest.approx(found.waterfall.total_ms)
    assert notes == []


def test_a_network_whose_real_step_was_halved_is_not_explained_and_that_is_said() -> None:
    chain = chain_on_cuda(TINY, 128)
    found, notes = explained(ON_CUDA, chain, {}, without="real step")
    assert found == []
    assert notes == ["tiny is not explained: its real step: a batch of 128 does not fit: 64"]


def test_probes_that_failed_are_said_and_judged_by_the_rest() -> None:
    chain = chain_on_cuda(TINY, 128)
    entries = {stage.case.key: timed(stage.case, 5.0) for stage in chain}
    (found,) = explain(replace(ON_CUDA, networks=(TINY,)), {"tiny": chain}, entries, {}, A100, [])
    outcomes = {verdict.hypothesis.value: verdict for verdict in judge([found], "cuda")}
    assert outcomes["b"].outcome is Outcome.NOT_TESTABLE
    assert "could not be timed with and without them" in outcomes["b"].evidence[0]
    assert "takes (not measured) of tf32conv's time" in outcomes["a"].evidence[0]
    assert "cost (not measured) ms by their number alone" in outcomes["c"].evidence[0]


def test_on_a_gpu_launches_are_no_part_of_what_is_compared() -> None:
    found = probes(ON_CUDA, TINY)
    for name in ("whole", "without depthwise", "skeleton", "one image"):
        assert str(found[name].mode) == "fp16-weights/channels_last/graph"
    assert str(probes(ON_CPU, TINY)["whole"].mode) == "fp32/channels_last/eager"


def test_what_nobody_has_set_up_is_torchs_own_precision() -> None:
    before = next(iter(list_table_cases(ON_CUDA)))
    assert (before.mode.precision, before.kernel_search) == (Precision.CONV_TF32, False)
    assert probes(ON_CUDA, TINY)["full"].mode == before.mode
    assert next(iter(list_table_cases(ON_CPU))).mode.precision is Precision.FP32


def test_a_gpus_cases_share_two_processes() -> None:
    cases = [*list_table_cases(ON_CUDA), *probes(ON_CUDA, TINY).values()]
    cases += [stage.case for stage in chain_on_cuda(TINY, 128)]
    assert {case.allocator for case in cases} == {Allocator.DEFAULT}


def test_depthwise_convolutions_are_counted_in_the_type_that_they_are_timed_in() -> None:
    chain = chain_on_cuda(TINY, 128)
    cases = probes(ON_CUDA, TINY)
    times = {cases["whole"].key: 5.0, cases["without depthwise"].key: 4.0}
    (found,), _ = explained(ON_CUDA, chain, times)
    counts = count_network(TINY, 128).by_kind()[OperatorKind.DEPTHWISE]
    assert found.depthwise_rate_share == pytest.approx(
        counts.num_bytes / 2 / A100.bandwidth[-1][1] * 1e3, rel=0.01
    )


def test_folded_batch_norms_take_no_pass_on_a_cpu_though_nothing_is_compiled() -> None:
    stages = chain_on_cpu(TINY, 32, half_is_faster=True)
    chain = tuple(stage for stage in stages if stage.name != COMPILED)
    assert chain[-1].case.mode.folded
    assert chain[-1].case.mode.execution is Execution.EAGER
    (found,), _ = explained(ON_CPU, chain, {})
    modelled = sum(share.ms for share in found.waterfall.shares if share.kind == "modelled")
    counts = count_network(TINY, 32, torch.bfloat16)
    kept = [o for o in counts.operators if o.kind is not OperatorKind.BATCH_NORM]
    without = estimate_roofline(replace(counts, operators=tuple(kept)), A100, Precision.BF16).seconds * 1e3
    with_norms = estimate_roofline(counts, A100, Precision.BF16).seconds * 1e3
    assert modelled == pytest.approx(without, rel=0.01)
    assert modelled < 0.9 * with_norms
