"""The whole investigation of some networks on one device: the table of modes, the waterfalls, the verdicts.

Says which cases are needed, lets `bench` time them interleaved, and hands the times to `waterfall` and
`verdicts`. The command ``latency`` and the benchmark are thin callers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from eml_models.errors import WorkerLostError, raise_if_any
from eml_models.latency.bench import PROGRAM, Bench, Progress, WorkerProgram
from eml_models.latency.cases import Allocator, Case, Source, Variant
from eml_models.latency.conditions import require_device
from eml_models.latency.measure import Measurement
from eml_models.latency.modes import COMPILED, PLAIN, Cast, Layout, Mode, Precision
from eml_models.latency.networks import NetworkSpec
from eml_models.latency.operators import OperatorCounts, OperatorKind, count_operators
from eml_models.latency.preparing import DTYPES
from eml_models.latency.roofline import (
    DEVICES,
    Ceilings,
    estimate_roofline,
    launch_bound_below,
)
from eml_models.latency.verdicts import NetworkEvidence, Verdict, judge
from eml_models.latency.waterfall import (
    ABSENT_ON_CPU,
    Stage,
    Waterfall,
    build_waterfall,
    chain_on_cpu,
    chain_on_cuda,
)
from eml_models.registry import build_model

MAX_OPEN = 96
"""Cases that are open at once: each holds a copy of its network."""

SHOWN_GPUS = ("a100-40g", "h100")
"""Whose launch-bound batch sizes a verdict names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What is to be measured.

    Attributes:
        modes: of the table.
        explain: whether the waterfalls and verdicts are wanted, at the largest batch size.
        rounds, seconds: every case is timed so often for so long, at least.
        threads: of a CPU.
        program: what the measuring processes run; another one where a family is not a shipped one.
    """

    networks: tuple[NetworkSpec, ...]
    modes: tuple[Mode, ...]
    batch_sizes: tuple[int, ...]
    device: str = "cpu"
    explain: bool = True
    rounds: int = 4
    seconds: float = 0.25
    threads: int = 1
    program: WorkerProgram = PROGRAM

    def __post_init__(self) -> None:
        problems = [f"a batch size must be at least 1, got {n}" for n in self.batch_sizes if n < 1]
        names = [network.name for network in self.networks]
        problems += [
            f"network {name!r} is named twice" for name in sorted(set(names)) if names.count(name) > 1
        ]
        if not self.networks or not self.modes or not self.batch_sizes:
            problems.append("at least one network, one mode and one batch size are needed")
        if self.rounds < 1 or not self.seconds > 0 or self.threads < 1:
            problems.append("rounds, seconds and threads must be positive")
        raise_if_any("latency", problems)

    @property
    def on_cuda(self) -> bool:
        return self.device.startswith("cuda")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A case and what was measured of it."""

    case: Case
    measurement: Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignResult:
    """What a campaign found.

    Attributes:
        timed: everything.
        skipped: cases that the device does not have or that failed, with the reason.
        notes: what could not be explained, and why.
    """

    campaign: Campaign
    timed: tuple[Timed, ...]
    skipped: tuple[tuple[Case, str], ...]
    counts: Mapping[str, OperatorCounts] = field(hash=False)
    ceilings: Ceilings | None
    waterfalls: tuple[Waterfall, ...]
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()

    @property
    def table(self) -> tuple[Timed, ...]:
        """Whole networks on a batch that is there: those that can be compared and used."""
        return tuple(timed for timed in self.timed if is_usual(timed.case))

    def before(self, network: str, batch_size: int) -> Timed:
        """The plain network as a process runs it that nobody has set up: fp32, NCHW, eager."""
        found = self._of(network, batch_size)
        return next(timed for timed in found if _is_before(timed.case, self.campaign))

    def fastest(self, network: str, batch_size: int) -> Timed:
        """The quickest of a network's modes at a batch size."""
        return min(self._of(network, batch_size), key=lambda timed: timed.measurement.median_ms)

    def _of(self, network: str, batch_size: int) -> Iterator[Timed]:
        return (t for t in self.table if t.case.network.name == network and t.case.batch_size == batch_size)


