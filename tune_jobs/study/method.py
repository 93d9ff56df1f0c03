"""Method of a study: sampler, early stopping, limits, and the mode of latency measurements.

Frozen values, each with its own checks. `tune_jobs.study.definition` puts them together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import StrEnum

from eml_models.errors import raise_if_any
from eml_models.latency.measuring.modes import parse_mode


class SamplerName(StrEnum):
    """Samplers, which make proposals; `tune_jobs.search.sampler` implements them."""

    TPE = "tpe"
    RANDOM = "random"
    GRID = "grid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asha:
    """Asynchronous successive halving.

    Rungs lie at `min_epochs * reduction_factor**k` epochs, below the study's epochs. At each rung about one
    trial of `reduction_factor` continues. Source: Li et al. 2018, arXiv 1810.05934, algorithm 2 (the stopping
    variant).
    """

    min_epochs: int = 1
    reduction_factor: int = 3

    def __post_init__(self) -> None:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Hard limits on the network, inclusive; a proposal that breaks one is never trained."""

    max_macs: int | None = None
    min_macs: int | None = None
    max_parameters: int | None = None
    max_latency_ms: float | None = None

    def __post_init__(self) -> None:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        latency_ms = values.pop("max_latency_ms")
        problems = [f"{k} must be at least 1, got {v}" for k, v in values.items() if v is not None and v < 1]
        if latency_ms is not None and not 0 < latency_ms < math.inf:
            problems.append(f"max_latency_ms must be above 0 and finite, got {latency_ms}")
        if self.max_macs is not None and self.min_macs is not None and self.min_macs > self.max_macs:
            problems.append(
                f"min_macs must not be above max_macs, got {self.min_macs:,} and {self.max_macs:,}"
            )
        raise_if_any("limits", problems)

    def as_json(self) -> dict[str, float | None]:
        """The limits by name; None where there is none."""
        return {f.name: getattr(self, f.name) for f in fields(self)}


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
        object.__setattr__(self, "mode", str(parse_mode(self.mode)))
        problems = [] if self.batch_size >= 1 else [f"batch_size must be at least 1, got {self.batch_size}"]
        raise_if_any("latency", problems)
