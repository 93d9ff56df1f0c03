"""Acts for the verbs that show a store: list, show, report, query.

`trial_commands` shows a single trial. Called by `store_verbs`; the end of a run shows its study here too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tune_jobs.analysis.audit import audit
from tune_jobs.cli.telling import put, say, tell, tell_note
from tune_jobs.cli.trial_commands import say_last_failure
from tune_jobs.inputs.user_code import stored_name
from tune_jobs.report.documents import (
    audit_lines,
    pivot_document,
    report_document,
    store_document,
    store_notes,
    study_document,
    study_notes,
)
from tune_jobs.report.formats import TABLE
from tune_jobs.report.last_runs import NO_END
from tune_jobs.report.leaderboard import STUDIES_SQL
from tune_jobs.report.render import render
from tune_jobs.report.sparkline import describe_best, levels_of
from tune_jobs.report.tables import Table
from tune_jobs.store.reader import TrialStore
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.stored import objectives_of, study_from_definition

INSTANT_TYPE = "TIMESTAMP"
INSTANTS = f"a {INSTANT_TYPE} is an instant in UTC; it carries no zone"


def print_studies(store: str, form: str) -> None:
    """Print the studies of a store as a table; below it, for people, which of them run or were killed."""
    opened = TrialStore(store)
    holds = {name: opened.hold(name) for name in opened.studies()["study"]}
    found = opened.sql(STUDIES_SQL)
    for name in found["study"][found["how"] == NO_END]:
        holds[name] = holds.get(name) or opened.hold(name)  # a run may have begun during the query
    put(render(store_document(found, holds, form), form))
    if form == TABLE:
        for note in store_notes(found, holds):
            tell_note(note)


def print_study(store: str, name: str, form: str, *, top: int = 10, with_log: bool = False) -> None:
    """Print the tables of one study. JSON and CSV hold only the first, so that they are one table.

    Args:
        with_log: whether people also get the end of the log of the trial that failed last.
    """
    known = TrialStore(store).read(stored_name(name))
    first, *others = study_document(known, form, top=top)
    put(render(first, form))
    if form == TABLE and sys.stdout.isatty():
        say_best(known)
    for table in others:
        put(render(table, form))
    if with_log and form == TABLE:
        say_last_failure(store, known)
    for note in study_notes(known):
        tell(note)


def say_best(known: StudySnapshot) -> None:
    """Print a line on the best value so far, if there are enough trials for it."""
    if line := describe_best(known.trials, objectives_of(known.definition), levels=levels_of(sys.stdout)):
        say(f"{line}\n")


def print_pivot(store: str, name: str, form: str, names: Sequence[str]) -> None:
    """Print the objective of a study by the levels of parameters.

    Raises:
        UnknownNameError: no such study, or no such parameter in it.
        InvalidValueError: a parameter has no levels, no trial has a value, or the study compares finalists.
    """
    known = TrialStore(store).read(stored_name(name))
    put(render(pivot_document(known, form, names), form))


def print_report(store: str, name: str, form: str, *, top: int | None, by: Sequence[str]) -> None:
    """Print the tables of a study with intervals. Forms but text hold the first, or that of the factors `by`.

    Raises:
        UnknownNameError: no such study, or no such factor in it.
        InvalidValueError: none of its trials has ended, or finalists are asked for a factor.
    """
    known = TrialStore(store).read(stored_name(name))
    for table in report_document(known, form, top=top, by=by):
        put(render(table, form))


def print_answer(store: str, sql: str, form: str) -> None:
    """Print the answer of a store to a query, as a table. A list of columns gets a note on instants."""
    answer = TrialStore(store).answer(sql)
    put(render(Table(columns=answer.columns, rows=answer.rows), form))
    if "column_type" in answer.columns:  # the answer to `describe`
        at = answer.columns.index("column_type")
        if any(row[at] == INSTANT_TYPE for row in answer.rows):
            tell_note(INSTANTS)


def print_audit(store: str, name: str) -> bool:
    """Compute every proposal and decision of a study again, and print the differences. True if there is none.

    Raises:
        StoreCorruptError: some of its rows are damaged, and an audit needs all of them.
    """
    known = TrialStore(store).read(stored_name(name), whole=True)
    result = audit(study_from_definition(known.study, known.definition), known.rows)
    for line in [*audit_lines(result), *study_notes(known)]:
        say(line)
    return not result.differences
