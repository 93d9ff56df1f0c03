"""The settings of a run: workers, resources, device, store. Plain values.

Imports no Ray, so that `--help` answers at once. Called by the command line and by `tune_jobs.on_ray`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, TypedDict

from eml_models.errors import InvalidValueError, UnknownNameError, raise_if_any
from eml_models.training.execution import Execution
from eml_models.training.kernels import Kernels
from eml_models.wording import cut
from tune_jobs.session.attempt import Progress
from tune_jobs.store.files.file_urls import as_folder
from tune_jobs.study.field_kinds import FLAG, NUMBER, PATH, TEXT, WHOLE, Kind, read_fields
from tune_jobs.study.json_fields import MAX_COUNT
from tune_jobs.study.parameters import Params
from tune_jobs.study.words import WORDS

if TYPE_CHECKING:
    from tune_jobs.study.definition import Study

AUTO = "auto"
"""The value of `gpus_per_trial` that asks for a measured share, and the default of `device`."""

DEVICES = (AUTO, "cpu", "cuda")
"""The devices that trials may train on; ``auto`` is the best that there is."""


def _read_gpus(value: Any) -> Any:
    return value if isinstance(value, str) else NUMBER.read(value)


KINDS: Mapping[str, Kind] = {
    "store": PATH,
    "workers": WHOLE.or_none(),
    "cpus_per_trial": WHOLE,
    "gpus_per_trial": Kind(f"a number or {AUTO}", _read_gpus).or_none(),
    "device": TEXT,
    "kernels": TEXT,
    "execution": TEXT,
    "data_dir": PATH.or_none(),
    "download": FLAG,
    "address": TEXT.or_none(),
    "max_failures": WHOLE,
    "max_failed_in_a_row": WHOLE,
    "max_device_hours": NUMBER.or_none(),
    "checkpoint_period_s": NUMBER,
    "keep_checkpoints": WHOLE,
    "max_checkpoint_bytes": WHOLE.or_none(),
    "trial_timeout_s": NUMBER.or_none(),
    "retry_failed": FLAG,
    "inline": FLAG,
    "warm_start": TEXT.or_none(),
}
"""The kinds of the settings' values; `points` has a rule of its own."""

NO_AUTO = (
    "--gpus-per-trial auto measures a step of the shipped training, and this study trains by a function of"
    " its own; give --gpus-per-trial a number"
)

OF_SHIPPED_TRAINING = ("kernels", "execution")
"""Settings that only the shipped training obeys."""

