"""The evidence of a campaign: the cases that verdicts need besides the chains, and what their times say.

Counts, rates and ratios, no words; `verdicts` judges, `investigation` has the cases timed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from eml_models.errors import InvalidValueError, describe_cause
from eml_models.latency.bench.cases import Allocator, Case, Variant, usual_allocator, usual_search
from eml_models.latency.counting.operators import OperatorCounts, OperatorKind, count_operators
from eml_models.latency.counting.roofline import (
    DEVICES,
    Ceilings,
    Roofline,
    estimate_roofline,
    launch_bound_below,
)
from eml_models.latency.explaining.campaign import Campaign, Timed
from eml_models.latency.explaining.verdicts import NetworkEvidence
from eml_models.latency.explaining.waterfall import ABSENT_ON_CPU, Stage, build_waterfall
from eml_models.latency.measuring.folding import fold_batch_norms
from eml_models.latency.measuring.modes import (
    COMPILED,
    Cast,
    Execution,
    Layout,
    Mode,
    Precision,
    untouched_mode,
)
from eml_models.latency.measuring.preparing import DTYPES
from eml_models.networks.registry import build_model
from eml_models.networks.words import NetworkSpec

SHOWN_GPUS = ("a100-40g", "h100")
"""Whose launch-bound batch sizes a verdict names."""


def probes(campaign: Campaign, network: NetworkSpec) -> dict[str, Case]:
    """The cases that verdicts need besides the chain, by what they are for."""
    batch_size, least = max(campaign.batch_sizes), min(campaign.batch_sizes)
    bare = _bare_mode(campaign)

    def plain(mode: Mode, batch_size: int = batch_size, variant: Variant = Variant.WHOLE) -> Case:
        usual = usual_allocator(campaign.device)
        allocator = Allocator.DEFAULT if mode.layout is Layout.NCHW else usual
        return Case(
            network=network,
            mode=mode,
            batch_size=batch_size,
            variant=variant,
            allocator=allocator,
            kernel_search=usual_search(campaign.device),
        )

    full = untouched_mode(campaign.kind)
    autocast = Mode(precision=_half(campaign), cast=Cast.AUTOCAST)
    return {
        "half autocast": plain(autocast),
        "half weights": plain(half_weights(campaign)),
        "full": plain(full),
        "half autocast, least": plain(autocast, least),
        "half weights, least": plain(half_weights(campaign), least),
        "full, least": plain(full, least),
        "whole": plain(bare),
        "without depthwise": plain(bare, variant=Variant.WITHOUT_DEPTHWISE),
        "skeleton": plain(bare, variant=Variant.SKELETON),
        "one image": plain(bare, batch_size=1),
    }


def _bare_mode(campaign: Campaign) -> Mode:
    """The mode in which a network is compared with its reduced variants.

    On a GPU a graph replays them in 16 bits: in eager fp32 launches take most of a small network's step, and
    a difference would only show their number.
    """
    if not campaign.on_cuda:
        return Mode(layout=Layout.CHANNELS_LAST)
    return replace(half_weights(campaign), layout=Layout.CHANNELS_LAST, execution=Execution.GRAPH)


def explain(
    campaign: Campaign,
    chains: Mapping[str, Sequence[Stage]],
    timed: Mapping[str, Timed],
    skipped: Mapping[str, str],
    ceilings: Ceilings,
    notes: list[str],
) -> list[NetworkEvidence]:
    """The evidence of each network whose real step was timed; a note for each other.

    What was timed over a smaller batch counts as not timed: its times compare with nothing.
    """
    halved = {key: one.measurement.notes[0] for key, one in timed.items() if not one.is_complete}
    times_ms = {key: one.measurement.median_ms for key, one in timed.items() if one.is_complete}
    reasons = {**skipped, **halved}
    found = []
    for network in campaign.networks:
        chain = chains[network.name]
        if chain[0].case.key in times_ms:
            found.append(_collect(campaign, network, chain, times_ms, reasons, ceilings))
        else:
            notes.append(f"{network.name} is not explained: its real step: {reasons[chain[0].case.key]}")
    return found


def _collect(
    campaign: Campaign,
    network: NetworkSpec,
    chain: Sequence[Stage],
    times_ms: Mapping[str, float],
    skipped: Mapping[str, str],
    ceilings: Ceilings,
) -> NetworkEvidence:
    """The waterfall of one network and what the verdicts need besides.

    Args:
        times_ms: of whole batches, by a case's key; the chain's first is there.
        skipped: why a case has none, by key.
    """
    batch_size = chain[0].case.batch_size
    ms = {name: times_ms.get(case.key) for name, case in probes(campaign, network).items()}
    bare = DTYPES[_bare_mode(campaign).precision]
    full = count_network(network, batch_size, bare)
    depthwise = full.by_kind().get(OperatorKind.DEPTHWISE)
    return NetworkEvidence(
        network=network.name,
        macs=network.plan().macs,
        kernels=full.kernels,
        casts=count_network(network, 1, autocast=DTYPES[_half(campaign)]).casts,
        waterfall=build_waterfall(
            chain,
            times_ms,
            skipped,
            _roofline_of_last(campaign, network, chain, times_ms, ceilings),
            absent=() if campaign.on_cuda else ABSENT_ON_CPU,
        ),
        half=_half(campaign).value,
        full=untouched_mode(campaign.kind).precision.value,
        batch_size=batch_size,
        least_batch_size=min(campaign.batch_sizes),
        autocast_ratio=_ratio(ms["half autocast"], ms["full"]),
        weights_ratio=_ratio(ms["half weights"], ms["full"]),
        least_autocast_ratio=_ratio(ms["half autocast, least"], ms["full, least"]),
        least_weights_ratio=_ratio(ms["half weights, least"], ms["full, least"]),
        without_depthwise_ratio=_ratio(ms["without depthwise"], ms["whole"]) if depthwise else None,
        depthwise_macs_share=depthwise.macs / full.macs if depthwise else 0.0,
        depthwise_rate_share=_rate_share(depthwise, ms["whole"], ms["without depthwise"], ceilings),
        skeleton_ms=ms["skeleton"],
        one_image_ms=ms["one image"],
        launch_bound_below=_launch_bounds(network),
    )


def _roofline_of_last(
    campaign: Campaign,
    network: NetworkSpec,
    chain: Sequence[Stage],
    times_ms: Mapping[str, float],
    ceilings: Ceilings,
) -> Roofline:
    """The roofline of the last stage that was timed.

    Batch norms that are folded take no pass on a CPU, whose convolutions add a bias themselves; cuDNN's have
    none, and torch adds it in a pass of its own.
    """
    last = next(stage.case for stage in reversed(chain) if stage.case.key in times_ms)
    mode = last.mode
    counts = count_network(
        network, last.batch_size, DTYPES[mode.precision], folded=mode.folded and not campaign.on_cuda
    )
    return estimate_roofline(counts, ceilings, mode.precision, fused=mode.execution in COMPILED)


def _ratio(ms: float | None, of_ms: float | None) -> float | None:
    return None if ms is None or of_ms is None else ms / of_ms


def _rate_share(
    depthwise: OperatorCounts | None, whole_ms: float | None, without_ms: float | None, ceilings: Ceilings
) -> float | None:
    """The rate at which depthwise convolutions move their bytes, as a share of the ceiling."""
    if depthwise is None or whole_ms is None or without_ms is None or whole_ms <= without_ms:
        return None
    ms = whole_ms - without_ms
    at_ceiling_s = sum(o.num_bytes / ceilings.bandwidth_for(o.num_bytes) for o in depthwise.operators)
    return at_ceiling_s * 1e3 / ms


def _launch_bounds(network: NetworkSpec) -> dict[str, int | None]:
    counted = {n: count_network(network, n, torch.float16) for n in (1, 2)}
    return {
        DEVICES[name].name: launch_bound_below(counted.__getitem__, DEVICES[name], Precision.FP16)
        for name in SHOWN_GPUS
    }


def count_network(
    network: NetworkSpec,
    batch_size: int,
    dtype: torch.dtype = torch.float32,
    *,
    autocast: torch.dtype | None = None,
    folded: bool = False,
) -> OperatorCounts:
    """The operators of a network's pass over a batch.

    Raises:
        InvalidValueError: its module cannot be run on tensors without values.
    """
    with torch.random.fork_rng(devices=[]):  # weights are drawn, and no generator outside moves
        model = build_model(network.plan())
    if folded:
        fold_batch_norms(model.eval())
    try:
        return count_operators(
            model, network.input_shape, batch_size=batch_size, dtype=dtype, autocast=autocast
        )
    except Exception as error:  # of a user's own module, which may raise anything
        raise InvalidValueError(
            f"the operators of {network.name} cannot be counted, for which it runs on images without values:"
            f" {describe_cause(error)}"
        ) from error


def _half(campaign: Campaign) -> Precision:
    return Precision.FP16 if campaign.on_cuda else Precision.BF16


def half_weights(campaign: Campaign) -> Mode:
    """The device's 16 bits by weights that are cast beforehand."""
    return Mode(precision=_half(campaign), cast=Cast.WEIGHTS)
