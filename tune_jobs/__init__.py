"""Hyperparameter and architecture search: studies, their trials, and the store that holds them.

`__version__` is the version of the installed package, which `pyproject.toml` alone states.
The names below come from its modules and are imported when they are first used, so that ``import tune_jobs``
takes milliseconds and loads neither torch nor Ray. `__init__.pyi` tells type checkers the same; a test holds
the two together.
"""

from __future__ import annotations

from eml_models.lazy import lazy_names

_HOMES = {
    "tune_jobs.study.space": ("Choice", "Constant", "Float", "Integer", "Space", "When"),
    "tune_jobs.study.definition": ("Study",),
    "tune_jobs.study.method": ("Asha", "Limits", "SamplerName"),
    "tune_jobs.study.objective": ("Direction", "Objective"),
    "tune_jobs.study.rows": ("Decision", "State"),
    "tune_jobs.errors": (
        "QueryError",
        "RunFailedError",
        "StoreError",
        "StudyChangedError",
        "TuneJobsError",
    ),
    "tune_jobs.session.settings": ("RunSettings",),
    "tune_jobs.on_ray.runner": ("run_study",),
    "tune_jobs.session.outcome": ("RunOutcome",),
    "tune_jobs.store.reader": ("TrialStore",),
}
"""Which module each public name is from."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)

DISTRIBUTION = "tune-jobs"
NOT_INSTALLED = "0+not.installed"
"""The version of code that is run from a folder: no release has it, and any release is newer."""


def _version() -> str:
    import importlib.metadata  # it takes 18 ms, which `import tune_jobs` need not

    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return NOT_INSTALLED


_find, _list = lazy_names(__name__, _HOME_OF)


def __getattr__(name: str) -> object:
    return _version() if name == "__version__" else _find(name)


def __dir__() -> list[str]:
    return sorted({*_list(), "__version__"})
