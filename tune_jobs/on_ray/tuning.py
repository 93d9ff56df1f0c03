"""One Ray Tune run over a session, on a Ray that is already connected.

Called by `tune_jobs.on_ray.runner` only, which sets Tune's environment before this module imports it.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, Protocol

from ray import tune
from ray.tune import Callback, PlacementGroupFactory, RunConfig, TuneConfig, Tuner

from tune_jobs.checkpoints import Checkpoints
from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.bridge import Bridge, DriverOnly, StudyScheduler, StudySearcher, StudyStopper
from tune_jobs.on_ray.gpu_measure import measure_share
from tune_jobs.on_ray.gpu_share import Shares
from tune_jobs.on_ray.metrics import StudyMetrics
from tune_jobs.on_ray.room import Room, Share, has_gpus
from tune_jobs.on_ray.row_tap import RowTap
from tune_jobs.on_ray.settings import AUTO, ProgressListener, RunSettings
from tune_jobs.on_ray.trainable import build_payload, build_trainable
from tune_jobs.session import Session
from tune_jobs.store.files import absolute
from tune_jobs.store_probe import StoreProbe
from tune_jobs.study import Study
from tune_jobs.user_code import UserCode

PROGRESS_PERIOD_S = 0.25


class EndingSignals(Protocol):
    """Whether a signal asked for the end."""

    arrived: bool


def fit_session(
    session: Session,
    settings: RunSettings,
    code: UserCode | None,
    scratch: Path,
    signals: EndingSignals,
    tap: RowTap,
    on_progress: ProgressListener,
) -> bool:
    """Let Tune schedule the session's attempts until it has finished; True if a signal ended it.

    Raises:
        EmlError: what the session raised; Tune has ended in order by then.
    """
    share = Share(cpus=settings.cpus_per_trial, gpus=_gpus_per_trial(session.study, code, settings))
    room = Room(share, wanted=settings.workers)
    room.require()
    shares = Shares(share.gpus, tap.rows)
    bridge = Bridge(session, room, shares, trial_timeout_s=settings.trial_timeout_s)
    probe = StoreProbe.leave(absolute(settings.store), session.study.name)
    payload = build_payload(
        session.study,
        code,
        threads=settings.cpus_per_trial,
        device="cuda" if share.gpus else "cpu",
        data_dir=settings.data_dir,
        download=settings.download,
        checkpoints=Checkpoints(store=absolute(settings.store), study=session.study.name),
        checkpoint_period_s=settings.checkpoint_period_s,
        trial_timeout_s=settings.trial_timeout_s,
        probe=probe,
        latency=session.study.latency,
    )
    trainable = tune.with_resources(
        build_trainable(payload), lambda config: _place(Share(cpus=share.cpus, gpus=config["gpus"]))
    )
    name = session.study.name  # Tune pickles what its options refer to
    tuner = Tuner(
        trainable,
        tune_config=TuneConfig(
            search_alg=StudySearcher(bridge),
            scheduler=StudyScheduler(bridge),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=lambda trial: f"{name}-{trial.config['number']:05d}",
            trial_dirname_creator=lambda trial: str(trial.trial_id),
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(scratch),
            stop=StudyStopper(bridge),
            callbacks=[_Ticker(bridge, signals, StudyMetrics(name, tap), on_progress)],
            verbose=0,
        ),
    )
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    try:
        tuner.fit()
    finally:
        room.close()
        probe.remove()
    if bridge.error is not None:
        raise bridge.error
    return bridge.interrupted


class _Ticker(DriverOnly, Callback):
    """Passes signals to the bridge and progress to its listeners, between two steps of Tune."""

    def __init__(
        self, bridge: Bridge, signals: EndingSignals, metrics: StudyMetrics, on_progress: ProgressListener
    ) -> None:
        self._bridge, self._signals = bridge, signals
        self._metrics, self._on_progress = metrics, on_progress
        self._next_at = 0.0

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self._signals.arrived:
            self._bridge.interrupted = True
        if (now := time.monotonic()) >= self._next_at:
            self._next_at = now + PROGRESS_PERIOD_S
            progress = self._bridge.session.progress()
            self._metrics.update(progress)
            self._on_progress(progress)


def _gpus_per_trial(study: Study, code: UserCode | None, settings: RunSettings) -> float:
    if settings.device == "cpu":
        return 0.0
    if settings.gpus_per_trial == AUTO:
        Room(Share(cpus=settings.cpus_per_trial, gpus=1.0), wanted=1).require()
        return measure_share(study, code, settings)
    if settings.gpus_per_trial is not None:
        wanted = float(settings.gpus_per_trial)
    else:
        wanted = 1.0 if settings.device == "cuda" or has_gpus() else 0.0
    if settings.device == "cuda" and wanted == 0:
        raise TuneJobsError("device cuda needs a GPU, and gpus_per_trial is 0; use --device cpu")
    return wanted


def _place(share: Share) -> PlacementGroupFactory:
    """What Tune asks Ray for: one bundle, on one node."""
    return PlacementGroupFactory([share.resources()])