def run_campaign(campaign: Campaign, *, on_progress: Progress = lambda text: None) -> CampaignResult:
    """Measure everything that a campaign asks for.

    Raises:
        InvalidValueError: there is no such device.
        WorkerLostError: nothing at all could be timed.
    """
    require_device(campaign.device)
    counts = {network.name: _count(network, 1) for network in campaign.networks}
    with Bench(
        campaign.device, threads=campaign.threads, on_progress=on_progress, program=campaign.program
    ) as bench:
        table, others = list(_table_cases(campaign)), []
        chains: dict[str, tuple[Stage, ...]] = {}
        if campaign.explain:
            chains = _choose_chains(campaign, bench)
            others = list(_explaining_cases(campaign, chains))
        known = {case.key for case in table}
        others = [case for key, case in {c.key: c for c in others}.items() if key not in known]
        opened = _time_all(bench, campaign, [*others, *table])
        timed = {key: Timed(case=case, measurement=bench.result(case)) for key, case in opened.items()}
        if not timed:
            raise WorkerLostError(f"nothing could be timed: {next(iter(bench.skipped.values()))}")
        evidence: list[NetworkEvidence] = []
        notes: list[str] = []
        ceilings = _measure_ceilings(bench, notes) if campaign.explain else None
        for network in campaign.networks:
            chain = chains.get(network.name, ())
            if ceilings is None or not chain:
                continue
            if chain[0].case.key in timed:
                evidence.append(_collect(campaign, network, chain, timed, bench.skipped, ceilings))
            else:
                notes.append(f"{network.name} is not explained: {bench.skipped[chain[0].case.key]}")
        skipped = [(case, bench.skipped[case.key]) for case in [*table, *others] if case.key in bench.skipped]
    return CampaignResult(
        campaign=campaign,
        timed=tuple(timed[case.key] for case in [*table, *others] if case.key in timed),
        skipped=tuple(skipped),
        counts=counts,
        ceilings=ceilings,
        waterfalls=tuple(one.waterfall for one in evidence),
        verdicts=judge(evidence, "cuda" if campaign.on_cuda else "cpu") if evidence else (),
        notes=tuple(notes),
    )


def _measure_ceilings(bench: Bench, notes: list[str]) -> Ceilings | None:
    """None, and a note, where they cannot be: what was timed is worth having without a waterfall."""
    try:
        return bench.measure_ceilings()
    except WorkerLostError as error:
        notes.append(f"nothing is explained, since the device's ceilings could not be measured: {error}")
        return None


def _table_cases(campaign: Campaign) -> Iterator[Case]:
    """Eager before compiled, so that a compiler's heat is not in the others' first round."""
    modes = sorted(campaign.modes, key=lambda mode: mode.execution in COMPILED)
    for network in campaign.networks:
        for batch_size in campaign.batch_sizes:
            yield _before_case(network, batch_size, campaign)
            for mode in modes:
                yield Case(network=network, mode=mode, batch_size=batch_size)


def _before_case(network: NetworkSpec, batch_size: int, campaign: Campaign) -> Case:
    return Case(
        network=network,
        mode=PLAIN,
        batch_size=batch_size,
        allocator=Allocator.DEFAULT,
        kernel_search=not campaign.on_cuda,  # a CPU has none, and a case is timed once
    )


def is_usual(case: Case) -> bool:
    """Whether a case is of a whole network on a batch that is there."""
    return case.variant is Variant.WHOLE and case.source is Source.CACHED


def _is_before(case: Case, campaign: Campaign) -> bool:
    return case == _before_case(case.network, case.batch_size, campaign)


def _choose_chains(campaign: Campaign, bench: Bench) -> dict[str, tuple[Stage, ...]]:
    """The chain of each network; on a CPU a short timing says whether it goes on in fp32 or in 16 bits."""
    batch_size = max(campaign.batch_sizes)
    if campaign.on_cuda:
        return {network.name: chain_on_cuda(network, batch_size) for network in campaign.networks}
    chains = {}
    for network in campaign.networks:
        half, full = (
            Case(network=network, mode=mode, batch_size=batch_size, allocator=Allocator.DEFAULT)
            for mode in (_half_weights(campaign), PLAIN)
        )
        opened = bench.open([half, full])
        bench.time(opened, rounds=1, seconds=campaign.seconds)
        both = bench.was_timed(half) and bench.was_timed(full)
        chains[network.name] = chain_on_cpu(
            network,
            batch_size,
            half_is_faster=both and bench.result(half).median_ms < bench.result(full).median_ms,
        )
    return chains


def _explaining_cases(campaign: Campaign, chains: Mapping[str, Sequence[Stage]]) -> Iterator[Case]:
    for network in campaign.networks:
        yield from (stage.case for stage in chains[network.name])
        yield from _probes(campaign, network).values()


def _probes(campaign: Campaign, network: NetworkSpec) -> dict[str, Case]:
    """The cases that verdicts need besides the chain, by what they are for."""
    batch_size, least = max(campaign.batch_sizes), min(campaign.batch_sizes)
    eager = Mode(layout=Layout.CHANNELS_LAST)

    def plain(mode: Mode, batch_size: int = batch_size, variant: Variant = Variant.WHOLE) -> Case:
        default = Allocator.DEFAULT if mode.layout is Layout.NCHW else Allocator.KEEPING
        return Case(network=network, mode=mode, batch_size=batch_size, variant=variant, allocator=default)

    return {
        "half autocast": plain(Mode(precision=_half(campaign), cast=Cast.AUTOCAST)),
        "half weights": plain(_half_weights(campaign)),
        "fp32": plain(PLAIN),
        "half autocast, least": plain(Mode(precision=_half(campaign), cast=Cast.AUTOCAST), least),
        "half weights, least": plain(_half_weights(campaign), least),
        "fp32, least": plain(PLAIN, least),
        "whole": plain(eager),
        "without depthwise": plain(eager, variant=Variant.WITHOUT_DEPTHWISE),
        "skeleton": plain(eager, variant=Variant.SKELETON),
        "one image": plain(eager, batch_size=1),
    }


