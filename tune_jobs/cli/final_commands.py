"""The commands behind a search: its finalists, and the report with intervals. Called by `tune_jobs.cli`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eml_models.errors import InvalidValueError, UnknownNameError
from eml_models.wording import count_of
from tune_jobs.cli.commands import build_settings, print_ending, renamed
from tune_jobs.cli.telling import put, tell
from tune_jobs.definition import SHIPPED_FITS, study_from_definition
from tune_jobs.finalists import BASELINE, FinalOptions, final_study
from tune_jobs.on_ray.settings import RunSettings
from tune_jobs.report import factors, finalists
from tune_jobs.report.for_people import PARAMS, for_people
from tune_jobs.report.front import front, objectives_of, worth
from tune_jobs.report.leaderboard import leaderboard
from tune_jobs.report.tables import Table, render
from tune_jobs.scale import WIDTH, narrowed, smoke_name
from tune_jobs.store.reader import TrialStore
from tune_jobs.study import Study
from tune_jobs.trial import StartRow, TrialRow
from tune_jobs.user_code import UserCode, load_study

SEPARATOR = ":"
"""What a target with a user's code has in it, and a study's name has not."""

REPEATS = {"full": 5, "smoke": 3}
"""Seeds of each finalist if nobody says how many."""


def resolve_finalists(target: str, options: Mapping[str, Any]) -> tuple[Study, RunSettings, UserCode | None]:
    """The study of the finalists of the study that `target` names, and how to run it.

    Raises:
        InvalidValueError: nothing to choose from, or a study that another function trains.
        UnknownNameError: the store holds no such study.
    """
    found, code = load_study(target) if SEPARATOR in target else (None, None)
    name = found.name if found else target
    if options["scale"] == "smoke":
        name = smoke_name(name)
    opened = TrialStore(options["store"])
    definition = opened.definition(name)
    if definition["fit"] not in SHIPPED_FITS:
        raise InvalidValueError(
            f"study {name!r} is trained by {definition['fit']}, which knows no test set of ours;"
            " finalists are trained by eml_models"
        )
    searched, rows = study_from_definition(name, definition), opened.rows(name)
    chosen = FinalOptions(
        top=options["top"],
        front=options["front"],
        repeats=REPEATS[options["scale"]] if options["repeats"] is None else options["repeats"],
        epochs=options["epochs"],
        baselines=options["baseline"] or (_usual_baseline(searched, options["scale"]),),
    )
    study, notes = final_study(searched, rows, chosen)
    ended = {row.number for row in rows if isinstance(row, TrialRow)}
    unfinished = {row.number for row in rows if isinstance(row, StartRow)} - ended
    if unfinished:
        notes.append(f"{count_of(len(unfinished), 'trial')} of {name!r} not ended yet: left out")
    for note in notes:
        tell(f"note: {note}")
    if options["name"] is not None:
        study = study.with_changes(name=options["name"])
    if options["rename"]:
        study = renamed(study, options["store"])
    return study, build_settings(options), code


def print_finalists(outcome: Any, form: str, *, again: str) -> None:
    """The report of a study of finalists; around it, on stderr, what happened and what to type next."""
    study, progress = outcome.study, outcome.progress
    if outcome.already_complete:
        tell(f"study {study.name!r} is complete: {count_of(progress.trained, 'trial')}.")
    if progress.trained:
        print_report(outcome.store, study.name, form)
    print_ending(outcome, again=again)


def print_report(store: str, name: str, form: str, *, top: int | None = None, by: str | None = None) -> None:
    """The tables of a study with intervals; JSON and CSV hold the first one, or that of factor `by`.

    Raises:
        UnknownNameError: no such study, or no such factor in it.
        InvalidValueError: none of its trials has ended.
    """
    opened = TrialStore(store)
    definition, trials = opened.definition(name), opened.trials(name)
    if not len(trials):
        raise InvalidValueError(f"study {name!r} has no trial that has ended; run it first")
    if definition["candidates"]:
        first = finalists.candidates_table(trials, definition)
        whole = finalists.for_people(first) if form == "table" else first
        tables = [whole, finalists.recipes_table(definition)]
    else:
        starts = opened.starts(name)
        tables = _search_tables(trials, starts, definition, top=top, by=by)
        objectives = objectives_of(definition)
        if len(objectives) > 1 and by is None:
            reports = opened.reports(name)
            whole_front = front(trials, starts, objectives)
            others = [table for table in tables if PARAMS not in table.columns]  # its best are on the front
            tables = [whole_front, worth(trials, reports, objectives, definition["limits"]), *others]
    if form != "table":
        put(render(tables[0], form))
    else:
        for index, table in enumerate(tables):
            if table.rows or not index:
                of_trials = PARAMS in table.columns
                shown = for_people(table, trials) if of_trials else factors.for_people(table)
                put(render(shown, form))


def _search_tables(
    trials: Any, starts: Any, definition: Mapping[str, Any], *, top: int | None, by: str | None
) -> list[Table]:
    design, outcomes = factors.design_of(definition), factors.read_outcomes(trials)
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
        first = leaderboard(trials, starts, metric=design.metric, top=top or 10)
    return [first, *tables]


def _usual_baseline(searched: Study, scale: str) -> str:
    """The whole ResNet-18, or at the smoke scale a narrow one."""
    if scale != "smoke":
        return BASELINE
    network = narrowed(searched.recipe.with_changes(model=BASELINE, model_options={}))
    options = ",".join(f"{name}={network.model_options[name]}" for name in (WIDTH,) if network.model_options)
    return f"{BASELINE}:{options}" if options else BASELINE
