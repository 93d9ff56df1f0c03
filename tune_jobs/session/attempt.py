"""The values that a session, its rows and its workers share: attempts, workers, and settings.

The values are frozen, except `LiveAttempt`, in which a session notes the state of an attempt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from eml_models.training.recipe import Recipe
from tune_jobs.feasible.own_cost import TrialCost
from tune_jobs.search.given import SourceTrial
from tune_jobs.study.events import SessionStarted
from tune_jobs.study.own_training import OwnRecipe
from tune_jobs.study.parameters import Params


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One start of a trial, to be trained by a worker.

    Attributes:
        recipe: of own training, its params with the trial's epochs and seed.
        acknowledged: the epoch of the last acknowledged report of each earlier attempt that has any, by the
            number of the attempt.
        recipe_text: the recipe as JSON, for the row and for the worker.
    """

    trial_id: str
    number: int
    attempt: int
    recipe: Recipe | OwnRecipe
    acknowledged: Mapping[int, int] = field(default_factory=dict)
    recipe_text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe_text", self.recipe.to_json())


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """The worker of an attempt, as far as its messages describe it.

    Attributes:
        gpus: the number of its GPUs, or its share of a GPU; 0 on a CPU.
        kernels: how the shipped training chooses its kernels on CUDA (`eml_models.training.kernels`).
        execution: how the shipped training executes its steps on CUDA, ``graph`` or ``eager``.
        eager_because: why its steps on CUDA are eager, in words; None if they are not.
        step_s: seconds from step to step of the shipped training on CUDA, and `gpu_busy` the share of them in
            which the GPU computes the step (`eml_models.training.step_meter`).
        driver_version: of NVIDIA's driver, such as ``580.159.04``.
        mps: whether an MPS server of NVIDIA's runs on its node, so that trials on a GPU share their
            faults; None on a CPU.
        others_bytes: bytes of its GPU's memory that other processes held when it began; None if it shares
            the GPU with other trials.
        resumed_from_epoch: the epoch whose checkpoint, or saved state, it continued from; 0 for none.
        passed_over: why a newer checkpoint was not used to resume; None if there was no newer checkpoint.
        imports_s: seconds from the call of its function until its code was loaded.
        data_s: seconds for the data set and the network, including a wait for shared data.
        latency_s: seconds for measuring the latency of its network.
        code: the digest of the training code that it has loaded, with that of the study's cost function
            (`tune_jobs.study.code_digest`).
        first_step_s: seconds from the start of the first epoch until the end of its first step.
        peak_memory_bytes: the most memory that it used; only in the message of a failure.
    """

    node: str | None = None
    hostname: str | None = None
    pid: int | None = None
    gpus: float = 0.0
    device: str | None = None
    torch_version: str | None = None
    cudnn_version: int | None = None
    kernels: str | None = None
    execution: str | None = None
    eager_because: str | None = None
    step_s: float | None = None
    gpu_busy: float | None = None
    driver_version: str | None = None
    mps: bool | None = None
    others_bytes: int | None = None
    data_fingerprint: str | None = None
    resumed_from_epoch: int = 0
    passed_over: str | None = None
    imports_s: float | None = None
    data_s: float | None = None
    latency_s: float | None = None
    first_step_s: float | None = None
    code: str | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The driver's commit and versions, stored with each trial."""

    git_commit: str | None = None
    git_dirty: bool | None = None
    ray_version: str | None = None
    optuna_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """The settings of a session; not part of the study's definition.

    Attributes:
        max_attempts: how many crashes fail a trial. Attempts cut short because the driver ended do not count.
        max_failed_in_a_row: how many failed trials, one after the other, end the run.
        max_device_s: seconds for which trials may hold their resources, over all sessions of the study; None
            for no limit.
        points: params to try before the proposals of the sampler, without those that were enqueued before.
        retry_failed: whether each trial that failed (other than by divergence) is tried again as a new trial.
        origin: the study that `source_trials` come from.
        source_trials: trials of another study to learn from; a study learns from each other study once.
        started: the workers and resources that the event of the session's beginning shows.
    """

    max_attempts: int = 3
    max_failed_in_a_row: int = 5
    max_device_s: float | None = None
    points: Sequence[Params] = ()
    retry_failed: bool = False
    origin: str | None = None
    source_trials: Sequence[SourceTrial] = ()
    started: SessionStarted = field(default_factory=SessionStarted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a study: counts of trials, the best trial, and seconds since the session began.

    Attributes:
        target: the number of trials to train.
        trained_before: the trained trials of earlier sessions.
        best: the best value of the first objective; None before a trial has completed.
        working_s: seconds since the first attempt, so without the start of Ray.
        bests: with one objective, each best value so far, with the number of trained trials that had ended
            with it.
        front: with several objectives, how many completed trials no other beats; else None.
    """

    target: int
    trained: int
    trained_before: int
    completed: int
    stopped: int
    failed: int
    infeasible: int
    running: int
    best: float | None
    best_number: int | None
    elapsed_s: float
    working_s: float
    front: int | None = None
    bests: Sequence[tuple[int, float]] = ()


@dataclass(slots=True, kw_only=True)
class LiveAttempt:
    """An attempt that is handed out, and the state that its messages have given it.

    Attributes:
        held_since: the instant at which a worker got it; None while it waits for a worker.
        began: whether a message of its worker has arrived.
    """

    attempt: Attempt
    cost: TrialCost
    handed_out_at: datetime
    held_since: datetime | None = None
    began: bool = False
    worker: WorkerInfo = field(default_factory=WorkerInfo)
    last_epoch: int = 0
    elapsed_s: float = 0.0
    peak_memory_bytes: int | None = None
    latency_ms: float | None = None

    def learn(self, worker: WorkerInfo) -> None:
        """Take the values of a later message; those that it leaves out stay."""
        said = {f.name: value for f in fields(worker) if (value := getattr(worker, f.name)) != f.default}
        self.worker = replace(self.worker, **said)

    @property
    def waited_s(self) -> float:
        """Seconds from handing out until a worker got it; 0 while it waits."""
        return max(0.0, (self.held_since - self.handed_out_at).total_seconds()) if self.held_since else 0.0

    def held_s(self, now: datetime) -> float:
        """Seconds for which a worker has held it."""
        return (now - self.held_since).total_seconds() if self.held_since else 0.0
