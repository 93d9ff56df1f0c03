"""Acts for `run`: runs the study, then prints its tables and the commands to type next.

Called by `run_verbs`; `finalists_commands` and `job_commands` use its parts.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from eml_models.networks.registry import custom_models
from eml_models.wording import count_of
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.cli.dry_run import print_dry_run
from tune_jobs.cli.option_values import RunOptions
from tune_jobs.cli.resolving import resolve
from tune_jobs.cli.store_commands import print_study
from tune_jobs.cli.telling import tell, tell_note
from tune_jobs.cli.typed_words import python_command, store_option, typed_command
from tune_jobs.errors import EXIT_FAILED, EXIT_INTERRUPTED, RayLostError
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.report.for_people import shapes_network
from tune_jobs.report.progress import show_progress
from tune_jobs.session.attempt import Progress
from tune_jobs.session.outcome import RunOutcome
from tune_jobs.session.settings import RunSettings
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.definition import Study
from tune_jobs.study.objective import Direction
from tune_jobs.study.parameters import Choice, Role


def run(target: str, form: str, options: RunOptions, *, inline: bool, dry_run: bool) -> int:
    """Run the study that `target` names, or print what a run would do. Returns the exit code."""
    study, settings, code = resolve(target, options)
    settings = replace(settings, inline=inline)
    if dry_run:
        check_run(study, settings, code)
        print_dry_run(study, settings, form)
        return 0
    outcome = run_shown(study, settings, code)
    print_outcome(outcome, form, again=typed_command())
    return exit_status(outcome)


def check_run(study: Study, settings: RunSettings, code: UserCode | None) -> None:
    """Check for a dry run what a run would check before it starts Ray; downloads nothing."""
    from tune_jobs.on_ray.preflight import check_before_ray

    settings.check_gpus(study)
    check_before_ray(study, settings, code=code, dry_run=True)


def exit_status(outcome: RunOutcome) -> int:
    """The exit code after a run: failed if all of its trials failed, since it has no result then."""
    if outcome.interrupted:
        return EXIT_INTERRUPTED
    return EXIT_FAILED if outcome.all_failed else 0


def run_shown(study: Study, settings: RunSettings, code: UserCode | None) -> RunOutcome:
    """Run a study, with its progress and its notes on stderr."""
    from tune_jobs.on_ray.runner import run_study  # imports Ray, which a dry run does not need

    try:
        with show_progress(on_ray=not settings.inline) as show:
            begun = False

            def on_progress(progress: Progress) -> None:
                nonlocal begun
                if not begun:  # a study that is complete has no progress to watch
                    say_how_to_watch(study.name, settings.store)
                begun = True
                with suppress(OSError):  # the terminal was closed, whose signal ends the run in order
                    show(progress)

            return run_study(study, settings, code=code, on_progress=on_progress, on_note=tell_note)
    except RayLostError as error:
        raise RayLostError(
            f"{error}. All finished trials are in the store. Continue with:\n  {typed_command()}"
        ) from error


def say_how_to_watch(name: str, store: str) -> None:
    """Write the command on stderr that shows a run in a browser while it lasts."""
    tell(f"watch it in a browser:\n  {python_command()} -m tune_jobs board {name}{store_option(store)}")


def print_outcome(outcome: RunOutcome, form: str, *, again: str) -> None:
    """Print the tables on stdout; around them, on stderr, how the run ended and what to type next."""
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
    """A way to continue for a study that is complete, or that ended before it was."""
    if outcome.end_reason is None:
        return f"Add trials with --trials {outcome.progress.trained + outcome.progress.target}."
    end = outcome.end_reason
    return f"{end[0].upper()}{end[1:]}. `report {outcome.study.name}` compares them"


def print_ending(outcome: RunOutcome, *, again: str) -> None:
    """Print on stderr, after the tables, the place of the store and the commands to type next."""
    study, progress = outcome.study, outcome.progress
    store = TrialStore(outcome.store)
    done = f"{progress.trained} of {count_of(progress.target, 'trial')}"
    tell(f"\nstore: {store.path}")
    tell("query it, for example:")
    tell(f"  {_example_query(outcome.store, study)}")
    if progress.best_number is not None and _searches_networks(study):
        tell("measure the latency of its best network:")
        words = f"latency {study.name}/{progress.best_number}{store_option(outcome.store)}"
        tell(f"  {python_command()} -m tune_jobs {words}")
    if progress.best_number is not None and _has_weights(outcome.store, study.name, progress.best_number):
        what = "the saved state of its best trial to a file"
        if study.train is None:
            what = "its best network to a file that needs no data set"
        tell(f"write {what}:")
        suffix = ".pt2" if study.train is None else ".pt"
        words = f"export {study.name} {progress.best_number} --output {study.name}{suffix}"
        tell(f"  {python_command()} -m tune_jobs {words}{store_option(outcome.store)}")
    if outcome.all_failed and not outcome.interrupted:
        tell(
            f"nothing but failures: {count_of(outcome.num_failed, 'trial')} failed, and none completed or was"
            " stopped. Mend the cause and run the same command with --retry-failed; the errors:"
        )
        sql = f"select number, failure, error from trials where study = '{study.name}' and state = 'failed'"
        tell(f'  {python_command()} -m tune_jobs query "{sql}"{store_option(outcome.store)}')
    if outcome.limit_reached:
        tell(f"the limit of device-hours is reached after {done}; continue with a larger --max-device-hours")
    if outcome.interrupted:
        tell(f"interrupted after {done}; all finished trials are in the store. Continue with:\n  {again}")


def _has_weights(store: str, name: str, number: int) -> bool:
    """Whether a process without the user's code can export this trial."""
    if custom_models():
        return False
    try:
        return Checkpoints(store=store, study=name).has_final(number)
    except OSError:  # a store out of reach for a moment costs only a hint
        return False


def _example_query(store: str, study: Study) -> str:
    """A query that suits the study: compares its first choice, or lists its best networks if it has none."""
    choice = next((p.name for p in study.space.parameters if isinstance(p, Choice)), None)
    best = "min" if study.objective.direction is Direction.MINIMIZE else "max"
    order = "asc" if best == "min" else "desc"
    columns = "number, objective, macs, parameters" if study.train is None else "number, objective, metrics"
    sql = (
        f"select {columns} from trials where study = '{study.name}'"
        f" and state = 'completed' order by objective {order} limit 10"
    )
    if choice is not None:
        column = TrialStore(store).param_column(choice, study=study.name)
        sql = (
            f"select {column}, count(*) as trials, {best}(objective) as best from trials"
            f" where study = '{study.name}' group by all order by best {order}"
        )
    return f'{python_command()} -m tune_jobs query "{sql}"{store_option(store)}'


def _searches_networks(study: Study) -> bool:
    """Whether its trials train different networks, of families that need no code of the user."""
    if study.train is not None:
        return False
    searched = any(p.role is Role.SEARCHED and shapes_network(p.name) for p in study.space.parameters)
    return searched and not custom_models()
