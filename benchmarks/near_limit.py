"""Whether searching the share of a MAC limit beats searching widths freely and refusing what is too large.

Real searches of MobileNet's stages on scikit-learn's digits, each with as many epochs to spend, one thread,
without Ray. ``share``: the width follows from the searched share of the limit (as shipped). ``soft``: the
width multiplier is searched, what breaks the limit is refused untrained, and the sampler learns from it as
from a violated constraint. Each with TPE and at random (then ``soft`` is plain rejection). A search's result
is the best validation accuracy of its completed trials when its epochs are spent.

The limit is one that binds: 40,000 MACs with channels that are not rounded, where accuracy rises by ten
points from a quarter of the limit to the whole (the shipped 200,000 are so many for 8 x 8 px that it hardly
rises). Run with ``python -m benchmarks.near_limit [--seeds 20] [--epochs 60] [--output FILE]``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
from typing import Any

from benchmarks.comparing import describe_conditions, write_result
from benchmarks.searching import interval, spend
from tune_jobs.space import Float, Space
from tune_jobs.studies import digits_mobilenet
from tune_jobs.study import Asha, Limits, Study
from tune_jobs.trial import ReportRow, State

METHODS = ("share, tpe", "soft, tpe", "share, random", "soft, random")
PAIRS = (
    ("share, tpe", "soft, tpe"),
    ("share, random", "soft, random"),
    ("share, tpe", "soft, random"),
    ("share, tpe", "share, random"),
)
NEAR = 0.7


def main() -> None:
    """Run every search and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--output")
    words = parser.parse_args()
    jobs = [(method, seed, words.epochs) for seed in range(words.seeds) for method in METHODS]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.starmap(search, jobs, chunksize=1)
    print(describe_conditions())
    print(f"best val_accuracy after {words.epochs} epochs, mean over {words.seeds} seeds with 95 % interval")
    for method in METHODS:
        own = [entry for entry in found if entry["method"] == method]
        near = statistics.fmean(entry["near_limit"] for entry in own)
        refused = statistics.fmean(entry["refused"] for entry in own)
        print(f"  {method:14} {interval([e['best'] for e in own])}", end="  ")
        print(f"trained at {NEAR:.0%} of the limit or more: {near:.0%}; refused a search: {refused:.1f}")
    for one, other in PAIRS:
        ours, theirs = _by_seed(found, one), _by_seed(found, other)
        print(f"  {one} less {other}, same seeds: {interval([ours[seed] - theirs[seed] for seed in ours])}")
    write_result(words.output, {"conditions": describe_conditions(), "searches": found})


def search(method: str, seed: int, epochs: int) -> dict[str, Any]:
    """One search; its best accuracy, and how near to the limit its trained networks were."""
    kind, sampler = method.split(", ")
    study = study_of(kind).with_changes(sampler=sampler, seed=seed)
    log = spend(study, epochs)
    trained = [row for row in log.ends if row.state is not State.INFEASIBLE]
    limit = study.limits.max_macs or 0
    return {
        "method": method,
        "seed": seed,
        "best": max((r.objective or 0.0 for r in trained if r.state is State.COMPLETED), default=0.0),
        "near_limit": sum((row.macs or 0) >= NEAR * limit for row in trained) / len(trained),
        "refused": len(log.ends) - len(trained),
        "trained": len(trained),
        "epochs": sum(isinstance(row, ReportRow) for row in log.rows),
    }


def study_of(kind: str) -> Study:
    """The shipped study under a limit that binds, or the same with a free width in place of the share."""
    shipped = digits_mobilenet()
    study = shipped.with_changes(
        recipe=shipped.recipe.with_changes(model_options={"divisor": 1, "head_channels": 32}),
        limits=Limits(max_macs=40_000),
        asha=Asha(min_epochs=3, reduction_factor=3),
    )
    if kind == "share":
        return study
    rest = (parameter for parameter in study.space.parameters if parameter.name != "macs_share")
    return study.with_changes(space=Space(Float("width_mult", 0.05, 1.0, log=True), *rest))


def _by_seed(found: list[dict[str, Any]], method: str) -> dict[int, float]:
    return {entry["seed"]: entry["best"] for entry in found if entry["method"] == method}


if __name__ == "__main__":
    main()
