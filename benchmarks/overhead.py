"""What a trial costs beside its training: trivial trials of three reports, the same space, two at a time.

    python -m benchmarks.overhead [--repeats 3] [--output FILE]

``shipped`` is Ray Tune with its defaults, ``tuned`` Ray Tune tuned by hand (actors reused, loggers off,
snapshots rare) with its own `OptunaSearch`, ``ours`` this project with its store. Each run is a process of
its own; seconds are from the beginning of tuning to its end, without starting Ray.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.comparing import (
    OBJECT_STORE_BYTES,
    describe_conditions,
    run_variant,
    summarise,
    tuner_by_hand,
    write_result,
)

NUM_REPORTS = 3
NUM_WORKERS = 2
RUNS = (("shipped", 20), ("tuned", 100), ("ours", 100), ("tuned", 1000), ("ours", 1000))
"""Variants and trials; Ray as shipped is measured on few trials because each costs seconds."""


def fit_nothing(recipe: Any, **options: Any) -> Iterator[SimpleNamespace]:
    """Three reports that depend on the learning rate."""
    for epoch in range(1, NUM_REPORTS + 1):
        yield SimpleNamespace(epoch=epoch, val_accuracy=recipe.learning_rate * epoch / NUM_REPORTS)


def train_nothing(config: dict[str, Any]) -> None:
    """The same for Ray Tune itself."""
    from ray import tune

    for epoch in range(1, NUM_REPORTS + 1):
        tune.report({"val_accuracy": config["learning_rate"] * epoch / NUM_REPORTS})


def time_shipped(trials: int, folder: Path) -> float:
    from ray import tune

    tuner = tune.Tuner(
        tune.with_resources(train_nothing, {"cpu": 1}),
        param_space={"learning_rate": tune.loguniform(1e-4, 1.0), "batch_size": tune.choice([32, 64, 128])},
        tune_config=tune.TuneConfig(num_samples=trials, metric="val_accuracy", mode="max"),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    return _seconds(tuner.fit)


def time_tuned(trials: int, folder: Path) -> float:
    from ray import tune

    space = {"learning_rate": tune.loguniform(1e-4, 1.0), "batch_size": tune.choice([32, 64, 128])}
    tuner = tuner_by_hand(train_nothing, space, trials=trials, workers=NUM_WORKERS, folder=folder)
    return _seconds(tuner.fit)


def time_ours(trials: int, folder: Path) -> float:
    import tune_jobs.on_ray.tuning  # noqa: F401 - imported before the clock starts, as the other variants do
    from eml_models.training.recipe import Recipe
    from tune_jobs import Choice, Float, RunSettings, Space, Study, run_study

    study = Study(
        name="overhead",
        space=Space(Float("learning_rate", 1e-4, 1.0, log=True), Choice("batch_size", (32, 64, 128))),
        recipe=Recipe(learning_rate=0.1, epochs=NUM_REPORTS),
        trials=trials,
        asha=None,
        fit=fit_nothing,
    )
    settings = RunSettings(store=str(folder / "store"), workers=NUM_WORKERS)
    return _seconds(lambda: run_study(study, settings))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure_variant(variant: str, trials: int) -> dict[str, float]:
    """One run in this process: Ray is up and its workers are warm before the clock starts."""
    if variant != "shipped":
        from tune_jobs.on_ray.private import TUNE_ENVIRONMENT

        os.environ.update(TUNE_ENVIRONMENT)
        os.environ.pop("TUNE_DISABLE_AUTO_INIT", None)
    from tune_jobs.on_ray.cluster.local_ray import local_ray

    timers = {"shipped": time_shipped, "tuned": time_tuned, "ours": time_ours}
    with (
        local_ray(num_cpus=NUM_WORKERS, object_store_memory=OBJECT_STORE_BYTES),
        tempfile.TemporaryDirectory() as folder,
    ):
        seconds = timers[variant](trials, Path(folder))
        files = sum(1 for path in Path(folder).rglob("*") if path.is_file())
    return {"seconds": seconds, "per_trial_s": seconds / trials, "files": files}


def compare(repeats: int, output: str | None) -> None:
    """Run every variant in turn, `repeats` times over, and print medians and ratios."""
    runs: dict[str, list[dict[str, Any]]] = {f"{v}/{n}": [] for v, n in RUNS}
    for _ in range(repeats):
        for variant, trials in RUNS:
            words = ("--variant", variant, "--trials", str(trials))
            runs[f"{variant}/{trials}"].append(run_variant("benchmarks.overhead", *words))
    per_trial = {name: statistics.median(run["per_trial_s"] for run in done) for name, done in runs.items()}
    print(describe_conditions())
    for name, done in runs.items():
        millis = summarise([1e3 * run["per_trial_s"] for run in done])
        print(f"{name:>14}  {millis} ms per trial, {done[-1]['files']} files")
    ratios = {
        "ours / tuned at 100": per_trial["ours/100"] / per_trial["tuned/100"],
        "ours / tuned at 1,000": per_trial["ours/1000"] / per_trial["tuned/1000"],
        "ours at 1,000 / at 100": per_trial["ours/1000"] / per_trial["ours/100"],
        "shipped / ours at 100": per_trial["shipped/20"] / per_trial["ours/100"],
    }
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f}")
    write_result(output, {"conditions": describe_conditions(), "runs": runs, "ratios": ratios})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", help="also write the figures to this JSON file")
    parser.add_argument("--variant", choices=["shipped", "tuned", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--trials", type=int, default=100, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure_variant(options.variant, options.trials)))
    else:
        compare(options.repeats, options.output)


if __name__ == "__main__":
    main()
