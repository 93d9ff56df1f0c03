"""The verb `finalists`: declares its options; `finalists_commands` acts. Heavy imports stand inside."""

from __future__ import annotations

from dataclasses import fields

import click

from tune_jobs.cli.completing import OneOrOwn, StudyName, families
from tune_jobs.cli.option_groups import GroupedCommand
from tune_jobs.cli.option_values import FinalistsOptions, RunningOptions
from tune_jobs.cli.run_verbs import run
from tune_jobs.cli.shared_options import Whole, packed

LIKE_RUN = {field.name for field in fields(RunningOptions)} | {"form", "dry_run"}
"""Parameters of `run` that `finalists` has as well."""


def _like_run(command: click.Command) -> click.Command:
    command.params += [parameter for parameter in run.params if parameter.name in LIKE_RUN]
    return command


@_like_run
@click.command(cls=GroupedCommand)
@click.argument("study", type=StudyName())
@click.option(
    "--top",
    type=Whole(),
    default=3,
    show_default=True,
    metavar="N",
    help="How many of the best trials to take.",
)
@click.option(
    "--front",
    is_flag=True,
    help="Take the whole Pareto front (with MACs as a second objective if there is none) instead of --top.",
)
@click.option(
    "--repeats", type=Whole(), metavar="N", help="Seeds for each network; default: 5, with --scale smoke 3."
)
@click.option(
    "--epochs", type=Whole(), metavar="N", help="Epochs of each trial; default: three times the search's."
)
@click.option(
    "--baseline",
    type=OneOrOwn(families),
    multiple=True,
    metavar="NETWORK",
    help="Network to compare with: resnet18 (default), resnet18:width=16,learning_rate=0.05 (repeatable).",
)
@click.option(
    "--dataset",
    metavar="NAME",
    help="Where the study's data lies now, if it is your files: arrays:FILE.npz or folder:DIR.",
)
@packed(FinalistsOptions)
def finalists(study: str, form: str, dry_run: bool, options: FinalistsOptions) -> int:
    """Train the best trials of STUDY longer and test each once.

    Trains on the training and the validation images together; the trials are those of a study of its own,
    STUDY-final. The same command continues it. Prints the table of `report STUDY-final`.
    """
    from tune_jobs.cli.finalists_commands import run_finalists

    return run_finalists(study, form, options, dry_run=dry_run)
