"""One run of Ray Tune over a session, on a Ray that is already connected.

Only `tune_jobs.on_ray.runner` calls this. It sets Tune's environment before it imports this module, which
imports Tune.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import Any, Protocol

from ray import tune
from ray.tune import Callback, PlacementGroupFactory, ProgressReporter, RunConfig, TuneConfig, Tuner

from tune_jobs.checkpoints.files import Checkpoints
from tune_jobs.checkpoints.logs import Logs
from tune_jobs.inputs.user_code import UserCode
from tune_jobs.on_ray.bridge import Bridge, DriverOnly, StudyScheduler, StudySearcher, StudyStopper
from tune_jobs.on_ray.cluster.autoscaler import has_autoscaler
from tune_jobs.on_ray.cluster.deaths import deaths_recognised
from tune_jobs.on_ray.cluster.room import Room, Share, has_gpus
from tune_jobs.on_ray.failures_on_ray import FailuresOnRay
from tune_jobs.on_ray.gpus.measure import LocalMeasurement, measure_part
from tune_jobs.on_ray.gpus.share import GpuPart, Shares
from tune_jobs.on_ray.jobs.progress import JobProgress
from tune_jobs.on_ray.leaving import Turns
from tune_jobs.on_ray.private import ray_logs_here, workers_named
from tune_jobs.on_ray.prometheus import StudyMetrics
from tune_jobs.on_ray.worker.payload import build_payload
from tune_jobs.on_ray.worker.shared_data import SharedRead, is_shared
from tune_jobs.on_ray.worker.store_probe import StoreProbe
from tune_jobs.on_ray.worker.trainable import build_trainable
from tune_jobs.session.settings import AUTO, ProgressListener, RunSettings
from tune_jobs.session.silence import SilenceWatch, longest_epoch_s
from tune_jobs.session.state_machine import Session
from tune_jobs.store.files.protocol import absolute
from tune_jobs.study.code_digest import parts_of
from tune_jobs.study.definition import Study
from tune_jobs.study.rows import Row

LOG = logging.getLogger("tune_jobs.run")
PROGRESS_PERIOD_S = 0.25


class EndingSignals(Protocol):
    """Holds whether a signal asked for the end of the run."""

    arrived: bool


def fit_session(
    session: Session,
    settings: RunSettings,
    code: UserCode | None,
    scratch: Path,
    signals: EndingSignals,
    rows: Sequence[Row],
    on_progress: ProgressListener,
    measurement: LocalMeasurement | None,
    on_note: Callable[[str], object],
    turns: Turns,
) -> bool:
    """Let Tune schedule the session's attempts until the session has finished; True if a signal ended it.

    Args:
        rows: every row of the study; the study's writer appends to them.
        measurement: the measurement of a step on this machine's GPU, if it is under way.
        on_note: called with a note for the user, such as one on a trial that says nothing.
        turns: says how long this thread may write rows.

    Raises:
        EmlError: the session's error, raised after Tune has ended in order.
    """
    reading = None
    if settings.gpus_per_trial == AUTO and is_shared(session.study, settings):  # while it is measured
        whole = Share(cpus=settings.cpus_per_trial, gpus=1.0)
        reading = SharedRead.begin(session.study, code, settings, whole.resources())
    part = None
    try:
        part = _part_of_gpu(session.study, code, settings, signals, measurement)
    finally:
        if part is None and reading is not None:
            reading.close()
    if part is None:
        return True
    share = Share(cpus=settings.cpus_per_trial, gpus=part.gpus)
    room = Room(share, wanted=settings.workers)
    room.require(ended=lambda: signals.arrived)
    shares = Shares(share.gpus, rows)
    bridge = Bridge(
        session,
        room,
        shares,
        ended=lambda: signals.arrived,
        trial_timeout_s=settings.trial_timeout_s,
        turns=turns,
        failures=FailuresOnRay(
            Logs(store=absolute(settings.store), study=session.study.name), ray_logs=ray_logs_here()
        ),
        watch=SilenceWatch(longest_s=longest_epoch_s(rows)),
    )
    alone = settings.address is None and room.workers(session.num_left, training=0) == 1
    if reading is None and is_shared(session.study, settings) and not alone:
        reading = SharedRead.begin(session.study, code, settings, share.resources())
    probe = StoreProbe.leave(absolute(settings.store), session.study.name)
    payload = build_payload(
        session.study,
        code,
        threads=settings.cpus_per_trial,
        device="cuda" if share.gpus else "cpu",
        kernels=settings.kernels,
        execution=settings.execution,
        beside_bytes=part.beside_bytes,
        is_shipped=not session.study.has_own_fit,
        data_dir=settings.data_dir,
        download=settings.download,
        checkpoints=Checkpoints.of(absolute(settings.store), session.study.name),
        checkpoint_period_s=settings.checkpoint_period_s,
        trial_timeout_s=settings.trial_timeout_s,
        probe=probe,
        latency=session.study.latency,
        cost_code=parts_of(session.settings.started.code or "")[1] or None,
        shared=reading.data if reading else None,
    )
    trainable = tune.with_resources(
        build_trainable(payload), lambda config: _place(Share(cpus=share.cpus, gpus=config["gpus"]))
    )
    name = session.study.name  # Tune pickles what its options refer to

    def trial_name(config: Mapping[str, Any]) -> str:
        return f"{name}-{config['number']:05d}"

    tuner = Tuner(
        trainable,
        tune_config=TuneConfig(
            search_alg=StudySearcher(bridge),
            scheduler=StudyScheduler(bridge),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=lambda trial: trial_name(trial.config),
            trial_dirname_creator=lambda trial: str(trial.trial_id),
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(scratch),
            stop=StudyStopper(bridge),
            callbacks=[_Ticker(bridge, StudyMetrics(name, rows), on_progress, on_note, reading)],
            progress_reporter=SilentReporter(),
            verbose=0,
        ),
    )
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    try:
        with deaths_recognised(), workers_named(f"{name}/{token_hex(3)}", trial_name):
            tuner.fit()
    finally:
        room.close()
        probe.remove()
        if reading:
            reading.close()
    if bridge.error is not None:
        raise bridge.error
    return bridge.interrupted


class SilentReporter(DriverOnly, ProgressReporter):
    """Reports nothing. In a notebook Tune's own reporter clears the cell, with our progress and our notes."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:
        return False

    def report(self, trials: list[Any], done: bool, *sys_info: str) -> None:
        """Does nothing: the run shows its own progress."""


