"""How a run of a study ended: a plain value, so that the command line can print it without Ray.

`tune_jobs.on_ray.runner.run_study` returns it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tune_jobs.session.attempt import Progress
from tune_jobs.study.definition import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended: its last progress, and the cause if it ended before its last trial.

    Attributes:
        interrupted: whether a signal ended it.
        limit_reached: whether the limit on device time ended it.
        already_complete: whether the study had all its trials before the run.
        end_reason: why the sampler has no more proposals, such as a grid without points left; None if it has.
    """

    study: Study
    store: str
    progress: Progress
    interrupted: bool = False
    limit_reached: bool = False
    already_complete: bool = False
    end_reason: str | None = None
