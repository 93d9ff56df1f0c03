"""Runs a study on Ray: opens the store, starts or joins Ray, lets Tune schedule, and ends in order.

`run_study` is the whole service in one call, for the command line and for notebooks. It opens the store, and
checks all that needs no Ray, before Ray starts. Tune's own files go to a temporary folder that is removed at
the end: only the store is kept.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Unpack

from tune_jobs.analysis.code_changes import notes_of_change
from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.retention import Retention
from tune_jobs.errors import RayLostError, StoreError
from tune_jobs.feasible.reach import check_reachable
from tune_jobs.inputs.named_study import find_study, with_stored_data_name
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.inputs.warm_start import Source, read_source
from tune_jobs.on_ray.cluster.connect import connected
from tune_jobs.on_ray.cluster.presence import describe_dashboard
from tune_jobs.on_ray.cluster.private_folder import scratch_folder
from tune_jobs.on_ray.cluster.reaching import check_address, require_listener
from tune_jobs.on_ray.gpus.measure import measured_here
from tune_jobs.on_ray.leaving import Turns, finish_or_leave, leave_half_started
from tune_jobs.on_ray.preflight import check_before_ray
from tune_jobs.on_ray.private import TUNE_ENVIRONMENT
from tune_jobs.on_ray.worker.shared_data import shared_bytes
from tune_jobs.search.given import check_point
from tune_jobs.session.attempt import Progress, Provenance, SessionSettings
from tune_jobs.session.ending_signals import EndingSignals, ending_signals
from tune_jobs.session.heard_log import HeardLog, RowListener
from tune_jobs.session.outcome import RunOutcome
from tune_jobs.session.settings import ProgressListener, RunSettings, SettingFields, joined_settings
from tune_jobs.session.state_machine import Session
from tune_jobs.store.files.protocol import absolute, require_lasting_store
from tune_jobs.store.format.definitions import is_known
from tune_jobs.store.provenance import git_state, job_id
from tune_jobs.store.writer import StudyWriter
from tune_jobs.study.code_digest import code_digest
from tune_jobs.study.definition import Study
from tune_jobs.study.events import SessionEnd, SessionStarted
from tune_jobs.study.rows import Row
from tune_jobs.worker.inline import run_inline

LOG = logging.getLogger("tune_jobs.run")


def run_study(
    study: Study | str,
    settings: RunSettings | None = None,
    *,
    code: UserCode | None = None,
    on_progress: ProgressListener = lambda progress: None,
    on_note: Callable[[str], object] = lambda note: None,
    on_rows: RowListener | None = None,
    **fields: Unpack[SettingFields],
) -> RunOutcome:
    """Run or continue a study until it has its trials; every row is in the store when this returns.

    ``run_study(study, store="trials", workers=2)``: the fields of `RunSettings` are keywords too.

    Args:
        study: the study, or a name: that of a shipped study, ``file.py:function``, or that of a study of the
            store, which then continues to the number of trials that its newest run asked for.
        settings: the settings as one value; a field may be here or a keyword, not both.
        on_progress: called a few times a second, from a thread of the run.
        on_note: called with each note for the user: at the start, such as on a limit that refuses nothing,
            and once for a trial that says nothing for many times its usual epoch.
        on_rows: called with the rows of the run once the store has them.

    Raises:
        StudyChangedError: the store holds another definition under this name.
        StoreError: the store cannot be written, or another writer holds the study.
        InvalidValueError: the address is not a head's, a setting is given twice or does not suit the study.
        UnknownNameError: there is no study of this name, or no such setting.
        DatasetMissingError: the data set is not in the data folder of this machine.
        RayLostError: Ray dies during the run.
        TuneJobsError: Ray does not start, no cluster answers, a trial fits no node, or it asks for a GPU that
            this machine does not have.
        RunFailedError: the search cannot continue.
    """
    settings = joined_settings(settings, fields)
    study, found_code = find_study(study, store=settings.store)
    code = code or found_code
    if settings.address is not None:
        check_address(settings.address)
    if job_id() is not None:
        require_lasting_store(settings.store)
    for note in check_reachable(study):  # first: its errors explain best what is wrong with a study
        on_note(note)
    settings.check_gpus(study)
    source = settings.warm_start and read_source(study, settings.warm_start, store=settings.store)
    digest = code_digest(study.training, study.cost)
    session_settings = _session_settings(study, settings, source or None)
    started = replace(session_settings.started, code=digest, code_words=code.words or None if code else None)
    session_settings = replace(session_settings, started=started)
    known = is_known(settings.store, study.name)
    if known:
        study = with_stored_data_name(study, settings.store)
    else:  # before the store learns of the study
        if settings.address is not None:
            require_listener(settings.address)
        check_before_ray(study, settings, code=code)
    with (
        StudyWriter.open(settings.store, study, versions=_versions()) as writer,
        ending_signals() as signals,
    ):
        if source:
            on_note(source.describe(writer.rows))
        for changed in notes_of_change(writer.rows, digest):
            on_note(changed)
        log = writer if on_rows is None else HeardLog(writer, on_rows)
        session = Session(study, log, writer.rows, settings=session_settings, provenance=_provenance())
        begun = session.progress()
        already_complete = session.finished
        if already_complete or session.limit_reached:
            session.close(SessionEnd.FINISHED)
            return _outcome(session, settings, begun, already_complete=already_complete)
        if known:  # here, because a study that is complete needs neither data nor GPUs
            try:
                check_before_ray(study, settings, code=code)
            except BaseException as error:  # an interrupt too ends the session in the store
                _close_failed(session, error)
                raise
        checkpoints = Checkpoints.of(absolute(settings.store), study.name)
        retention = Retention(
            checkpoints, keep=settings.keep_checkpoints, max_bytes=settings.max_checkpoint_bytes
        )

        def tick(progress: Progress) -> None:
            writer.publish_if_due()  # readers see rows in time while trials take long
            retention.tidy(session.history)
            on_progress(progress)

        if settings.inline:
            interrupted = _run_inline(session, settings, checkpoints, signals, tick)
        else:
            interrupted = _run_session(session, settings, code, signals, writer.rows, tick, on_note)
        tick(session.progress())
        retention.tidy(session.history, last=True)
        outcome = _outcome(session, settings, begun, interrupted=interrupted)
        return replace(outcome, signal=signals.number) if interrupted else outcome


def _session_settings(study: Study, settings: RunSettings, source: Source | None) -> SessionSettings:
    hours = settings.max_device_hours
    return SessionSettings(
        max_attempts=settings.max_failures + 1,
        max_failed_in_a_row=settings.max_failed_in_a_row,
        max_device_s=None if hours is None else hours * 3600,
        points=[check_point(study.space, params) for params in settings.points],
        retry_failed=settings.retry_failed,
        origin=source.origin if source else None,
        source_trials=source.trials if source else (),
        started=SessionStarted(
            trials=study.trials,
            workers=1 if settings.inline else settings.workers,
            cpus_per_trial=settings.cpus_per_trial,
            gpus_per_trial=settings.gpus_per_trial,
            kernels=settings.kernels,
            execution=settings.execution,
        ),
    )


def _outcome(session: Session, settings: RunSettings, begun: Progress, **how: bool) -> RunOutcome:
    return RunOutcome(
        study=session.study,
        store=settings.store,
        progress=session.progress(),
        begun=begun,
        limit_reached=session.limit_reached and not session.finished,
        end_reason=session.end_reason,
        **how,
    )


def _run_session(
    session: Session,
    settings: RunSettings,
    code: UserCode | None,
    signals: EndingSignals,
    rows: Sequence[Row],
    on_progress: ProgressListener,
    on_note: Callable[[str], object],
) -> bool:
    """Let Tune work until the session has finished; True if a signal ended it."""
    os.environ.update(TUNE_ENVIRONMENT)  # ray.tune and its workers read it when they import
    on_progress(session.progress())
    is_up = False
    try:
        with (
            scratch_folder() as scratch,
            measured_here(session.study, code, settings) as measurement,
            connected(settings, object_bytes=shared_bytes(session.study, settings)) as connection,
        ):
            signals.listen()  # again: Ray has set its own handler of SIGTERM, which exits at once
            is_up = True
            if dashboard := describe_dashboard(connection.dashboard):
                on_note(dashboard)
            from tune_jobs.on_ray.tuning import fit_session  # Ray: not before the token is shown

            turns = Turns()
            try:
                interrupted = finish_or_leave(
                    lambda: fit_session(
                        session,
                        settings,
                        code,
                        scratch,
                        signals,
                        rows,
                        on_progress,
                        measurement,
                        on_note,
                        turns,
                    ),
                    connection,
                    turns,
                    ended=lambda: signals.arrived,
                )
            except RayLostError:
                if not signals.arrived:
                    raise
                interrupted = True  # the signal went to all processes, and has ended Ray too
    except BaseException as error:  # an interrupt too ends the session in the store
        if is_up or not isinstance(error, SystemExit):
            _close_failed(session, error)
            raise
        signals.arrived = interrupted = True  # SIGTERM came while Ray started, under Ray's own handler
        leave_half_started()
    session.close(SessionEnd.INTERRUPTED if interrupted else SessionEnd.FINISHED)
    return interrupted


def _run_inline(
    session: Session,
    settings: RunSettings,
    checkpoints: Checkpoints,
    signals: EndingSignals,
    on_progress: ProgressListener,
) -> bool:
    """Train in this process until the session has finished; True if a signal ended it."""
    on_progress(session.progress())
    try:
        interrupted = run_inline(
            session, settings, checkpoints, ended=lambda: signals.arrived, on_progress=on_progress
        )
    except BaseException as error:  # an interrupt too ends the session in the store
        _close_failed(session, error)
        raise
    session.close(SessionEnd.INTERRUPTED if interrupted else SessionEnd.FINISHED)
    return interrupted


def _close_failed(session: Session, error: BaseException) -> None:
    """Write the failed end of the session. If that fails too, the caller still shows the first error."""
    try:
        session.close(SessionEnd.FAILED)
    except StoreError as second:
        if not isinstance(error, StoreError):  # else it would repeat the first error
            LOG.warning("the failed end of the run could not be written: %s", second)


def _versions() -> dict[str, str]:
    names = ("tune-jobs", "ray", "optuna", "torch", "pyarrow")
    return {name: found for name in names if (found := _version(name))}


def _version(name: str) -> str | None:
    """The version of an installed package; None for our own in a job's folder, where it lies as files."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _provenance() -> Provenance:
    commit, dirty = git_state(Path.cwd())
    return Provenance(
        git_commit=commit, git_dirty=dirty, ray_version=version("ray"), optuna_version=version("optuna")
    )
