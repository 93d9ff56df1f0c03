"""The whole page of a study as one text."""

from __future__ import annotations

from collections.abc import Sequence

from eml_models.data.file_names import label
from eml_models.wording import count_of, listed
from tune_jobs.report.figures.catalog import iter_figures
from tune_jobs.report.figures.figure import Figure, Undrawn
from tune_jobs.report.figures.seen import Seen
from tune_jobs.report.findings import findings_of
from tune_jobs.report.page.markup import escaped
from tune_jobs.report.page.sections import (
    contents,
    figure_section,
    findings_section,
    tables_section,
    undrawn_section,
)
from tune_jobs.report.page.style import style_sheet
from tune_jobs.report.tables import Table
from tune_jobs.study.events import SessionStarted, detail_of
from tune_jobs.study.rows import EventRow, State

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may load for the page: its own style sheet, and nothing else. No script runs."""


def study_page(seen: Seen, tables: Sequence[Table] = ()) -> str:
    """The page of a study: findings in words, each figure with its data, then tables.

    Args:
        tables: those of `tune_jobs.report.documents` for people.

    Raises:
        TuneJobsError: the extra `figures` is not installed.
    """
    found = list(iter_figures(seen))
    figures = [figure for figure in found if isinstance(figure, Figure)]
    undrawn = [figure for figure in found if isinstance(figure, Undrawn)]
    body = [
        findings_section(findings_of(seen)),
        *map(figure_section, figures),
        tables_section(tables),
        undrawn_section(undrawn),
    ]
    nav = contents(figures, has_tables=bool(tables))
    return page(seen.name, subtitle=subtitle_of(seen), nav=nav, body=body)


def page(name: str, *, subtitle: str, nav: str, body: Sequence[str]) -> str:
    """The frame of a page around its sections."""
    sections = "\n".join(body)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escaped(name)} - tune-jobs</title>
<style>{style_sheet()}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the findings</a>
<header>
<h1>{escaped(name)}</h1>
<p class="soft">{escaped(subtitle, 2000)}</p>
{nav}
</header>
<main id="content">
{sections}
</main>
<footer><p>Written by tune-jobs from the rows of the study.
The page holds no script and loads nothing.</p></footer>
</body>
</html>
"""


def subtitle_of(seen: Seen) -> str:
    """The line under the headline: the data, how much of the study is there, and the objectives."""
    objectives = ", ".join(f"{o.metric} ({o.direction})" for o in seen.objectives)
    newest = max((row.ended_at for row in seen.ends), default=None)
    until = f", the last ended at {newest:%Y-%m-%d %H:%M} UTC" if newest else ""
    data = [label(str(name)) for name in _set_to(seen, "dataset")]
    parts = [f"Data: {listed(data)}"] if data else []
    parts += [f"{_trials(seen)}{until}", *_epochs(seen)]
    return f"{'; '.join(parts)}. Objectives: {objectives}."


def _trials(seen: Seen) -> str:
    """The trained trials and, once a run has begun, how many the newest run wanted."""
    events = (detail_of(row) for row in seen.rows if isinstance(row, EventRow))
    wanted = [event.trials for event in events if isinstance(event, SessionStarted)]
    trained = sum(row.state is not State.INFEASIBLE for row in seen.ends)
    if wanted and wanted[-1] is not None:
        return f"{trained:,} of {count_of(max(wanted[-1], trained), 'trial')}"
    return count_of(trained, "ended trial")


def _epochs(seen: Seen) -> list[str]:
    known = [value for value in _set_to(seen, "epochs") if isinstance(value, int | float)]
    if not known:
        return []
    least, most = int(min(known)), int(max(known))
    return [f"{least:,} to {count_of(most, 'epoch')}" if least < most else count_of(most, "epoch")]


def _set_to(seen: Seen, field: str) -> list[object]:
    """The values that trials have of a field of the recipe; own training has none but its epochs.

    The space may set the field. Candidates change neither the data nor the epochs.
    """
    recipe = seen.definition["recipe"]
    if recipe is None:
        return [seen.definition[field]] if seen.definition.get(field) is not None else []
    for parameter in seen.definition["space"]:
        if parameter["name"] == field:
            own = [parameter[key] for key in ("value", "low", "high") if key in parameter]
            base = [recipe[field]] if parameter["when"] else []
            return list(dict.fromkeys([*own, *parameter.get("values", ()), *base]))
    return [recipe[field]]