class _Ticker(DriverOnly, Callback):
    """Passes signals and workers' starts to the bridge, and progress and silences to listeners, between
    steps of Tune."""

    def __init__(
        self,
        bridge: Bridge,
        metrics: StudyMetrics,
        on_progress: ProgressListener,
        on_note: Callable[[str], object],
        reading: SharedRead | None,
    ) -> None:
        self._bridge, self._reading, self._on_note = bridge, reading, on_note
        self._metrics, self._on_progress, self._job = metrics, on_progress, JobProgress()
        self._next_at = 0.0

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._bridge.take_start(trial.trial_id)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._bridge.check_signals()
        if (now := time.monotonic()) >= self._next_at:
            self._next_at = now + PROGRESS_PERIOD_S
            self._bridge.in_turn(self.show_progress)
            if self._reading:
                self._reading.warn_of_failure()

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        self._job.update(self._bridge.session.progress(), last=True)

    def show_progress(self) -> None:
        """Pass the session's progress, and notes on silent trials, to the listeners."""
        progress = self._bridge.session.progress()
        self._metrics.update(progress)
        self._job.update(progress)
        self._on_progress(progress)
        for silence in self._bridge.iter_silences():
            self._on_note(silence)


def _part_of_gpu(
    study: Study,
    code: UserCode | None,
    settings: RunSettings,
    signals: EndingSignals,
    measurement: LocalMeasurement | None,
) -> GpuPart | None:
    """The GPUs of a trial's first attempt; None if a signal came while they were measured."""
    if settings.device == "cpu":
        return GpuPart(gpus=0.0)
    if settings.gpus_per_trial == AUTO:
        if study.latency is not None:
            LOG.warning("each trial gets a whole GPU, because its network's latency must be measured alone")
            return GpuPart(gpus=1.0)
        whole = Room(Share(cpus=settings.cpus_per_trial, gpus=1.0), wanted=1)
        whole.require(ended=lambda: signals.arrived)
        has_room = whole.wait(ended=lambda: signals.arrived)
        whole.close()  # its demand would hold the GPU
        if not has_room:
            return None
        return measure_part(study, code, settings, measurement, ended=lambda: signals.arrived)
    if settings.gpus_per_trial is not None:
        wanted = float(settings.gpus_per_trial)
    else:
        wanted = 1.0 if settings.device == "cuda" or has_gpus() else 0.0
        if not wanted and has_autoscaler():
            LOG.warning(
                "no node has a GPU, so trials run on CPUs alone; if the autoscaler can start nodes with GPUs,"
                " give --gpus-per-trial"
            )
    return GpuPart(gpus=wanted)


def _place(share: Share) -> PlacementGroupFactory:
    """The resources that Tune requests for a trial: one bundle, on one node."""
    return PlacementGroupFactory([share.resources()])
