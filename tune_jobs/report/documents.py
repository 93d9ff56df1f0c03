"""The pages of `show`, `report` and `list`, composed as tables from a snapshot of a study or store.

For people a page has several tables; for programs (JSON, CSV) it is only the first, so that it is one table.
Reads and prints nothing: `tune_jobs.cli` reads the store, calls this and renders the tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.wording import count_of
from tune_jobs.analysis.audit import Audit
from tune_jobs.analysis.code_changes import describe_code_changes
from tune_jobs.analysis.factors import design_of, read_outcomes, repeat_of
from tune_jobs.analysis.gpu_busy import describe_launches, describe_others
from tune_jobs.report import factors, finalists, leaderboard
from tune_jobs.report.for_people import PARAMS, for_people
from tune_jobs.report.formats import TABLE
from tune_jobs.report.front import front, worth
from tune_jobs.report.last_runs import last_end, last_run, notes_of_runs
from tune_jobs.report.ledger import ledger
from tune_jobs.report.pivot import pivot_table
from tune_jobs.report.tables import Table
from tune_jobs.report.unfinished import unfinished
from tune_jobs.store.files.holders import Hold
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.stored import objectives_of


def store_document(found: pd.DataFrame, holds: Mapping[str, Hold | None], form: str) -> Table:
    """The studies of a store.

    Args:
        found: the answer of a store to `leaderboard.STUDIES_SQL`.
        holds: the locks of the studies.
    """
    table = leaderboard.studies(found, holds)
    return leaderboard.studies_for_people(table) if form == TABLE else table


def store_notes(found: pd.DataFrame, holds: Mapping[str, Hold | None]) -> list[str]:
    """The lines below the studies of a store: which of them run, and which were killed."""
    return notes_of_runs(dict(zip(found["study"], found["how"], strict=True)), holds)


def study_document(known: StudySnapshot, form: str, *, top: int) -> list[Table]:
    """The best trials of a study, or its front; for people also the trials that run, the ends of trials, the
    rungs and the ledger.

    Args:
        top: how many trials to show; a front is shown whole.
    """
    objectives = objectives_of(known.definition)
    several = len(objectives) > 1
    if several:
        best = front(known.trials, known.starts, objectives)
    else:
        best = leaderboard.leaderboard(known.trials, known.starts, objective=objectives[0], top=top)
    if form != TABLE:
        return [best]
    others = [
        unfinished(known.rows, metric=objectives[0].metric, run=last_run(last_end(known.rows), known.hold)),
        leaderboard.states(known.trials, known.reports, of=known.definition["epochs"]),
        leaderboard.rungs(known.reports, known.definition["rungs"], objective=objectives[0]),
        ledger(known.rows),
    ]
    if several and best.rows:
        others.insert(0, worth(known.trials, known.reports, objectives, known.definition["limits"]))
    shown = for_people(best, known.trials, of=known.definition["epochs"])
    return [shown, *(table for table in others if table.rows)]


def report_document(
    known: StudySnapshot, form: str, *, top: int | None = None, by: Sequence[str] = ()
) -> list[Table]:
    """The results of a study with intervals: finalists and baselines, a grid's cells and factors, or a
    search's best trials.

    Args:
        top: how many rows of the first table to show.
        by: the factor whose table is shown alone, or factors whose combinations are; empty for all tables.

    Raises:
        UnknownNameError: the study has no such factor.
        InvalidValueError: none of its trials has ended; or it has finalists, which have no factors.
    """
    if not len(known.trials):
        raise InvalidValueError(
            f"study {known.study!r} must have a trial that has ended, and has none; run it first"
        )
    if known.definition["candidates"]:
        if by:
            raise InvalidValueError(
                f"study {known.study!r} compares finalists, which have no factors, got --by {by[0]}; leave"
                " --by out"
            )
        first = finalists.candidates_table(known.trials, known.definition)
        if form != TABLE:
            return [first]
        return _page([finalists.for_people(first), finalists.recipes_table(known.definition)], known)
    tables = _search_tables(known, top=top, by=by)
    objectives = objectives_of(known.definition)
    if len(objectives) > 1 and not by:
        others = [table for table in tables if PARAMS not in table.columns]  # the front holds its best trials
        gained = worth(known.trials, known.reports, objectives, known.definition["limits"])
        tables = [front(known.trials, known.starts, objectives), gained, *others]
    return _page(tables, known) if form == TABLE else tables[:1]


def pivot_document(known: StudySnapshot, form: str, names: Sequence[str]) -> Table:
    """The first objective by the levels of parameters, as one table in every form (`tune_jobs.report.pivot`).

    Raises:
        UnknownNameError: the study has no such parameter.
        InvalidValueError: a parameter has no levels; no trial has a value; or the study compares finalists.
    """
    if known.definition["candidates"]:
        raise InvalidValueError(
            f"study {known.study!r} compares finalists, which have no parameters with levels, got --pivot"
            f" {','.join(names)}; leave --pivot out"
        )
    design = design_of(known.definition)
    outcomes = read_outcomes(known.trials, repeat=repeat_of(known.definition))
    return pivot_table(outcomes, design, known.definition, names, form)


def study_notes(known: StudySnapshot) -> list[str]:
    """The lines below a study's tables: changes of the code that trained it, steps that wait for launches, a
    GPU that others use too, and a run without an end."""
    runs = notes_of_runs({known.study: last_end(known.rows)}, {known.study: known.hold})
    of_gpus = [*describe_launches(known.rows), *describe_others(known.rows)]
    return [f"note: {line}" for line in [*describe_code_changes(known.rows), *of_gpus, *runs]]


def audit_lines(result: Audit) -> Iterator[str]:
    """The findings of an audit: the numbers of proposals and decisions, and a line for each difference."""
    yield (
        f"{count_of(result.num_proposals, 'proposal')} and {count_of(result.num_decisions, 'decision')}"
        f" computed again: {len(result.differences)} differ"
    )
    for difference in result.differences:
        yield f"  {difference}"


def _page(tables: list[Table], known: StudySnapshot) -> list[Table]:
    """The tables as people read them; empty tables behind the first are left out."""
    shown = [table for index, table in enumerate(tables) if table.rows or not index]
    return [
        for_people(table, known.trials, of=known.definition["epochs"])
        if PARAMS in table.columns
        else factors.for_people(table)
        for table in shown
    ]


def _search_tables(known: StudySnapshot, *, top: int | None, by: Sequence[str]) -> list[Table]:
    design = design_of(known.definition)
    outcomes = read_outcomes(known.trials, repeat=repeat_of(known.definition))
    if by:
        for name in by:
            if name not in design.factors:
                raise UnknownNameError("factor", name, design.factors)
        table = factors.factor_table(outcomes, design, *dict.fromkeys(by))
        return [replace(table, rows=table.rows[:top])]
    tables = [factors.factor_table(outcomes, design, factor) for factor in design.factors]
    correlations = factors.correlations_table(outcomes, design)
    if correlations.rows:
        tables.append(correlations)
    if design.is_grid:
        first = factors.cells_table(outcomes, design, top)
    else:
        first = leaderboard.leaderboard(known.trials, known.starts, objective=design.objective, top=top or 10)
    return [first, *tables]
