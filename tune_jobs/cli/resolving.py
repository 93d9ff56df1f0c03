"""Makes a study, and the settings of its run, of a target's words and the options.

Called by `run_commands`, `finalists_commands` and `job_commands`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from eml_models.errors import InvalidValueError, UnknownNameError, sort_by_nearness
from tune_jobs.cli.given_data import opened
from tune_jobs.cli.option_values import RunningOptions, RunOptions
from tune_jobs.cli.telling import tell, tell_note
from tune_jobs.errors import StoreError
from tune_jobs.inputs.named_study import load_target
from tune_jobs.inputs.point_files import read_points
from tune_jobs.inputs.smoke import smoke_study
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.session.settings import RunSettings
from tune_jobs.store.reader import TrialStore
from tune_jobs.study.bindings import MACS_SHARE
from tune_jobs.study.definition import Study
from tune_jobs.study.front_space import SPREAD_SHARE, least_share
from tune_jobs.study.json_fields import parse_object
from tune_jobs.study.objective import (
    Direction,
    Objective,
    as_objectives,
    has_direction,
    needs_direction,
)
from tune_jobs.study.param_texts import read_text
from tune_jobs.study.parameters import Params
from tune_jobs.study.space import Space
from tune_jobs.study.words import FIX, OF_THE_RECIPE, TYPED, WORDS
from tune_jobs.study.written_numbers import read_number

OF_THE_STUDY = ("name", "trials", "seed", "sampler")
"""Options that are fields of a study."""


def resolve(target: str, options: RunOptions) -> tuple[Study, RunSettings, UserCode | None]:
    """The study that `target` names, changed by the options; the settings of its run; the user's code."""
    found, code = load_target(target, store=options.store)
    options = replace(options, dataset=opened(options.dataset, options.data_dir))
    if options.scale == "smoke":
        at_hand = options if found.recipe is None else replace(options, dataset=None)
        study = _made_small(apply_options(found, at_hand), options)
    else:
        study = apply_options(found, options)
    points = tuple(read_points(options.enqueue, study.space)) if options.enqueue else ()
    settings = build_settings(options, points=points, warm_start=options.warm_start)
    if options.rename:
        study = renamed(study, settings.store)
    return study, settings, code


def build_settings(
    options: RunningOptions, *, points: tuple[Params, ...] = (), warm_start: str | None = None
) -> RunSettings:
    """The settings of a run, from the options."""
    gigabytes = options.max_checkpoint_gb
    if gigabytes is not None and not 0 <= gigabytes < math.inf:
        raise InvalidValueError(f"--max-checkpoint-gb must be a number of at least 0, got {gigabytes:g}")
    return RunSettings(
        store=options.store,
        workers=options.workers,
        cpus_per_trial=options.cpus_per_trial,
        gpus_per_trial=_parse_gpus(options.gpus_per_trial),
        device=options.device,
        kernels=options.kernels,
        execution=options.execution,
        data_dir=options.data_dir,
        download=options.download,
        address=options.address,
        max_failures=options.max_failures,
        max_failed_in_a_row=options.max_failed_in_a_row,
        max_device_hours=options.max_device_hours,
        checkpoint_period_s=options.checkpoint_period_s,
        keep_checkpoints=options.keep_checkpoints,
        max_checkpoint_bytes=None if gigabytes is None else int(gigabytes * 1e9),
        trial_timeout_s=options.trial_timeout_s,
        retry_failed=options.retry_failed,
        points=points,
        warm_start=warm_start,
    )


def _made_small(study: Study, options: RunOptions) -> Study:
    """The study at the smoke scale, with a note on stderr for each change.

    Values that the options give stay as they are, except a limit on MACs: it is meant for the study at its
    full scale, and shrinks as a limit of the study itself does.
    """
    small, notes = smoke_study(
        study,
        data_dir=options.data_dir,
        dataset=options.dataset,
        keep=[
            OF_THE_RECIPE.get(name, name)
            for name in ("trials", *OF_THE_RECIPE)
            if getattr(options, name) is not None
        ],
    )
    for note in notes:
        tell_note(note)
    return small


