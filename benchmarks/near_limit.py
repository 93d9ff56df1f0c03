"""Whether searching the share of a MAC limit beats searching widths freely and refusing what is too large.

Real searches of MobileNet's stages on scikit-learn's digits, each with as many epochs to spend, one thread,
without Ray. ``share``: the width follows from the searched share of the limit (as shipped). ``soft``: the
width multiplier is searched, what breaks the limit is refused untrained, and the sampler learns from it as
from a violated constraint. Each with TPE and at random (then ``soft`` is plain rejection). A search's result
is the best validation accuracy of its completed trials when its epochs are spent.

Only the network is searched; learning rate and weight decay are held, since what they change is noise here.
Channels are not rounded, so that networks of every cost exist. Run with ``python -m benchmarks.near_limit
[--max-macs 100000] [--search-recipe] [--seeds 20] [--epochs 60] [--output FILE]``; ``--show FILE``
prints an earlier run's table.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import SuccessiveHalvingPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from benchmarks.comparing import describe_conditions, write_result
from benchmarks.searching import interval, spend
from tune_jobs.feasible.cost import count_cost
from tune_jobs.inputs.shipped import digits_mobilenet
from tune_jobs.search.distributions import distributions_of
from tune_jobs.study.definition import Study
from tune_jobs.study.method import Asha, Limits
from tune_jobs.study.parameters import Float
from tune_jobs.study.rows import ReportRow, State
from tune_jobs.study.space import Space

METHODS = ("share, tpe", "soft, tpe", "share, random", "soft, random", "trained, tpe")
PAIRS = (
    ("share, tpe", "soft, tpe"),
    ("share, random", "soft, random"),
    ("share, tpe", "soft, random"),
    ("share, tpe", "trained, tpe"),
    ("share, tpe", "share, random"),
)
NEAR = 0.7
HELD = {"learning_rate": 0.05, "weight_decay": 1e-4}


def main() -> None:
    """Run every search and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--max-macs", type=int, default=100_000)
    parser.add_argument("--search-recipe", action="store_true", help="search rate and weight decay too")
    parser.add_argument("--output")
    parser.add_argument("--show", metavar="FILE", help="only print an earlier run's table")
    words = parser.parse_args()
    if words.show:
        print_table(json.loads(Path(words.show).read_text()))
        return
    setting = words.epochs, words.max_macs, words.search_recipe
    jobs = [(method, seed, *setting) for seed in range(words.seeds) for method in METHODS]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(search, jobs, chunksize=1)
    asked = {name: getattr(words, name) for name in ("seeds", "epochs", "max_macs", "search_recipe")}
    result = {"conditions": describe_conditions(), **asked, "searches": found}
    print_table(result)
    write_result(words.output, result)


def print_table(result: Mapping[str, Any]) -> None:
    """Each method's accuracy, and what the share gains over the others."""
    found: list[dict[str, Any]] = result["searches"]
    print(result["conditions"])
    print(
        f"at most {result['max_macs']:,} MACs: best val_accuracy after {result['epochs']} epochs, mean over"
        f" {result['seeds']} seeds with 95 % interval"
    )
    for method in METHODS:
        own = [entry for entry in found if entry["method"] == method]
        near = statistics.fmean(entry["near_limit"] for entry in own)
        refused = statistics.fmean(entry["refused"] for entry in own)
        print(f"  {method:14} {interval([e['best'] for e in own])}", end="  ")
        print(f"trained at {NEAR:.0%} of the limit or more: {near:.0%}; refused a search: {refused:.1f}")
    for one, other in PAIRS:
        ours, theirs = _by_seed(found, one), _by_seed(found, other)
        print(f"  {one} less {other}, same seeds: {interval([ours[seed] - theirs[seed] for seed in ours])}")


def search(method: str, seed: int, epochs: int, max_macs: int, search_recipe: bool) -> dict[str, Any]:
    """One search; its best accuracy, and how near to the limit its trained networks were."""
    kind, sampler = method.split(", ")
    study = study_of(kind, max_macs, search_recipe).with_changes(sampler=sampler, seed=seed)
    if kind == "trained":
        return {"method": method, "seed": seed, **search_by_optuna(study, epochs)}
    log = spend(study, epochs)
    trained = [row for row in log.trials if row.state is not State.INFEASIBLE]
    limit = study.limits.max_macs or 0
    return {
        "method": method,
        "seed": seed,
        "best": max((r.objective or 0.0 for r in trained if r.state is State.COMPLETED), default=0.0),
        "near_limit": sum((row.macs or 0) >= NEAR * limit for row in trained) / len(trained),
        "refused": len(log.trials) - len(trained),
        "trained": len(trained),
        "epochs": sum(isinstance(row, ReportRow) for row in log.rows),
    }


def search_by_optuna(study: Study, epochs: int) -> dict[str, Any]:
    """The same search as one writes it with Optuna alone, where a constraint costs its training."""
    import torch

    from eml_models import fit

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    asha, limit = study.asha, study.limits.max_macs
    assert asha is not None
    assert limit is not None
    pruner = SuccessiveHalvingPruner(min_resource=asha.min_epochs, reduction_factor=asha.reduction_factor)
    sampler = TPESampler(seed=study.seed, multivariate=True)
    asked = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    fixed = {p.name: p.grid()[0] for p in study.space.parameters if p.role == "fixed"}
    best, spent, macs = 0.0, 0, []
    while spent < epochs:
        trial = asked.ask(distributions_of(study.space))
        recipe = study.recipe_for({**fixed, **trial.params}, trial.number)
        macs.append(count_cost(recipe).macs)
        trial.set_constraint("max_macs", macs[-1] / limit - 1)
        state, accuracy = TrialState.PRUNED, 0.0
        for report in fit(recipe, device="cpu"):
            spent += 1
            accuracy = report.val_accuracy or 0.0
            trial.report(accuracy, report.epoch)
            if report.epoch == recipe.epochs:
                state = TrialState.COMPLETE
            elif trial.should_prune() or spent >= epochs:
                break
        asked.tell(trial, accuracy if state is TrialState.COMPLETE else None, state=state)
        if macs[-1] <= limit:  # counted as far as it came: pruned by larger ones, few of these complete
            best = max(best, accuracy)
    near = sum(NEAR * limit <= found <= limit for found in macs) / len(macs)
    return {"best": best, "near_limit": near, "refused": 0, "trained": len(macs), "epochs": spent}


def study_of(kind: str, max_macs: int, search_recipe: bool) -> Study:
    """The shipped study under another limit, or the same with a free width in place of the share."""
    shipped = digits_mobilenet()
    study = shipped.with_changes(
        recipe=shipped.recipe.with_changes(model_options={"divisor": 1, "head_channels": 32}),
        limits=Limits(max_macs=max_macs),
        asha=Asha(min_epochs=3, reduction_factor=3),
    )
    if not search_recipe:
        study = study.with_changes(space=study.space.fixed(HELD))
    if kind == "share":
        return study
    rest = (parameter for parameter in study.space.parameters if parameter.name != "macs_share")
    return study.with_changes(space=Space(Float("width_mult", 0.05, 1.0, log=True), *rest))


def _by_seed(found: list[dict[str, Any]], method: str) -> dict[int, float]:
    return {entry["seed"]: entry["best"] for entry in found if entry["method"] == method}


if __name__ == "__main__":
    main()
