"""The lab report's five hypotheses, each judged by what was measured on one device, with its evidence.

A hypothesis is supported if it explains at least `MATTERS` of a small network's time, refuted if it does not,
and not testable here where the device lacks the intervention. A verdict holds for its device, batch size and
networks, not for others. Pure; `campaign` collects the evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from eml_models.latency.waterfall import (
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
"""Of a network's step: what explains less is not why it was slow."""

AT_THE_CEILING = 0.5
"""Of the memory's measured rate: from here on a kernel counts as bound by memory."""


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
        full: the precision that nobody has set up.
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
    found, evidence = False, []
    for one, small in _with_role(networks):
        casts = _part(one.waterfall, CASTS)
        measured = [ratio for ratio in (one.autocast_ratio, one.least_autocast_ratio) if ratio is not None]
        slower = max(measured, default=1.0) - 1
        found |= small and (casts >= MATTERS or slower >= MATTERS)
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
            f" {casts:.0%} of the step"
        )
    return _outcome(found), evidence


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
        tested, found = True, found or (small and share >= MATTERS and at_ceiling)
        speed = "" if rate is None else f", moving bytes at {rate:.0%} of the rate that memory reaches"
        evidence.append(
            f"{one.network}: without them it takes {share:.0%} less time; they are"
            f" {one.depthwise_macs_share:.0%} of its MACs{speed}"
        )
    if not tested:
        return Outcome.NOT_TESTABLE, evidence
    return _outcome(found), evidence


def _judge_operators(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    found, evidence = False, []
    for one, small in _with_role(networks):
        fused = _part(one.waterfall, FOLDED) + _part(one.waterfall, COMPILED)
        number = one.skeleton_ms / one.one_image_ms if one.skeleton_ms and one.one_image_ms else None
        found |= small and (fused >= MATTERS or (number or 0.0) >= MATTERS)
        at_one = "" if number is None else f" ({number:.0%} of the time of a single image)"
        evidence.append(
            f"{one.network}: folding and compiling take away {fused:.0%} of the step; its {one.kernels}"
            f" operators cost {_number(one.skeleton_ms)} ms by their number alone{at_one}"
        )
    return _outcome(found), evidence


def _judge_kernels(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    """Each lever by itself and in either direction: a choice that makes it slower matters too."""
    found, evidence = False, []
    for one, small in _with_role(networks):
        parts = {name: _part(one.waterfall, name) for name in (KERNELS, LAYOUT)}
        found |= small and any(abs(part) >= MATTERS for part in parts.values())
        evidence.append(
            f"{one.network}: cuDNN's search takes away {parts[KERNELS]:.0%} of the step, channels_last"
            f" {parts[LAYOUT]:.0%}"
        )
    return _outcome(found), evidence


def _judge_kernels_on_cpu(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    evidence = [
        f"{one.network}: channels_last, which a CPU has in common with it, takes away"
        f" {_part(one.waterfall, LAYOUT):.0%} of the step"
        for one, _ in _with_role(networks)
    ]
    return Outcome.NOT_TESTABLE, ["a CPU has no cuDNN", *evidence]


def _judge_host(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    found, evidence = False, []
    for one, small in _with_role(networks):
        data, launches = _part(one.waterfall, DATA), _part(one.waterfall, GRAPH)
        found |= small and data + launches >= MATTERS
        evidence.append(
            f"{one.network}: making and copying the batch is {data:.0%} of the step, launching kernels"
            f" {launches:.0%}"
        )
    return _outcome(found), evidence


def _judge_host_on_cpu(networks: Sequence[NetworkEvidence]) -> tuple[Outcome, list[str]]:
    found, evidence = False, []
    for one, small in _with_role(networks):
        data = _part(one.waterfall, DATA)
        found |= small and data >= MATTERS
        bounds = ", ".join(
            f"{name} below a batch of {'any size' if batch is None else batch}"
            for name, batch in one.launch_bound_below.items()
        )
        evidence.append(
            f"{one.network}: making the batch image by image is {data:.0%} of the step; by the model its"
            f" launches would bound {bounds or 'no known GPU'}"
        )
    note = "a CPU shows the data's half only: it launches nothing ahead"
    return (Outcome.SUPPORTED if found else Outcome.NOT_TESTABLE), [note, *evidence]


def _with_role(networks: Sequence[NetworkEvidence]) -> Iterator[tuple[NetworkEvidence, bool]]:
    """Each network, and whether it is one of those that should have been faster."""
    reference = max(networks, key=lambda one: one.macs)
    for one in networks:
        yield one, one is not reference or len(networks) == 1


def _part(waterfall: Waterfall, name: str) -> float:
    """What an intervention took away, as a share of the real step; 0 where it was not made."""
    share = waterfall.find(name)
    return 0.0 if share is None else share.ms / waterfall.total_ms


def _number(value: float | None) -> str:
    return "(not measured)" if value is None else f"{value:.2f}"


def _outcome(found: bool) -> Outcome:
    return Outcome.SUPPORTED if found else Outcome.REFUTED
