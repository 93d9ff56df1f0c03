"""Limits of a study: whether they admit a network, decided from its cost before any worker is asked for.

Pure functions of limits and costs. The session calls them for each proposal and records each refusal.
Latency is measured, not counted, so a worker's measurement is judged here later (`too_slow`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tune_jobs.feasible.own_cost import TrialCost
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Limits

CLEAN_DIGITS = 12
"""Significant digits of a cost in a reason. Sums and products of floats are off in the digits behind them."""


def refusal(study: Study, cost: TrialCost) -> str | None:
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


def broken_limits(limits: Limits, cost: TrialCost) -> list[BrokenLimit]:
    """The limits that a trial breaks, from its cost before training (latency is measured later)."""
    macs, parameters = cost.value("macs"), cost.value("parameters")
    own = {name: got for name, _, _ in limits.own if (got := cost.value(name)) is not None}
    excess = excess_over(limits, macs=macs, parameters=parameters, own=own)
    values = {"max_macs": macs, "min_macs": macs, "max_parameters": parameters}
    values |= {f"{end}_{name}": got for name, got in own.items() for end in ("min", "max")}
    return [
        BrokenLimit(limit=limit, reason=_reason(limits, limit, values[limit]), excess=beyond)
        for limit, beyond in sorted(excess.items())
        if beyond > 0
    ]


def _reason(limits: Limits, limit: str, got: float | None) -> str:
    bound, name = limits.bound(limit), limit[len("max_") :].replace("macs", "MACs")
    side = "above the limit" if limit.startswith("max_") else "below the minimum"
    if name in ("MACs", "parameters"):
        return f"{got:,} {name} are {side} of {bound:,}"
    return f"{name} {_shown(got, bound)} is {side} of {_shown(bound, got)}"


def _shown(value: float | None, other: float | None) -> str:
    """A value without the noise of its last digits (4.7, not 4.7000000000000002), unless `other` would look
    the same.
    """
    short, other_short = (f"{each:,.{CLEAN_DIGITS}g}" for each in (value, other))
    return f"{value:,}" if isinstance(value, int) or short == other_short else short


def excess_over(
    limits: Limits,
    *,
    macs: float | None,
    parameters: float | None,
    latency_ms: float | None = None,
    own: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """The excess of a trial's costs over each limit, as a share of the limit; 0 or less is within the limit.

    Keys are the names in `Limits`, and for a cost `own` of own training ``max_NAME`` and ``min_NAME``. A
    limit that is not set is left out, and so is an unknown cost.
    """
    excess = {}
    for name, least, most in limits.own:
        got = (own or {}).get(name)
        if got is not None and most is not None:
            excess[f"max_{name}"] = _share(got - most, most)
        if got is not None and least is not None:
            excess[f"min_{name}"] = _share(least - got, least)
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


def _share(beyond: float, bound: float) -> float:
    """The part beyond a bound as a share of the bound; of a bound of 0, the part itself."""
    return beyond / abs(bound) if bound else beyond
