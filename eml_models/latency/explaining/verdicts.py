"""The lab report's five hypotheses, each judged by what was measured on one device, with its evidence.

A hypothesis is supported if it explains at least `MATTERS` of a small network's time, refuted if it does not,
and not testable here where the device lacks an intervention or one of its cases could not be timed. A verdict
holds for its device, batch size and networks, not for others. Pure; `campaign` collects the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from eml_models.latency.explaining.waterfall import (
    CASTS,
    COMPILED,
    DATA,
    FOLDED,
    GRAPH,
    KERNELS,
    LAYOUT,
    Hypothesis,
    Waterfall,
)

MATTERS = 0.1
"""Share of a network's step. A cause that explains less is not why the network was slow."""

AT_THE_CEILING = 0.5
"""Share of the memory's measured rate from which a kernel counts as bound by memory."""

UNKNOWN = "(not measured)"


class Outcome(StrEnum):
    """What can be said of a hypothesis."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    NOT_TESTABLE = "not testable here"


TITLES: Mapping[Hypothesis, str] = {
    Hypothesis.CASTS: "autocast and 16 bits are inefficient",
    Hypothesis.DEPTHWISE: "depthwise convolutions are memory-bound",
    Hypothesis.MANY_OPERATORS: "more, smaller operators one after the other",
    Hypothesis.KERNEL_CHOICE: "cuDNN's choice of kernels",
    Hypothesis.HOST_BOUND: "the host's side: launches and transfers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkEvidence:
    """What was measured and counted of one network; times in ms at the waterfall's batch size, the largest.

    Attributes:
        autocast_ratio, weights_ratio: time in 16 bits by autocast and with cast weights, as a share of
            that in `full`, in NCHW and eager; ``least_...`` at the smallest batch size.
        full: the precision that torch uses by default.
        without_depthwise_ratio: time without these as a share of the whole network's, in one mode; None if
            there are none.
        depthwise_macs_share: of the network's MACs.
        depthwise_rate_share: bytes of depthwise convolutions by their measured time, as a share of the
            ceiling; None if they took no measurable time.
        skeleton_ms: as many operators without arithmetic.
        one_image_ms: of a batch of one, in the skeleton's mode; None if it was not asked for.
        launch_bound_below: batch size by GPU, modelled; None if it always is.

    A time or ratio is None as well where a case of it could not be timed over its batch.
    """

    network: str
    macs: int
    kernels: int
    casts: int
    waterfall: Waterfall
    half: str
    full: str
    batch_size: int
    least_batch_size: int
    autocast_ratio: float | None
    weights_ratio: float | None
    least_autocast_ratio: float | None
    least_weights_ratio: float | None
    without_depthwise_ratio: float | None
    depthwise_macs_share: float
    depthwise_rate_share: float | None
    skeleton_ms: float | None
    one_image_ms: float | None
    launch_bound_below: Mapping[str, int | None] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found of one hypothesis."""

    hypothesis: Hypothesis
    title: str
    outcome: Outcome
    evidence: tuple[str, ...]


def judge(networks: Sequence[NetworkEvidence], device: str) -> tuple[Verdict, ...]:
    """The five verdicts.

    Args:
        networks: the one with the most MACs is the reference that the others are meant to beat.
        device: ``cpu`` or ``cuda``.
    """
    judges: Mapping[Hypothesis, Callable[[Sequence[NetworkEvidence]], tuple[Outcome, list[str]]]] = {
        Hypothesis.CASTS: _judge_casts,
        Hypothesis.DEPTHWISE: _judge_depthwise,
        Hypothesis.MANY_OPERATORS: _judge_operators,
        Hypothesis.KERNEL_CHOICE: _judge_kernels_on_cpu if device == "cpu" else _judge_kernels,
        Hypothesis.HOST_BOUND: _judge_host_on_cpu if device == "cpu" else _judge_host,
    }
    verdicts = []
    for hypothesis, judged in judges.items():
        outcome, evidence = judged(networks)
        verdicts.append(
            Verdict(
                hypothesis=hypothesis, title=TITLES[hypothesis], outcome=outcome, evidence=tuple(evidence)
            )
        )
    return tuple(verdicts)


