"""Which cases a campaign needs, in the order of their value: what is measured is kept, whatever ends it.

First the plain networks, then all that is quick to prepare, then graphs, cuDNN's search and compilers; the
networks side by side in each, since they are compared. `investigation` has them timed in this order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from eml_models.latency.bench.cases import Allocator, Case, Variant, usual_allocator, usual_search
from eml_models.latency.explaining.campaign import Campaign, before_case
from eml_models.latency.explaining.evidence import half_weights, probes
from eml_models.latency.explaining.waterfall import COMPILED as COMPILED_STAGE
from eml_models.latency.explaining.waterfall import Stage, chain_on_cpu, chain_on_cuda
from eml_models.latency.measuring.modes import COMPILED, PLAIN, Execution

EFFORT = {
    Execution.EAGER: 0,
    Execution.GRAPH: 1,
    Execution.COMPILE: 2,
    Execution.REDUCE_OVERHEAD: 2,
    Execution.MAX_AUTOTUNE: 3,
}
"""The more, the longer it takes until the first number."""


def iter_first_cases(campaign: Campaign) -> Iterator[Case]:
    """Each network as torch runs it by default; on a CPU also the cases that choose its chain."""
    for batch_size in campaign.batch_sizes:
        yield from (before_case(network, batch_size, campaign) for network in campaign.networks)
    if campaign.explain and not campaign.on_cuda:
        for network in campaign.networks:
            yield from _deciding_cases(campaign, network.name).values()


def choose_chains(campaign: Campaign, times_ms: Mapping[str, float]) -> dict[str, tuple[Stage, ...]]:
    """The chain of each network; on a CPU the times of the first cases say in which precision it continues.

    Args:
        times_ms: by a case's key; without these of both precisions it continues in fp32.
    """
    if not campaign.explain:
        return {}
    chains, batch_size = {}, max(campaign.batch_sizes)
    for network in campaign.networks:
        if campaign.on_cuda:
            chains[network.name] = chain_on_cuda(network, batch_size)
            continue
        cases = _deciding_cases(campaign, network.name)
        half, full = (times_ms.get(cases[name].key) for name in ("half", "full"))
        faster = half is not None and full is not None and half < full
        chains[network.name] = chain_on_cpu(network, batch_size, half_is_faster=faster)
    if campaign.compiles:
        return chains
    return {name: tuple(s for s in chain if s.name != COMPILED_STAGE) for name, chain in chains.items()}


def list_table_cases(campaign: Campaign) -> list[Case]:
    """What the table of modes holds, network by network."""
    modes = sorted(campaign.modes, key=lambda mode: mode.execution in COMPILED)
    cases = []
    for network in campaign.networks:
        for batch_size in campaign.batch_sizes:
            cases.append(before_case(network, batch_size, campaign))
            cases += [
                Case(
                    network=network,
                    mode=mode,
                    batch_size=batch_size,
                    allocator=usual_allocator(campaign.device),
                    kernel_search=usual_search(campaign.device),
                )
                for mode in modes
            ]
    return unique_cases(cases)


def list_explaining_cases(campaign: Campaign, chains: Mapping[str, Sequence[Stage]]) -> list[Case]:
    """What waterfalls and verdicts need, network by network; some of it the table holds too."""
    cases: list[Case] = []
    for network in campaign.networks:
        if network.name in chains:
            cases += [stage.case for stage in chains[network.name]]
            cases += probes(campaign, network).values()
    return unique_cases(cases)


def in_order_of_value(campaign: Campaign, cases: Sequence[Case]) -> list[Case]:
    """The order in which cases are timed: see the module.

    Args:
        cases: network by network, those of each by their value.
    """
    first = {case.key: place for place, case in enumerate(iter_first_cases(campaign))}
    places: dict[str, dict[str, int]] = {network.name: {} for network in campaign.networks}
    for case in unique_cases(cases):
        places[case.network.name][case.key] = len(places[case.network.name])
    order = list(places)

    def value(case: Case) -> tuple[int, ...]:
        if case.key in first:
            return (0, first[case.key])
        name = case.network.name
        is_part = case.variant is not Variant.WHOLE
        effort = EFFORT[case.mode.execution]
        searches = campaign.on_cuda and case.kernel_search and case.mode.execution not in COMPILED
        return (1, effort, searches, is_part, places[name][case.key], order.index(name))

    return sorted(unique_cases(cases), key=value)


def _deciding_cases(campaign: Campaign, network: str) -> dict[str, Case]:
    (found,) = (one for one in campaign.networks if one.name == network)
    return {
        name: Case(
            network=found, mode=mode, batch_size=max(campaign.batch_sizes), allocator=Allocator.DEFAULT
        )
        for name, mode in (("half", half_weights(campaign)), ("full", PLAIN))
    }


def unique_cases(cases: Sequence[Case]) -> list[Case]:
    """Each case once, where it stands first."""
    return list({case.key: case for case in cases}.values())
