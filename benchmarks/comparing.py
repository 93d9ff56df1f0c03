"""What the benchmarks share: fresh processes, medians, conditions, and a table. Measures nothing itself."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

OBJECT_STORE_BYTES = 128 << 20
"""The object store of the Ray that a variant runs on."""


def run_variant(module: str, *words: str) -> dict[str, Any]:
    """Run ``python -m MODULE WORDS`` in a fresh process; the JSON object on the last line of its stdout.

    Raises:
        RuntimeError: it failed; the message ends with its last words.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", module, *words], capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{module} {' '.join(words)} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def describe_conditions() -> str:
    """Hardware and versions in one line."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("ray", "optuna", "torch"))
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {packages}"


def tuner_by_hand(
    train: Callable[[dict[str, Any]], None], space: dict[str, Any], *, trials: int, workers: int, folder: Path
) -> Any:
    """Ray Tune as an expert sets it up: actors reused, its own `OptunaSearch`, quiet."""
    import optuna
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            num_samples=trials,
            metric="val_accuracy",
            mode="max",
            search_alg=OptunaSearch(seed=0),
            max_concurrent_trials=workers,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )


def summarise(values: list[float]) -> str:
    """The median and the range: ``1.23 (1.10 .. 1.40, n=3)``."""
    return f"{statistics.median(values):.3g} ({min(values):.3g} .. {max(values):.3g}, n={len(values)})"


def write_result(path: str | None, result: dict[str, Any]) -> None:
    """Write the figures with their conditions as JSON, if a path was asked for."""
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(result, indent=2) + "\n")
