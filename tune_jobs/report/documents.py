"""What `show`, `report` and `list` print of a study or a store, composed from a snapshot as values.

For people a document is a page of several tables; for programs (JSON, CSV) it is its first table alone, so
that it stays one table. Reads nothing and prints nothing: the command line renders the tables, and hands in
what it read.
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.wording import count_of
from tune_jobs.analysis.audit import Audit
from tune_jobs.analysis.code_changes import describe_code_changes
from tune_jobs.analysis.factors import design_of, read_outcomes
from tune_jobs.report import factors, finalists, leaderboard
from tune_jobs.report.for_people import PARAMS, for_people
from tune_jobs.report.formats import TABLE
from tune_jobs.report.front import front, objectives_of, worth
from tune_jobs.report.ledger import ledger
from tune_jobs.report.tables import Table
from tune_jobs.store.reading.study_snapshot import StudySnapshot


def store_document(found: pd.DataFrame, form: str) -> Table:
    """The studies of a store.

    Args:
        found: what a store answers to `leaderboard.STUDIES_SQL`.
    """
    table = leaderboard.studies(found)
    return leaderboard.studies_for_people(table) if form == TABLE else table


def study_document(known: StudySnapshot, form: str, *, top: int) -> list[Table]:
    """How a study stands: its best trials or its front; on a page also how trials ended, what the rungs
    decided, and where the seconds went.

    Args:
        top: trials to show; a front is shown whole.
    """
    objectives = objectives_of(known.definition)
    metric, several = objectives[0].metric, len(objectives) > 1
    if several:
        best = front(known.trials, known.starts, objectives)
    else:
        best = leaderboard.leaderboard(known.trials, known.starts, metric=metric, top=top)
    if form != TABLE:
        return [best]
    others = [
        leaderboard.states(known.trials, known.reports),
        leaderboard.rungs(known.reports, known.definition["rungs"], metric=metric),
        ledger(known.rows),
    ]
    if several and best.rows:
        others.insert(0, worth(known.trials, known.reports, objectives, known.definition["limits"]))
    return [for_people(best, known.trials), *(table for table in others if table.rows)]


def report_document(
    known: StudySnapshot, form: str, *, top: int | None = None, by: str | None = None
) -> list[Table]:
    """What a study came to, with intervals: finalists and baselines, a grid's cells and factors, or the best
    trials of a search.

    Args:
        top: rows of the first table.
        by: the factor whose table is asked for alone.

    Raises:
        UnknownNameError: the study has no such factor.
        InvalidValueError: none of its trials has ended.
    """
    if not len(known.trials):
        raise InvalidValueError(f"study {known.study!r} has no trial that has ended; run it first")
    if known.definition["candidates"]:
        first = finalists.candidates_table(known.trials, known.definition)
        if form != TABLE:
            return [first]
        return _page([finalists.for_people(first), finalists.recipes_table(known.definition)], known)
    tables = _search_tables(known, top=top, by=by)
    objectives = objectives_of(known.definition)
    if len(objectives) > 1 and by is None:
        others = [table for table in tables if PARAMS not in table.columns]  # its best are on the front
        gained = worth(known.trials, known.reports, objectives, known.definition["limits"])
        tables = [front(known.trials, known.starts, objectives), gained, *others]
    return _page(tables, known) if form == TABLE else tables[:1]


def study_notes(known: StudySnapshot) -> list[str]:
    """What stands below a study's tables: changes of the code that trained it, a line each."""
    return [f"note: {line}" for line in describe_code_changes(known.rows)]


def audit_lines(result: Audit) -> Iterator[str]:
    """What an audit found: how much was computed anew, and a line for each difference."""
    yield (
        f"{count_of(result.num_proposals, 'proposal')} and {count_of(result.num_decisions, 'decision')}"
        f" computed anew: {len(result.differences)} differ"
    )
    for difference in result.differences:
        yield f"  {difference}"


def _page(tables: list[Table], known: StudySnapshot) -> list[Table]:
    """The tables as people read them; of those behind the first, the ones that have rows."""
    shown = [table for index, table in enumerate(tables) if table.rows or not index]
    return [
        for_people(table, known.trials) if PARAMS in table.columns else factors.for_people(table)
        for table in shown
    ]


def _search_tables(known: StudySnapshot, *, top: int | None, by: str | None) -> list[Table]:
    design, outcomes = design_of(known.definition), read_outcomes(known.trials)
    if by is not None:
        if by not in design.factors:
            raise UnknownNameError("factor", by, design.factors)
        return [factors.factor_table(outcomes, design, by)]
    tables = [factors.factor_table(outcomes, design, factor) for factor in design.factors]
    correlations = factors.correlations_table(outcomes, design)
    if correlations.rows:
        tables.append(correlations)
    if design.is_grid:
        first = factors.cells_table(outcomes, design, top)
    else:
        first = leaderboard.leaderboard(known.trials, known.starts, metric=design.metric, top=top or 10)
    return [first, *tables]
