"""Method of a study: sampler, early stopping, limits, and the mode of latency measurements.

Frozen values, each with its own checks. `tune_jobs.study.definition` puts them together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from eml_models.errors import InvalidValueError, raise_if_any
from eml_models.latency.measuring.modes import parse_mode
from eml_models.wording import cut
from tune_jobs.study.field_kinds import NUMBER, TEXT, WHOLE, number_in, plain_number, read_fields
from tune_jobs.study.objective import OWN_METRIC
from tune_jobs.study.written_numbers import MAX_WHOLE


class SamplerName(StrEnum):
    """Samplers, which make proposals; `tune_jobs.search.sampler` implements them."""

    TPE = "tpe"
    RANDOM = "random"
    GRID = "grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asha:
    """Asynchronous successive halving.

    Rungs lie at ``min_epochs * reduction_factor**k`` epochs, below the study's epochs. At each rung about one
    trial of `reduction_factor` continues. Source: Li et al. 2018, arXiv 1810.05934, algorithm 2 (the stopping
    variant).

    Attributes:
        min_epochs: the epochs of the first rung, at least 1.
        reduction_factor: at least 2.
    """

    min_epochs: int = 1
    reduction_factor: int = 3

    def __post_init__(self) -> None:
        read_fields(self, {"min_epochs": WHOLE, "reduction_factor": WHOLE}, subject="asha")
        problems = []
        if self.min_epochs < 1:
            problems.append(f"min_epochs must be at least 1, got {self.min_epochs}")
        if self.reduction_factor < 2:
            problems.append(f"reduction_factor must be at least 2, got {self.reduction_factor}")
        raise_if_any("asha", problems)

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """The epochs of the rungs, ascending and all below `epochs`."""
        rungs = []
        rung = self.min_epochs
        while rung < epochs:
            rungs.append(rung)
            rung *= self.reduction_factor
        return tuple(rungs)


_COSTS_OF_LIMITS = {"max_macs": "macs", "min_macs": "macs", "max_parameters": "parameters"}

OwnLimit = tuple[str, float | None, float | None]
Bounds = float | tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hard limits on the network, inclusive; a proposal that breaks one is never trained.

    Bounds are numbers. `Study.with_changes` takes texts too, as the command line does:
    ``study.with_changes(max_macs="0.5*resnet18")``.

    Attributes:
        max_macs, min_macs: multiply-adds of one input; None for no bound, as for each of these.
        max_parameters: trainable parameters.
        max_latency_ms: milliseconds of a forward pass in the mode of the study's `latency`.
        own: limits on costs of own training that have other names: ``(name, least, most)``, None for no
            bound. A dictionary ``{"memory_gb": 8, "flops": (1e6, 1e9)}`` is accepted too: one number is the
            most. A bound is a finite number.
    """

    max_macs: int | None = None
    min_macs: int | None = None
    max_parameters: int | None = None
    max_latency_ms: float | None = None
    own: tuple[OwnLimit, ...] = ()

    def __post_init__(self) -> None:
        kinds = {f.name: WHOLE.or_none() for f in fields(self) if f.name != "own"}
        read_fields(self, {**kinds, "max_latency_ms": NUMBER.or_none()}, subject="limits")
        values = {name: getattr(self, name) for name in kinds}
        latency_ms = values.pop("max_latency_ms")
        problems = [
            f"{k} must be {'at least 1' if v < 1 else f'at most {MAX_WHOLE:,}'}, got {cut(v)}"
            for k, v in values.items()
            if v is not None and not 1 <= v <= MAX_WHOLE
        ]
        if latency_ms is not None and not 0 < latency_ms < math.inf:
            problems.append(f"max_latency_ms must be above 0 and finite, got {latency_ms}")
        raise_if_any("limits", problems)
        if self.max_macs is not None and self.min_macs is not None and self.min_macs > self.max_macs:
            problems.append(
                f"min_macs must not be above max_macs, got {self.min_macs:,} and {self.max_macs:,}"
            )
        raise_if_any("limits", problems)
        object.__setattr__(self, "own", _read_own(self.own))

    @classmethod
    def of_costs(cls, bounds: Mapping[str, Bounds]) -> Limits:
        """Limits by the name of the cost: one number is the most, a pair is the least and the most.

        Raises:
            InvalidValueError: a name is none of a cost, or a bound is no finite number.
        """
        known: dict[str, int | None] = {}
        own = []
        for name, least, most in _read_own(bounds):
            if name in ("macs", "parameters") and least is None and most is not None and most == most // 1:
                known[f"max_{name}"] = int(most)
            else:
                own.append((name, least, most))
        return cls(**known, own=tuple(own))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Limits:
        """The limits of a value of `as_json`."""
        return cls(**{**data, "own": tuple(tuple(limit) for limit in data["own"])})

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the limits that are set; for `own` the name of the cost."""
        plain = [f.name for f in fields(self) if f.name != "own" and getattr(self, f.name) is not None]
        return (*plain, *(name for name, _, _ in self.own))

    @property
    def costs(self) -> frozenset[str]:
        """The names of the costs that the limits bound."""
        return frozenset(_COSTS_OF_LIMITS.get(name, name) for name in self.names)

    def bounds(self) -> dict[str, float]:
        """The bounds that are set, by name: ``max_macs``; ``max_NAME`` and ``min_NAME`` for `own`."""
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "own"}
        for name, least, most in self.own:
            found |= {f"min_{name}": least, f"max_{name}": most}
        return {name: value for name, value in found.items() if value is not None}

    def bound(self, limit: str) -> float | None:
        """The bound of a limit by its name, such as ``max_macs``, or ``max_NAME`` for `own`."""
        for name, least, most in self.own:
            if limit in (f"min_{name}", f"max_{name}"):
                return least if limit.startswith("min_") else most
        found: float | None = getattr(self, limit)
        return found

    def as_json(self) -> dict[str, Any]:
        """The limits by name; None where there is none."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "own"}
        return {**plain, "own": [list(limit) for limit in self.own]}


