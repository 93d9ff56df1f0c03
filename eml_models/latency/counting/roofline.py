"""The least time that a network can take on a device, by its peak rates: modelled, never measured.

Each operator takes the longer of its arithmetic at the peak rate and its bytes at the memory's rate; a pass
takes the sum. Left out: caches of a GPU, launches, kernels that do not reach the peak, passes that a library
makes inside one operator (see `operators`). So a time above the roofline is explained by these, and one below
it means that traffic stayed in a cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from eml_models.latency.counting.operators import Operator, OperatorCounts, OperatorKind
from eml_models.latency.measuring.modes import Precision

LAUNCH_S = 5e-6
"""A kernel's launch by eager torch on a GPU's host, the usual order; with 166 of them a pass cannot take less
than 0.83 ms."""

FUSED_AWAY = (OperatorKind.BATCH_NORM, OperatorKind.ACTIVATION, OperatorKind.CAST)
"""What costs no pass over memory once it is folded or fused into the operator before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceilings:
    """The peak rates of a device.

    Attributes:
        flops: per second, by precision; dense, no sparsity.
        bandwidth: bytes per second by working set: (largest bytes for which it holds, rate), rising.
    """

    name: str
    flops: Mapping[Precision, float]
    bandwidth: tuple[tuple[float, float], ...]

    def bandwidth_for(self, num_bytes: float) -> float:
        """The rate at which a working set of this size is read and written."""
        return next((rate for largest, rate in self.bandwidth if num_bytes <= largest), self.bandwidth[-1][1])


def _gpu(name: str, fp32: float, tf32: float, half: float, gigabytes_per_s: float) -> Ceilings:
    rates = {Precision.FP32: fp32, Precision.TF32: tf32, Precision.BF16: half, Precision.FP16: half}
    return Ceilings(
        name=name,
        flops={precision: rate * 1e12 for precision, rate in rates.items()},
        bandwidth=((math.inf, gigabytes_per_s * 1e9),),
    )


DEVICES: Mapping[str, Ceilings] = {
    "a100-40g": _gpu("A100-40G", 19.5, 156, 312, 1555),
    "a100-80g": _gpu("A100-80G SXM", 19.5, 156, 312, 2039),
    "h100": _gpu("H100 SXM", 66.9, 494.7, 989, 3350),
}
"""Source: NVIDIA's data sheets of the A100 and the H100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """A modelled time.

    Attributes:
        seconds: in all.
        memory_s: of the operators whose bytes take longer than their arithmetic.
        depthwise_s: of the depthwise convolutions.
    """

    seconds: float
    memory_s: float
    depthwise_s: float


def estimate_roofline(
    counts: OperatorCounts, ceilings: Ceilings, precision: Precision, *, fused: bool = False
) -> Roofline:
    """The least time of a pass.

    Args:
        counts: of a pass in `precision` (its bytes are taken as they are).
        fused: batch norms, activations and casts take no pass of their own.
    """
    operators = [o for o in counts.operators if not (fused and o.kind in FUSED_AWAY)]
    times = [(operator, *_times(operator, ceilings, precision)) for operator in operators]
    return Roofline(
        seconds=sum(max(arithmetic, memory) for _, arithmetic, memory in times),
        memory_s=sum(memory for _, arithmetic, memory in times if memory >= arithmetic),
        depthwise_s=sum(
            max(arithmetic, memory)
            for operator, arithmetic, memory in times
            if operator.kind is OperatorKind.DEPTHWISE
        ),
    )


def launch_bound_below(
    count: Callable[[int], OperatorCounts], ceilings: Ceilings, precision: Precision, *, largest: int = 65536
) -> int | None:
    """The smallest batch size whose roofline takes longer than launching the kernels; None if there is none.

    It is the batch of a forward pass in eval mode, with the fewest kernels that its operators launch. What
    `operators` leaves out is left out here too. A train step launches more than twice as many, so its host
    bounds it for longer.

    Below it a GPU waits for its host, whatever the arithmetic. Bytes and MACs are affine in the batch, so two
    counts give all.

    Args:
        count: the operators of a pass over a batch of a given size.
    """
    one, two = count(1), count(2)
    launches_s = one.kernels * LAUNCH_S

    def seconds(batch_size: int) -> float:
        scaled = _scale(one.operators, two.operators, batch_size)
        counts = OperatorCounts(batch_size=batch_size, operators=tuple(scaled))
        return estimate_roofline(counts, ceilings, precision).seconds

    if seconds(largest) < launches_s:
        return None
    low, high = 0, largest  # seconds(low) < launches_s <= seconds(high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if seconds(middle) >= launches_s else (middle, high)
    return high


def _times(operator: Operator, ceilings: Ceilings, precision: Precision) -> tuple[float, float]:
    arithmetic = 2 * operator.macs / ceilings.flops[precision]
    return arithmetic, operator.num_bytes / ceilings.bandwidth_for(operator.num_bytes)


def _scale(one: Iterable[Operator], two: Iterable[Operator], batch_size: int) -> Iterable[Operator]:
    for first, second in zip(one, two, strict=True):
        per_image = second.num_bytes - first.num_bytes
        yield Operator(
            name=first.name,
            kind=first.kind,
            kernels=first.kernels,
            macs=first.macs * batch_size,
            activations=first.activations * batch_size,
            num_bytes=first.num_bytes + per_image * (batch_size - 1),
        )
