"""Hyperparameter and architecture search: studies, their trials, and the store that holds them.

`__version__` is the version of the installed package, which `pyproject.toml` alone states.
The public names below are the doors of the package. Each is imported from its module at its first use, so
``import tune_jobs`` takes milliseconds and loads neither torch nor Ray. `__init__.pyi` declares the same
names for type checkers; a test compares the two.
"""

from __future__ import annotations

from eml_models.lazy import lazy_names

_HOMES = {
    "tune_jobs.study.parameters": ("Choice", "Constant", "Float", "Integer", "When"),
    "tune_jobs.study.space": ("Space",),
    "tune_jobs.study.definition": ("Study",),
    "tune_jobs.study.method": ("Asha", "Limits", "SamplerName"),
    "tune_jobs.study.objective": ("Direction", "Maximize", "Minimize", "Objective"),
    "tune_jobs.study.rows": ("Decision", "State"),
    "tune_jobs.errors": (
        "NoBestTrialError",
        "QueryError",
        "RunFailedError",
        "StoreError",
        "StudyChangedError",
        "TuneJobsError",
    ),
    "tune_jobs.session.settings": ("RunSettings",),
    "tune_jobs.results.callbacks": ("Callback", "Report"),
    "tune_jobs.results.of_study": ("Results",),
    "tune_jobs.results.one_trial": ("TrialResult",),
    "tune_jobs.results.running": ("RunResults", "run_study"),
    "tune_jobs.results.to_mlflow": ("MLflow",),
    "tune_jobs.results.to_tensorboard": ("TensorBoard",),
    "tune_jobs.results.trial_store": ("TrialStore",),
    "tune_jobs.worker.trial_run": ("TrialRun", "TrialStopped"),
}
"""The public names by the module that defines them."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)

DISTRIBUTION = "tune-jobs"
NOT_INSTALLED = "0+not.installed"
"""The version of code that runs from a folder: no release has it, and any release is newer."""


def _version() -> str:
    import importlib.metadata  # 18 ms, which `import tune_jobs` does not need

    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return NOT_INSTALLED


_find, _list = lazy_names(__name__, _HOME_OF)


def __getattr__(name: str) -> object:
    return _version() if name == "__version__" else _find(name)


def __dir__() -> list[str]:
    return sorted({*_list(), "__version__"})
