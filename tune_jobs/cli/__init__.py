"""The command line: verbs are parsed in `verbs`, `run_verbs` and `job_verbs`; `commands` and its like act."""

from tune_jobs.cli.verbs import cli, main

__all__ = ["cli", "main"]
