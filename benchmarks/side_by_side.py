"""Short trials on many workers: how much of the time do they run side by side?

    python -m benchmarks.side_by_side [--workers 6] [--trials 120] [--repeats 3] [--output FILE]

A trial is four reports with a pause before each, which takes no processor: 0.6 s on average, at random by the
digits of its learning rate, and less than a process takes to start. ``tuned`` is Ray Tune tuned by hand
(actors reused, loggers off, snapshots rare) with its own `OptunaSearch` and as many trials at a time;
``ours`` is this project with its store. Each run is a process of its own with a Ray that is up, of two CPUs
more than workers. The seconds are from the beginning of tuning to its end, with the start of the workers.
"""

from __future__ import annotations

import argparse
import json
import math
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

NUM_REPORTS = 4
LOWEST_RATE = 1e-4
SPARE_CPUS = 2
VARIANTS = ("tuned", "ours")


def pause_s(learning_rate: float) -> float:
    """Between 0 and 0.3 s, whatever rates a sampler likes."""
    return 0.3 * math.modf(1e7 * learning_rate)[0]


def fit_waiting(recipe: Any, **options: Any) -> Iterator[SimpleNamespace]:
    """Four reports, whose work is waiting; the training loss is the process id."""
    for epoch in range(1, NUM_REPORTS + 1):
        time.sleep(pause_s(recipe.learning_rate))
        yield SimpleNamespace(epoch=epoch, val_accuracy=0.5, train_loss=float(os.getpid()))


def train_waiting(config: dict[str, Any]) -> None:
    """The same for Ray Tune itself."""
    from ray import tune

    for _ in range(NUM_REPORTS):
        time.sleep(pause_s(config["learning_rate"]))
        tune.report({"val_accuracy": 0.5, "process": os.getpid()})


def run_tuned(workers: int, trials: int, folder: Path) -> dict[str, float]:
    from ray import tune

    space = {"learning_rate": tune.loguniform(LOWEST_RATE, 1.0)}
    tuner = tuner_by_hand(train_waiting, space, trials=trials, workers=workers, folder=folder)
    results, seconds = _timed(tuner.fit)
    work_s = sum(NUM_REPORTS * pause_s(result.config["learning_rate"]) for result in results)
    processes = {result.metrics["process"] for result in results}
    return {"seconds": seconds, "work_s": work_s, "processes": len(processes)}


def run_ours(workers: int, trials: int, folder: Path) -> dict[str, float]:
    import tune_jobs.on_ray.tuning  # noqa: F401 - imported before the clock starts, as the other variant does
    from eml_models.training.recipe import Recipe
    from tune_jobs import Float, RunSettings, Space, Study, TrialStore, run_study

    study = Study(
        name="waiting",
        space=Space(Float("learning_rate", LOWEST_RATE, 1.0, log=True)),
        recipe=Recipe(learning_rate=0.1, epochs=NUM_REPORTS),
        trials=trials,
        asha=None,
        fit=fit_waiting,
    )
    store = folder / "store"
    _, seconds = _timed(lambda: run_study(study, RunSettings(store=str(store), workers=workers)))
    stored = TrialStore(store)
    work_s = NUM_REPORTS * sum(map(pause_s, stored.trials()["param_learning_rate"]))
    return {
        "seconds": seconds,
        "work_s": work_s,
        "processes": int(stored.reports()["train_loss"].nunique()),
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    found = work()
    return found, time.perf_counter() - began


def measure_variant(variant: str, workers: int, trials: int) -> dict[str, float]:
    """One run in this process, on a Ray that is up."""
    from tune_jobs.on_ray.private import TUNE_ENVIRONMENT

    own = {"TUNE_MAX_PENDING_TRIALS_PG", "TUNE_DISABLE_AUTO_INIT"} if variant == "tuned" else set()
    os.environ.update({name: value for name, value in TUNE_ENVIRONMENT.items() if name not in own})
    from tune_jobs.on_ray.cluster.local_ray import local_ray

    runs = {"tuned": run_tuned, "ours": run_ours}
    with (
        local_ray(num_cpus=workers + SPARE_CPUS, object_store_memory=OBJECT_STORE_BYTES),
        tempfile.TemporaryDirectory() as folder,
    ):
        measured = runs[variant](workers, trials, Path(folder))
    return {**measured, "side_by_side": measured["work_s"] / measured["seconds"]}


def compare(workers: int, trials: int, repeats: int, output: str | None) -> None:
    """Run the variants in turn, `repeats` times over, and print medians and their ratio."""
    words = ("--workers", str(workers), "--trials", str(trials))
    runs: dict[str, list[dict[str, Any]]] = {variant: [] for variant in VARIANTS}
    for _ in range(repeats):
        for variant in VARIANTS:
            runs[variant].append(run_variant("benchmarks.side_by_side", "--variant", variant, *words))
    print(f"{describe_conditions()}; {trials} trials on {workers} workers")
    for variant, done in runs.items():
        seconds, side, processes = (
            summarise([run[name] for run in done]) for name in ("seconds", "side_by_side", "processes")
        )
        print(f"{variant:>6}  {seconds} s, side by side {side}, processes {processes}")
    ratio = statistics.median(run["side_by_side"] for run in runs["ours"]) / statistics.median(
        run["side_by_side"] for run in runs["tuned"]
    )
    print(f"side by side, ours / tuned: {ratio:.2f}")
    conditions = {"hardware": describe_conditions(), "workers": workers, "trials": trials}
    write_result(output, {"conditions": conditions, "runs": runs, "ratio": ratio})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", help="also write the figures to this JSON file")
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure_variant(options.variant, options.workers, options.trials)))
    else:
        compare(options.workers, options.trials, options.repeats, options.output)


if __name__ == "__main__":
    main()
