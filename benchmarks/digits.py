"""The same 24 configurations on the digits, written as Ray's own PyTorch example is, and as a study.

    python -m benchmarks.digits [--repeats 3] [--output FILE]

``example`` has a `DataLoader` over single images, a new actor for each trial and Tune's default loggers;
``ours`` is `run_study` over the same recipes, in the same order. Both train two at a time on one thread
each, with a Ray that is up already. The share of core time spent in training comes from the store's rows.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.comparing import OBJECT_STORE_BYTES, describe_conditions, run_variant, summarise, write_result

NUM_CONFIGURATIONS = 24
NUM_EPOCHS = 12
NUM_WORKERS = 2


def build_study() -> Any:
    """Random recipes, none of them stopped early: what is trained does not depend on who schedules."""
    from tune_jobs.inputs.shipped import digits_recipes

    study = digits_recipes()
    return study.with_changes(
        name="benchmark-digits",
        recipe=study.recipe.with_changes(epochs=NUM_EPOCHS),
        trials=NUM_CONFIGURATIONS,
        sampler="random",
        asha=None,
    )


def list_recipes() -> list[str]:
    """The recipes that the study's sampler proposes, as JSON."""
    from tune_jobs.search.history import History
    from tune_jobs.search.sampler import build_sampler

    study = build_study()
    sampler, nothing = build_sampler(study), History(study)
    proposals = ((number, sampler.propose(nothing, number)) for number in range(NUM_CONFIGURATIONS))
    return [study.recipe_for(params, number).to_json() for number, params in proposals if params is not None]


def train_like_the_example(config: dict[str, Any]) -> None:
    """One trial as tutorials write it: single images through a `DataLoader`, one report per epoch."""
    import torch
    from ray import tune
    from torch.nn.functional import cross_entropy
    from torch.utils.data import DataLoader, TensorDataset

    from eml_models import Recipe, build_model, load_dataset
    from eml_models.data.loading import split
    from eml_models.training.optimizers import build_optimizer

    torch.set_num_threads(1)
    recipe = Recipe.from_json(config["recipe"])
    dataset = load_dataset("digits")
    parts = split(dataset, recipe.validation_fraction)
    images = (dataset.train_images_NCHW.float() - dataset.mean) / dataset.std
    train, held_out = (
        TensorDataset(images[i], dataset.train_labels[i]) for i in (parts.train, parts.validation)
    )
    model = build_model(recipe.model, input_shape=(1, 8, 8), num_classes=10)
    optimizer = build_optimizer(
        recipe.optimizer,
        model,
        learning_rate=recipe.learning_rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
    )
    batches, done = DataLoader(train, batch_size=recipe.batch_size, shuffle=True), 0
    for epoch in range(1, recipe.epochs + 1):
        model.train()
        for x, y in batches:
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate_at((done + 0.5) / (len(batches) * recipe.epochs))
            optimizer.zero_grad()
            cross_entropy(model(x), y).backward()
            optimizer.step()
            done += 1
        model.eval()
        with torch.no_grad():
            correct = sum(
                int((model(x).argmax(1) == y).sum()) for x, y in DataLoader(held_out, batch_size=64)
            )
        tune.report({"val_accuracy": correct / len(held_out), "epoch": epoch})


def measure_example(folder: Path) -> dict[str, float]:
    from ray import tune

    tuner = tune.Tuner(
        tune.with_resources(train_like_the_example, {"cpu": 1}),
        param_space={"recipe": tune.grid_search(list_recipes())},
        tune_config=tune.TuneConfig(metric="val_accuracy", mode="max"),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    began = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - began
    best = max(result.metrics["val_accuracy"] for result in results if result.metrics)
    return {"seconds": seconds, "best": best}


def measure_ours(folder: Path) -> dict[str, float]:
    import tune_jobs.on_ray.tuning  # noqa: F401 - imported before the clock starts, as the other variant does
    from tune_jobs import RunSettings, TrialStore, run_study

    began = time.perf_counter()
    run_study(build_study(), RunSettings(store=str(folder / "store"), workers=NUM_WORKERS))
    seconds = time.perf_counter() - began
    store = TrialStore(folder / "store")
    span = store.sql(
        "select epoch(max(happened_at)) - epoch(min(happened_at)) as s from events where kind like 'attempt%'"
    )["s"][0]
    train_s = float(store.trials()["train_s"].sum())
    best = float(store.trials()["objective"].max())
    return {"seconds": seconds, "best": best, "training_share": train_s / (NUM_WORKERS * float(span))}


def measure_variant(variant: str) -> dict[str, float]:
    """One run in this process, on a Ray that is up before the clock starts."""
    if variant == "ours":
        import os

        from tune_jobs.on_ray.private import TUNE_ENVIRONMENT

        os.environ.update(TUNE_ENVIRONMENT)
    from tune_jobs.on_ray.cluster.local_ray import local_ray

    with (
        local_ray(num_cpus=NUM_WORKERS, object_store_memory=OBJECT_STORE_BYTES),
        tempfile.TemporaryDirectory() as folder,
    ):
        return (measure_ours if variant == "ours" else measure_example)(Path(folder))


def compare(repeats: int, output: str | None) -> None:
    """Both in turn, `repeats` times over; medians and their ratio."""
    runs: dict[str, list[dict[str, Any]]] = {"example": [], "ours": []}
    for _ in range(repeats):
        for variant, done in runs.items():
            done.append(run_variant("benchmarks.digits", "--variant", variant))
    print(describe_conditions())
    for variant, done in runs.items():
        best = max(run["best"] for run in done)
        print(f"{variant:>8}  {summarise([run['seconds'] for run in done])} s, best val_accuracy {best:.4f}")
    seconds = {name: statistics.median(run["seconds"] for run in done) for name, done in runs.items()}
    ratio = seconds["example"] / seconds["ours"]
    print(f"example / ours: {ratio:.1f}")
    print(f"share of core time in training: {summarise([run['training_share'] for run in runs['ours']])}")
    write_result(output, {"conditions": describe_conditions(), "runs": runs, "example / ours": ratio})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", help="also write the figures to this JSON file")
    parser.add_argument("--variant", choices=["example", "ours"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure_variant(options.variant)))
    else:
        compare(options.repeats, options.output)


if __name__ == "__main__":
    main()
