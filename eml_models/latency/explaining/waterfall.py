"""Where a network's time goes, by intervention: one thing is changed after the other, and each share is the
measured difference.

A chain begins with the step as the lab report ran it (images from a loader, 16 bits by autocast, NCHW, eager)
and ends with the fastest form; what is left there is set against the roofline. The shares add up to the real
step. A share may be negative: an intervention that made it slower is a finding. Only the roofline's part is
modelled. Pure functions of cases and times; `campaign` measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from eml_models.latency.bench.cases import Allocator, Case, Source
from eml_models.latency.counting.roofline import Roofline
from eml_models.latency.measuring.modes import Cast, Execution, Layout, Mode, Precision
from eml_models.networks.words import NetworkSpec


class Hypothesis(StrEnum):
    """The lab report's five, and what is none of them."""

    CASTS = "a"
    DEPTHWISE = "b"
    MANY_OPERATORS = "c"
    KERNEL_CHOICE = "d"
    HOST_BOUND = "e"
    NONE = "-"


class Kind(StrEnum):
    """How a share came about."""

    MEASURED = "measured"
    MODELLED = "modelled"
    REST = "measured less modelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One intervention of a chain: what was done, what it takes away, and the case that is timed after it."""

    name: str
    cause: str
    hypothesis: Hypothesis
    case: Case


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of the real step.

    Attributes:
        names: of its intervention; of several where those before it could not be timed by themselves.
        hypothesis: `NONE` where its interventions belong to different ones.
        ms: negative where the intervention made it slower.
    """

    names: tuple[str, ...]
    cause: str
    hypothesis: Hypothesis
    kind: Kind
    ms: float

    @property
    def name(self) -> str:
        return " + ".join(self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """One network's step, taken apart.

    Attributes:
        total_ms: of the real step; the shares add up to it.
        untestable: interventions that this device does not have, each with the reason.
    """

    network: str
    batch_size: int
    total_ms: float
    shares: tuple[Share, ...]
    untestable: tuple[tuple[str, str], ...] = ()

    def part_of(self, hypothesis: Hypothesis) -> float:
        """What one hypothesis explains, as a share of the real step."""
        return sum(share.ms for share in self.shares if share.hypothesis is hypothesis) / self.total_ms

    def explains(self, hypothesis: Hypothesis, *names: str) -> bool:
        """Whether each of these interventions was made, by itself or with others of the same hypothesis."""
        made = {name for share in self.shares if share.hypothesis is hypothesis for name in share.names}
        return made.issuperset(names)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "network": self.network,
            "batch_size": self.batch_size,
            "total_ms": self.total_ms,
            "shares": [
                {
                    "name": share.name,
                    "cause": share.cause,
                    "hypothesis": None if share.hypothesis is Hypothesis.NONE else share.hypothesis.value,
                    "how": share.kind.value,
                    "ms": share.ms,
                }
                for share in self.shares
            ],
            "untestable": dict(self.untestable),
        }

    def find(self, name: str) -> Share | None:
        """The share of an intervention by itself."""
        return next((share for share in self.shares if share.name == name), None)


DATA, CASTS, FP32, ALLOCATOR, GRAPH = "cached batch", "weights cast", "fp32", "memory kept", "graph replay"
KERNELS, LAYOUT, FOLDED, COMPILED = "kernels searched", "channels_last", "folded", "compiled"

ABSENT_ON_CPU = (
    (GRAPH, "a CPU runs its kernels itself: there is no queue to fill and no graph to replay"),
    (KERNELS, "cuDNN belongs to NVIDIA's GPUs; what a CPU has of it is the layout"),
)
"""What only a GPU's chain has."""


def chain_on_cpu(network: NetworkSpec, batch_size: int, *, half_is_faster: bool) -> tuple[Stage, ...]:
    """The interventions that a CPU has; the first stage is the real step.

    Args:
        half_is_faster: whether bf16 with cast weights beats fp32, else the chain continues in fp32.
    """
    case = Case(
        network=network,
        mode=Mode(precision=Precision.BF16, cast=Cast.AUTOCAST),
        batch_size=batch_size,
        source=Source.LOADER,
        allocator=Allocator.DEFAULT,
    )
    chain = _Chain(case)
    chain.add(DATA, "images decoded one by one", Hypothesis.HOST_BOUND, source=Source.CACHED)
    chain.add(CASTS, "autocast casts weights anew", Hypothesis.CASTS, cast=Cast.WEIGHTS)
    if not half_is_faster:
        chain.add(
            FP32, "16 bits slower than fp32", Hypothesis.CASTS, precision=Precision.FP32, cast=Cast.NONE
        )
    chain.add(ALLOCATOR, "page faults of fresh memory", Hypothesis.NONE, allocator=Allocator.KEEPING)
    chain.add(LAYOUT, "layout changes, slower kernels", Hypothesis.KERNEL_CHOICE, layout=Layout.CHANNELS_LAST)
    chain.add(FOLDED, "batch norms as passes of their own", Hypothesis.MANY_OPERATORS, folded=True)
    chain.add(
        COMPILED, "other passes that can be fused", Hypothesis.MANY_OPERATORS, execution=Execution.COMPILE
    )
    return chain.stages


