"""How a run of a study ended: a plain value, so that the code that prints it needs no Ray.

Made by `tune_jobs.on_ray.runner`; returned by `run_study`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tune_jobs.session.attempt import Progress
from tune_jobs.study.definition import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended: its last progress, and what ended it if not its last trial.

    Attributes:
        end_reason: why there is nothing left to propose, where that is so (all points of a grid were).
    """

    study: Study
    store: str
    progress: Progress
    interrupted: bool = False
    limit_reached: bool = False
    already_complete: bool = False
    end_reason: str | None = None
