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
        begun: the progress at the beginning of the run, which holds the trials of earlier runs; None if there
            were none.
        interrupted: whether a signal ended it.
        signal: the number of that signal, if it is known.
        limit_reached: whether the limit on device time ended it.
        already_complete: whether the study had all its trials before the run.
        end_reason: why the sampler has no more proposals, such as a grid without points left; None if it has.
    """

    study: Study
    store: str
    progress: Progress
    begun: Progress | None = None
    interrupted: bool = False
    signal: int | None = None
    limit_reached: bool = False
    already_complete: bool = False
    end_reason: str | None = None

    @property
    def num_failed(self) -> int:
        """The trials that failed in this run; of a study that was complete before, in all its runs."""
        return self.progress.failed - (self._before.failed if self._before else 0)

    @property
    def all_failed(self) -> bool:
        """Whether trials failed in this run, and none ended as completed or stopped.

        Of a study that was complete before, the trials of all its runs count. Refused proposals do not count.
        """
        before, now = self._before, self.progress
        earlier = before.completed + before.stopped if before else 0
        return self.num_failed > 0 and now.completed + now.stopped == earlier

    @property
    def _before(self) -> Progress | None:
        return None if self.already_complete else self.begun