ProgressListener = Callable[[Progress], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The settings of a run; none of them is part of the study's definition.

    Attributes:
        store: the folder or bucket of the store; a file URL (``file:///shared/trials``) becomes its folder.
        workers: trials at a time; None for as many as the resources allow.
        cpus_per_trial: CPU cores of a trial, a whole number; also its number of threads.
        gpus_per_trial: GPUs of a trial: a fraction up to 1, or a whole number; ``auto`` for the share that
            the largest candidate needs, by a measured step; None for one GPU if there is any, else for none.
        device: ``auto``, ``cpu`` or ``cuda``.
        kernels: how the shipped training chooses its kernels on CUDA: a name of `Kernels`.
        execution: how the shipped training executes its steps on CUDA: a name of `Execution`.
        data_dir: the folder of data sets; None is ``data`` in the working folder.
        download: whether a data set that is missing there is downloaded.
        address: the address of a running cluster; None, or Ray's word ``local``, starts Ray on this machine
            for the run alone.
        max_failures: how many crashes of its workers a trial survives.
        max_failed_in_a_row: how many failed trials, one after the other, end the run.
        max_device_hours: hours for which the study's trials may hold their resources, over all runs; None for
            no limit.
        checkpoint_period_s: seconds of training between two checkpoints of a trial; 0 saves each epoch.
        keep_checkpoints: how many of the best trials keep their weights.
        max_checkpoint_bytes: the most bytes that the weights of all trials may take; the worst of the best
            trials lose theirs first. None for no limit.
        trial_timeout_s: seconds without a report after which a trial counts as hung; None for no limit.
        points: params to try before the proposals of the sampler.
        retry_failed: whether failed trials are tried again.
        inline: whether the trials are trained in this process, one after the other and without Ray.
        warm_start: another study to learn from, ``NAME`` or ``STORE::NAME``.
    """

    store: str = "trials"
    workers: int | None = None
    cpus_per_trial: int = 1
    gpus_per_trial: float | str | None = None
    device: str = "auto"
    kernels: str = Kernels.DEFAULT
    execution: str = Execution.AUTO
    data_dir: str | None = None
    download: bool = False
    address: str | None = None
    max_failures: int = 2
    max_failed_in_a_row: int = 5
    max_device_hours: float | None = None
    checkpoint_period_s: float = 30.0
    keep_checkpoints: int = 3
    max_checkpoint_bytes: int | None = None
    trial_timeout_s: float | None = None
    points: tuple[Params, ...] = ()
    retry_failed: bool = False
    inline: bool = False
    warm_start: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", as_points(self.points))
        read_fields(self, KINDS, subject="run settings")
        if self.address == "local":
            object.__setattr__(self, "address", None)
        object.__setattr__(self, "store", as_folder(self.store))
        problems = self._inline_problems() if self.inline else []
        for name, count in (("workers", self.workers), ("cpus_per_trial", self.cpus_per_trial)):
            if count is not None and not 1 <= count < MAX_COUNT:
                rule = "at least 1" if count < 1 else f"below {MAX_COUNT:,}"
                problems.append(f"{name} must be {rule}, got {cut(count)}")
        gpus = self.gpus_per_trial
        if isinstance(gpus, str):
            if gpus != AUTO:
                problems.append(f"gpus_per_trial must be a number or {AUTO}, got {gpus!r}")
        elif gpus is not None and not (0 <= gpus <= 1 or MAX_COUNT > gpus == gpus // 1 > 0):
            problems.append(f"gpus_per_trial must be a fraction up to 1 or a whole number, got {gpus:g}")
        if self.kernels not in set(Kernels):
            problems.append(f"kernels must be one of {', '.join(Kernels)}, got {self.kernels!r}")
        if self.execution not in set(Execution):
            problems.append(f"execution must be one of {', '.join(Execution)}, got {self.execution!r}")
        if self.device not in DEVICES:
            problems.append(f"device must be auto, cpu or cuda, got {self.device!r}")
        if self.device == "cpu" and gpus:
            problems.append(f"gpus_per_trial must be 0 or left out with device cpu, got {gpus}")
        if self.device == "cuda" and gpus == 0:
            problems.append("gpus_per_trial must be above 0 or left out with device cuda, got 0")
        if self.max_failures < 0:
            problems.append(f"max_failures must be at least 0, got {self.max_failures}")
        if self.max_failed_in_a_row < 1:
            problems.append(f"max_failed_in_a_row must be at least 1, got {self.max_failed_in_a_row}")
        if self.max_device_hours is not None and not self.max_device_hours > 0:
            problems.append(f"max_device_hours must be above 0, got {self.max_device_hours:g}")
        if not self.checkpoint_period_s >= 0:
            problems.append(f"checkpoint_period_s must be at least 0, got {self.checkpoint_period_s:g}")
        if self.keep_checkpoints < 0:
            problems.append(f"keep_checkpoints must be at least 0, got {self.keep_checkpoints}")
        if self.max_checkpoint_bytes is not None and self.max_checkpoint_bytes < 0:
            problems.append(f"max_checkpoint_bytes must be at least 0, got {self.max_checkpoint_bytes:,}")
        if self.trial_timeout_s is not None and not 0 < self.trial_timeout_s < math.inf:
            problems.append(f"trial_timeout_s must be a number above 0, got {self.trial_timeout_s:g}")
        raise_if_any("run settings", problems)

    def _inline_problems(self) -> list[str]:
        """Settings that a run in this process cannot have."""
        wrong = {
            "address": self.address,
            "workers": None if self.workers in (None, 1) else self.workers,
            "gpus_per_trial": None if self.gpus_per_trial in (None, 0, 1) else self.gpus_per_trial,
            "trial_timeout_s": self.trial_timeout_s,
        }
        return [
            f"{name} is of a run on Ray, and this run is in one process (inline), got {value}; leave it out"
            for name, value in wrong.items()
            if value is not None
        ]

    def check_gpus(self, study: Study) -> None:
        """Refuse a number of GPUs, and settings of the steps on them, that this study cannot use.

        Raises:
            InvalidValueError: the training cannot use several GPUs, a latency would be measured on a GPU that
                other trials use too, or a training of the user's own was to be measured, or to have other
                kernels or steps than its code gives it.
        """
        if study.has_own_fit:
            raise_if_any(f"study {study.name!r}", self._problems_of_own_training())
        gpus = self.gpus_per_trial
        if gpus == AUTO and study.has_own_fit and study.latency is None:
            raise InvalidValueError(NO_AUTO)
        if isinstance(gpus, str) or gpus is None:
            return
        if gpus > 1 and not study.has_own_fit:
            raise InvalidValueError(
                f"gpus_per_trial must be at most 1 for the shipped training, got {gpus:g}: it uses one GPU,"
                " and the others would stay idle. Leave it out, and trials run side by side on all GPUs"
            )
        if 0 < gpus < 1 and study.latency is not None:
            raise InvalidValueError(
                f"latency is measured on a whole GPU, got --gpus-per-trial {gpus:g}: other trials on the same"
                " GPU would slow the network. Give --gpus-per-trial 1, or leave --measure-latency out"
            )

    def _problems_of_own_training(self) -> list[str]:
        """Settings that a training function of the user's own would not obey."""
        defaults = {field.name: field.default for field in fields(self)}
        return [
            f"--{name} is of the shipped training, and this study trains by its own function, got"
            f" {getattr(self, name)}; leave it out, and choose it in the function"
            for name in OF_SHIPPED_TRAINING
            if getattr(self, name) != defaults[name]
        ]


def as_points(given: Any) -> tuple[Params, ...]:
    """Points as a person gives them: a mapping of params by name, or a list of mappings.

    Raises:
        InvalidValueError: it is something else.
    """
    items = given if isinstance(given, list | tuple) else [given]
    problems = [
        f"a point must be a dict, got {cut(item)}; write such as points=[{{'learning_rate': 0.01}}]"
        for item in items
        if not isinstance(item, Mapping)
    ]
    raise_if_any("run settings", problems)
    return tuple(dict(item) for item in items)


OF_THE_STUDY = (
    *WORDS,
    "trials",
    "seed",
    "sampler",
    "objectives",
    "space",
    "recipe",
    "asha",
    "limits",
    "name",
    "latency",
)
"""Changes of a study that a caller may take for settings."""


class SettingFields(TypedDict, total=False):
    """The fields of `RunSettings` as keywords of `run_study`; a test compares the two."""

    store: str
    workers: int | None
    cpus_per_trial: int
    gpus_per_trial: float | str | None
    device: str
    kernels: str
    execution: str
    data_dir: str | None
    download: bool
    address: str | None
    max_failures: int
    max_failed_in_a_row: int
    max_device_hours: float | None
    checkpoint_period_s: float
    keep_checkpoints: int
    max_checkpoint_bytes: int | None
    trial_timeout_s: float | None
    points: tuple[Params, ...]
    retry_failed: bool
    inline: bool
    warm_start: str | None


def joined_settings(settings: RunSettings | None, given: Mapping[str, Any]) -> RunSettings:
    """The settings with the fields that are given as keywords.

    Args:
        settings: the settings as one value; a field at its default counts as not given.

    Raises:
        UnknownNameError: a keyword is no field of `RunSettings`.
        InvalidValueError: a field is in both or belongs to the study, `settings` is something else, or a
            value breaks a rule.
    """
    if settings is not None and not isinstance(settings, RunSettings):
        raise InvalidValueError(
            f"settings must be a RunSettings, got {cut(settings)}; write such as RunSettings(workers=2), or"
            " give its fields as keywords: run_study(study, workers=2)"
        )
    defaults = {field.name: field.default for field in fields(RunSettings)}
    for name, value in given.items():
        if name in OF_THE_STUDY:
            raise InvalidValueError(
                f"{name} belongs to the study, not to its run, got {name}={cut(value)}; write"
                f" run_study(study.with_changes({name}={cut(value)}))"
            )
        if name not in defaults:
            raise UnknownNameError("setting of a run", name, dict.fromkeys([*defaults, *OF_THE_STUDY]))
    if settings is None:
        return RunSettings(**given)
    raise_if_any(
        "run settings",
        [
            f"{name} is given twice, got {cut(getattr(settings, name))} in settings and {cut(value)} as a"
            " keyword; keep one of them"
            for name, value in given.items()
            if getattr(settings, name) != defaults[name]
        ],
    )
    return replace(settings, **given)
