"""The commands on jobs of a cluster: `submit`, `status`, `logs`, `stop`.

Parses and calls, like `tune_jobs.cli`, which adds them to its group; heavy imports stand inside.
"""

from __future__ import annotations

from typing import Any

import click

from tune_jobs.cli_options import FORMAT
from tune_jobs.cli_run import run

ADDRESS = click.option(
    "--address",
    envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
    metavar="URL",
    help="The cluster's dashboard (also RAY_API_SERVER_ADDRESS); the default is http://127.0.0.1:8265.",
)


@click.command()
@click.argument("study")
@ADDRESS
@click.option(
    "--working-dir", default=".", show_default=True, help="Folder that the job runs in; it is uploaded."
)
@click.option("--no-wait", is_flag=True, help="Return when the job is submitted; do not follow its log.")
@click.pass_context
def submit(
    context: click.Context,
    /,
    study: str,
    address: str | None,
    working_dir: str,
    no_wait: bool,
    **options: Any,
) -> int:
    """Run STUDY as a job of a cluster, show its log, and exit as it does.

    Takes the options of `run` and passes them on; --store is a folder that every node sees, or a bucket.
    """
    from tune_jobs.job_commands import given_words
    from tune_jobs.job_commands import submit as submit_asked

    words = given_words(context, run, working_dir)
    return submit_asked(study, words, options, address=address, folder=working_dir, wait=not no_wait)


_own = {parameter.name for parameter in submit.params} | {"dry_run"}
submit.params += [parameter for parameter in run.params if parameter.name not in _own]


@click.command()
@click.argument("study", required=False)
@ADDRESS
@FORMAT
def status(study: str | None, address: str | None, form: str) -> None:
    """List the jobs of a cluster that run studies, or the job of STUDY (a name or a job's id)."""
    from tune_jobs.job_commands import print_status

    print_status(address, study, form)


@click.command()
@click.argument("study")
@ADDRESS
@click.option("--follow", "-f", is_flag=True, help="Go on until the job ends, and exit as it does.")
def logs(study: str, address: str | None, follow: bool) -> int:
    """Show what the job of STUDY (a name or a job's id) has written."""
    from tune_jobs.job_commands import print_logs

    return print_logs(address, study, follows=follow)


@click.command()
@click.argument("study")
@ADDRESS
def stop(study: str, address: str | None) -> int:
    """End the job of STUDY (a name or a job's id) in order; submitting it again goes on."""
    from tune_jobs.job_commands import stop as stop_asked

    return stop_asked(address, study)
