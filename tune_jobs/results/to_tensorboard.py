"""A callback that writes files for TensorBoard: a folder per trial with its metrics by epoch and its params.

Needs the package tensorboardX, which Ray Tune brings; TensorBoard itself (the program ``tensorboard``) only
shows the files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tune_jobs.errors import TuneJobsError
from tune_jobs.results.callbacks import Report, as_numbers
from tune_jobs.results.of_study import Results
from tune_jobs.results.one_trial import TrialResult
from tune_jobs.study.definition import Study


class TensorBoard:
    """Writes ``FOLDER/STUDY/NUMBER/`` for each trial; ``tensorboard --logdir FOLDER`` shows them.

    Each number of a report is a scalar by epoch. When a trial ends, its params and its objectives become a
    row of the page of hyperparameters. A trial that is continued after a kill gets a further file in its
    folder.

    Args:
        folder: made where it is missing.

    Raises:
        TuneJobsError: tensorboardX is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        _require()
        self._folder = Path(folder)
        self._study = ""
        self._writers: dict[int, Any] = {}

    def on_start(self, study: Study) -> None:
        self._study = study.name

    def on_report(self, report: Report) -> None:
        writer = self._writer(report.number)
        for name, value in as_numbers(report.metrics).items():
            writer.add_scalar(name, value, report.epoch)
        writer.flush()

    def on_trial_end(self, trial: TrialResult) -> None:
        writer = self._writer(trial.number)
        _add_hparams(writer, trial)
        writer.add_text("end", f"{trial.state}: {trial.reason}", trial.epochs)
        self._writers.pop(trial.number).close()

    def on_end(self, results: Results) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, number: int) -> Any:
        if number not in self._writers:
            from tensorboardX import SummaryWriter

            self._writers[number] = SummaryWriter(str(self._folder / self._study / str(number)))
        return self._writers[number]


def _require() -> None:
    try:
        import tensorboardX  # noqa: F401 - imported to see whether it is there
    except ImportError as error:
        raise TuneJobsError("TensorBoard needs a package: pip install 'tune-jobs[tensorboard]'") from error


def _add_hparams(writer: Any, trial: TrialResult) -> None:
    """Write a trial's params and objectives into its own file.

    ``SummaryWriter.add_hparams`` opens a second file, whose name has the second in it: within a second it is
    the first file, and each overwrites the other.
    """
    from tensorboardX.summary import hparams

    params = {name: _plain(value) for name, value in trial.params.items()}
    for summary in hparams(params, dict(trial.values)):
        writer.file_writer.add_summary(summary)
    for name, value in trial.values.items():
        writer.add_scalar(name, value, trial.epochs)


def _plain(value: object) -> object:
    """A param as the page of hyperparameters takes it."""
    return value if isinstance(value, bool | int | float | str) else str(value)
