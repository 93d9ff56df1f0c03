"""The page of a dry run: what a run would search, how much work and time that is, and where its rows go.

Composes text from values that `tune_jobs.cli.dry_run` has gathered; reads and prints nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eml_models.wording import count_of, duration_of, harmless, listed
from tune_jobs.feasible.passing import Passing
from tune_jobs.report.finalists import recipes_table
from tune_jobs.report.space_words import fixed_values, searched_table
from tune_jobs.report.tables import Table
from tune_jobs.report.terminal import PLAIN, Paint, Tone
from tune_jobs.report.text import draw_text, wrapped
from tune_jobs.session.forecast import Pace, TimeEstimate, Work
from tune_jobs.session.settings import AUTO, RunSettings
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName
from tune_jobs.study.objective import Direction
from tune_jobs.study.rows import State

LABEL = 12
"""Characters of a label with the blanks behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A study before its run, with everything that a dry run has found out.

    Attributes:
        num_points: points of the space; None if a parameter is continuous.
        ended: trials of the study that the store holds, by state; None if the store does not hold it.
        pace: measured epochs; None if the store has none that tell.
        workers: trials at a time; None if they depend on the machines.
        passing: networks that the limits admit; None without limits.
        warm_start: what the sampler learns from, in words; None if from nothing.
        adapted: changes of networks for small images, by family.
        store: the store's absolute path or its URL.
        new_store: whether the run makes the store.
        used_s: seconds for which the trials of earlier runs held their resources.
    """

    study: Study
    settings: RunSettings
    num_points: int | None
    ended: Mapping[State, int] | None
    work: Work
    pace: Pace | None
    estimate: TimeEstimate | None
    workers: int | None
    passing: Passing | None
    warm_start: str | None
    adapted: Mapping[str, Sequence[str]]
    store: str
    new_store: bool
    used_s: float


def preview_page(preview: Preview, *, width: int, paint: Paint = PLAIN) -> str:
    """The page as text whose lines fit `width` characters."""
    study = preview.study
    title = f"{study.name}: {study.description}" if study.description else study.name
    lines = wrapped(harmless(title), width)
    tables = [draw_text(table, width=width, paint=paint) for table in _tables(study)]
    labelled = [line for label, text in _iter_lines(preview) for line in _labelled(label, text, width, paint)]
    end = wrapped("This is a dry run: nothing was trained, and no row was written.", width)
    return (
        "\n".join([*lines, *("\n" + table.strip("\n") for table in tables), "", *labelled, "", *end]) + "\n"
    )


def _tables(study: Study) -> Iterator[Table]:
    searched = searched_table(study)
    if searched.rows:
        yield searched
    if study.candidates:
        yield recipes_table(study.definition())


def _labelled(label: str, text: str, width: int, paint: Paint) -> list[str]:
    """The text in lines behind a label."""
    lines = wrapped(harmless(text), max(width - LABEL, LABEL))
    first = paint(f"{label:<{LABEL}}", Tone.HEAD)
    return [f"{first}{lines[0]}", *(textwrap.indent(line, " " * LABEL) for line in lines[1:])]


def _iter_lines(preview: Preview) -> Iterator[tuple[str, str]]:
    """The label and the text of each line."""
    study, work = preview.study, preview.work
    if not searched_table(study).rows:
        yield "searched", "nothing: all trials have the same params"
    yield "fixed", ", ".join(fixed_values(study)) or "nothing"
    goals = [
        f"{o.metric} ({'larger' if o.direction is Direction.MAXIMIZE else 'smaller'} is better)"
        for o in study.objectives
    ]
    yield ("objectives" if len(goals) > 1 else "objective"), listed(goals)
    yield "sampler", _sampler(preview)
    yield "stopping", _stopping(study)
    yield "limits", _limits(preview)
    yield "trials", _trials(preview)
    if work.trials:
        yield "epochs", _epochs(preview)
        yield "time", _time(preview)
    yield "workers", _workers(preview)
    yield "rows", f"in {preview.store}{', a new store' if preview.new_store else ''}"
    for changes, names in _by_changes(preview.adapted).items():
        yield "adapted", f"{listed(names)}, because the images are small: {', '.join(changes)}"


def _by_changes(adapted: Mapping[str, Sequence[str]]) -> dict[tuple[str, ...], list[str]]:
    """The names of the networks that have the same changes."""
    names: dict[tuple[str, ...], list[str]] = {}
    for name, changes in adapted.items():
        names.setdefault(tuple(changes), []).append(name)
    return names


def _sampler(preview: Preview) -> str:
    study = preview.study
    words = {
        SamplerName.TPE: "tpe: first at random, then near the best trials so far",
        SamplerName.RANDOM: "random: each trial is drawn by itself",
        SamplerName.GRID: "grid: each point of the space once",
    }
    size = "" if preview.num_points is None else f"; the space has {count_of(preview.num_points, 'point')}"
    given = preview.work.given
    first = f"; {count_of(given, 'given point')} first" if given else ""
    learns = f"; {preview.warm_start}" if preview.warm_start else ""
    return f"{words[study.sampler]}{size}{first}{learns}; seed {study.seed}"


def _stopping(study: Study) -> str:
    if study.asha is None:
        return "none: each trial is trained to its last epoch"
    if not study.rungs:
        return (
            f"none: ASHA's first rung, at epoch {study.asha.min_epochs}, is not below the"
            f" {count_of(study.max_epochs, 'epoch')} of a trial"
        )
    at = f"{'rung' if len(study.rungs) == 1 else 'rungs'} at epoch {listed([f'{r:,}' for r in study.rungs])}"
    return f"ASHA: {at}; about 1 trial in {study.asha.reduction_factor} continues at a rung"


def _limits(preview: Preview) -> str:
    study, passing = preview.study, preview.passing
    limits = [f"{name} {_number(value)}" for name, value in study.limits.bounds().items()]
    if study.limits.max_latency_ms is not None and study.latency is not None:
        limits[-1] += f" (measured by workers: {study.latency.mode}, batch {study.latency.batch_size})"
    if passing is not None:
        drawn = f"{passing.drawn} {'networks' if study.train is None else 'points'} drawn at random"
        share = f"{passing.admitted / passing.drawn * 100:.0f} % of {drawn} pass"
        return f"{listed(limits)}; {share}"
    return listed(limits) or "none"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _trials(preview: Preview) -> str:
    study, work, ended = preview.study, preview.work, preview.ended
    fewer = f" of {study.trials:,}" if ended is None and work.trials < study.trials else ""
    if ended is None:
        return f"{work.trials:,}{fewer} to train; the study is new"
    refused = ended.get(State.INFEASIBLE, 0)
    states = [
        f"{count:,} {state}" for state, count in ended.items() if count and state is not State.INFEASIBLE
    ]
    trained = sum(count for state, count in ended.items() if state is not State.INFEASIBLE)
    there = f"{count_of(trained, 'trial')} of {study.trials:,}"
    words = f"the store holds {there}{f' ({listed(states)})' if states else ''}"
    words += f" and {count_of(refused, 'refused proposal')}" if refused else ""
    if not work.trials:
        return f"{words}; nothing is left to train. More trials: --trials {max(trained, study.trials) * 2}"
    unfinished = f", {work.unfinished:,} of them begun by an earlier run" if work.unfinished else ""
    return f"{words}; the run continues with {work.trials:,} more{unfinished}"


def _epochs(preview: Preview) -> str:
    work, asha = preview.work, preview.study.asha
    if work.least_epochs == work.most_epochs:
        return f"{work.most_epochs:,} in all"
    words = f"{work.least_epochs:,} to {work.most_epochs:,} in all"
    if work.likely_epochs is None or asha is None:
        return words
    return (
        f"{words}, about {work.likely_epochs:,} if 1 trial in {asha.reduction_factor} continues at each rung"
    )


def _time(preview: Preview) -> str:
    pace, found = preview.pace, preview.estimate
    if pace is None or found is None:
        return f"unknown until the first trial has trained an epoch: {_why_unknown(preview)}"
    at = f"{duration_of(pace.epoch_s)} an epoch, the mean of {count_of(pace.count, 'epoch')} of {pace.source}"
    least, most = duration_of(found.least_s), duration_of(found.most_s)
    span = f"about {most}" if least == most else f"{least} to {most}"
    likely = "" if found.likely_s is None or least == most else f", likely {duration_of(found.likely_s)}"
    if found.workers is None:
        return f"{span}{likely} of a single worker's time; several share it ({at}; starts not included)"
    return f"{span}{likely} with {count_of(found.workers, 'worker')} ({at}; starts not included)"


def _why_unknown(preview: Preview) -> str:
    if preview.new_store:
        return "there is no store yet that knows how long an epoch takes"
    others = "" if preview.settings.address else ", or of the same recipe on this machine"
    return f"the store has no time of an epoch of this study{others}"


def _workers(preview: Preview) -> str:
    settings = preview.settings
    where = "on this machine" if settings.address is None else f"on the cluster at {settings.address}"
    number = "as many as fit" if preview.workers is None else f"{preview.workers:,} at a time"
    gpus = settings.gpus_per_trial
    if settings.device == "cpu" or gpus == 0:
        gpu = "no GPU"
    elif gpus == AUTO:
        gpu = "a share of a GPU, which is measured first"
    elif gpus is None:
        gpu = "a GPU" if settings.device == "cuda" else "a GPU if there is any"
    else:
        gpu = f"{gpus} GPUs" if float(gpus) > 1 else ("1 GPU" if gpus == 1 else f"{gpus:g} of a GPU")
    limit = ""
    if settings.max_device_hours is not None:
        used = f", of which {duration_of(preview.used_s)} are used" if preview.used_s else ""
        limit = f"; the run ends after {settings.max_device_hours:g} hours of all workers together{used}"
    return f"{number} {where}, each with {count_of(settings.cpus_per_trial, 'CPU core')} and {gpu}{limit}"
