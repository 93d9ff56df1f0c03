"""Fronts of accuracy against MACs: what is found for the epochs that are spent, ours against Optuna's.

Real searches of MobileNet's stages, each with as many epochs to spend, one thread, without Ray.

* ``ours``: multi-objective TPE, MO-ASHA, the share of the limit in place of the width (as shipped).
* ``ours, random``: the same without TPE.
* ``Optuna TPE`` and ``Optuna NSGA-II``: Optuna's samplers on the free width; a network beyond the limit is a
  violated constraint and costs no epoch; every trial trains to its end. NSGA-II with a population of 10,
  since its usual 50 would be random search for as many trials as there are.
* ``random``: independent draws, refused above the limit, every trial to its end.

A search's result is the hypervolume of its completed trials: the share of the box from accuracy 0 and as many
MACs as the limit to accuracy 1 and none. Run with ``python -m benchmarks.fronts [--seeds 20] [--epochs 108]
[--output FILE]``, and with ``--dataset fashion_mnist --data-dir DIR`` for a part of Fashion-MNIST; ``--show
FILE`` prints an earlier run's table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.trial import TrialState

from benchmarks.comparing import describe_conditions, write_result
from benchmarks.searching import interval, spend
from tune_jobs.feasible.cost import count_cost
from tune_jobs.feasible.limits import refusal
from tune_jobs.inputs.shipped import digits_front, fashion_mnist_front
from tune_jobs.report.front import box
from tune_jobs.search.distributions import distributions_of
from tune_jobs.search.objectives import Point, final_point
from tune_jobs.search.pareto import hypervolume
from tune_jobs.study.definition import Study
from tune_jobs.study.method import SamplerName
from tune_jobs.study.parameters import Float
from tune_jobs.study.rows import State
from tune_jobs.study.space import Space

OURS = ("ours", "ours, random")
METHODS = (*OURS, "Optuna TPE", "Optuna NSGA-II", "random")
QUARTERS = (0.25, 0.5, 0.75, 1.0)


def main() -> None:
    """Run every search and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=108)
    parser.add_argument("--dataset", choices=["digits", "fashion_mnist"], default="digits")
    parser.add_argument("--data-dir")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--output")
    parser.add_argument("--show", metavar="FILE", help="only print an earlier run's table")
    words = parser.parse_args()
    if words.show:
        print_table(json.loads(Path(words.show).read_text()))
        return
    jobs = [
        (method, seed, words.epochs, words.dataset, words.data_dir)
        for seed in range(words.seeds)
        for method in words.methods
    ]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(search, jobs, chunksize=1)
    asked = {name: getattr(words, name) for name in ("dataset", "seeds", "epochs")}
    result = {"conditions": describe_conditions(), **asked, "searches": found}
    print_table(result)
    write_result(words.output, result)


def print_table(result: Mapping[str, Any]) -> None:
    """Each method's hypervolume, and what the first one gains over the others."""
    found: list[dict[str, Any]] = result["searches"]
    first, *others = methods = list(dict.fromkeys(entry["method"] for entry in found))
    print(result["conditions"])
    print(
        f"{result['dataset']}: hypervolume after {result['epochs']} epochs, {result['seeds']} seeds,"
        " 95 % interval"
    )
    for method in methods:
        own = [entry for entry in found if entry["method"] == method]
        means = [sum(entry["volumes"][i] for entry in own) / len(own) for i in range(len(QUARTERS))]
        quarters = " ".join(f"{mean:.4f}" for mean in means)
        print(f"  {method:15} {interval([e['volumes'][-1] for e in own])}  by quarters {quarters}", end="  ")
        print(f"completed {sum(e['completed'] for e in own) / len(own):.1f}", end="  ")
        print(f"beyond the limit on a front: {sum(e['beyond'] for e in own)}")
    for method in others:
        gains = [a - b for a, b in zip(_finals(found, first), _finals(found, method), strict=True)]
        print(f"  {first} less {method}, same seeds: {interval(gains)}")


