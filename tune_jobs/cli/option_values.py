"""The options of the verbs as typed values, built once from the words that click parsed.

Imports neither click nor anything heavy. A test checks that each field has its option and each option its
field. Called by the modules `<x>_verbs`, which build the values, and `<x>_commands`, which take them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningOptions:
    """How `run`, `submit` and `finalists` run a study, not its definition. None: the option was not given."""

    name: str | None
    store: str
    data_dir: str | None
    download: bool
    workers: int | None
    cpus_per_trial: int
    gpus_per_trial: str | None
    device: str
    kernels: str
    execution: str
    max_failures: int
    max_failed_in_a_row: int
    max_device_hours: float | None
    checkpoint_period_s: float
    keep_checkpoints: int
    max_checkpoint_gb: float | None
    trial_timeout_s: float | None
    retry_failed: bool
    rename: bool
    scale: str
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(RunningOptions):
    """The options of `run` and `submit`; `submit` uses `address` for itself, and its job has none."""

    trials: int | None
    epochs: int | None
    seed: int | None
    dataset: str | None
    train_samples: int | None
    objectives: str | None
    sampler: str | None
    no_asha: bool
    precision: str | None
    fix: tuple[str, ...]
    max_macs: str | None
    min_macs: str | None
    max_parameters: str | None
    measure_latency: str | None
    max_latency_ms: float | None
    enqueue: str | None
    warm_start: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalistsOptions(RunningOptions):
    """The options of `finalists`."""

    top: int
    front: bool
    repeats: int | None
    epochs: int | None
    baseline: tuple[str, ...]
    dataset: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyOptions:
    """The options of `latency`."""

    device: str
    batch_sizes: str | None
    modes: str
    input_shape: str | None
    threads: int
    max_minutes: float | None
    address: str | None