def _judge_casts(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    found, tested, evidence = False, True, []
    for one, small in _with_role(networks):
        casts = _part(one.waterfall, CASTS)
        measured = [ratio for ratio in (one.autocast_ratio, one.least_autocast_ratio) if ratio is not None]
        slower = max(measured, default=1.0) - 1
        found |= small and ((casts or 0.0) >= MATTERS or slower >= MATTERS)
        tested &= not small or (casts is not None and len(measured) == 2)
        ratios = {
            one.least_batch_size: (one.least_autocast_ratio, one.least_weights_ratio),
            one.batch_size: (one.autocast_ratio, one.weights_ratio),
        }
        at_batches = " and ".join(
            f"{_number(autocast)} of {one.full}'s time at a batch of {size} ({_number(weights)} with weights"
            " cast beforehand)"
            for size, (autocast, weights) in ratios.items()
        )
        evidence.append(
            f"{one.network}: {one.half} by autocast takes {at_batches}; casting {one.casts} tensors anew is"
            f" {_percent(casts)} of the step"
        )
    return _outcome(found, tested=tested), evidence


def _judge_depthwise(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    found, tested, evidence = False, False, []
    for one, small in _with_role(networks):
        if not one.depthwise_macs_share:
            evidence.append(f"{one.network} has no depthwise convolution")
            continue
        if one.without_depthwise_ratio is None:
            evidence.append(f"{one.network} could not be timed with and without them")
            continue
        share = 1 - one.without_depthwise_ratio
        rate = one.depthwise_rate_share
        at_ceiling = rate is not None and rate >= AT_THE_CEILING
        tested, found = tested or small, found or (small and share >= MATTERS and at_ceiling)
        speed = "" if rate is None else f", moving bytes at {rate:.0%} of the rate that memory reaches"
        evidence.append(
            f"{one.network}: without them it takes {share:.0%} less time; they are"
            f" {one.depthwise_macs_share:.0%} of its MACs{speed}"
        )
    return _outcome(found, tested=tested), evidence


def _judge_operators(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    found, tested, evidence = False, True, []
    for one, small in _with_role(networks):
        fused = one.waterfall.part_of(Hypothesis.MANY_OPERATORS)
        number = one.skeleton_ms / one.one_image_ms if one.skeleton_ms and one.one_image_ms else None
        whole = one.waterfall.explains(Hypothesis.MANY_OPERATORS, FOLDED, COMPILED)
        found |= small and (fused >= MATTERS or (number or 0.0) >= MATTERS)
        tested &= not small or (whole and number is not None)
        levers = f"folding and compiling take away {fused:.0%} of the step"
        if not whole:
            folded, compiled = (_percent(_part(one.waterfall, name)) for name in (FOLDED, COMPILED))
            levers = f"folding takes away {folded} of the step, compiling {compiled}"
        at_one = "" if number is None else f" ({number:.0%} of the time of a single image)"
        evidence.append(
            f"{one.network}: {levers}; its {one.kernels} operators cost {_number(one.skeleton_ms)} ms by"
            f" their number alone{at_one}"
        )
    return _outcome(found, tested=tested), evidence


def _judge_kernels(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    """Each lever by itself and in either direction: a choice that makes it slower matters too."""
    found, tested, evidence = False, True, []
    for one, small in _with_role(networks):
        waterfall = one.waterfall
        parts = {
            share.name: share.ms / waterfall.total_ms
            for share in waterfall.shares
            if share.hypothesis is Hypothesis.KERNEL_CHOICE
        }
        found |= small and any(abs(part) >= MATTERS for part in parts.values())
        tested &= not small or waterfall.explains(Hypothesis.KERNEL_CHOICE, KERNELS, LAYOUT)
        taken = [f"{name} {part:.0%}" for name, part in parts.items()] or [_percent(None)]
        evidence.append(f"{one.network}: taken away of the step: {', '.join(taken)}")
    return _outcome(found, tested=tested), evidence


def _judge_kernels_on_cpu(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    evidence = [
        f"{one.network}: channels_last, which a CPU has in common with it, takes away"
        f" {_percent(_part(one.waterfall, LAYOUT))} of the step"
        for one, _ in _with_role(networks)
    ]
    return Outcome.NOT_TESTABLE, ["a CPU has no cuDNN", *evidence]


def _judge_host(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    found, tested, evidence = False, True, []
    for one, small in _with_role(networks):
        data, launches = _part(one.waterfall, DATA), _part(one.waterfall, GRAPH)
        found |= small and one.waterfall.part_of(Hypothesis.HOST_BOUND) >= MATTERS
        tested &= not small or one.waterfall.explains(Hypothesis.HOST_BOUND, DATA, GRAPH)
        evidence.append(
            f"{one.network}: making and copying the batch is {_percent(data)} of the step, launching kernels"
            f" {_percent(launches)}"
        )
    return _outcome(found, tested=tested), evidence


def _judge_host_on_cpu(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    found, evidence = False, []
    for one, small in _with_role(networks):
        data = _part(one.waterfall, DATA)
        found |= small and (data or 0.0) >= MATTERS
        bounds = ", ".join(
            f"{name} below a batch of {'any size' if batch is None else batch}"
            for name, batch in one.launch_bound_below.items()
        )
        evidence.append(
            f"{one.network}: making the batch image by image is {_percent(data)} of the step; by the model"
            f" its launches would bound {bounds or 'no known GPU'}"
        )
    note = "a CPU shows the data's half only: it launches nothing ahead"
    return (Outcome.SUPPORTED if found else Outcome.NOT_TESTABLE), [note, *evidence]


def _with_role(networks: Sequence[NetworkEvidence]) -> Iterator[tuple[NetworkEvidence, bool]]:
    """Each network, and whether it is one of those that should have been faster."""
    reference = max(networks, key=lambda one: one.macs)
    for one in networks:
        yield one, one is not reference or len(networks) == 1


def _part(waterfall: Waterfall, name: str) -> float | None:
    """What an intervention took away, as a share of the real step; None where it was not made by itself."""
    share = waterfall.find(name)
    return None if share is None else share.ms / waterfall.total_ms


def _percent(part: float | None) -> str:
    return UNKNOWN if part is None else f"{part:.0%}"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _outcome(found: bool, *, tested: bool) -> Outcome:
    """What was found is found, whatever else was not tested; what was not tested refutes nothing."""
    if found:
        return Outcome.SUPPORTED
    return Outcome.REFUTED if tested else Outcome.NOT_TESTABLE