def search(method: str, seed: int, epochs: int, dataset: str, data_dir: str | None) -> dict[str, Any]:
    """One search; its hypervolume after each quarter of its epochs."""
    study = (digits_front() if dataset == "digits" else small_fashion_front()).with_changes(seed=seed)
    if method in OURS:
        points = list(_iter_ours(study, method, epochs, data_dir))
    else:
        points = list(_iter_optuna(study, method, seed, epochs, data_dir))
    limit = study.limits.max_macs or 0
    return {
        "method": method,
        "seed": seed,
        "volumes": [volume_of(study, [p for spent, p in points if spent <= q * epochs]) for q in QUARTERS],
        "completed": len(points),
        "beyond": sum(point[1] > limit for _, point in points),
    }


def small_fashion_front() -> Study:
    """The shipped study on 2,000 training and 1,200 validation images, so that an epoch takes seconds."""
    study = fashion_mnist_front()
    recipe = study.recipe.with_changes(max_train_samples=2000, validation_fraction=0.02)
    return study.with_changes(recipe=recipe)


def volume_of(study: Study, points: Sequence[Point]) -> float:
    """The hypervolume of points in the box that the study's limit spans."""
    limits = {"max_macs": study.limits.max_macs}
    ideal, reference = box(points, study.objectives, limits)
    directions = [objective.direction for objective in study.objectives]
    return hypervolume(points, directions, ideal=ideal, reference=reference)


def _iter_ours(study: Study, method: str, epochs: int, data_dir: str | None) -> Iterator[tuple[int, Point]]:
    """The completed trials of our search: epochs spent until then, and their values."""
    sampler = SamplerName.RANDOM if method.endswith("random") else SamplerName.TPE
    log = spend(study.with_changes(sampler=sampler), epochs, data_dir=data_dir)
    reports = [row.seq for row in log.rows if row.table == "reports"]
    for row in log.trials:
        point = final_point(study, row) if row.state is State.COMPLETED else None
        if point is not None:
            yield sum(seq < row.seq for seq in reports), point


def _iter_optuna(
    study: Study, method: str, seed: int, epochs: int, data_dir: str | None
) -> Iterator[tuple[int, Point]]:
    """The same of a search as one writes it with Optuna alone."""
    import torch

    from eml_models import fit

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers: dict[str, Callable[[], BaseSampler]] = {
        "Optuna TPE": lambda: TPESampler(seed=seed, multivariate=True),
        "Optuna NSGA-II": lambda: NSGAIISampler(seed=seed, population_size=10),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }
    asked = optuna.create_study(directions=["maximize", "minimize"], sampler=samplers[method]())
    space = free_space(study)
    limit, spent = study.limits.max_macs or 0, 0
    while spent < epochs:
        trial = asked.ask(distributions_of(space))
        recipe = study.with_changes(space=space).recipe_for(
            {**{p.name: p.grid()[0] for p in space.parameters if p.role == "fixed"}, **trial.params},
            trial.number,
        )
        cost = count_cost(recipe)
        trial.set_constraint("max_macs", cost.macs / limit - 1)
        if refusal(study, cost) is not None:
            if method == "Optuna NSGA-II":  # it learns from completed trials only
                asked.tell(trial, [0.0, float(cost.macs)])
            else:
                asked.tell(trial, state=TrialState.PRUNED)
            continue
        reports = list(fit(recipe, device="cpu", data_dir=data_dir))
        spent += len(reports)
        accuracy = reports[-1].val_accuracy
        assert accuracy is not None
        values = (accuracy, float(cost.macs))
        asked.tell(trial, values)
        if spent <= epochs:
            yield spent, values


def free_space(study: Study) -> Space:
    """The study's space with a free width in place of the share of the limit."""
    rest = (parameter for parameter in study.space.parameters if parameter.name != "macs_share")
    return Space(Float("width_mult", 0.05, 1.0, log=True), *rest)


def _finals(found: Sequence[dict[str, Any]], method: str) -> list[float]:
    own = sorted((e for e in found if e["method"] == method), key=lambda entry: entry["seed"])
    return [entry["volumes"][-1] for entry in own]


if __name__ == "__main__":
    main()