def chain_on_cuda(network: NetworkSpec, batch_size: int) -> tuple[Stage, ...]:
    """The interventions on a GPU; the first stage is the real step."""
    case = Case(
        network=network,
        mode=Mode(precision=Precision.FP16, cast=Cast.AUTOCAST),
        batch_size=batch_size,
        source=Source.LOADER,
        allocator=Allocator.DEFAULT,
        kernel_search=False,
    )
    chain = _Chain(case)
    chain.add(DATA, "images decoded and copied to the GPU", Hypothesis.HOST_BOUND, source=Source.CACHED)
    chain.add(GRAPH, "launches by the host", Hypothesis.HOST_BOUND, execution=Execution.GRAPH)
    chain.add(CASTS, "autocast casts weights anew", Hypothesis.CASTS, cast=Cast.WEIGHTS)
    chain.add(
        LAYOUT,  # in NCHW torch's own depthwise kernel may run, in channels_last it is always cuDNN's
        "layout changes, slower kernels, torch's depthwise one among them",
        Hypothesis.KERNEL_CHOICE,
        layout=Layout.CHANNELS_LAST,
    )
    # it takes seconds for each precision and layout, so it stands where both are the last
    chain.add(KERNELS, "cuDNN's choice without a search", Hypothesis.KERNEL_CHOICE, kernel_search=True)
    chain.add(FOLDED, "batch norms as passes of their own", Hypothesis.MANY_OPERATORS, folded=True)
    chain.add(
        COMPILED,
        "other passes that can be fused",
        Hypothesis.MANY_OPERATORS,
        execution=Execution.REDUCE_OVERHEAD,  # max-autotune takes minutes per network
    )
    return chain.stages


def build_waterfall(
    stages: Sequence[Stage],
    times_ms: Mapping[str, float],
    skipped: Mapping[str, str],
    roofline: Roofline,
    *,
    absent: Sequence[tuple[str, str]] = (),
) -> Waterfall:
    """The shares of a chain.

    Args:
        times_ms: of the stages' cases, by key.
        skipped: why a stage's case could not be timed, by key; its intervention is named as untestable, and
            its share is part of the next stage that was timed.
        roofline: of the last stage that was timed.
        absent: interventions that the device's chain does not have, each with the reason.
    """
    first = stages[0].case
    total_ms = before_ms = times_ms[first.key]
    shares, untestable, pending = [], [*absent], list[Stage]()
    for stage in stages[1:]:
        pending.append(stage)
        if stage.case.key in skipped:
            untestable.append((stage.name, skipped[stage.case.key]))
            continue
        after_ms = times_ms[stage.case.key]
        shares.append(_measured(pending, before_ms - after_ms))
        before_ms, pending = after_ms, []
    depthwise_ms, needed_ms = roofline.depthwise_s * 1e3, roofline.seconds * 1e3
    shares += [
        _share("roofline, depthwise", "memory", Hypothesis.DEPTHWISE, Kind.MODELLED, depthwise_ms),
        _share(
            "roofline, all else",
            "arithmetic and memory",
            Hypothesis.NONE,
            Kind.MODELLED,
            needed_ms - depthwise_ms,
        ),
        _share(
            "above the roofline",
            "kernels below their peak",
            Hypothesis.NONE,
            Kind.REST,
            before_ms - needed_ms,
        ),
    ]
    return Waterfall(
        network=first.network.name,
        batch_size=first.batch_size,
        total_ms=total_ms,
        shares=tuple(shares),
        untestable=tuple(untestable),
    )


def _measured(stages: Sequence[Stage], ms: float) -> Share:
    """What these stages took away together."""
    hypotheses = {stage.hypothesis for stage in stages}
    return Share(
        names=tuple(stage.name for stage in stages),
        cause=", ".join(dict.fromkeys(stage.cause for stage in stages)),
        hypothesis=hypotheses.pop() if len(hypotheses) == 1 else Hypothesis.NONE,
        kind=Kind.MEASURED,
        ms=ms,
    )


def _share(name: str, cause: str, hypothesis: Hypothesis, kind: Kind, ms: float) -> Share:
    return Share(names=(name,), cause=cause, hypothesis=hypothesis, kind=kind, ms=ms)


class _Chain:
    """Stages, each with the case before it and one thing changed."""

    def __init__(self, first: Case) -> None:
        self.stages: tuple[Stage, ...] = (
            Stage(name="real step", cause="", hypothesis=Hypothesis.NONE, case=first),
        )

    def add(self, name: str, cause: str, hypothesis: Hypothesis, **changes: object) -> None:
        case = self.stages[-1].case
        of_mode = {key: value for key, value in changes.items() if key in Mode.__slots__}
        of_case = {key: value for key, value in changes.items() if key not in of_mode}
        mode = replace(case.mode, **of_mode)  # type: ignore[arg-type]  # fields of a mode, by name
        case = replace(case, mode=mode, **of_case)  # type: ignore[arg-type]  # fields of a case, by name
        self.stages = (*self.stages, Stage(name=name, cause=cause, hypothesis=hypothesis, case=case))
