"""Acts for `submit`, `status`, `logs` and `stop`: studies as jobs of a cluster.

Imports Ray, which reads the cluster's token when it is imported; `job_verbs` prepares the token before that.
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

from eml_models.data.file_names import split_word
from eml_models.errors import InvalidValueError
from tune_jobs.cli.dry_run import print_reach
from tune_jobs.cli.option_values import RunOptions
from tune_jobs.cli.resolving import resolve
from tune_jobs.cli.telling import put, tell
from tune_jobs.errors import EXIT_INTERRUPTED, JobError
from tune_jobs.inputs.warm_start import SEPARATOR
from tune_jobs.on_ray.jobs.job import Job, Submission
from tune_jobs.on_ray.jobs.submit import Jobs
from tune_jobs.on_ray.preflight import require_picklable
from tune_jobs.report.render import render
from tune_jobs.report.tables import Table
from tune_jobs.store.files.protocol import require_lasting_store
from tune_jobs.study.instants import utc_now

NOT_PASSED_ON = ("address", "dry_run")
"""Options of `run` that a job does not get; it runs on its own cluster."""

FILES = ("enqueue",)
"""Options whose value is a file of the working folder."""

OF_NODES = ("data_dir",)
"""Options whose value is a folder of each node. A value from this machine's environment is not passed on."""

NOT_FOUND = 127
"""Exit code of a shell that does not find a program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A study to submit.

    Attributes:
        target: the words that name it.
        words: the options of `run` that the user gave, for the job's command line.
        options: all options of `run`, parsed.
    """

    target: str
    words: Sequence[str]
    options: RunOptions


def submit(
    given: Given, open_cluster: Callable[[], Jobs], *, folder: str, follow_links: Sequence[str], wait: bool
) -> int:
    """Submit a study as a job and follow it. Returns the exit status of the job, or 0 without `wait`.

    Args:
        open_cluster: called after all checks that need no cluster.
        follow_links: links in `folder` to upload although they lead out of it.

    Raises:
        InvalidValueError: an option is wrong, the store would vanish with the job, or a file is not in
            `folder`.
        JobError: the cluster does not answer or refuses the job.
    """
    place = _place_of(folder)
    if not place.is_dir():
        raise InvalidValueError(
            f"the working folder must be a folder, got {folder!r}; name another with --working-dir"
        )
    require_lasting_store(given.options.store)
    study, settings, code = resolve(given.target, replace(given.options, rename=False, address=None))
    print_reach(study)
    settings.check_gpus(study)
    require_picklable(study, code, address=None)
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
            named=(settings.data_dir, settings.store, files_of(given.options.dataset)),
            follow=follow_links,
            needed=needed,
        ),
        tell=lambda line: click.echo(line, err=True),
    )
    tell(f"submitted job {job.id} to {jobs.address}: study {job.study}, store {job.store}")
    if not wait:
        _say_how_to_continue(job)
        return 0
    return follow(jobs, job)


def files_of(dataset: str | None) -> str | None:
    """The path of a user's files that ``--dataset`` names; None for a set by name."""
    word = None if dataset is None else split_word(dataset)
    return None if word is None else word[1]


def follow(jobs: Jobs, job: Job) -> int:
    """Show a job's log until the job ends. Returns its exit status.

    The job itself continues after an interrupt, or if the cluster no longer answers.

    Raises:
        JobError: the cluster no longer answers.
    """
    try:
        ended = jobs.follow(job.id, lambda text: click.echo(text, nl=False))
    except (KeyboardInterrupt, JobError) as error:
        lost = isinstance(error, JobError)
        tell(f"\nno longer following the log; job {job.id} {'may still run' if lost else 'still runs'}.")
        _say_how_to_continue(job)
        if lost:
            raise
        return EXIT_INTERRUPTED
    _say_end(ended)
    return ended.exit_status


def print_status(jobs: Jobs, name: str | None, form: str) -> None:
    """Print the jobs of a cluster as a table, or those of a study: its running jobs, else its newest."""
    shown = jobs.named(name) if name else jobs.list()
    rows = tuple(
        (
            job.study,
            job.state.lower(),
            job.progress,
            _text(job.started_at),
            _seconds(job),
            job.store,
            job.exit_code,
            job.id,
        )
        for job in shown
    )
    columns = ("study", "state", "progress", "started_at", "seconds", "store", "exit_code", "job")
    put(render(Table(columns=columns, rows=rows, states=("state",)), form))


