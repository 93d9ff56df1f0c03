"""The lines about failures of a run on Ray, which can copy the last output of a worker that died.

Such a worker could not make the last copy of its log. If it ran on the driver's machine, Ray's files are
here, and the copy is made here. Of a worker on another machine at most a second of output is lost.

`tune_jobs.on_ray.bridge` calls this.
"""

from __future__ import annotations

from pathlib import Path

from tune_jobs.checkpoints.logs import Logs
from tune_jobs.on_ray.worker.capturing import copy_rest
from tune_jobs.search.records import TrialRecord
from tune_jobs.worker.failure_lines import FailureLines


class FailuresOnRay(FailureLines):
    """The lines about failures of one run on Ray.

    Args:
        ray_logs: the folder of Ray's logs on this machine.
    """

    def __init__(self, logs: Logs | None = None, *, ray_logs: Path | None = None) -> None:
        super().__init__(logs)
        self._ray_logs = ray_logs

    def complete(self, record: TrialRecord) -> None:
        """Copy the rest of the output of an attempt whose worker died."""
        if self._logs is not None and self._ray_logs is not None:
            copy_rest(self._logs, record.number, record.attempts, folder=self._ray_logs)
