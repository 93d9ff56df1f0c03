"""What the commands do between parsing and printing: options become studies, rows become text."""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from eml_models.errors import InvalidValueError, UnknownNameError, raise_if_any
from eml_models.registry import custom_models
from eml_models.wording import count_of
from tune_jobs.checkpoints import Checkpoints
from tune_jobs.cli.telling import put, tell
from tune_jobs.errors import StoreError
from tune_jobs.feasible import SPREAD_SHARE, parse_count, parse_macs, with_spread_share
from tune_jobs.numbers import read_number, read_whole
from tune_jobs.on_ray.settings import RunSettings
from tune_jobs.param_texts import read_text
from tune_jobs.point_files import read_points
from tune_jobs.reach import check_reachable, list_adapted
from tune_jobs.report import leaderboard
from tune_jobs.report.for_people import for_people, shapes_network
from tune_jobs.report.front import front, objectives_of, worth
from tune_jobs.report.ledger import ledger
from tune_jobs.report.tables import render
from tune_jobs.scale import smoke_study
from tune_jobs.space import Choice, Params, Role, Space
from tune_jobs.store.reader import TrialStore
from tune_jobs.study import MACS_SHARE, Direction, LatencyMode, Objective, Study
from tune_jobs.summary import summary
from tune_jobs.user_code import UserCode, load_study, stored_name
from tune_jobs.warm_start import read_source

COUNTED_LIMITS = ("max_macs", "min_macs", "max_parameters")

OF_THE_RECIPE = {
    "epochs": "epochs",
    "dataset": "dataset",
    "precision": "precision",
    "train_samples": "max_train_samples",
}
"""Options of the command line that are fields of the study's recipe, which a space may set as well."""

SETTING_OPTIONS = (
    "store",
    "workers",
    "cpus_per_trial",
    "device",
    "kernels",
    "data_dir",
    "download",
    "address",
    "max_failures",
    "max_failed_in_a_row",
    "max_device_hours",
    "checkpoint_period_s",
    "keep_checkpoints",
    "trial_timeout_s",
    "retry_failed",
    "warm_start",
)


def resolve(target: str, options: Mapping[str, Any]) -> tuple[Study, RunSettings, UserCode | None]:
    """The study that `target` names, changed by the command line's options, and how to run it."""
    found, code = load_study(target)
    if options["scale"] == "smoke":
        study = _made_small(apply_options(found, {**options, "dataset": None}), options)
    else:
        study = apply_options(found, options)
    points = tuple(read_points(options["enqueue"], study.space)) if options["enqueue"] else ()
    settings = build_settings(options, points=points)
    if options["rename"]:
        study = renamed(study, settings.store)
    return study, settings, code


def build_settings(options: Mapping[str, Any], points: tuple[Params, ...] = ()) -> RunSettings:
    """How to run a study, from the command line; options that a command lacks keep their default."""
    gigabytes = options["max_checkpoint_gb"]
    if gigabytes is not None and not 0 <= gigabytes < math.inf:
        raise InvalidValueError(f"--max-checkpoint-gb must be a number of at least 0, got {gigabytes:g}")
    return RunSettings(
        max_checkpoint_bytes=None if gigabytes is None else int(gigabytes * 1e9),
        points=points,
        gpus_per_trial=_parse_gpus(options["gpus_per_trial"]),
        **{name: options[name] for name in SETTING_OPTIONS if name in options},
    )


def _made_small(study: Study, options: Mapping[str, Any]) -> Study:
    """The study at the smoke scale; what was changed is told on stderr.

    What was asked for stays, but for a limit on MACs: that is one of the whole study, and shrinks as the
    study's own would.
    """
    small, notes = smoke_study(
        study,
        data_dir=options["data_dir"],
        dataset=options["dataset"],
        keep=[
            OF_THE_RECIPE.get(name, name) for name in ("trials", *OF_THE_RECIPE) if options[name] is not None
        ],
    )
    for note in notes:
        print_note(note)
    return small


def renamed(study: Study, store: str) -> Study:
    """The study under the first of NAME, NAME-2, NAME-3, ... that is free or holds just this definition."""
    try:
        known = dict(TrialStore(store).studies()[["study", "fingerprint"]].itertuples(index=False, name=None))
    except StoreError:
        return study  # there is no store yet; whatever else is wrong with it, the writer will say
    fingerprint = study.fingerprint()
    names = itertools.chain([study.name], (f"{study.name}-{number}" for number in itertools.count(2)))
    name = next(name for name in names if known.get(name, fingerprint) == fingerprint)
    if name != study.name:
        tell(f"study {study.name!r} has another definition in {store!r}: this is {name!r}")
    return study.with_changes(name=name)


def apply_options(study: Study, options: Mapping[str, Any]) -> Study:
    """A study changed by options; those that are None or empty change nothing.

    Raises:
        InvalidValueError: a value breaks a rule of the study, the recipe or the space.
    """
    asked = {field: options[name] for name, field in OF_THE_RECIPE.items() if options[name] is not None}
    overruled = [
        _overruled(name, options[name])
        for name, f in OF_THE_RECIPE.items()
        if f in asked and f in study.space.names
    ]
    raise_if_any(f"study {study.name!r}", overruled)
    recipe = study.recipe.with_changes(**asked)
    changes = {n: options[n] for n in ("name", "trials", "seed", "sampler") if options[n] is not None}
    if options["no_asha"]:
        changes["asha"] = None
    limits: dict[str, Any] = _limits_asked(options, recipe.dataset)
    if options["objectives"] is not None:
        metrics = (name.strip() for name in options["objectives"].split(","))
        changes["objectives"] = tuple(Objective(metric=metric) for metric in metrics)
    if options["max_latency_ms"] is not None:
        limits["max_latency_ms"] = options["max_latency_ms"]
    if options["measure_latency"] is not None:
        changes["latency"] = _parse_latency(options["measure_latency"])
    if limits:
        changes["limits"] = replace(study.limits, **limits)
    if options["fix"]:
        changes["space"] = study.space.fixed(_parse_assignments(options["fix"], study.space))
    changed = study.with_changes(recipe=recipe, **changes)
    return changed if options["objectives"] is None else _spread(changed)


