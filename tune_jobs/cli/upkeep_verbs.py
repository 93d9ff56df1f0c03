"""The verbs that change a store: declare their options; `upkeep_commands` acts."""

from __future__ import annotations

import click

from tune_jobs.cli.completing import StudyName
from tune_jobs.cli.shared_options import FORMAT, STORE, StorePath, complete_folders
from tune_jobs.errors import EXIT_FAILED


@click.command()
@click.argument("studies", type=StudyName(), metavar="[STUDY]...", nargs=-1)
@STORE
@FORMAT
@click.option(
    "--output",
    type=StorePath(),
    metavar="STORE",
    help="Write the compacted copy to another store and leave this one as it is.",
    shell_complete=complete_folders,
)
def compact(studies: tuple[str, ...], store: str, form: str, output: str | None) -> int:
    """Merge the many small files of STUDY (default: all) into few.

    Others may read the store meanwhile. A study that is being written, or is damaged, stays as it is; its
    name is printed and the exit code is 1.
    """
    from tune_jobs.cli.upkeep_commands import compact as compact_asked

    return 0 if compact_asked(store, studies, form, output=output) else EXIT_FAILED


@click.command()
@click.argument("study", type=StudyName())
@STORE
@click.option("--yes", is_flag=True, help="Repair the study; without --yes nothing is changed.")
def repair(study: str, store: str, yes: bool) -> int:
    """Show the damage in STUDY; with --yes, repair the study.

    A damaged study cannot be continued. A repair loses the rows of the damaged files and keeps all others;
    without --yes the rows that would be lost are listed. The damaged files move to the store's _wal/damaged/
    unchanged. The exit code is 1 as long as there is damage.
    """
    from tune_jobs.cli.upkeep_commands import repair as repair_asked

    return 0 if repair_asked(store, study, yes=yes) else EXIT_FAILED


@click.command()
@click.argument("study", type=StudyName())
@STORE
@click.option("--yes", is_flag=True, help="Delete without asking.")
def delete(study: str, store: str, yes: bool) -> int:
    """Delete STUDY from the store, with its weights, logs and rows.

    Files in its folders that are not the store's own stay, and their names are printed. The exit code is 1 if
    something of the study could not be removed; the same command removes the rest.
    """
    from tune_jobs.cli.upkeep_commands import delete as delete_asked

    return 0 if delete_asked(store, study, yes=yes) else EXIT_FAILED
