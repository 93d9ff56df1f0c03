"""One Ray Tune run over a session, on a Ray that is already connected.

Called by `tune_jobs.on_ray.runner` only, which sets Tune's environment before this module imports it.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any, Protocol

import ray
from ray import tune
from ray.tune import Callback, RunConfig, TuneConfig, Tuner

from tune_jobs.checkpoints import Checkpoints
from tune_jobs.errors import TuneJobsError
from tune_jobs.on_ray.bridge import Bridge, DriverOnly, StudyScheduler, StudySearcher, StudyStopper
from tune_jobs.on_ray.settings import ProgressListener, RunSettings
from tune_jobs.on_ray.trainable import build_payload, build_trainable
from tune_jobs.session import Session
from tune_jobs.store.files import absolute
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
    on_progress: ProgressListener,
) -> bool:
    """Let Tune schedule the session's attempts until it has finished; True if a signal ended it.

    Raises:
        EmlError: what the session raised; Tune has ended in order by then.
    """
    gpus = _gpus_per_trial(settings)
    bridge = Bridge(session, workers=_num_workers(settings, gpus), trial_timeout_s=settings.trial_timeout_s)
    checkpoints = Checkpoints(store=absolute(settings.store), study=session.study.name)
    payload = build_payload(
        session.study,
        code,
        threads=settings.cpus_per_trial,
        device="cuda" if gpus else "cpu",
        data_dir=settings.data_dir,
        download=settings.download,
        checkpoints=checkpoints,
        checkpoint_period_s=settings.checkpoint_period_s,
        trial_timeout_s=settings.trial_timeout_s,
    )
    trainable = tune.with_resources(build_trainable(payload), {"cpu": settings.cpus_per_trial, "gpu": gpus})
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
            callbacks=[_Ticker(bridge, signals, on_progress)],
            verbose=0,
        ),
    )
    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    tuner.fit()
    if bridge.error is not None:
        raise bridge.error
    return bridge.interrupted


class _Ticker(DriverOnly, Callback):
    """Passes signals to the bridge and progress to its listener, between two steps of Tune."""

    def __init__(self, bridge: Bridge, signals: EndingSignals, on_progress: ProgressListener) -> None:
        self._bridge, self._signals, self._on_progress = bridge, signals, on_progress
        self._next_at = 0.0

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        if self._signals.arrived:
            self._bridge.interrupted = True
        if (now := time.monotonic()) >= self._next_at:
            self._next_at = now + PROGRESS_PERIOD_S
            self._on_progress(self._bridge.session.progress())


def _gpus_per_trial(settings: RunSettings) -> float:
    if settings.device == "cpu":
        return 0.0
    available = float(ray.cluster_resources().get("GPU", 0.0))
    wanted = settings.gpus_per_trial if settings.gpus_per_trial is not None else min(1.0, available)
    if settings.device == "cuda" and wanted == 0:
        raise TuneJobsError(
            "device cuda needs a GPU, and Ray sees none; use --device cpu or a cluster with GPUs"
        )
    if wanted > available:
        raise TuneJobsError(f"gpus_per_trial is {wanted:g}, and Ray sees {available:g} GPUs in all")
    return wanted


def _num_workers(settings: RunSettings, gpus: float) -> int:
    resources = ray.cluster_resources()
    most = int(resources.get("CPU", 1) // settings.cpus_per_trial)
    if gpus:
        most = min(most, int(resources["GPU"] / gpus))
    if most < 1:
        raise TuneJobsError(
            f"a trial needs {settings.cpus_per_trial} CPUs, and Ray sees {resources.get('CPU', 0):g};"
            " lower --cpus-per-trial"
        )
    return min(settings.workers or most, most)