def renamed(study: Study, store: str) -> Study:
    """The study under the first of NAME, NAME-2, NAME-3, ... that is free or holds just this definition."""
    try:
        known = dict(TrialStore(store).studies()[["study", "fingerprint"]].itertuples(index=False, name=None))
    except StoreError:
        return study  # mostly no store yet; the writer reports any other fault
    fingerprint = study.fingerprint()
    names = itertools.chain([study.name], (f"{study.name}-{number}" for number in itertools.count(2)))
    name = next(name for name in names if known.get(name, fingerprint) == fingerprint)
    if name != study.name:
        tell(f"study {study.name!r} has another definition in {store!r}; this run is study {name!r}")
    return study.with_changes(name=name)


def apply_options(study: Study, options: RunOptions) -> Study:
    """The study, changed by the options; an option that is None or empty changes nothing.

    Raises:
        InvalidValueError: a value breaks a rule of the study, the recipe or the space.
    """
    changes = {n: getattr(options, n) for n in (*OF_THE_STUDY, *WORDS) if n != FIX}
    changes = {name: value for name, value in changes.items() if value is not None}
    if options.objectives is not None:
        changes["objectives"] = _objectives_asked(study, options)
    if options.fix:
        changes[FIX] = _parse_assignments(options.fix, study.space)
    changed = study.changed_by(changes, TYPED)
    if options.objectives is not None and least_share(changed.space) not in (None, least_share(study.space)):
        tell_note(
            f"{MACS_SHARE} is searched from {SPREAD_SHARE:g} upwards, because --objectives names a cost"
            " and a front needs networks of every cost. To keep other bounds, name the objectives in the"
            " study itself"
        )
    return changed


def _objectives_asked(study: Study, options: RunOptions) -> tuple[Objective, ...]:
    """The objectives that ``--objectives`` names; a metric that the study declares has its direction there.

    Raises:
        InvalidValueError: a metric has no direction; the message has the names that the study knows.
    """
    asked = str(options.objectives)
    if study.recipe is not None:
        return as_objectives(asked)
    declared = {objective.metric: objective for objective in study.objectives}
    items = [declared.get(text.strip(), text.strip()) for text in asked.split(",")]
    lacking = [t for t in items if isinstance(t, str) and ":" not in t and not has_direction(t)]
    if lacking:
        names = sort_by_nearness(lacking[0], {**declared, **dict.fromkeys(_reported(study, options.store))})
        known = [
            f"{name}:{'max' if declared[name].direction is Direction.MAXIMIZE else 'min'}"
            if name in declared
            else name
            for name in names
        ]
        raise InvalidValueError(
            f"--objectives: {'; '.join(map(needs_direction, lacking))}. Metrics and costs of study"
            f" {study.name!r}, as far as known: {', '.join(known)}"
        )
    return as_objectives(items)


def _reported(study: Study, store: str) -> list[str]:
    """The metrics and costs of own training in the last report of a study's trials; none without a store."""
    sql = f"select metrics from trials where study = '{study.name}' order by epochs desc, seq desc limit 1"
    try:
        return [name for (text,) in TrialStore(store).answer(sql).rows for name in parse_object(str(text))]
    except (StoreError, InvalidValueError):
        return []  # there is no store yet, or it is damaged, which a run says


def _parse_gpus(text: str | None) -> float | str | None:
    """A number, or a word such as auto, which `RunSettings` checks."""
    if text is None or text.isalpha():
        return text
    try:
        return read_number(text)
    except InvalidValueError as error:
        raise InvalidValueError(f"--gpus-per-trial must be auto or a number: {error}") from error


def _parse_assignments(texts: Sequence[str], space: Space) -> dict[str, Any]:
    """The values of ``--fix``, each read by the type of its parameter."""
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidValueError(f"--fix must be NAME=VALUE, got {text!r}")
        if name in values:
            raise InvalidValueError(f"--fix {name} is given twice, got {text!r} too; choose one")
        try:
            values[name] = read_text(space[name], value)
        except UnknownNameError:
            raise
        except InvalidValueError as error:
            raise InvalidValueError(f"--fix {name}: {error}") from error
    return values
