"""The parts of a study's page: how it is now, the findings, each figure, the trials that ended last.

Pure: texts from rows. Called by `sources`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

from eml_models.wording import count_of, first_line
from tune_jobs.report.board.addresses import trial_path
from tune_jobs.report.board.moment import Builders
from tune_jobs.report.documents import report_document, study_document, study_notes
from tune_jobs.report.figures.catalog import FIGURES, figure_of
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.findings import findings_of
from tune_jobs.report.for_people import TRIAL
from tune_jobs.report.formats import TABLE
from tune_jobs.report.last_runs import last_end, last_run
from tune_jobs.report.page.markup import escaped, table_html
from tune_jobs.report.page.sections import (
    contents,
    figure_section,
    findings_section,
    tables_section,
    undrawn_section,
)
from tune_jobs.report.page.whole import page, subtitle_of
from tune_jobs.report.tables import Table
from tune_jobs.report.unfinished import unfinished
from tune_jobs.store.reading.study_snapshot import StudySnapshot
from tune_jobs.study.stored import objectives_of

NOW, FINDINGS, TABLES, ENDED, WHOLE = "now", "findings", "tables", "ended", "page"
HEADLINES: Mapping[str, str] = {
    NOW: "Now",
    FINDINGS: "Findings",
    **{name: name.replace("_", " ").capitalize() for name in FIGURES},
    TABLES: "Tables",
    ENDED: "Newest ends",
}
"""The parts of the page in their order, each with a short name for links to it."""

NUM_BEST = 10
"""Trials in the table of the best."""

NUM_ENDED = 100
"""Trials in the table of those that ended last."""


def study_builders(known: StudySnapshot, seen: Seen, problems: Sequence[str]) -> Builders:
    """The parts of the page, and `WHOLE`: the page of `report --html`.

    Args:
        problems: damaged and foreign files that were left out, in words.
    """
    figures = {name: cache(partial(figure_of, seen, name)) for name in FIGURES}
    parts = {name: cache(partial(_drawn, figure)) for name, figure in figures.items()}
    findings = cache(lambda: findings_section(findings_of(seen)))

    tables = cache(lambda: report_document(known, TABLE) if len(known.trials) else [])

    def whole() -> str:
        found = {name: figure() for name, figure in figures.items()}
        drawn = [figure for figure in found.values() if isinstance(figure, Figure)]
        undrawn = [figure for figure in found.values() if isinstance(figure, Undrawn)]
        figure_texts = [parts[figure.name]() for figure in drawn]
        body = [findings(), *figure_texts, tables_section(tables()), undrawn_section(undrawn)]
        nav = contents(drawn, has_tables=bool(tables()))
        return page(seen.name, subtitle=subtitle_of(seen), nav=nav, body=body)

    return {
        NOW: partial(now_part, known, problems),
        FINDINGS: findings,
        **parts,
        TABLES: lambda: tables_section(tables()) or section(TABLES, "<p>No trial has ended.</p>"),
        ENDED: partial(ended_part, seen),
        WHOLE: whole,
    }


def _drawn(figure: Callable[[], Figure | Undrawn]) -> str:
    return figure_part(figure())


def now_part(known: StudySnapshot, problems: Sequence[str]) -> str:
    """The tables of `show`, those that run first: the best trials, the ends, the rungs and the ledger."""
    lines = [*(note.removeprefix("note: ") for note in study_notes(known)), *problems]
    notes = "".join(f"<p>{escaped(as_sentence(line), 2000)}</p>" for line in lines)
    links = {TRIAL: trial_path(known.study)}
    run = last_run(last_end(known.rows), known.hold)
    running = unfinished(known.rows, metric=objectives_of(known.definition)[0].metric, run=run)
    others = [table for table in study_document(known, TABLE, top=NUM_BEST) if table != running]
    tables = [running, *others] if running.rows else others
    return section(NOW, notes + "".join(noted_table(table, links) for table in tables))


def as_sentence(line: str) -> str:
    """A line of a terminal as a sentence of a page."""
    return f"{line.rstrip('.')}."


def figure_part(figure: Figure | Undrawn) -> str:
    """A figure as its section, or why there is none."""
    if isinstance(figure, Figure):
        return figure_section(figure)
    why = f'<p class="soft">Not drawn: {escaped(figure.why, 600)}.</p>'
    return section(figure.name, why, title=figure.title)


def ended_part(seen: Seen) -> str:
    """The trials that ended last, the newest first."""
    ends = sorted(seen.ends, key=lambda row: (row.ended_at, row.number), reverse=True)
    shown = ends[:NUM_ENDED]
    table = Table(
        title=f"the newest {len(shown):,} of {count_of(len(ends), 'ended trial')}",
        columns=(TRIAL, "state", seen.metric, "epochs", "ended (UTC)", "reason"),
        rows=tuple(
            (
                row.number,
                str(row.state),
                row.objective,
                row.epochs,
                f"{row.ended_at:%Y-%m-%d %H:%M:%S}",
                first_line(row.reason),
            )
            for row in shown
        ),
        empty="No trial has ended.",
    )
    return section(ENDED, table_html(table, {TRIAL: trial_path(seen.name)}))


def section(name: str, body: str, *, title: str = "") -> str:
    """A section with its headline."""
    return (
        f'<section id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">'
        f"{escaped(title or HEADLINES[name])}</h2>{body}</section>"
    )


def noted_table(table: Table, links: Mapping[str, str]) -> str:
    """A table with the digits that it has in a terminal, and its note."""
    return table_html(replace(table, title=table.title or "values"), links, digits_of_text=True)
