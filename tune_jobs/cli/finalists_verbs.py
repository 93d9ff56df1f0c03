"""The verb `finalists`: its options are parsed, `finalists_commands` acts. Heavy imports stand inside."""

from __future__ import annotations

from dataclasses import fields

import click

from tune_jobs.cli.option_values import FinalistsOptions, RunningOptions
from tune_jobs.cli.options import Whole, packed
from tune_jobs.cli.run_verbs import run

LIKE_RUN = {field.name for field in fields(RunningOptions)} | {"form", "dry_run"}
"""Options of `run` that a study of finalists takes too."""


def _like_run(command: click.Command) -> click.Command:
    command.params += [parameter for parameter in run.params if parameter.name in LIKE_RUN]
    return command


@_like_run
@click.command()
@click.argument("study")
@click.option("--top", type=Whole(), default=3, show_default=True, help="So many of the best trials.")
@click.option(
    "--front", is_flag=True, help="All trials that no other is better than (in MACs too), instead of --top."
)
@click.option("--repeats", type=Whole(), help="Seeds of each; the default is 5, at the smoke scale 3.")
@click.option("--epochs", type=Whole(), help="Epochs of each; the default is three times the search's.")
@click.option(
    "--baseline",
    multiple=True,
    metavar="NETWORK",
    help="Compare with it: resnet18 (default), resnet18:width=16,learning_rate=0.05 (repeatable).",
)
@packed(FinalistsOptions)
def finalists(study: str, form: str, dry_run: bool, options: FinalistsOptions) -> int:
    """Train the best of STUDY longer on train + validation images, and test each once: study STUDY-final.

    The same command continues it. The table is that of `report STUDY-final`.
    """
    from tune_jobs.cli.finalists_commands import run_finalists

    return run_finalists(study, form, options, dry_run=dry_run)
