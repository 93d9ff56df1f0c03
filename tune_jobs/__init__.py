"""Hyperparameter and architecture search: studies, their trials, and the store that holds them.

The names below come from its modules and are imported when they are first used, so that ``import tune_jobs``
takes milliseconds and loads neither torch nor Ray. `__init__.pyi` tells type checkers the same; a test holds
the two together.
"""

from __future__ import annotations

import importlib

_HOMES = {
    "tune_jobs.space": ("Choice", "Constant", "Float", "Integer", "Space", "When"),
    "tune_jobs.study": ("Asha", "Direction", "Limits", "Objective", "SamplerName", "Study"),
    "tune_jobs.trial": ("Decision", "State"),
    "tune_jobs.errors": (
        "QueryError",
        "RunFailedError",
        "StoreError",
        "StudyChangedError",
        "TuneJobsError",
    ),
    "tune_jobs.on_ray.settings": ("RunSettings",),
    "tune_jobs.on_ray.runner": ("run_study",),
    "tune_jobs.outcome": ("RunOutcome",),
    "tune_jobs.store.reader": ("TrialStore",),
}
"""Which module each public name is from."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value  # the next use costs nothing
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
