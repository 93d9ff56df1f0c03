"""Whether searching the share of a MAC limit beats searching widths freely and refusing what is too large.

Real searches of `digits-mobilenet` (MobileNet's stages on scikit-learn's digits within 200,000 MACs), each
with as many epochs to spend, one thread, without Ray. ``share``: the width follows from the searched share of
the limit (as shipped). ``soft``: the width multiplier is searched, what breaks the limit is refused
untrained, and the sampler learns from it as from a violated constraint. Each with TPE and at random (then
``soft`` is plain rejection). A search's result is the best validation accuracy of its completed trials when
its epochs are spent. Run with ``python -m benchmarks.near_limit [--seeds 20] [--epochs 60] [--output FILE]``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
from dataclasses import replace
from typing import Any

from benchmarks.comparing import describe_conditions, write_result
from tune_jobs.attempt import WorkerInfo
from tune_jobs.session import Session
from tune_jobs.space import Float, Space
from tune_jobs.studies import digits_mobilenet
from tune_jobs.study import Study
from tune_jobs.trial import Decision, ReportRow, Row, State, TrialRow

METHODS = ("share, tpe", "soft, tpe", "share, random", "soft, random")
RESAMPLES = 5000


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
        print(f"trained at 70 % of the limit or more: {near:.0%}; refused a search: {refused:.1f}")
    for sampler in ("tpe", "random"):
        by = {kind: _by_seed(found, f"{kind}, {sampler}") for kind in ("share", "soft")}
        gains = [by["share"][seed] - by["soft"][seed] for seed in by["share"]]
        print(f"  share less soft, {sampler}, same seeds: {interval(gains)}")
    write_result(words.output, {"conditions": describe_conditions(), "searches": found})


def search(method: str, seed: int, epochs: int) -> dict[str, Any]:
    """One search; its best accuracy, and how near to the limit its trained networks were."""
    import torch

    from eml_models import fit

    torch.set_num_threads(1)
    kind, sampler = method.split(", ")
    study = study_of(kind).with_changes(sampler=sampler, seed=seed, trials=1000)
    log = MemoryLog()
    session = Session(study, log)
    spent = 0
    while spent < epochs and (attempt := session.next_attempt()) is not None:
        for report in fit(attempt.recipe, device="cpu"):
            spent += 1
            metrics = {name: getattr(report, name) for name in report.__slots__}
            if session.record_report(attempt.number, metrics, WorkerInfo()) is Decision.STOP:
                break
    ends = [row for row in log.rows if isinstance(row, TrialRow)]
    trained = [row for row in ends if row.state is not State.INFEASIBLE]
    limit = study.limits.max_macs or 0
    return {
        "method": method,
        "seed": seed,
        "best": max((r.objective or 0.0 for r in trained if r.state is State.COMPLETED), default=0.0),
        "near_limit": sum((row.macs or 0) >= 0.7 * limit for row in trained) / len(trained),
        "refused": len(ends) - len(trained),
        "trained": len(trained),
        "epochs": sum(isinstance(row, ReportRow) for row in log.rows),
    }


def study_of(kind: str) -> Study:
    """The shipped study, or the same with a free width in place of the share of the limit."""
    study = digits_mobilenet()
    if kind == "share":
        return study
    rest = (parameter for parameter in study.space.parameters if parameter.name != "macs_share")
    return study.with_changes(space=Space(Float("width_mult", 0.1, 1.0, log=True), *rest))


class MemoryLog:
    """Numbers rows as a store's writer does, and keeps them in memory."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def append_many(self, rows: Any) -> list[Row]:
        stored = [replace(row, seq=len(self.rows) + i) for i, row in enumerate(rows, start=1)]
        self.rows += stored
        return stored


def interval(values: list[float]) -> str:
    """The mean and its bootstrap 95 % interval."""
    generator = random.Random(0)
    means = sorted(statistics.fmean(generator.choices(values, k=len(values))) for _ in range(RESAMPLES))
    low, high = means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]
    return f"{statistics.fmean(values):+.4f} [{low:+.4f}, {high:+.4f}]"


def _by_seed(found: list[dict[str, Any]], method: str) -> dict[int, float]:
    return {entry["seed"]: entry["best"] for entry in found if entry["method"] == method}


if __name__ == "__main__":
    main()
