"""What `submit`, `status`, `logs` and `stop` do between parsing and printing: studies as a cluster's jobs.

Imports Ray: the token is shown before this is imported.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from eml_models.errors import InvalidValueError
from tune_jobs.cli.option_values import RunOptions
from tune_jobs.cli.resolving import resolve
from tune_jobs.cli.run_commands import print_reach
from tune_jobs.cli.telling import put, tell
from tune_jobs.errors import EXIT_INTERRUPTED, JobError
from tune_jobs.inputs.warm_start import SEPARATOR
from tune_jobs.on_ray.jobs.submit import Job, Jobs, Submission
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.store.files.protocol import require_lasting_store
from tune_jobs.study.instants import utc_now

NOT_PASSED_ON = ("address", "dry_run")
"""Options of `run` that `submit` keeps to itself: a job runs on the cluster that it was given to."""

FILES = ("enqueue",)
"""Options whose value is a file of the working folder."""

OF_NODES = ("data_dir",)
"""Options whose value is a folder of each node: what this machine's environment says is of this machine."""

NOT_FOUND = 127
"""With what a shell exits that finds no such program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A study to be submitted, as it was asked for.

    Attributes:
        words: the options of `run` that were given, as they were typed.
        options: the same and their defaults, parsed.
    """

    target: str
    words: Sequence[str]
    options: RunOptions


def submit(
    given: Given, open_cluster: Callable[[], Jobs], *, folder: str, follow_links: Sequence[str], wait: bool
) -> int:
    """Submit a study as a job and follow it; the exit status of the job, or 0 if nobody waits.

    Args:
        open_cluster: called once what needs no cluster has been checked.
        follow_links: links of `folder` that are followed although they lead out of it.

    Raises:
        InvalidValueError: an option is wrong, the store would not last, or a file is not in `folder`.
        JobError: the cluster does not answer or refuses.
    """
    place = _place_of(folder)
    if not place.is_dir():
        raise InvalidValueError(f"the working folder {folder!r} is no folder; name one with --working-dir")
    require_lasting_store(given.options.store)
    study, settings, _ = resolve(given.target, replace(given.options, rename=False, address=None))
    print_reach(study)
    own_target = _inside_target(given.target, place)
    needed = [inside(path, place) for name in FILES if (path := getattr(given.options, name))]
    if (own_file := own_target.rpartition(":")[0]).endswith(".py"):
        needed.append(own_file)
    jobs = open_cluster()
    job = jobs.submit(
        Submission(
            study=study.name,
            store=settings.store,
            words=("run", own_target, *given.words),
            folder=place,
            named=(settings.data_dir, settings.store),
            follow=follow_links,
            needed=needed,
        ),
        tell=lambda line: click.echo(line, err=True),
    )
    tell(f"submitted job {job.id} to {jobs.address}: study {job.study}, store {job.store}")
    if not wait:
        _say_how_to_go_on(job)
        return 0
    return follow(jobs, job)


def follow(jobs: Jobs, job: Job) -> int:
    """Show a job's log until it ends; its exit status. An interrupt or a lost line leaves it alone.

    Raises:
        JobError: the cluster does not answer any more.
    """
    try:
        ended = jobs.follow(job.id, lambda text: click.echo(text, nl=False))
    except (KeyboardInterrupt, JobError) as error:
        lost = isinstance(error, JobError)
        tell(f"\nno longer following; job {job.id} {'may go' if lost else 'goes'} on.")
        _say_how_to_go_on(job)
        if lost:
            raise
        return EXIT_INTERRUPTED
    _say_end(ended)
    return ended.exit_status


def print_status(jobs: Jobs, name: str | None, form: str) -> None:
    """The jobs of a cluster, or those of a study that are under way (else its newest), as a table."""
    shown = jobs.named(name) if name else jobs.list()
    rows = tuple(
        (job.study, job.state.lower(), _text(job.started_at), _seconds(job), job.store, job.exit_code, job.id)
        for job in shown
    )
    columns = ("study", "state", "started_at", "seconds", "store", "exit_code", "job")
    put(render(Table(columns=columns, rows=rows), form))


