"""Acts for `finalists`: makes a study of the best trials of a search, runs it and prints its report.

Called by `finalists_verbs`.
"""

from __future__ import annotations

from eml_models.errors import InvalidValueError
from eml_models.wording import count_of
from tune_jobs.cli.dry_run import print_dry_run
from tune_jobs.cli.given_data import require_data_of
from tune_jobs.cli.option_values import FinalistsOptions
from tune_jobs.cli.resolving import build_settings, renamed
from tune_jobs.cli.run_commands import (
    check_run,
    exit_status,
    print_ending,
    run_shown,
)
from tune_jobs.cli.telling import put, tell, tell_note
from tune_jobs.cli.typed_words import typed_command
from tune_jobs.inputs.finalists import BASELINE, FinalOptions, final_study
from tune_jobs.inputs.smoke import WIDTH, narrowed, smoke_name
from tune_jobs.inputs.user_code import UserCode, load_study
from tune_jobs.report.documents import report_document
from tune_jobs.report.render import render
from tune_jobs.session.outcome import RunOutcome
from tune_jobs.session.settings import RunSettings
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.definition import Study
from tune_jobs.study.fits import SHIPPED_FITS
from tune_jobs.study.rows import StartRow, TrialRow
from tune_jobs.study.stored import study_from_definition

SEPARATOR = ":"
"""A target with a user's code has it; the name of a study never has."""

REPEATS = {"full": 5, "smoke": 3}
"""Seeds of each finalist without ``--repeats``, by scale."""


def run_finalists(target: str, form: str, options: FinalistsOptions, *, dry_run: bool) -> int:
    """Run the finalists of a study, or print what a run would do. Returns the exit code."""
    study, settings, code = resolve_finalists(target, options)
    if dry_run:
        check_run(study, settings, code)
        print_dry_run(study, settings, form)
        return 0
    outcome = run_shown(study, settings, code)
    print_finalists(outcome, form, again=typed_command())
    return exit_status(outcome)


def resolve_finalists(target: str, options: FinalistsOptions) -> tuple[Study, RunSettings, UserCode | None]:
    """The finalists of the study that `target` names, as a study; the settings of its run; the user's code.

    Raises:
        InvalidValueError: it has no completed trial, or another training function than those of `eml_models`.
        UnknownNameError: the store holds no such study.
    """
    found, code = load_study(target) if SEPARATOR in target else (None, None)
    name = found.name if found else target
    if options.scale == "smoke":
        name = smoke_name(name)
    known = TrialStore(options.store).read(name)
    definition = known.definition
    if definition["fit"] not in SHIPPED_FITS:
        raise InvalidValueError(
            f"study {name!r} is trained by {definition['fit']}, but eml_models trains and tests finalists;"
            " train its best params yourself, and test them on your own test set"
        )
    searched, rows = study_from_definition(name, definition), known.rows
    require_data_of(searched.shipped_recipe, options.dataset, options.data_dir)
    chosen = FinalOptions(
        top=options.top,
        front=options.front,
        repeats=REPEATS[options.scale] if options.repeats is None else options.repeats,
        epochs=options.epochs,
        baselines=options.baseline or (_usual_baseline(searched, options.scale),),
    )
    study, notes = final_study(searched, rows, chosen)
    ended = {row.number for row in rows if isinstance(row, TrialRow)}
    unfinished = {row.number for row in rows if isinstance(row, StartRow)} - ended
    if unfinished:
        notes.append(f"{count_of(len(unfinished), 'trial')} of {name!r} left out: not ended yet")
    for note in notes:
        tell_note(note)
    if options.name is not None:
        study = study.with_changes(name=options.name)
    if options.rename:
        study = renamed(study, options.store)
    return study, build_settings(options), code


def print_finalists(outcome: RunOutcome, form: str, *, again: str) -> None:
    """Print the report of a study of finalists; around it, on stderr, commands to type next."""
    study, progress = outcome.study, outcome.progress
    if outcome.already_complete:
        tell(f"study {study.name!r} is complete: {count_of(progress.trained, 'trial')}.")
    if progress.trained:
        known = TrialStore(outcome.store).read(study.name)
        for table in report_document(known, form):
            put(render(table, form))
    print_ending(outcome, again=again)


def _usual_baseline(searched: Study, scale: str) -> str:
    """The full ResNet-18, or a narrow ResNet-18 at the smoke scale."""
    if scale != "smoke":
        return BASELINE
    network = narrowed(searched.shipped_recipe.with_changes(model=BASELINE, model_options={}))
    options = ",".join(f"{name}={network.model_options[name]}" for name in (WIDTH,) if network.model_options)
    return f"{BASELINE}:{options}" if options else BASELINE
