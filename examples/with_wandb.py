"""A callback that logs each trial to Weights & Biases as a run. Needs the package wandb and an account there.

from with_wandb import WandB
run_study(study, callbacks=[WandB("my-project")])
"""

from __future__ import annotations

from typing import Any

from tune_jobs import Callback, Report, Results, Study, TrialResult


class WandB(Callback):
    """A run per trial, in a group of the study's name."""

    def __init__(self, project: str) -> None:
        self.project, self.study = project, ""
        self.runs: dict[int, Any] = {}

    def on_start(self, study: Study) -> None:
        self.study = study.name

    def on_report(self, report: Report) -> None:
        if report.number not in self.runs:
            self.runs[report.number] = self.begin(report)
        self.runs[report.number].log(dict(report.metrics), step=report.epoch)

    def on_trial_end(self, trial: TrialResult) -> None:
        run = self.runs.pop(trial.number, None)  # None: a limit refused it, or it failed before a report
        if run is not None:
            run.summary.update({"state": str(trial.state), "reason": trial.reason, **trial.values})
            run.finish(exit_code=int(trial.state == "failed"))

    def on_end(self, results: Results) -> None:
        for run in self.runs.values():  # unfinished; the next run of the study continues them by their id
            run.finish()

    def begin(self, report: Report) -> Any:
        import wandb

        return wandb.init(
            project=self.project,
            group=self.study,
            id=f"{self.study}-{report.number}",
            resume="allow",
            reinit="create_new",  # several trials at a time
            config=dict(report.params),
        )
