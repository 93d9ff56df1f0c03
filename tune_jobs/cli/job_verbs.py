"""The verbs on jobs of a cluster: `submit`, `status`, `logs`, `stop`; `job_commands` acts.

Heavy imports stand inside the functions. `read_command` finds the study in the command of a job that was
submitted without `submit`.
"""

from __future__ import annotations

import shlex
from itertools import pairwise, takewhile
from pathlib import PurePath

import click
from click.core import ParameterSource

from tune_jobs.cli.completing import StudyName
from tune_jobs.cli.finalists_verbs import finalists
from tune_jobs.cli.option_groups import GroupedCommand
from tune_jobs.cli.option_values import RunOptions
from tune_jobs.cli.run_verbs import run
from tune_jobs.cli.shared_options import FORMAT, complete_folders, packed
from tune_jobs.on_ray.cluster.authentication import show_token_if_any

COMMANDS = {"run": run, "finalists": finalists}
"""The verbs that run a study, so that a job may be one of them."""

OPERATORS = frozenset("();<>|&")
"""The characters of a shell's operators; a command ends before the first word of them."""

ADDRESS = click.option(
    "--address",
    envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
    metavar="URL",
    help="Dashboard of the cluster (also RAY_API_SERVER_ADDRESS); default: http://127.0.0.1:8265.",
)


@click.command(cls=GroupedCommand)
@click.argument("study", type=StudyName(shipped=True))
@ADDRESS
@click.option(
    "--working-dir",
    shell_complete=complete_folders,
    default=".",
    show_default=True,
    metavar="DIR",
    help="Folder to upload; the job runs in its copy.",
)
@click.option(
    "--follow-link",
    "follow_links",
    multiple=True,
    metavar="LINK",
    help="Upload what this link leads to, though it lies outside the folder (repeatable).",
)
@click.option("--no-wait", is_flag=True, help="Return when the job is submitted, without its log.")
@click.pass_context
@packed(RunOptions)
def submit(
    context: click.Context,
    /,
    study: str,
    address: str | None,
    working_dir: str,
    follow_links: tuple[str, ...],
    no_wait: bool,
    form: str,  # for the job, which gets it among the other words
    options: RunOptions,
) -> int:
    """Run STUDY as a job of a cluster and follow its log.

    The exit code is the job's. The options of `run` are passed on to the job; --store must be a folder that
    every node sees, or a bucket. Lists what is uploaded, and what is left out and why: files whose names are
    usual for secrets, links that lead out of the folder, stores, environments, and what .gitignore and
    .rayignore list.
    """
    show_token_if_any()
    from tune_jobs.cli.job_commands import Given, given_words
    from tune_jobs.cli.job_commands import submit as submit_asked
    from tune_jobs.on_ray.jobs.submit import Jobs

    given = Given(target=study, words=given_words(context, run, working_dir), options=options)
    return submit_asked(
        given,
        lambda: Jobs(address, read_command),
        folder=working_dir,
        follow_links=follow_links,
        wait=not no_wait,
    )


_own = {parameter.name for parameter in submit.params} | {"dry_run", "inline"}
submit.params += [parameter for parameter in run.params if parameter.name not in _own]


@click.command()
@click.argument("study", type=StudyName(shipped=True), required=False)
@ADDRESS
@FORMAT
def status(study: str | None, address: str | None, form: str) -> None:
    """List the jobs of a cluster that run studies.

    With STUDY (a name or a job's id), list only its job. Instants are in UTC.
    """
    show_token_if_any()
    from tune_jobs.cli.job_commands import print_status
    from tune_jobs.on_ray.jobs.submit import Jobs

    print_status(Jobs(address, read_command), study, form)


@click.command()
@click.argument("study", type=StudyName(shipped=True))
@ADDRESS
@click.option(
    "--follow", "-f", is_flag=True, help="Follow the log until the job ends; the exit code is the job's."
)
def logs(study: str, address: str | None, follow: bool) -> int:
    """Show the log of the job of STUDY (a name or a job's id)."""
    show_token_if_any()
    from tune_jobs.cli.job_commands import print_logs
    from tune_jobs.on_ray.jobs.submit import Jobs

    return print_logs(Jobs(address, read_command), study, follows=follow)


@click.command()
@click.argument("study", type=StudyName(shipped=True))
@ADDRESS
def stop(study: str, address: str | None) -> int:
    """End the job of STUDY (a name or a job's id).

    Every finished trial stays in the store; the study continues when it is submitted again.
    """
    show_token_if_any()
    from tune_jobs.cli.job_commands import stop as stop_asked
    from tune_jobs.on_ray.jobs.submit import Jobs

    return stop_asked(Jobs(address, read_command), study)


def read_command(command: str) -> tuple[str | None, str | None]:
    """Name of the study, and the store, of a command ``... tune_jobs run STUDY ...``; two None for any other.

    Only the words of the command are read. A name that a file's function gives its study, or that
    ``--rename`` finds, is not among them.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        words = list(lexer)
    except ValueError:
        return None, None
    for at, (program, word) in enumerate(pairwise(words)):
        if PurePath(program).name in ("tune_jobs", "tune-jobs") and word in COMMANDS:
            rest = takewhile(lambda text: not text or not OPERATORS.issuperset(text), words[at + 2 :])
            return _read_words(word, list(rest))
    return None, None


def _read_words(name: str, words: list[str]) -> tuple[str | None, str | None]:
    from tune_jobs.inputs.finalists import SUFFIX
    from tune_jobs.inputs.smoke import smoke_name

    context = COMMANDS[name].make_context(name, words, resilient_parsing=True)
    given = {
        option: value
        for option, value in context.params.items()
        if context.get_parameter_source(option)
        is ParameterSource.COMMANDLINE  # the job may have another environment
    }
    study, chosen = given.get("study"), given.get("name")
    if study is None:
        return None, None
    called = study.rpartition(":")[2]
    if name == "run":
        called = chosen or called
    if given.get("scale") == "smoke":
        called = smoke_name(called)
    if name == "finalists":
        called = chosen or f"{called}{SUFFIX}"
    return called, given.get("store")
