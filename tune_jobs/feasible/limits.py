"""Whether a network may be trained at all, decided from its plan before any worker is asked for.

Pure functions of a study and a recipe. The session refuses what breaks a limit and writes the refusal down;
nothing here samples, records or builds a module.
"""

from __future__ import annotations

from dataclasses import dataclass

from tune_jobs.feasible.cost import NetworkCost
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Limits


def refusal(study: Study, cost: NetworkCost) -> str | None:
    """Why the study's limits refuse a network, or None if they admit it."""
    return "; ".join(broken.reason for broken in broken_limits(study.limits, cost)) or None


def too_slow(study: Study, latency_ms: float | None) -> str | None:
    """Why the limit on latency refuses a network that was measured, or None if it admits it."""
    limit = study.limits.max_latency_ms
    if limit is None or latency_ms is None or latency_ms <= limit:
        return None
    return f"{latency_ms:.4g} ms are above the limit of {limit:g} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLimit:
    """A limit that a network breaks: its name in `Limits`, why in words, and by which share of it."""

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
        reasons["min_macs"] = f"{cost.macs:,} MACs are below the least of {least:,}"
    excess = excess_over(limits, macs=cost.macs, parameters=cost.parameters)
    return [BrokenLimit(limit=name, reason=reason, excess=excess[name]) for name, reason in reasons.items()]


def excess_over(
    limits: Limits, *, macs: int | None, parameters: int | None, latency_ms: float | None = None
) -> dict[str, float]:
    """The excess of a network over each limit, as a share of the limit; 0 or less is within it.

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