def _read_own(given: object) -> tuple[OwnLimit, ...]:
    """Limits on costs by name, in order of their names: a mapping of bounds, or tuples of three.

    Raises:
        InvalidValueError: a name is none of a cost, it has two limits, or a bound is no finite number.
    """
    items = given.items() if isinstance(given, Mapping) else given
    if not isinstance(items, Iterable) or isinstance(items, str | bytes):
        raise InvalidValueError(f'limits must be bounds by name, such as {{"macs": 30e6}}, got {cut(given)}')
    limits: dict[str, OwnLimit] = {}
    for item in items:
        is_limit = isinstance(item, tuple | list) and len(item) in (2, 3)
        name, *bounds = item if is_limit else (item,)
        if not isinstance(name, str) or not OWN_METRIC.fullmatch(name) or not bounds:
            raise InvalidValueError(
                f'limits name a cost by a text, as in {{"memory_gb": 8}}, got {cut(item)}; rename it'
            )
        if name in limits:
            raise InvalidValueError(f"limits: {name} has two limits; give one, as a pair (least, most)")
        limits[name] = (name, *_read_bounds(name, bounds[0] if len(bounds) == 1 else tuple(bounds)))
    return tuple(limits[name] for name in sorted(limits))


def _read_bounds(name: str, given: object) -> tuple[float | None, float | None]:
    """The least and the most of a cost; one number is the most."""
    pair = given if isinstance(given, tuple | list) and len(given) == 2 else (None, given)
    least, most = (None if bound is None else plain_number(bound) for bound in pair)
    known = [bound for bound in (least, most) if bound is not None]
    if len(known) < sum(bound is not None for bound in pair) or not known or known != sorted(known):
        texts = [bound for bound in pair if isinstance(bound, str)]
        raise InvalidValueError(
            f"limits: {name} must be a finite number, the most, or a pair (least, most) with the least first"
            f" and None for no bound, got {cut(given)}{''.join(f'; {number_in(text)}' for text in texts[:1])}"
        )
    return least, most


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMode:
    """The mode and the batch size in which a study measures its networks.

    Attributes:
        mode: a mode of `eml_models.latency.measuring.modes`, as text.
        batch_size: images in a forward pass, from 1.
    """

    mode: str = "fp32/channels_last/eager"
    batch_size: int = 1

    def __post_init__(self) -> None:
        read_fields(self, {"mode": TEXT, "batch_size": WHOLE}, subject="latency")
        object.__setattr__(self, "mode", str(parse_mode(self.mode)))
        problems = [] if self.batch_size >= 1 else [f"batch_size must be at least 1, got {self.batch_size}"]
        raise_if_any("latency", problems)
