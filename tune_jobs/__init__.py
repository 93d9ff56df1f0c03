"""Hyperparameter and architecture search: studies, their trials, and the store that holds them.

The names below come from its modules and are imported when they are first used, so that ``import tune_jobs``
takes milliseconds and loads neither torch nor Ray. `__init__.pyi` tells type checkers the same; a test holds
the two together.
"""

from __future__ import annotations

from eml_models.lazy import lazy_names

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
    "tune_jobs.on_ray.runner": ("RunOutcome", "run_study"),
    "tune_jobs.store.reader": ("TrialStore",),
}
"""Which module each public name is from."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)

__getattr__, __dir__ = lazy_names(__name__, _HOME_OF)
