"""The verbs that show a store: declare their options; `store_commands` acts.

Heavy imports stand inside the verbs.
"""

from __future__ import annotations

import click

from tune_jobs.cli.completing import Sql, StudyName
from tune_jobs.cli.shared_options import FORMAT, STORE, WholeFrom
from tune_jobs.errors import EXIT_FAILED
from tune_jobs.report.formats import REPORT_FORMATS, TABLE


@click.command("list")
@STORE
@FORMAT
def list_studies(store: str, form: str) -> None:
    """List the studies of the store."""
    from tune_jobs.cli.store_commands import print_studies

    print_studies(store, form)


@click.command()
@click.argument("study", type=StudyName())
@click.argument("trial", type=WholeFrom(min=0), required=False)
@STORE
@FORMAT
@click.option(
    "--top",
    type=WholeFrom(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="How many trials to show; a front is shown whole.",
)
@click.option(
    "--audit",
    is_flag=True,
    help="Compute every proposal and decision again, and compare; exit code 1 if any differs.",
)
@click.option("--log", is_flag=True, help="Print only what TRIAL printed: the whole log of each attempt.")
def show(study: str, trial: int | None, store: str, form: str, top: int, audit: bool, log: bool) -> int:
    """Show the best trials of STUDY, how trials ended, and why.

    Further tables give the trials that run, the decisions at each rung and the classes of worker-seconds.
    JSON and CSV hold the first table.

    With TRIAL, the number of a trial, show that trial: params, recipe, curve, decisions, attempts, and the
    end of its log. JSON is one object, with the whole logs, and CSV is the curve.
    """
    if trial is None and log:
        raise click.UsageError("--log needs the number of a trial: show STUDY TRIAL --log")
    if trial is not None and audit:
        raise click.UsageError("--audit is for a whole study: leave out the number of the trial")
    if trial is not None:
        from tune_jobs.cli.trial_commands import print_log, print_trial

        print_log(store, study, trial) if log else print_trial(store, study, trial, form)
        return 0
    if audit:
        from tune_jobs.cli.store_commands import print_audit

        return 0 if print_audit(store, study) else EXIT_FAILED
    from tune_jobs.cli.store_commands import print_study

    print_study(store, study, form, top=top, with_log=True)
    return 0


@click.command()
@click.argument("sql", type=Sql())
@STORE
@FORMAT
def query(sql: str, store: str, form: str) -> None:
    """Answer a SQL query over the rows of the store.

    SQL is the query itself, - for a query on stdin, or @FILE for a query in a file. The views are trials,
    reports, starts, events, studies and latencies. A query can only read. "describe trials" lists
    columns, those that no study of the store fills last. Instants are in UTC and carry no zone.

    Example: tune-jobs query "select number, objective from trials order by objective desc limit 5"
    """
    from tune_jobs.cli.store_commands import print_answer
    from tune_jobs.inputs.sql_texts import read_sql

    print_answer(store, read_sql(sql), form)


def names_of(text: str) -> list[str]:
    """The names between commas."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise click.UsageError(f"--pivot must be names with commas between them, such as A,B, got {text!r}")
    return names


@click.command()
@click.argument("study", type=StudyName())
@STORE
@click.option(
    "--format",
    "form",
    type=click.Choice(REPORT_FORMATS),
    default=TABLE,
    show_default=True,
    help="Form of the data on stdout.",
)
@click.option("--top", type=WholeFrom(min=1), metavar="N", help="How many rows of the first table to show.")
@click.option(
    "--by",
    multiple=True,
    metavar="FACTOR",
    help="Show only the table of this factor, a param (repeatable: all combinations of the factors).",
)
@click.option(
    "--pivot",
    metavar="A,B",
    help="Show one table, the objective by the levels of params: rows by A, columns by B.",
)
@click.option(
    "--html",
    metavar="FILE",
    help="Write a page of the study to this file: findings, figures with their data, tables.",
)
@click.option(
    "--pictures",
    metavar="DIR",
    help="Write the figures of the study to this folder, as SVG and PNG, and its tables, as Markdown and"
    " LaTeX.",
)
def report(
    study: str,
    store: str,
    form: str,
    top: int | None,
    by: tuple[str, ...],
    pivot: str | None,
    html: str | None,
    pictures: str | None,
) -> None:
    """Compare the trials of STUDY, with intervals.

    For finalists: each network against the baselines. For a grid: its cells and its factors. For a search:
    its best trials. All forms but table hold the first table alone.

    With --pivot each cell has the mean of its trials, its 95 % interval and the number of trials. markdown
    and latex are ready to paste; latex needs no package.

    With --html or --pictures it prints no table. It writes a page that needs no network, or pictures and
    tables.
    """
    if html is not None or pictures is not None:
        if by or top is not None or pivot is not None:
            raise click.UsageError("--html and --pictures write it all: leave --by, --top and --pivot out")
        from tune_jobs.cli.picture_commands import write_pictures

        write_pictures(store, study, page=html, folder=pictures)
        return
    if pivot is not None:
        if by or top is not None:
            raise click.UsageError("--pivot is a table of its own: leave --by and --top out")
        from tune_jobs.cli.store_commands import print_pivot

        print_pivot(store, study, form, names_of(pivot))
        return
    from tune_jobs.cli.store_commands import print_report

    print_report(store, study, form, top=top, by=by)