def print_logs(jobs: Jobs, name: str, *, follows: bool) -> int:
    """What a job wrote; with `follows` until it ends, and then its exit status."""
    job = jobs.find(name)
    if follows:
        return follow(jobs, job)
    click.echo(jobs.logs(job.id), nl=False)
    return 0


def stop(jobs: Jobs, name: str) -> int:
    """End the job of a study in order; 0 if it has ended."""
    job = jobs.find(name)
    if job.ended:
        tell(f"job {job.id} has ended already: {job.state.lower()}")
        return 0
    ended = jobs.stop(job.id)
    tell(
        f"job {ended.id}: {ended.state.lower()}. Every finished trial is in the store; submitting the study"
        " again goes on."
    )
    return 0 if ended.ended else 1


def given_words(context: click.Context, command: click.Command, folder: str) -> list[str]:
    """The options of `command` that were typed or come from the environment, as words for it.

    Raises:
        InvalidValueError: a path would mean nothing to the job.
    """
    words: list[str] = []
    place = _place_of(folder)
    for parameter in command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        given = source not in (None, ParameterSource.DEFAULT)
        if not isinstance(parameter, click.Option) or name in NOT_PASSED_ON or not given:
            continue
        if name in OF_NODES and source is ParameterSource.ENVIRONMENT:
            continue
        value, option = context.params[name], parameter.opts[0]
        if parameter.is_flag:
            words += [option] if value else []
            continue
        values = value if parameter.multiple else (value,)
        words += [word for v in values for word in (option, _for_the_job(name, v, place))]
    return words


def _for_the_job(name: str, value: Any, folder: Path) -> str:
    """The value of an option as the job takes it."""
    if name in FILES:
        return inside(value, folder)
    if name == "warm_start" and (store := value.rpartition(SEPARATOR)[0]):
        require_lasting_store(store)
    if name in OF_NODES and not Path(value).is_absolute():
        raise InvalidValueError(
            f"--{name.replace('_', '-')} {value!r} is relative, and a job takes no data with it; name a"
            " folder of the nodes, such as /shared/data, or leave it out if they have TUNE_JOBS_DATA_DIR"
        )
    return str(value)


def inside(path: str, folder: Path) -> str:
    """The path as a job sees it, whose working folder is a copy of `folder`.

    Raises:
        InvalidValueError: it lies elsewhere.
    """
    for clean in (os.path.abspath, os.path.realpath):  # a link in the folder is packed with what it leads to
        file, top = Path(clean(Path(path).expanduser())), Path(clean(folder))
        if file.is_relative_to(top):
            return str(file.relative_to(top))
    raise InvalidValueError(
        f"{path!r} is not in the working folder {str(folder)!r}, which is all that a job takes with it;"
        " move it there, or name a folder above it with --working-dir"
    )


def _place_of(folder: str) -> Path:
    return Path(os.path.abspath(Path(folder).expanduser()))


def _inside_target(target: str, folder: Path) -> str:
    place, colon, function = target.rpartition(":")
    return f"{inside(place, folder)}:{function}" if colon and place.endswith(".py") else target


def _say_how_to_go_on(job: Job) -> None:
    for line in (f"logs {job.id} --follow", f"status {job.id}", f"stop {job.id}"):
        tell(f"  python -m tune_jobs {line}")


def _say_end(job: Job) -> None:
    tell(f"job {job.id}: {job.state.lower()}")
    if not job.ended:
        tell(f"  it is still {job.state.lower()} although its log has ended")
    elif job.exit_code is None and job.message:
        tell(f"  {job.message.strip()}")
    elif job.exit_code == NOT_FOUND:
        tell(
            "  its head finds no `python`: start Ray there with its environment's folder first in PATH"
            " (export PATH=$PWD/.venv/bin:$PATH)"
        )


def _seconds(job: Job) -> float | None:
    if job.started_at is None:
        return None
    return round(((job.ended_at or utc_now()) - job.started_at).total_seconds(), 1)


def _text(instant: datetime | None) -> str | None:
    return instant.strftime("%Y-%m-%d %H:%M:%S") if instant else None
