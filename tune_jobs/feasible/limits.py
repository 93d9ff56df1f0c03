"""Limits of a study: whether they admit a network, decided from its cost before any worker is asked for.

Pure functions of limits and costs. The session calls them for each proposal and records each refusal.
Latency is measured, not counted, so a worker's measurement is judged here later (`too_slow`).
"""

from __future__ import annotations

from dataclasses import dataclass

from tune_jobs.feasible.cost import NetworkCost
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Limits


def refusal(study: Study, cost: NetworkCost) -> str | None:
    """The reason for which the study's limits refuse a network, or None if they admit it."""
    return "; ".join(broken.reason for broken in broken_limits(study.limits, cost)) or None


def too_slow(study: Study, latency_ms: float | None) -> str | None:
    """The reason for which the limit on latency refuses a measured network, or None if it admits it."""
    limit = study.limits.max_latency_ms
    if limit is None or latency_ms is None or latency_ms <= limit:
        return None
    return f"{latency_ms:.4g} ms are above the limit of {limit:g} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLimit:
    """A limit that a network breaks.

    Attributes:
        limit: its name in `Limits`.
        reason: the network's cost and the limit, in words.
        excess: the part beyond the limit, as a share of the limit; above 0.
    """

    limit: str
    reason: str
    excess: float


def broken_limits(limits: Limits, cost: NetworkCost) -> list[BrokenLimit]:
    """The limits that a network breaks, from its plan alone (latency is measured later)."""
    reasons = {}
    for name, got, what in (
        ("max_macs", cost.macs, "MACs"),
        ("max_parameters", cost.parameters, "parameters"),
    ):
        most = getattr(limits, name)
        if most is not None and got > most:
            reasons[name] = f"{got:,} {what} are above the limit of {most:,}"
    least = limits.min_macs
    if least is not None and cost.macs < least:
        reasons["min_macs"] = f"{cost.macs:,} MACs are below the minimum of {least:,}"
    excess = excess_over(limits, macs=cost.macs, parameters=cost.parameters)
    return [BrokenLimit(limit=name, reason=reason, excess=excess[name]) for name, reason in reasons.items()]


def excess_over(
    limits: Limits, *, macs: int | None, parameters: int | None, latency_ms: float | None = None
) -> dict[str, float]:
    """The excess of a network over each limit, as a share of the limit; 0 or less is within the limit.

    Keys are the names in `Limits`. A limit that is not set is left out, and so is an unknown cost.
    """
    excess = {}
    for name, got in (
        ("max_macs", macs),
        ("min_macs", macs),
        ("max_parameters", parameters),
        ("max_latency_ms", latency_ms),
    ):
        limit = getattr(limits, name)
        if got is not None and limit is not None:
            excess[name] = 1 - got / limit if name == "min_macs" else got / limit - 1
    return excess
