"""Learning-rate schedules: pure functions of progress in [0, 1] that return a multiplier in [0, 1].

Progress is the share of all steps that are done, so a schedule needs to know neither epochs nor batches. The
training loop calls it once per step. It has no state: the rate of a step does not depend on earlier steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from eml_models.errors import InvalidValueError, UnknownNameError

STEP_AT = (0.5, 0.75)
STEP_FACTOR = 0.1
EXPONENTIAL_END = 0.01
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_PEAK_AT = 0.3
ONE_CYCLE_END = ONE_CYCLE_START / 10_000


def constant(progress: float) -> float:
    """Returns 1 at every step."""
    return 1.0


def step(progress: float) -> float:
    """Returns 1 in the first half of the steps, 0.1 in the third quarter, and 0.01 in the last."""
    return float(STEP_FACTOR ** sum(progress >= at for at in STEP_AT))


def exponential(progress: float) -> float:
    """Falls by the same factor each step, from 1 to 0.01."""
    return float(EXPONENTIAL_END**progress)


def cosine(progress: float) -> float:
    """Half a cosine from 1 to 0."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def one_cycle(progress: float) -> float:
    """Half a cosine up from 1/25 to 1 at 30 % of the steps, then half a cosine down to 4e-6."""
    if progress < ONE_CYCLE_PEAK_AT:
        return 1.0 - (1.0 - ONE_CYCLE_START) * cosine(progress / ONE_CYCLE_PEAK_AT)
    fallen = (progress - ONE_CYCLE_PEAK_AT) / (1 - ONE_CYCLE_PEAK_AT)
    return ONE_CYCLE_END + (1.0 - ONE_CYCLE_END) * cosine(fallen)


def linear(progress: float) -> float:
    """A straight line from 1 to 0."""
    return 1.0 - progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSpec:
    """One schedule.

    Attributes:
        multiplier: function from progress in [0, 1] to a finite multiplier in [0, 1], which is 1 at its peak.
        source: the paper, and how this function deviates from it.
    """

    name: str
    multiplier: Callable[[float], float]
    source: str


SCHEDULES: Mapping[str, ScheduleSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            ScheduleSpec(name="constant", multiplier=constant, source="No paper."),
            ScheduleSpec(
                name="step",
                multiplier=step,
                source="arXiv 1512.03385, section 4.2: a tenth at 50 % and at 75 % of the steps on CIFAR-10.",
            ),
            ScheduleSpec(
                name="exponential", multiplier=exponential, source="No paper; ends at 1 % of the peak."
            ),
            ScheduleSpec(
                name="cosine",
                multiplier=cosine,
                source="arXiv 1608.03983, equation 5, with a minimum of 0 and without restarts.",
            ),
            ScheduleSpec(
                name="one_cycle",
                multiplier=one_cycle,
                source="arXiv 1708.07120; cosines in place of lines, no cycle of the momentum.",
            ),
            ScheduleSpec(name="linear", multiplier=linear, source="arXiv 2310.07831."),
        )
    }
)
"""Every schedule by its name."""


def get_schedule_spec(name: str) -> ScheduleSpec:
    """The schedule of that name.

    Raises:
        UnknownNameError: no schedule has this name; the message lists all names.
    """
    if name not in SCHEDULES:
        raise UnknownNameError("schedule", name, SCHEDULES)
    return SCHEDULES[name]


def multiplier_at(name: str, progress: float, warmup_fraction: float = 0.0) -> float:
    """The factor of the peak learning rate.

    The warm-up rises linearly from 0 to the schedule's first value (arXiv 1706.02677, section 2.2). After it,
    the whole schedule runs over the remaining steps.

    Args:
        progress: share of all steps, in [0, 1].
        warmup_fraction: share of all steps that the warm-up takes, in [0, 1).

    Raises:
        InvalidValueError: an unknown schedule, or progress outside [0, 1].
    """
    if not 0 <= progress <= 1:
        raise InvalidValueError(f"progress must be in [0, 1], got {progress}")
    multiplier = get_schedule_spec(name).multiplier
    if progress < warmup_fraction:
        return multiplier(0.0) * progress / warmup_fraction
    return multiplier((progress - warmup_fraction) / (1 - warmup_fraction))