def _time_all(bench: Bench, campaign: Campaign, cases: Sequence[Case]) -> dict[str, Case]:
    opened: dict[str, Case] = {}
    unique = list({case.key: case for case in cases}.values())
    for start in range(0, len(unique), MAX_OPEN):
        part = bench.open(unique[start : start + MAX_OPEN])
        bench.time(part, rounds=campaign.rounds, seconds=campaign.seconds)
        opened |= {case.key: case for case in part if bench.was_timed(case)}
        if start + MAX_OPEN < len(unique):
            bench.close_cases()
    return opened


def _collect(
    campaign: Campaign,
    network: NetworkSpec,
    chain: Sequence[Stage],
    timed: Mapping[str, Timed],
    skipped: Mapping[str, str],
    ceilings: Ceilings,
) -> NetworkEvidence:
    """The waterfall of one network and what the verdicts need besides."""
    times_ms = {key: entry.measurement.median_ms for key, entry in timed.items()}
    last = next(stage.case for stage in reversed(chain) if stage.case.key in times_ms)
    batch_size = timed[last.key].measurement.batch_size
    counts = _count(network, batch_size, DTYPES[last.mode.precision])
    fused = last.mode.execution in COMPILED
    roofline = estimate_roofline(counts, ceilings, last.mode.precision, fused=fused)
    probes = _probes(campaign, network)
    ms = {name: times_ms[case.key] for name, case in probes.items() if case.key in times_ms}
    full = _count(network, batch_size)
    depthwise = full.by_kind().get(OperatorKind.DEPTHWISE)
    return NetworkEvidence(
        network=network.name,
        macs=network.plan().macs,
        kernels=full.kernels,
        casts=_count(network, 1, autocast=DTYPES[_half(campaign)]).casts,
        waterfall=build_waterfall(
            chain, times_ms, skipped, roofline, absent=() if campaign.on_cuda else ABSENT_ON_CPU
        ),
        half=_half(campaign).value,
        batch_size=batch_size,
        least_batch_size=min(campaign.batch_sizes),
        autocast_ratio=ms["half autocast"] / ms["fp32"],
        weights_ratio=ms["half weights"] / ms["fp32"],
        least_autocast_ratio=ms["half autocast, least"] / ms["fp32, least"],
        least_weights_ratio=ms["half weights, least"] / ms["fp32, least"],
        whole_ms=ms["whole"],
        without_depthwise_ms=ms["without depthwise"] if depthwise else None,
        depthwise_macs_share=depthwise.macs / full.macs if depthwise else 0.0,
        depthwise_rate_share=_rate_share(depthwise, ms["whole"] - ms["without depthwise"], ceilings),
        skeleton_ms=ms["skeleton"],
        one_image_ms=ms.get("one image"),
        launch_bound_below=_launch_bounds(network),
    )


def _rate_share(depthwise: OperatorCounts | None, ms: float, ceilings: Ceilings) -> float | None:
    """The rate at which depthwise convolutions move their bytes, as a share of the ceiling."""
    if depthwise is None or ms <= 0:
        return None
    at_ceiling_s = sum(o.num_bytes / ceilings.bandwidth_for(o.num_bytes) for o in depthwise.operators)
    return at_ceiling_s * 1e3 / ms


def _launch_bounds(network: NetworkSpec) -> dict[str, int | None]:
    counted = {n: _count(network, n, torch.float16) for n in (1, 2)}
    return {
        DEVICES[name].name: launch_bound_below(counted.__getitem__, DEVICES[name], Precision.FP16)
        for name in SHOWN_GPUS
    }


def _count(
    network: NetworkSpec,
    batch_size: int,
    dtype: torch.dtype = torch.float32,
    *,
    autocast: torch.dtype | None = None,
) -> OperatorCounts:
    with torch.random.fork_rng(devices=[]):  # weights are drawn, and nobody's generator moves
        model = build_model(network.plan())
    return count_operators(model, network.input_shape, batch_size=batch_size, dtype=dtype, autocast=autocast)


def _half(campaign: Campaign) -> Precision:
    return Precision.FP16 if campaign.on_cuda else Precision.BF16


def _half_weights(campaign: Campaign) -> Mode:
    return Mode(precision=_half(campaign), cast=Cast.WEIGHTS)
