"""Waterfalls add up, and verdicts follow from them: with times written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from latency_testing import TINY

from eml_models.latency.bench.cases import Allocator, Source, case_from_dict
from eml_models.latency.counting.roofline import Roofline
from eml_models.latency.explaining.verdicts import NetworkEvidence, Outcome, Verdict, judge
from eml_models.latency.explaining.waterfall import (
    ABSENT_ON_CPU,
    CASTS,
    COMPILED,
    DATA,
    FP32,
    GRAPH,
    KERNELS,
    LAYOUT,
    Hypothesis,
    Kind,
    Stage,
    Waterfall,
    build_waterfall,
    chain_on_cpu,
    chain_on_cuda,
)
from eml_models.latency.measuring.modes import Capabilities, Precision, unsupported_reason

ROOFLINE = Roofline(seconds=0.010, memory_s=0.008, depthwise_s=0.004)


def waterfall_of(
    stages: tuple[Stage, ...], times_ms: list[float], skipped: tuple[str, ...] = ()
) -> Waterfall:
    times = {stage.case.key: ms for stage, ms in zip(stages, times_ms, strict=True)}
    reasons = {stage.case.key: "it has none" for stage in stages if stage.name in skipped}
    return build_waterfall(
        stages, {k: t for k, t in times.items() if k not in reasons}, reasons, ROOFLINE, absent=ABSENT_ON_CPU
    )


@pytest.mark.parametrize("half_is_faster", [False, True])
def test_chain_on_a_cpu_changes_one_thing_at_a_time(half_is_faster: bool) -> None:
    stages = chain_on_cpu(TINY, 32, half_is_faster=half_is_faster)
    first, last = stages[0].case, stages[-1].case
    assert (first.source, first.allocator, str(first.mode)) == (
        Source.LOADER,
        Allocator.DEFAULT,
        "bf16-autocast/nchw/eager",
    )
    precision = "bf16-weights" if half_is_faster else "fp32"
    assert str(last.mode) == f"{precision}/channels_last/compile/folded"
    assert (FP32 in [stage.name for stage in stages]) == (not half_is_faster)
    cpu = Capabilities(kind="cpu", name="a CPU", compiler="g++")
    assert all(unsupported_reason(stage.case.mode, cpu) is None for stage in stages)
    assert len({stage.case.key for stage in stages}) == len(stages)


def test_chain_on_a_gpu_replays_a_graph_before_it_touches_the_casts() -> None:
    names = [stage.name for stage in chain_on_cuda(TINY, 128)]
    assert names[:4] == ["real step", DATA, GRAPH, CASTS]
    gpu = Capabilities(kind="cuda", name="A100", compute_capability=(8, 0), has_triton=True)
    for stage in chain_on_cuda(TINY, 128):
        assert stage.case.mode.precision is Precision.FP16
        assert unsupported_reason(stage.case.mode, gpu) is None


def test_shares_add_up_and_a_loss_is_negative() -> None:
    stages = chain_on_cpu(TINY, 32, half_is_faster=True)
    found = waterfall_of(stages, [100, 60, 50, 55, 40, 30, 20])
    assert sum(share.ms for share in found.shares) == pytest.approx(found.total_ms) == 100
    assert [share.ms for share in found.shares] == pytest.approx([40, 10, -5, 15, 10, 10, 4, 6, 10])
    assert [share.kind for share in found.shares[-3:]] == [Kind.MODELLED, Kind.MODELLED, Kind.REST]
    assert found.part_of(Hypothesis.MANY_OPERATORS) == pytest.approx(0.2)


def test_a_stage_that_the_device_lacks_is_named_and_the_rest_adds_up() -> None:
    stages = chain_on_cpu(TINY, 32, half_is_faster=True)
    found = waterfall_of(stages, [100, 60, 50, 55, 40, 30, 20], skipped=(COMPILED,))
    assert found.untestable == (*ABSENT_ON_CPU, (COMPILED, "it has none"))
    assert found.find(COMPILED) is None
    assert sum(share.ms for share in found.shares) == pytest.approx(100)


def test_what_a_stage_took_that_was_not_timed_is_not_laid_to_the_next_ones_cause() -> None:
    stages = chain_on_cuda(TINY, 128)
    found = waterfall_of(stages, [100, 95, 0, 0, 0, 0, 0, 20], skipped=tuple(s.name for s in stages[2:-1]))
    together = found.shares[1]
    assert (
        together.name == "graph replay + weights cast + channels_last + kernels searched + folded + compiled"
    )
    assert (together.ms, together.hypothesis) == (75, Hypothesis.NONE)
    assert "launches by the host, autocast casts weights anew" in together.cause
    assert found.find(COMPILED) is None
    assert sum(share.ms for share in found.shares) == pytest.approx(100)


def test_stages_of_one_hypothesis_are_reported_together() -> None:
    stages = chain_on_cuda(TINY, 128)
    found = waterfall_of(stages, [100, 95, 90, 85, 0, 60, 55, 50], skipped=(LAYOUT,))
    assert found.part_of(Hypothesis.KERNEL_CHOICE) == pytest.approx(0.25)
    assert found.explains(Hypothesis.KERNEL_CHOICE, KERNELS, LAYOUT)
    assert outcomes(LARGE, evidence(waterfall=found), device="cuda")["d"] is Outcome.SUPPORTED


def test_a_case_travels_as_json() -> None:
    for stage in (*chain_on_cpu(TINY, 32, half_is_faster=False), *chain_on_cuda(TINY, 8)):
        assert case_from_dict(stage.case.as_dict()) == stage.case


def evidence(
    macs: int = 1, times_ms: tuple[float, ...] = (100, 99, 98, 97, 96, 95, 94), **changes: object
) -> NetworkEvidence:
    """A network of which nothing stands out."""
    plain = NetworkEvidence(
        network=f"{macs} MACs",
        macs=macs,
        kernels=50,
        casts=20,
        waterfall=waterfall_of(chain_on_cpu(TINY, 32, half_is_faster=True), list(times_ms)),
        half="bf16",
        full="fp32",
        batch_size=32,
        least_batch_size=1,
        autocast_ratio=1.0,
        weights_ratio=1.0,
        least_autocast_ratio=1.0,
        least_weights_ratio=1.0,
        without_depthwise_ratio=0.99,
        depthwise_macs_share=0.05,
        depthwise_rate_share=0.9,
        skeleton_ms=0.01,
        one_image_ms=1.0,
        launch_bound_below={"A100": 62, "H100": None},
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # fields by name


def outcomes(*networks: NetworkEvidence, device: str = "cpu") -> dict[str, Outcome]:
    return {verdict.hypothesis.value: verdict.outcome for verdict in judge(networks, device)}


LARGE = evidence(macs=100)


def test_nothing_that_stands_out_supports_nothing() -> None:
    assert outcomes(LARGE, evidence()) == {
        "a": Outcome.REFUTED,
        "b": Outcome.REFUTED,
        "c": Outcome.REFUTED,
        "d": Outcome.NOT_TESTABLE,
        "e": Outcome.NOT_TESTABLE,
    }


@pytest.mark.parametrize(
    ("hypothesis", "changes"),
    [
        ("a", {"times_ms": (100, 99, 80, 79, 78, 77, 76)}),
        ("a", {"autocast_ratio": 1.2}),
        ("a", {"least_autocast_ratio": 1.2}),
        ("b", {"without_depthwise_ratio": 0.6}),
        ("c", {"times_ms": (100, 99, 98, 97, 96, 80, 79)}),
        ("c", {"skeleton_ms": 0.5}),
        ("e", {"times_ms": (100, 70, 69, 68, 67, 66, 65)}),
    ],
)
def test_what_explains_a_small_networks_time_is_supported(
    hypothesis: str, changes: dict[str, object]
) -> None:
    small = evidence(**changes)  # type: ignore[arg-type]  # fields by name
    assert outcomes(LARGE, small)[hypothesis] is Outcome.SUPPORTED
    reference = replace(evidence(macs=100, **changes), network="large")  # type: ignore[arg-type]  # by name
    assert outcomes(reference, evidence())[hypothesis] is not Outcome.SUPPORTED


def test_depthwise_convolutions_that_do_not_reach_the_memory_are_not_bound_by_it() -> None:
    assert (
        outcomes(LARGE, evidence(without_depthwise_ratio=0.6, depthwise_rate_share=0.2))["b"]
        is Outcome.REFUTED
    )
    dense = {"without_depthwise_ratio": None, "depthwise_macs_share": 0.0}
    assert outcomes(LARGE, replace(LARGE, network="x"), device="cpu")["b"] is Outcome.REFUTED
    assert outcomes(replace(LARGE, **dense))["b"] is Outcome.NOT_TESTABLE  # type: ignore[arg-type]  # by name


def test_on_a_gpu_kernel_choice_and_launches_are_judged() -> None:
    stages = chain_on_cuda(TINY, 128)
    slow_launches = waterfall_of(stages, [100, 95, 40, 39, 20, 19, 18, 17])
    found = outcomes(LARGE, evidence(waterfall=slow_launches), device="cuda")
    assert (found["d"], found["e"]) == (Outcome.SUPPORTED, Outcome.SUPPORTED)


@pytest.mark.parametrize(
    ("searched_ms", "laid_out_ms"), [(60, 72), (130, 105), (100, 80)], ids=["both", "slower", "layout"]
)
def test_levers_of_opposite_signs_do_not_cancel_each_other(searched_ms: float, laid_out_ms: float) -> None:
    stages = chain_on_cuda(TINY, 128)
    chain = waterfall_of(stages, [103, 102, 101, 100, searched_ms, laid_out_ms, laid_out_ms, laid_out_ms])
    small = evidence(waterfall=chain)
    assert outcomes(LARGE, small, device="cuda")["d"] is Outcome.SUPPORTED
    still = waterfall_of(stages, [103, 102, 101, 100, 95, 103, 102, 101])
    assert outcomes(LARGE, evidence(waterfall=still), device="cuda")["d"] is Outcome.REFUTED


def test_what_was_not_measured_refutes_nothing() -> None:
    stages = chain_on_cuda(TINY, 128)
    names = tuple(stage.name for stage in stages[2:])
    nothing = waterfall_of(stages, [100, 99, 0, 0, 0, 0, 0, 0], skipped=names)
    last = waterfall_of(stages, [100, 99, 0, 0, 0, 0, 0, 10], skipped=names[:-1])
    for chain in (nothing, last):
        found = judge((LARGE, evidence(waterfall=chain)), "cuda")
        by_name = {verdict.hypothesis.value: verdict for verdict in found}
        assert {name: by_name[name].outcome for name in "acde"} == dict.fromkeys("acde", Outcome.NOT_TESTABLE)
        assert by_name["e"].evidence[1].endswith("1% of the step, launching kernels (not measured)")
        assert "compiling (not measured)" in by_name["c"].evidence[1]
    assert outcomes(LARGE, evidence(waterfall=last, skeleton_ms=0.5), device="cuda")["c"] is Outcome.SUPPORTED


def test_a_compiler_that_is_not_there_refutes_no_fusion() -> None:
    stages = chain_on_cpu(TINY, 32, half_is_faster=True)
    chain = waterfall_of(stages, [100, 99, 98, 97, 96, 95, 0], skipped=(COMPILED,))
    assert outcomes(LARGE, evidence(waterfall=chain))["c"] is Outcome.NOT_TESTABLE


def test_depthwise_convolutions_of_the_reference_alone_judge_no_small_network() -> None:
    dense = evidence(without_depthwise_ratio=None, depthwise_macs_share=0.0)
    assert outcomes(LARGE, dense)["b"] is Outcome.NOT_TESTABLE


def test_every_verdict_has_evidence_about_every_network() -> None:
    networks = (LARGE, evidence())
    for verdict in judge(networks, "cpu"):
        assert isinstance(verdict, Verdict)
        for network in networks:
            assert any(network.network in sentence for sentence in verdict.evidence)
