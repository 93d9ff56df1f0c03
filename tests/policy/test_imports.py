"""Importing stays light, `--help` answers at once, and the stubs name what the packages have."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import eml_models
import tune_jobs

ROOT = Path(__file__).parents[2]
HELP_LIMIT_S = 0.5


def loaded_modules(code: str) -> set[str]:
    code = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stderr.split())


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["submit", "--help"]])
def test_help_answers_within_half_a_second(words: list[str]) -> None:
    """Of CPU time, the best of three, so that what else runs here does not matter."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "tune_jobs", *words], capture_output=True, check=True, cwd=ROOT)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < HELP_LIMIT_S


@pytest.mark.parametrize("code", ["import tune_jobs, eml_models", "import tune_jobs.cli"])
def test_import_loads_nothing_heavy(code: str) -> None:
    assert not loaded_modules(code) & {"torch", "ray", "optuna", "pandas", "pyarrow", "duckdb"}


@pytest.mark.parametrize("verb", ["run", "submit", "finalists", "replay", "latency"])
def test_help_loads_nothing_heavy(verb: str) -> None:
    code = f"sys.argv = ['tune-jobs', {verb!r}, '--help']\nfrom tune_jobs.cli import main\nmain()"
    assert not loaded_modules(code) & {"torch", "ray", "optuna", "numpy", "pandas", "pyarrow", "duckdb"}


def test_dry_run_loads_neither_torch_nor_ray() -> None:
    arguments = ["tune-jobs", "run", "digits-recipes", "--dry-run"]
    code = f"sys.argv = {arguments}\nfrom tune_jobs.cli import main\nmain()"
    assert not loaded_modules(code) & {"torch", "ray"}


def test_a_driver_loads_no_torch_and_ray_only_when_it_starts_ray() -> None:
    """Its workers import torch for themselves, while the driver's import would hold up the first trial."""
    assert not loaded_modules("import tune_jobs.on_ray.runner") & {"torch", "ray"}
    loaded = loaded_modules("import tune_jobs.on_ray.runner, tune_jobs.on_ray.tuning")
    assert "ray.tune" in loaded
    assert "torch" not in loaded


def test_one_function_tells_a_bucket_from_a_folder() -> None:
    """What Ray's addresses look like is another question."""
    asks = {path.name for path in (ROOT / "tune_jobs").rglob("*.py") if '"://" ' in path.read_text()}
    assert asks == {"protocol.py", "reaching.py"}


@pytest.mark.parametrize("package", [eml_models, tune_jobs])
def test_stub_and_package_have_the_same_names(package: object) -> None:
    stub = Path(str(package.__file__)).with_suffix(".pyi").read_text()  # type: ignore[attr-defined]  # a module
    pairs = re.findall(r"^from ([\w.]+) import (\w+) as \2$", stub, re.M)
    homes = {name: home for home, name in pairs}
    assert homes == package._HOME_OF  # type: ignore[attr-defined]  # the table that the stub repeats
    for name in homes:
        assert getattr(package, name) is not None
