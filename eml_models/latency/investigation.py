"""Runs a campaign: the whole investigation of some networks on one device.

Says which cases are needed, lets `bench` time them interleaved, and hands the times to `evidence` and
`verdicts`. The command ``latency`` and the benchmark are thin callers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from eml_models.errors import WorkerLostError
from eml_models.latency.bench import Bench, Progress
from eml_models.latency.campaign import Campaign, CampaignResult, Timed, before_case
from eml_models.latency.cases import Allocator, Case, usual_allocator
from eml_models.latency.conditions import require_device
from eml_models.latency.evidence import count_network, explain, half_weights, probes
from eml_models.latency.modes import COMPILED, PLAIN
from eml_models.latency.roofline import Ceilings
from eml_models.latency.verdicts import judge
from eml_models.latency.waterfall import Stage, chain_on_cpu, chain_on_cuda

MAX_OPEN = 96
"""Cases that are open at once: each holds a copy of its network."""


def run_campaign(campaign: Campaign, *, on_progress: Progress = lambda text: None) -> CampaignResult:
    """Measure everything that a campaign asks for.

    Raises:
        InvalidValueError: there is no such device.
        WorkerLostError: nothing at all could be timed.
    """
    require_device(campaign.device)
    counts = {network.name: count_network(network, 1) for network in campaign.networks}
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
        notes: list[str] = []
        ceilings = _measure_ceilings(bench, notes) if campaign.explain else None
        evidence = (
            [] if ceilings is None else explain(campaign, chains, timed, bench.skipped, ceilings, notes)
        )
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
            yield before_case(network, batch_size, campaign)
            for mode in modes:
                yield Case(
                    network=network,
                    mode=mode,
                    batch_size=batch_size,
                    allocator=usual_allocator(campaign.device),
                )


def _choose_chains(campaign: Campaign, bench: Bench) -> dict[str, tuple[Stage, ...]]:
    """The chain of each network; on a CPU a short timing says whether it goes on in fp32 or in 16 bits."""
    batch_size = max(campaign.batch_sizes)
    if campaign.on_cuda:
        return {network.name: chain_on_cuda(network, batch_size) for network in campaign.networks}
    chains = {}
    for network in campaign.networks:
        half, full = (
            Case(network=network, mode=mode, batch_size=batch_size, allocator=Allocator.DEFAULT)
            for mode in (half_weights(campaign), PLAIN)
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
        yield from probes(campaign, network).values()


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
