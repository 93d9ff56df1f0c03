"""What several commands share: options, and the command as it was typed. Called by `cli` and its parts."""

from __future__ import annotations

import sys

import click

FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How data on stdout is written.",
)
STORE = click.option(
    "--store",
    default="trials",
    envvar="TUNE_JOBS_STORE",
    show_default=True,
    help="Folder or bucket (s3://...) of the trial store (also TUNE_JOBS_STORE).",
)


def typed_command() -> str:
    """The command that was typed, to be shown as the way to go on."""
    import shlex

    from tune_jobs.cli.commands import python_command

    return f"{python_command()} -m tune_jobs {shlex.join(sys.argv[1:])}"
