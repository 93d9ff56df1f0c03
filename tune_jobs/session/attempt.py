"""The values that a session, its rows and its workers share: an attempt, and who runs it.

Frozen values only; `LiveAttempt` is the one exception: the session's note of what a worker holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime

from eml_models.training.recipe import Recipe
from tune_jobs.feasible.cost import NetworkCost
from tune_jobs.search.given import ToldTrial
from tune_jobs.study.events import SessionStarted
from tune_jobs.study.space import Params


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One start of a trial, to be trained by a worker.

    Attributes:
        recipe_text: the recipe as JSON, as its row holds it and its worker gets it; written once.
    """

    trial_id: str
    number: int
    attempt: int
    recipe: Recipe
    recipe_text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "recipe_text", self.recipe.to_json())


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """Where an attempt runs and with what, as far as it has said; with a failure also its most memory.

    Attributes:
        gpus: how many GPUs, or what share of one, it was given; 0 on a CPU.
        kernels: how the shipped training comes to its kernels on CUDA (`eml_models.training.kernels`).
        passed_over: why a newer checkpoint was not used to resume; None if there was no newer checkpoint.
        imports_s: seconds from its function's call until its code was loaded.
        data_s: seconds for the data set and the network, those of a wait for shared data included.
        latency_s: seconds for measuring its network's latency.
        code: the digest of the training code that it has loaded (`tune_jobs.study.code_digest`).
        first_step_s: of the first epoch's seconds, those until the end of its first step.
    """

    node: str | None = None
    hostname: str | None = None
    pid: int | None = None
    gpus: float = 0.0
    device: str | None = None
    torch_version: str | None = None
    cudnn_version: int | None = None
    kernels: str | None = None
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
    """What the driver knows of where results come from."""

    git_commit: str | None = None
    git_dirty: bool | None = None
    ray_version: str | None = None
    optuna_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSettings:
    """How a run goes; not part of the study's definition.

    Attributes:
        max_attempts: attempts of one trial that may end by a crash of its worker, the last of which fails the
            trial; those that a driver's end cut short are not counted.
        max_failed_in_a_row: trials that fail one after the other before the run ends.
        max_device_s: seconds that trials may hold their resources, over all sessions of the study; None for
            any.
        points: to try before the sampler is asked; those that were enqueued or tried before are left out.
        retry_failed: whether trials that failed (other than by divergence) are tried again, each in another.
        origin: the study that `told` is from.
        told: trials of another study to learn from; told once.
        started: what the session's event shows of its workers and their resources.
    """

    max_attempts: int = 3
    max_failed_in_a_row: int = 5
    max_device_s: float | None = None
    points: Sequence[Params] = ()
    retry_failed: bool = False
    origin: str | None = None
    told: Sequence[ToldTrial] = ()
    started: SessionStarted = field(default_factory=SessionStarted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a study is: counts of trials, the best one, and seconds since the session began.

    `front` is how many trials no other beats, where there are several objectives; `best` is of the first.
    `working_s` counts from the first attempt, so without the start of Ray.
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


@dataclass(slots=True, kw_only=True)
class LiveAttempt:
    """An attempt that a worker holds or will hold, as far as the session has heard of it.

    Attributes:
        held_since: the instant at which a worker got it; None while it waits.
    """

    attempt: Attempt
    cost: NetworkCost
    handed_out_at: datetime
    held_since: datetime | None = None
    began: bool = False
    worker: WorkerInfo = field(default_factory=WorkerInfo)
    last_epoch: int = 0
    elapsed_s: float = 0.0
    peak_memory_bytes: int | None = None
    latency_ms: float | None = None

    def learn(self, worker: WorkerInfo) -> None:
        """Take what a later message says of the worker; what it leaves out stands."""
        said = {f.name: value for f in fields(worker) if (value := getattr(worker, f.name)) != f.default}
        self.worker = replace(self.worker, **said)

    @property
    def waited_s(self) -> float:
        """Seconds from handing out until a worker had it; 0 while it waits."""
        return max(0.0, (self.held_since - self.handed_out_at).total_seconds()) if self.held_since else 0.0

    def held_s(self, now: datetime) -> float:
        """Seconds for which a worker has had it."""
        return (now - self.held_since).total_seconds() if self.held_since else 0.0