def _overruled(name: str, value: object) -> str:
    """What to say of an option for what the study's space sets in every trial anew."""
    option, field = "--" + name.replace("_", "-"), OF_THE_RECIPE[name]
    way_out = f"hold it with --fix {field}={value}"
    return f"its space sets {field}, so {option} {value} would change nothing; {way_out}"


def _spread(study: Study) -> Study:
    """The study with small shares searched where the objectives asked for ask for them; told on stderr."""
    spread = with_spread_share(study)
    if spread.space != study.space:
        print_note(
            f"{MACS_SHARE} is searched from {SPREAD_SHARE:g} on: a cost is an objective, and a front needs"
            " networks of every cost. A study that says its objectives itself keeps its bounds"
        )
    return spread


def print_note(note: str) -> None:
    """One line on stderr."""
    tell(f"note: {note}")


def print_reach(study: Study) -> None:
    """What a run would say of the study's limits at its start, where none is started here.

    Raises:
        InvalidValueError: it would be refused.
    """
    for note in check_reachable(study):
        print_note(note)


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


def print_outcome(outcome: Any, form: str, *, again: str) -> None:
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
    print_study(outcome.store, study.name, form, top=10)
    print_ending(outcome, again=again)


def _way_on(outcome: Any) -> str:
    """What a study that has its trials can be asked for next."""
    if outcome.end_reason is None:
        return f"Add some with --trials {outcome.progress.trained + outcome.progress.target}."
    end = outcome.end_reason
    return f"{end[0].upper()}{end[1:]}. `report {outcome.study.name}` compares them"


def print_ending(outcome: Any, *, again: str) -> None:
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


def print_study(store: str, name: str, form: str, *, top: int) -> None:
    """The tables of one study; JSON and CSV hold the leaderboard alone, so that they stay one table."""
    known = TrialStore(store).read(stored_name(name))
    definition, trials, reports, starts = known.definition, known.trials, known.reports, known.starts
    objectives = objectives_of(definition)
    metric, several = objectives[0].metric, len(objectives) > 1
    if several:
        best = front(trials, starts, objectives)
    else:
        best = leaderboard.leaderboard(trials, starts, metric=metric, top=top)
    put(render(for_people(best, trials) if form == "table" else best, form))
    if form == "table":
        others = [worth(trials, reports, objectives, definition["limits"])] if several and best.rows else []
        rungs = leaderboard.rungs(reports, definition["rungs"], metric=metric)
        others += [leaderboard.states(trials, reports), rungs]
        for table in (*others, ledger(known.rows)):
            if table.rows:
                put(render(table, form))


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
    import shlex

    return "" if store == "trials" else f" --store {shlex.quote(store)}"


def _searches_networks(study: Study) -> bool:
    """Whether its trials train different networks, all of families that need no code of a user's."""
    searched = any(p.role is Role.SEARCHED and shapes_network(p.name) for p in study.space.parameters)
    return searched and not custom_models()


def python_command() -> str:
    """How to type the Python that runs here: ``python`` where that is it, else its path."""
    import shlex
    import shutil

    if shutil.which("python") == sys.executable:
        return "python"
    path = Path(sys.executable)
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _limits_asked(options: Mapping[str, Any], dataset: str) -> dict[str, int]:
    """The limits on counts that the command line gives; a share of a network is of it on `dataset`."""
    found = {name: _parse_limit(name, options[name], dataset) for name in COUNTED_LIMITS}
    return {name: value for name, value in found.items() if value is not None}


def _parse_limit(name: str, text: str | None, dataset: str) -> int | None:
    if text is None:
        return None
    try:
        return parse_count(text) if name == "max_parameters" else parse_macs(text, dataset)
    except InvalidValueError as error:
        raise InvalidValueError(f"--{name.replace('_', '-')}: {error}") from error


def _parse_gpus(text: str | None) -> float | str | None:
    """A number, or a word such as auto, for `RunSettings` to judge."""
    if text is None or text.isalpha():
        return text
    try:
        return read_number(text)
    except InvalidValueError as error:
        raise InvalidValueError(f"--gpus-per-trial takes auto, or a number: {error}") from error


def _parse_latency(text: str) -> LatencyMode:
    """``MODE``, ``MODE@BATCH`` or ``@BATCH``; what is left out has its default."""
    mode, at, batch = text.partition("@")
    try:
        size = {"batch_size": read_whole(batch)} if at else {}
    except InvalidValueError as error:
        raise InvalidValueError(
            f"--measure-latency takes MODE@BATCH with a whole number of images, got {text!r}"
        ) from error
    return LatencyMode(**({"mode": mode} if mode else {}), **size)  # type: ignore[arg-type]  # a mode and a size


def _parse_assignments(texts: Sequence[str], space: Space) -> dict[str, Any]:
    """The values that are held, each read by its parameter's own type."""
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidValueError(f"--fix takes NAME=VALUE, got {text!r}")
        if name in values:
            raise InvalidValueError(f"--fix {name} is given twice, got {text!r} too; choose one")
        try:
            values[name] = read_text(space[name], value)
        except UnknownNameError:
            raise
        except InvalidValueError as error:
            raise InvalidValueError(f"--fix {name}: {error}") from error
    return values
