"""What `run` does once its words are parsed: the study is run, and what came of it and what to type next is
printed. Called by `run_verbs`; `finalists_commands` and `job_commands` use its parts.
"""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from eml_models.networks.registry import custom_models
from eml_models.wording import count_of
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.cli.option_values import RunOptions
from tune_jobs.cli.resolving import resolve
from tune_jobs.cli.telling import put, tell, tell_note
from tune_jobs.errors import EXIT_INTERRUPTED
from tune_jobs.feasible.reach import check_reachable, list_adapted
from tune_jobs.inputs.user_code import UserCode, stored_name
from tune_jobs.inputs.warm_start import read_source
from tune_jobs.report.documents import study_document, study_notes
from tune_jobs.report.for_people import shapes_network
from tune_jobs.report.progress import show_progress
from tune_jobs.report.render import render
from tune_jobs.report.summary import summary
from tune_jobs.session.outcome import RunOutcome
from tune_jobs.session.settings import RunSettings
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.definition import Study
from tune_jobs.study.objective import Direction
from tune_jobs.study.space import Choice, Role


def run(target: str, form: str, options: RunOptions, *, dry_run: bool) -> int:
    """Run the study that `target` names, or show what would be run; the exit code."""
    study, settings, code = resolve(target, options)
    if dry_run:
        print_dry_run(study, settings)
        return 0
    outcome = run_shown(study, settings, code)
    print_outcome(outcome, form, again=typed_command())
    return EXIT_INTERRUPTED if outcome.interrupted else 0


def run_shown(study: Study, settings: RunSettings, code: UserCode | None) -> RunOutcome:
    """Run a study; its progress and its notes are on stderr."""
    from tune_jobs.on_ray.runner import run_study  # Ray: not where a dry run is all that is asked for

    with show_progress() as on_progress:
        return run_study(study, settings, code=code, on_progress=on_progress, on_note=tell_note)


def print_reach(study: Study) -> None:
    """What a run would say of the study's limits at its start, where none is started here.

    Raises:
        InvalidValueError: it would be refused.
    """
    for note in check_reachable(study):
        tell_note(note)


def print_dry_run(study: Study, settings: RunSettings) -> None:
    """The resolved study and settings as JSON on stdout, and what small images change in its networks.

    Raises:
        InvalidValueError: the run would be refused for its limits, or for what it asks of GPUs.
        TuneJobsError: it would be for what it is to be warm-started from.
    """
    print_reach(study)
    settings.check_gpus(study)
    if settings.warm_start:
        read_source(study, settings.warm_start, store=settings.store)
    resolved = {
        "name": study.name,
        "description": study.description,
        "summary": summary(study),
        "trials": study.trials,
        "fingerprint": study.fingerprint(),
        "adapted_to_small_images": list_adapted(study),
        "definition": study.definition(),
        "settings": asdict(settings),
    }
    put(json.dumps(resolved, indent=2, ensure_ascii=False) + "\n")


def print_outcome(outcome: RunOutcome, form: str, *, again: str) -> None:
    """The leaderboard on stdout; around it, on stderr, what happened and what to type next."""
    study, progress = outcome.study, outcome.progress
    if outcome.already_complete:
        tell(
            f"study {study.name!r} is complete: {progress.trained} of {count_of(progress.target, 'trial')}."
            f" {_way_on(outcome)}"
        )
    elif outcome.end_reason is not None and progress.trained < progress.target and not outcome.interrupted:
        trained = f"{progress.trained} of {count_of(progress.target, 'trial')}"
        tell(f"study {study.name!r} ended with {trained}. {_way_on(outcome)}")
    print_study(outcome.store, study.name, form)
    print_ending(outcome, again=again)


def _way_on(outcome: RunOutcome) -> str:
    """What a study that has its trials can be asked for next."""
    if outcome.end_reason is None:
        return f"Add some with --trials {outcome.progress.trained + outcome.progress.target}."
    end = outcome.end_reason
    return f"{end[0].upper()}{end[1:]}. `report {outcome.study.name}` compares them"


def print_ending(outcome: RunOutcome, *, again: str) -> None:
    """After the tables, on stderr: where the store is, and how to go on."""
    study, progress = outcome.study, outcome.progress
    store = TrialStore(outcome.store)
    done = f"{progress.trained} of {count_of(progress.target, 'trial')}"
    tell(f"\nstore: {store.path}")
    tell("ask it, for instance:")
    tell(f"  {_example_query(outcome.store, study)}")
    if progress.best_number is not None and _searches_networks(study):
        tell("time its best network:")
        words = f"latency {study.name}/{progress.best_number}{_store_option(outcome.store)}"
        tell(f"  {python_command()} -m tune_jobs {words}")
    if progress.best_number is not None and _has_weights(outcome.store, study.name, progress.best_number):
        tell("write its best network, to be used without the data set:")
        words = f"export {study.name} {progress.best_number} --output {study.name}.pt2"
        tell(f"  {python_command()} -m tune_jobs {words}{_store_option(outcome.store)}")
    if outcome.limit_reached:
        tell(f"the limit of device-hours is reached after {done}; go on with a larger --max-device-hours")
    if outcome.interrupted:
        tell(f"interrupted after {done}; every finished one is in the store. Go on with:\n  {again}")


def print_study(store: str, name: str, form: str, *, top: int = 10) -> None:
    """The tables of one study; JSON and CSV hold the first alone, so that they stay one table."""
    known = TrialStore(store).read(stored_name(name))
    for table in study_document(known, form, top=top):
        put(render(table, form))
    for note in study_notes(known):
        tell(note)


def _has_weights(store: str, name: str, number: int) -> bool:
    """Whether a trial can be exported, by a process that knows none of a user's code."""
    if custom_models():
        return False
    try:
        return Checkpoints(store=store, study=name).has_final(number)
    except OSError:  # a store that is away for a moment costs the hint
        return False


def _example_query(store: str, study: Study) -> str:
    """A question that suits the study: its first choice compared, else its best networks."""
    choice = next((p.name for p in study.space.parameters if isinstance(p, Choice)), None)
    best = "min" if study.objective.direction is Direction.MINIMIZE else "max"
    order = "asc" if best == "min" else "desc"
    sql = (
        f"select number, objective, macs, parameters from trials where study = '{study.name}'"
        f" and state = 'completed' order by objective {order} limit 10"
    )
    if choice is not None:
        column = TrialStore(store).param_column(choice)
        sql = (
            f"select {column}, count(*) as trials, {best}(objective) as best from trials"
            f" where study = '{study.name}' group by all order by best {order}"
        )
    return f'{python_command()} -m tune_jobs query "{sql}"{_store_option(store)}'


def _store_option(store: str) -> str:
    return "" if store == "trials" else f" --store {shlex.quote(store)}"


def _searches_networks(study: Study) -> bool:
    """Whether its trials train different networks, all of families that need no code of a user's."""
    searched = any(p.role is Role.SEARCHED and shapes_network(p.name) for p in study.space.parameters)
    return searched and not custom_models()


def python_command() -> str:
    """How to type the Python that runs here: ``python`` where that is it, else its path."""
    if shutil.which("python") == sys.executable:
        return "python"
    path = Path(sys.executable)
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def typed_command() -> str:
    """The command that was typed, to be shown as the way to go on."""
    return f"{python_command()} -m tune_jobs {shlex.join(sys.argv[1:])}"