def print_logs(jobs: Jobs, name: str, *, follows: bool) -> int:
    """Print the log of a job; with `follows`, until it ends. Returns the exit code."""
    job = jobs.find(name)
    if follows:
        return follow(jobs, job)
    click.echo(jobs.logs(job.id), nl=False)
    return 0


def stop(jobs: Jobs, name: str) -> int:
    """End the job of a study in order. Returns 0 if it has ended, else 1."""
    job = jobs.find(name)
    if job.ended:
        tell(f"job {job.id} has ended already: {job.state.lower()}")
        return 0
    ended = jobs.stop(job.id)
    tell(
        f"job {ended.id}: {ended.state.lower()}. All finished trials are in the store; submit the study again"
        " to continue it"
    )
    return 0 if ended.ended else 1


def given_words(context: click.Context, command: click.Command, folder: str) -> list[str]:
    """The options of `command` that the user gave, by words or environment, as words for a job.

    Raises:
        InvalidValueError: a path that the job would not find.
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
    """The value of an option for the job, with paths as the job sees them."""
    if name in FILES:
        return inside(value, folder)
    if name == "warm_start" and (store := value.rpartition(SEPARATOR)[0]):
        require_lasting_store(store)
    if name in OF_NODES and not Path(value).is_absolute():
        raise InvalidValueError(
            f"--{name.replace('_', '-')} must be an absolute path for a job, got {value!r}: data is not"
            " uploaded; name a folder of the nodes, such as /shared/data, or leave the option out if they set"
            " TUNE_JOBS_DATA_DIR"
        )
    if name == "dataset" and (word := split_word(value)) is not None and not Path(word[1]).is_absolute():
        raise InvalidValueError(
            f"--dataset must name files of a job by an absolute path, got {value!r}: data is not uploaded;"
            f" name a place that this machine and the nodes share, such as {word[0]}:/shared/data/NAME"
        )
    return str(value)


def inside(path: str, folder: Path) -> str:
    """The path as a job sees it; the job's working folder is a copy of `folder`.

    Raises:
        InvalidValueError: it lies elsewhere.
    """
    for clean in (
        os.path.abspath,
        os.path.realpath,
    ):  # a link in the folder is uploaded as a copy of its target
        file, top = Path(clean(Path(path).expanduser())), Path(clean(folder))
        if file.is_relative_to(top):
            return str(file.relative_to(top))
    raise InvalidValueError(
        f"{path!r} is not in the working folder {str(folder)!r}, and only that folder is uploaded for a job;"
        " move the file there, or name a folder above it with --working-dir"
    )


def _place_of(folder: str) -> Path:
    return Path(os.path.abspath(Path(folder).expanduser()))


def _inside_target(target: str, folder: Path) -> str:
    place, colon, function = target.rpartition(":")
    return f"{inside(place, folder)}:{function}" if colon and place.endswith(".py") else target


def _say_how_to_continue(job: Job) -> None:
    for line in (f"logs {job.id} --follow", f"status {job.id}", f"stop {job.id}"):
        tell(f"  python -m tune_jobs {line}")


def _say_end(job: Job) -> None:
    tell(f"job {job.id}: {job.state.lower()}")
    if not job.ended:
        tell(f"  the job is still {job.state.lower()} although its log has ended")
    elif job.exit_code is None and job.message:
        tell(f"  {job.message.strip()}")
    elif job.exit_code == NOT_FOUND:
        tell(
            "  the head node finds no `python`: start Ray there with its environment's folder first in PATH"
            " (export PATH=$PWD/.venv/bin:$PATH)"
        )


def _seconds(job: Job) -> float | None:
    if job.started_at is None:
        return None
    return round(((job.ended_at or utc_now()) - job.started_at).total_seconds(), 1)


def _text(instant: datetime | None) -> str | None:
    return instant.strftime("%Y-%m-%d %H:%M:%S") if instant else None
